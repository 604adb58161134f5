"""What happens by itself: the market moves, conditional orders trigger, funding is paid, accounts are closed out."""

from decimal import Decimal

from exchanges.core.book import Side
from exchanges.core.prices import chance, to_step
from exchanges.okx.core import algos, matching, money
from exchanges.okx.core.state import ZERO, Account, Bill, Order, Position
from exchanges.okx.core.venue import Venue

FUNDING_MS = 8 * 3_600_000


def move(venue: Venue) -> None:
    """Moves every market that is not pinned along its path, and lets each print a trade."""
    for name, instrument in venue.state.instruments.items():
        if instrument.status != "live":
            continue
        if name not in venue.pinned:
            venue.follow(name)
        matching.cross(venue, name)
        drawn = chance(venue.state.seed, venue.now_ms, len(name))
        taker = Side.BUY if drawn > 0 else Side.SELL
        qty = to_step(instrument.size * Decimal(str(abs(drawn))) / 10, instrument.step)
        if best := venue.books[name].best(taker.other):
            venue.print(name, best[0], max(instrument.step, qty), taker)
    settle(venue)


def settle(venue: Venue) -> None:
    """Lets follow what must: after each move, each request, and as time passes."""
    for _ in range(100):  # an order that triggers may move the price to the next
        if not algos.trigger_reached(venue):
            break
    due = venue.now_ms // FUNDING_MS * FUNDING_MS
    if due > venue.state.funded_ms:
        venue.state.funded_ms = due
        fund(venue)
    for account in venue.state.accounts.values():
        _close_out(venue, account)


def fund(venue: Venue) -> None:
    """Pays the funding of every position once: with a positive rate, those long pay."""
    for account in venue.state.accounts.values():
        for position in account.held():
            instrument = venue.state.instruments[position.instrument]
            worth = position.amount * instrument.contract * venue.mark(position.instrument)
            book_bill(venue, account, "FUNDING", -worth * instrument.funding_rate, position)


def book_bill(
    venue: Venue, account: Account, kind: str, amount: Decimal, position: Position | None = None
) -> None:
    """Books a change of a wallet that is no fill: `kind` is TRANSFER or FUNDING."""
    amount = amount.quantize(money.CENT)
    account.wallet += amount
    if position is not None:
        position.funding += amount
        position.updated_ms = venue.now_ms
    bill = Bill(
        id=venue.next_id(),
        account=account.name,
        kind=kind,
        amount=amount,
        time_ms=venue.now_ms,
        instrument=position.instrument if position else "",
    )
    venue.state.bills.append(bill)
    venue.tell_account(account, position)


def _close_out(venue: Venue, account: Account) -> None:
    if not account.held():
        return
    marks, instruments = venue.marks(), venue.state.instruments
    needed = money.maintenance_margin(account, instruments, marks)
    if money.equity(account, instruments, marks) <= needed:
        for order in venue.open_orders(account):
            matching.close(venue, order, matching.BY_RISK)
        for position in account.held():
            close_position(venue, account, position, "full_liquidation")


def close_position(venue: Venue, account: Account, position: Position, category: str) -> None:
    """Closes a position at the mark by an order of the venue's own: `category` says why (full_liquidation, adl, delivery)."""
    order = _own_order(venue, account, position.instrument, -position.amount, venue.now_ms)
    order.category = category
    venue.tell_order(order)
    matching.fill(venue, order, order.qty, venue.mark(position.instrument), maker=False)


def _own_order(venue: Venue, account: Account, instrument: str, signed: Decimal, at_ms: int) -> Order:
    order_id = venue.next_id()
    order = Order(
        id=order_id,
        account=account.name,
        client_id="",
        instrument=instrument,
        side=Side.BUY if signed > 0 else Side.SELL,
        type="market",
        qty=abs(signed),
        price=ZERO,
        time_ms=at_ms,
        updated_ms=at_ms,
        turn=order_id,
    )
    venue.state.orders[order_id] = order
    return order


def delist(venue: Venue, name: str) -> None:
    """Ends an instrument: its orders are cancelled, its positions settled at the mark, and it is expired."""
    for account in venue.state.accounts.values():
        for order in venue.open_orders(account, name):
            matching.close(venue, order, matching.DELISTED)
        for algo in venue.open_algos(account, name):
            algos.cancel(venue, account, {"algoId": algo.id})
        for position in account.held(name):
            close_position(venue, account, position, "delivery")
    venue.state.instruments[name].status = "expired"


def release(venue: Venue) -> None:
    """Matches again what `hold_fills` held back, oldest first."""
    venue.conduct.hold_fills = False
    for order in sorted(venue.open_orders(), key=lambda order: order.turn):
        if order.is_open:  # one before may have ended it
            matching.match(venue, order)


def adopt(
    venue: Venue, account: Account, instrument: str, signed: Decimal, price: Decimal, *, at_ms: int
) -> Order:
    """Books an order of somebody else that was filled at `at_ms`, reported only if that is now.

    Raises:
        ValueError: if there is nothing to trade.
    """
    if not signed:
        raise ValueError("qty: 0 opens no position")
    now_ms, venue.now_ms, said = venue.now_ms, at_ms, venue.said
    order = _own_order(venue, account, instrument, signed, at_ms)
    venue.tell_order(order)
    matching.fill(venue, order, order.qty, price, maker=False)
    if at_ms < now_ms:
        venue.unsay(said)
    venue.now_ms = now_ms
    return order
