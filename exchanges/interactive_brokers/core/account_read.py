"""Positions and the summary of accounts, as clients ask for them and follow them."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from exchanges.interactive_brokers.core import messages
from exchanges.interactive_brokers.core.session import Session
from exchanges.interactive_brokers.core.state import Account
from exchanges.interactive_brokers.core.venue import Venue
from exchanges.interactive_brokers.core.wire import Message

SUMMARY_MS = 180_000  # a summary that is followed is told again after three minutes
CENT = Decimal("0.01")


def positions(venue: Venue, session: Session) -> Iterator[Message]:
    """All positions; the client is told of each change from now on."""
    session.positions = True
    for account in venue.state.accounts.values():
        for held in account.positions.values():
            if held.amount:
                yield messages.position(account, venue.state.contracts[held.con_id], held)
    yield ("62", "1")


def leave_positions(session: Session) -> tuple[Message, ...]:
    """Ends what `positions` began."""
    session.positions = False
    return ()


def follow_summary(venue: Venue, session: Session, fields: Sequence[str]) -> list[Message]:
    """The values that a client asks for, of all accounts; it is told them again every three minutes."""
    request = int(fields[2])
    session.summaries[request] = tuple(fields[4].split(","))
    return [*summary(venue, session, request), ("64", "1", request)]


def summary(venue: Venue, session: Session, request: int) -> Iterator[Message]:
    """The values that a client follows by a request."""
    for account in venue.state.accounts.values():
        known = values(venue, account)
        for tag in session.summaries[request]:
            if tag in known:
                currency = "" if tag == "AccountType" else "USD"
                yield ("63", "1", request, account.name, tag, known[tag], currency)


def values(venue: Venue, account: Account) -> dict[str, str]:
    """The values of an account, by their tags."""
    funds = venue.funds(account)
    excess = funds.equity - funds.maintenance
    amounts = {
        "NetLiquidation": funds.equity,
        "TotalCashValue": funds.cash,
        "SettledCash": funds.cash,
        "AccruedCash": Decimal(0),
        "BuyingPower": max(Decimal(0), funds.available * 2),
        "EquityWithLoanValue": funds.equity,
        "GrossPositionValue": funds.gross,
        "InitMarginReq": funds.initial,
        "MaintMarginReq": funds.maintenance,
        "AvailableFunds": funds.available,
        "ExcessLiquidity": excess,
        "FullInitMarginReq": funds.initial,
        "FullMaintMarginReq": funds.maintenance,
        "FullAvailableFunds": funds.available,
        "FullExcessLiquidity": excess,
    }
    return {"AccountType": "INDIVIDUAL"} | {
        tag: f"{amount.quantize(CENT):f}" for tag, amount in amounts.items()
    }
