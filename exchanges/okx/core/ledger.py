"""The truth that others are compared with: everything that happened on the exchange, as JSON can say it."""

from decimal import Decimal

import msgspec

from exchanges.okx.core import account_read, orders_read
from exchanges.okx.core.exchange import Exchange
from exchanges.okx.core.orders_read import Body
from exchanges.okx.core.state import ZERO, Account, plain


def ledger(exchange: Exchange) -> Body:
    """Accounts with their orders, fills, positions and money, markets, and the count of requests."""
    venue = exchange.venue
    return {
        "now_ms": venue.now_ms,
        "accounts": {name: of_account(exchange, account) for name, account in venue.state.accounts.items()},
        "markets": {name: _market(exchange, name) for name in venue.state.instruments},
        "requests": len(exchange.requests),
    }


def of_account(exchange: Exchange, account: Account) -> Body:
    """One account. Positions are in signed contracts; `fees`, `realized` and `funding` are sums, and wallet = deposits + realized - fees + funding."""
    venue, state = exchange.venue, exchange.venue.state
    trades = [trade for trade in state.trades.values() if trade.account == account.name]
    bills = [bill for bill in state.bills if bill.account == account.name]

    def booked(kind: str) -> Decimal:
        return sum((bill.amount for bill in bills if bill.kind == kind), ZERO)

    return {
        "wallet": plain(account.wallet),
        "deposits": plain(booked("TRANSFER")),
        "funding": plain(booked("FUNDING")),
        "realized": plain(sum((t.realized for t in trades), ZERO)),
        "fees": plain(sum((t.fee for t in trades), ZERO)),
        "positions": [
            {
                "instrument": p.instrument,
                "amount": plain(p.amount),
                "entry": plain(p.entry),
                "since_ms": p.since_ms,
            }
            for p in account.held()
        ],
        "orders": [
            orders_read.order_body(venue, o) for o in state.orders.values() if o.account == account.name
        ],
        "algo_orders": [
            orders_read.algo_body(venue, a) for a in state.algos.values() if a.account == account.name
        ],
        "fills": [orders_read.trade_body(venue, t) for t in trades],
        "balance": account_read.balance(venue, account, {})[0],
    }


def _market(exchange: Exchange, name: str) -> Body:
    venue = exchange.venue
    one = venue.state.instruments[name]
    return {
        "status": one.status,
        "tick": plain(one.tick),
        "last": one.text(venue.last[name]),
        "mark": one.text(venue.mark(name)),
        "pinned": name in venue.pinned,
    }


def requests(exchange: Exchange, since: int) -> list[object]:
    """The requests on record after the first `since`, in order."""
    found: list[object] = msgspec.to_builtins(exchange.requests[since:])
    return found
