"""What happens by itself: the market moves, orders run out, conditional ones trigger, funding is paid, accounts are closed out."""

from decimal import Decimal

from exchanges.binance.core import algos, events, matching, money
from exchanges.binance.core.state import ZERO, Account, Income, Order, Position
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Side
from exchanges.core.prices import chance, parts, to_step

FUNDING_MS = 8 * 3_600_000
LISTEN_KEY_MS = 3_600_000
CALL_AT = Decimal("1.25")  # of the maintenance margin


def move(venue: Venue) -> None:
    """Moves every market that is not pinned along its path, and lets each print a trade."""
    for name, symbol in venue.state.symbols.items():
        if symbol.status != "TRADING":
            continue
        if name not in venue.pinned:
            venue.follow(name)
        matching.cross(venue, name)
        drawn = chance(venue.state.seed, venue.now_ms, len(name))
        taker = Side.BUY if drawn > 0 else Side.SELL
        if best := venue.books[name].best(taker.other):
            venue.print(
                name,
                best[0],
                max(symbol.step, to_step(symbol.size * Decimal(str(abs(drawn))) / 10, symbol.step)),
                taker,
            )
    settle(venue)


def settle(venue: Venue) -> None:
    """Lets follow what must: after each move, each request, and as time passes."""
    _expire(venue)
    for _ in range(100):  # an order that triggers may move the price to the next
        if not algos.trigger_reached(venue):
            break
    algos.finish_done(venue)
    _pay_funding(venue)
    for account in venue.state.accounts.values():
        _expire_listen_key(venue, account)
        _close_out(venue, account)


def _expire(venue: Venue) -> None:
    for order in venue.open_orders():
        if 0 < order.good_till_ms <= venue.now_ms:
            matching.close(venue, order, "EXPIRED")
    for algo in venue.alive_algos():
        if algo.is_open and 0 < algo.good_till_ms <= venue.now_ms:
            algo.status = "EXPIRED"
            venue.tell_algo(algo)


def _expire_listen_key(venue: Venue, account: Account) -> None:
    if account.listen_key and account.listen_until_ms <= venue.now_ms:
        venue.tell(account.name, events.listen_key_expired(account.listen_key, venue.now_ms))
        account.listen_key = ""


def _pay_funding(venue: Venue) -> None:
    due = venue.now_ms // FUNDING_MS * FUNDING_MS
    if due > venue.state.funded_ms:
        venue.state.funded_ms = due
        fund(venue)


def fund(venue: Venue) -> None:
    """Pays the funding of every position once: with a positive rate, those long pay."""
    for account in venue.state.accounts.values():
        for position in [p for p in account.positions.values() if p.amount]:
            rate = venue.state.symbols[position.symbol].funding_rate
            amount = -position.amount * venue.mark(position.symbol) * rate
            book_income(venue, account, "FUNDING_FEE", amount, position.symbol)


def book_income(venue: Venue, account: Account, kind: str, amount: Decimal, symbol: str = "") -> None:
    """Books a change of a wallet that is no fill: `kind` is TRANSFER or FUNDING_FEE."""
    amount = amount.quantize(money.CENT)
    account.wallet += amount
    venue.state.incomes.append(
        Income(
            id=venue.next_id(),
            account=account.name,
            kind=kind,
            amount=amount,
            time_ms=venue.now_ms,
            symbol=symbol,
        )
    )
    reason = "FUNDING_FEE" if kind == "FUNDING_FEE" else "DEPOSIT" if amount >= 0 else "WITHDRAW"
    venue.tell_account(account, reason, symbol or None, amount)


def _close_out(venue: Venue, account: Account) -> None:
    held = [position for position in account.positions.values() if position.amount]
    if not held:
        return
    marks = venue.marks()
    needed = money.maintenance_margin(account, marks)
    equity = account.wallet + money.unrealized(held, marks)
    if equity <= needed:
        for order in venue.open_orders(account):
            matching.close(venue, order, "CANCELED")
        for position in held:
            close_position(venue, account, position, "autoclose-", "CALCULATED")
    elif equity > needed * CALL_AT:
        venue.called.discard(account.name)
    elif account.name not in venue.called:
        venue.called.add(account.name)
        venue.tell(account.name, events.margin_call(account, held, marks, venue.now_ms))


def close_position(venue: Venue, account: Account, position: Position, prefix: str, execution: str) -> None:
    """Closes a position at the mark by an order of the venue's own: `prefix` says why (autoclose-, adl_autoclose, settlement_autoclose-)."""
    side = Side.SELL if position.amount > 0 else Side.BUY
    order_id = venue.next_id()
    order = Order(
        id=order_id,
        account=account.name,
        client_id=f"{prefix}{order_id}",
        symbol=position.symbol,
        side=side,
        type="LIMIT",
        orig_type="LIMIT",
        tif="IOC",
        qty=abs(position.amount),
        price=venue.mark(position.symbol),
        time_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        turn=order_id,
        position_side=position.side,
    )
    venue.state.orders[order_id] = order
    for qty in parts(order.qty, venue.conduct.parts, venue.state.symbols[order.symbol].step):
        matching.fill(venue, order, qty, order.price, maker=False, execution=execution)


def delist(venue: Venue, name: str) -> None:
    """Ends a symbol: its orders are cancelled, its positions settled at the mark, and it is closed."""
    for account in venue.state.accounts.values():
        for order in venue.open_orders(account, name):
            matching.close(venue, order, "CANCELED")
        for algo in venue.open_algos(account, name):
            algos.cancel(venue, algo)
        for position in account.held(name):
            close_position(venue, account, position, "settlement_autoclose-", "TRADE")
    venue.state.symbols[name].status = "CLOSE"


def release(venue: Venue) -> None:
    """Matches again what `hold_fills` held back, oldest first."""
    venue.conduct.hold_fills = False
    for order in sorted(venue.open_orders(), key=lambda order: order.turn):
        if order.is_open:  # one before may have ended it
            matching.match(venue, order)


def adopt(
    venue: Venue, account: Account, symbol: str, signed: Decimal, price: Decimal, *, at_ms: int
) -> Order:
    """Books an order of somebody else that was filled at `at_ms`, reported to the stream only if that is now.

    Raises:
        ValueError: if there is nothing to trade.
    """
    if not signed:
        raise ValueError("qty: 0 opens no position")
    now_ms, venue.now_ms, said = venue.now_ms, at_ms, venue.said
    order_id = venue.next_id()
    order = Order(
        id=order_id,
        account=account.name,
        client_id=f"web_{order_id}",
        symbol=symbol,
        side=Side.BUY if signed > 0 else Side.SELL,
        type="MARKET",
        orig_type="MARKET",
        tif="GTC",
        qty=abs(signed),
        price=ZERO,
        time_ms=at_ms,
        updated_ms=at_ms,
        turn=order_id,
        position_side=("LONG" if signed > 0 else "SHORT") if account.hedge else "BOTH",
    )
    venue.state.orders[order_id] = order
    venue.tell_order(order, "NEW")
    matching.fill(venue, order, order.qty, price, maker=False)
    if at_ms < now_ms:
        venue.unsay(said)
    venue.now_ms = now_ms
    return order
