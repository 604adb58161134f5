"""The truth that others are compared with: everything that happened on the exchange, as JSON can say it."""

import msgspec

from exchanges.binance.core import account_read, orders_read
from exchanges.binance.core.events import plain
from exchanges.binance.core.exchange import Exchange
from exchanges.binance.core.orders_read import Body
from exchanges.binance.core.state import Account


def ledger(exchange: Exchange) -> Body:
    """Accounts with their orders, fills, positions and money, markets, and the counts of requests."""
    venue = exchange.venue
    return {
        "now_ms": venue.now_ms,
        "accounts": {name: of_account(exchange, account) for name, account in venue.state.accounts.items()},
        "markets": {name: _market(exchange, name) for name in venue.state.symbols},
        "requests": len(exchange.requests),
    }


def of_account(exchange: Exchange, account: Account) -> Body:
    """One account. Quantities of positions are signed; `fees`, `realized` and `funding` are sums, and wallet = deposits + realized - fees + funding."""
    venue, state = exchange.venue, exchange.venue.state
    trades = [trade for trade in state.trades if trade.account == account.name]
    incomes = [income for income in state.incomes if income.account == account.name]
    return {
        "wallet": plain(account.wallet),
        "deposits": plain(sum((i.amount for i in incomes if i.kind == "TRANSFER"), 0 * account.wallet)),
        "funding": plain(sum((i.amount for i in incomes if i.kind == "FUNDING_FEE"), 0 * account.wallet)),
        "realized": plain(sum((t.realized for t in trades), 0 * account.wallet)),
        "fees": plain(sum((t.fee for t in trades), 0 * account.wallet)),
        "positions": [
            {
                "symbol": p.symbol,
                "side": p.side,
                "amount": plain(p.amount),
                "entry": plain(p.entry),
                "since_ms": p.since_ms,
            }
            for p in account.positions.values()
            if p.amount
        ],
        "orders": [
            orders_read.order_body(o, state.symbols[o.symbol])
            for o in state.orders.values()
            if o.account == account.name
        ],
        "algo_orders": [
            orders_read.algo_body(a, state.symbols[a.symbol])
            for a in state.algos.values()
            if a.account == account.name
        ],
        "fills": [orders_read.trade_body(t, state.symbols[t.symbol]) for t in trades],
        "balance": account_read.balance(venue, account, {})[0],
    }


def _market(exchange: Exchange, name: str) -> Body:
    venue = exchange.venue
    symbol = venue.state.symbols[name]
    return {
        "status": symbol.status,
        "tick": plain(symbol.tick),
        "last": symbol.text(venue.last[name]),
        "mark": symbol.text(venue.mark(name)),
        "pinned": name in venue.pinned,
    }


def requests(exchange: Exchange, since: int) -> list[object]:
    """The requests on record after the first `since`, in order."""
    found: list[object] = msgspec.to_builtins(exchange.requests[since:])
    return found
