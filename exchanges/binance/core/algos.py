"""Conditional orders: stops, take-profits and trailing stops wait here until a price is reached, then become orders."""

from decimal import Decimal

from exchanges.binance.core import rules, trading
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.params import Params, integer
from exchanges.binance.core.rules import Asked
from exchanges.binance.core.state import Account, Algo
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Side


def place(venue: Venue, account: Account, params: Params) -> Algo:
    """Takes a conditional order.

    Raises:
        VenueError: if it is refused, or would be triggered at once (-2021); then nothing has changed.
    """
    symbol = venue.symbol(params)
    trading.check_status(symbol)
    asked = rules.read_algo(params, symbol, account, venue.now_ms)
    trading.check_client_id(venue, account, asked.client_id)
    algo_id = venue.next_id()
    algo = Algo(
        id=algo_id,
        account=account.name,
        client_id=asked.client_id or f"web_{algo_id}",
        symbol=symbol.name,
        side=asked.side,
        type=asked.type,
        tif=asked.tif,
        qty=asked.qty,
        price=asked.price,
        trigger=asked.trigger,
        time_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        callback=asked.callback,
        activate=asked.activate,
        reduce_only=asked.reduce_only,
        close_position=asked.close_position,
        position_side=asked.position_side,
        working_type=asked.working_type,
        good_till_ms=asked.good_till_ms,
    )
    if algo.trigger and is_reached(algo, _watched(venue, algo)):
        raise VenueError(-2021)
    venue.state.algos[algo.id] = algo
    venue.tell_algo(algo)
    return algo


def find(venue: Venue, account: Account, params: Params) -> Algo:
    """The newest conditional order of that `algoId` or `clientAlgoId`.

    Raises:
        VenueError: -2013 if there is none, -1102 if neither was sent.
    """
    algo_id, client_id = integer(params, "algoId"), params.get("clientAlgoId", "")
    if algo_id is None and not client_id:
        raise VenueError(-1102, "algoId")
    for algo in reversed(venue.state.algos.values()):
        if algo.account == account.name and (
            algo.id == algo_id if algo_id is not None else algo.client_id == client_id
        ):
            return algo
    raise VenueError(-2013)


def cancel(venue: Venue, algo: Algo) -> None:
    """Cancels a conditional order.

    Raises:
        VenueError: -2011 if it does not wait any more.
    """
    if not algo.is_open:
        raise VenueError(-2011)
    algo.status = "CANCELED"
    venue.tell_algo(algo)


def is_reached(algo: Algo, price: Decimal) -> bool:
    """Whether a stop (beyond the price against the position) or a take-profit is triggered at `price`."""
    rises = (algo.side is Side.BUY) == algo.type.startswith("STOP")
    return price >= algo.trigger if rises else price <= algo.trigger


def trail(algo: Algo, price: Decimal) -> bool:
    """Lets a trailing stop follow `price`, and says whether it is triggered there."""
    sells = algo.side is Side.SELL
    if not algo.activated:
        algo.activated = not algo.activate or (price >= algo.activate if sells else price <= algo.activate)
        algo.extreme = price
        return False
    algo.extreme = max(algo.extreme, price) if sells else min(algo.extreme, price)
    part = algo.callback / 100
    algo.trigger = algo.extreme * (1 - part if sells else 1 + part)
    return price <= algo.trigger if sells else price >= algo.trigger


def trigger_reached(venue: Venue) -> bool:
    """Triggers the conditional orders whose price is reached; whether there were any."""
    reached = [algo for algo in venue.alive_algos() if algo.is_open and _moves(venue, algo)]
    for algo in reached:
        _trigger(venue, algo)
    return bool(reached)


def _moves(venue: Venue, algo: Algo) -> bool:
    price = _watched(venue, algo)
    return trail(algo, price) if algo.type == "TRAILING_STOP_MARKET" else is_reached(algo, price)


def _watched(venue: Venue, algo: Algo) -> Decimal:
    return venue.mark(algo.symbol) if algo.working_type == "MARK_PRICE" else venue.last[algo.symbol]


def _trigger(venue: Venue, algo: Algo) -> None:
    """Makes the order that the conditional one stands for; it is rejected if the venue refuses that."""
    symbol, account = venue.state.symbols[algo.symbol], venue.state.accounts[algo.account]
    asked = Asked(
        symbol=symbol,
        side=algo.side,
        type="LIMIT" if algo.price else "MARKET",
        tif=algo.tif if algo.price else "GTC",
        qty=algo.qty,
        price=algo.price,
        client_id=algo.client_id,
        reduce_only=algo.reduce_only,
        position_side=algo.position_side,
        good_till_ms=algo.good_till_ms,
        close_position=algo.close_position,
        working_type=algo.working_type,
    )
    try:
        trading.enter(venue, account, asked, algo)
    except VenueError:
        algo.status = "REJECTED"
        venue.tell_algo(algo)


def finish_done(venue: Venue) -> None:
    """Reports the end of conditional orders whose order has ended."""
    for algo in venue.alive_algos():
        order = venue.state.orders.get(algo.order_id)
        if algo.status == "TRIGGERED" and order is not None and not order.is_open:
            algo.status = "FINISHED"
            venue.tell_algo(algo, order)
