"""Orders and executions, as clients ask for them."""

from collections.abc import Iterator, Sequence

from exchanges.interactive_brokers.core import messages
from exchanges.interactive_brokers.core.asked import good_till_ms
from exchanges.interactive_brokers.core.errors import Refusal
from exchanges.interactive_brokers.core.state import Contract, Fill
from exchanges.interactive_brokers.core.triggers import today_ms
from exchanges.interactive_brokers.core.venue import Venue
from exchanges.interactive_brokers.core.wire import Message


def open_orders(venue: Venue, client: int | None) -> Iterator[Message]:
    """The open orders of a client, of all if it is None."""
    for order in venue.open_orders():
        if client in (None, order.client):
            yield messages.open_order(order, venue.state.contracts[order.con_id])
            yield messages.order_status(order)
    yield ("53", "1")


def executions(venue: Venue, fields: Sequence[str]) -> list[Message]:
    """The executions of the venue's day that fit a filter, with what they cost: never one of the day before.

    Raises:
        Refusal: 321 if the time of the filter cannot be read.
    """
    request, client, account, time, symbol, kind, exchange, side = fields[2:10]
    since_ms = today_ms(venue.now_ms)
    if time:
        asked_ms = good_till_ms(time)
        if asked_ms is None:
            raise Refusal(321, f"Invalid time:{time}")
        since_ms = max(since_ms, asked_ms)
    told: list[Message] = []
    for fill in venue.state.fills:
        contract = venue.state.contracts[fill.con_id]
        asked = (client, account, symbol, kind, exchange, side)
        if fill.time_ms >= since_ms and _fits(fill, contract, asked):
            told.append(messages.execution(fill, contract, int(request)))
            told.append(messages.commission(fill, contract))
    return [*told, ("55", "1", int(request))]


def _fits(fill: Fill, contract: Contract, asked: tuple[str, ...]) -> bool:
    client, account, symbol, kind, exchange, side = asked
    pairs = (
        (account, fill.account),
        (symbol, contract.symbol),
        (kind, contract.kind),
        (exchange, contract.exchange),
        (side, fill.side.value),
    )
    return client in ("", "0", str(fill.client)) and all(wanted in ("", is_) for wanted, is_ in pairs)
