"""What an account is told on its channels."""

import msgspec

from exchanges.okx.core import account_read, orders_read
from exchanges.okx.core.orders_read import Body
from exchanges.okx.core.state import Algo, Order
from exchanges.okx.core.venue import News, Venue


class Push(msgspec.Struct, frozen=True):
    """A message of a private channel. `instrument` is empty for the balance."""

    account: str
    channel: str
    instrument: str
    body: Body


def push_of(venue: Venue, news: News) -> Push:
    """What the account hears of some news."""
    match news.about:
        case Order() as order:
            body = orders_read.order_body(venue, order, news.trade)
            return Push(news.account, "orders", order.instrument, body if news.trade else _no_fill(body))
        case Algo() as algo:
            channel = "algo-advance" if algo.type == "move_order_stop" else "orders-algo"
            return Push(news.account, channel, algo.instrument, orders_read.algo_body(venue, algo))
        case None:
            body = account_read.balance(venue, venue.state.accounts[news.account], {})[0]
            return Push(news.account, "account", "", body)
        case position:
            account = venue.state.accounts[news.account]
            body = account_read.position_body(venue, account, position)
            return Push(news.account, "positions", position.instrument, body)


def _no_fill(body: Body) -> Body:
    """An order whose change was no fill: the fields of a fill are those of none."""
    return {**body, **orders_read.NO_FILL}
