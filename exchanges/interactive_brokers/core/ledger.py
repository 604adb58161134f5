"""The truth that others are compared with: everything that happened on the gateway, as JSON can say it."""

import msgspec

from exchanges.interactive_brokers.core.account_read import values
from exchanges.interactive_brokers.core.gateway import Gateway
from exchanges.interactive_brokers.core.state import ZERO, Account

type Body = dict[str, object]


def ledger(gateway: Gateway) -> Body:
    """Accounts with their orders, fills, positions and money, markets, and the count of requests."""
    venue = gateway.venue
    return {
        "now_ms": venue.now_ms,
        "accounts": {name: _account(gateway, account) for name, account in venue.state.accounts.items()},
        "markets": {c.local_symbol: _market(gateway, c.con_id) for c in venue.state.contracts.values()},
        "requests": len(gateway.requests),
    }


def _account(gateway: Gateway, account: Account) -> Body:
    """One account. Positions are signed; wallet = deposits + realized - fees, and cash is wallet less the cost of what is held and no future."""
    venue, state = gateway.venue, gateway.venue.state
    fills = [fill for fill in state.fills if fill.account == account.name]
    return {
        "deposits": f"{account.deposits:f}",
        "wallet": f"{account.wallet:f}",
        "realized": f"{sum((fill.realized for fill in fills), ZERO):f}",
        "fees": f"{sum((fill.fee for fill in fills), ZERO):f}",
        "positions": {
            state.contracts[held.con_id].local_symbol: {
                "amount": f"{held.amount:f}",
                "cost": f"{held.cost:f}",
            }
            for held in account.positions.values()
            if held.amount
        },
        "orders": [
            msgspec.to_builtins(order) | {"symbol": state.contracts[order.con_id].local_symbol}
            for order in state.orders.values()
            if order.account == account.name
        ],
        "fills": [
            msgspec.to_builtins(fill)
            | {"symbol": state.contracts[fill.con_id].local_symbol, "exec_id": fill.exec_id}
            for fill in fills
        ],
        "summary": values(venue, account),
    }


def _market(gateway: Gateway, con_id: int) -> Body:
    venue = gateway.venue
    contract, touch = venue.state.contracts[con_id], venue.touch(con_id)
    return {
        "con_id": con_id,
        "kind": contract.kind,
        "exchange": contract.exchange,
        "tick": f"{contract.tick:f}",
        "bid": f"{touch.bid:f}",
        "ask": f"{touch.ask:f}",
        "last": f"{venue.last[con_id]:f}",
        "pinned": con_id in venue.pinned,
        "halted": contract.halted,
    }


def requests(gateway: Gateway, since: int) -> list[object]:
    """The requests on record after the first `since`, in order."""
    found: list[object] = msgspec.to_builtins(gateway.requests[since:])
    return found
