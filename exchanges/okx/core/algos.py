"""Conditional orders: triggers, stops, take-profits and trailing stops wait here until a price is reached, then become orders."""

from decimal import Decimal

from exchanges.core.book import Side
from exchanges.okx.core import read, trading
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import ZERO, Account, Algo, Instrument
from exchanges.okx.core.trading import Asked
from exchanges.okx.core.venue import Params, Venue

TYPES = ("trigger", "conditional", "move_order_stop")
MARKET = "-1"  # the price of an order that becomes a market order


def place(venue: Venue, account: Account, params: Params) -> Algo:
    """Takes a conditional order.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    instrument = venue.instrument(params)
    trading.check_status(instrument)
    kind = str(params.get("ordType", ""))
    if kind not in TYPES:
        raise VenueError(51000, "ordType")
    algo = Algo(
        id=venue.next_id(),
        account=account.name,
        client_id=read.client_id(params, "algoClOrdId"),
        instrument=instrument.name,
        side=read.side(params),
        type=kind,
        field="",
        qty=_quantity(venue, account, params, instrument),
        price=ZERO,
        trigger=ZERO,
        rises=False,
        time_ms=venue.now_ms,
        updated_ms=venue.now_ms,
        mode=read.mode(params),
        tag=str(params.get("tag", "")),
        reduce_only=read.flag(params, "reduceOnly"),
    )
    trading.check_client_id(venue, account, algo.client_id)
    if kind == "move_order_stop":
        _read_trailing(algo, params, instrument)
    else:
        _read_trigger(venue, algo, params, instrument)
    venue.state.algos[algo.id] = algo
    venue.tell_algo(algo)
    return algo


def _quantity(venue: Venue, account: Account, params: Params, instrument: Instrument) -> Decimal:
    """`sz`, or with `closeFraction` 1 all of the position."""
    if "closeFraction" not in params:
        return read.quantity(params, "sz", instrument, instrument.max_limit)
    position = account.positions.get(instrument.name)
    if str(params["closeFraction"]) != "1" or position is None or not position.amount:
        raise VenueError(51000, "closeFraction")
    return abs(position.amount)


def _read_trigger(venue: Venue, algo: Algo, params: Params, instrument: Instrument) -> None:
    """A trigger fires where its price comes from the other side; stop-loss and take-profit have their sides by themselves."""
    fields = ("triggerPx",) if algo.type == "trigger" else ("slTriggerPx", "tpTriggerPx")
    sent = [field for field in fields if params.get(field)]
    if len(sent) != 1:
        raise VenueError(51000, fields[0])
    algo.field = sent[0]
    algo.trigger = read.price(params, algo.field, instrument)
    algo.watched = str(params.get(f"{algo.field}Type", "") or "last")
    if algo.watched not in ("last", "mark", "index"):
        raise VenueError(51000, f"{algo.field}Type")
    price = {"triggerPx": "orderPx", "slTriggerPx": "slOrdPx", "tpTriggerPx": "tpOrdPx"}[algo.field]
    if str(params.get(price, "")) != MARKET:
        algo.price = read.price(params, price, instrument)
        if not algo.price:
            raise VenueError(51000, price)
    now, buys = _watched(venue, algo), algo.side is Side.BUY
    if algo.field == "triggerPx":
        algo.rises = algo.trigger > now
        return
    algo.rises = buys == (algo.field == "slTriggerPx")
    if _is_reached(algo, now):
        stops = algo.field == "slTriggerPx"
        raise VenueError((51278 if stops else 51277) if buys else (51280 if stops else 51279))


def _read_trailing(algo: Algo, params: Params, instrument: Instrument) -> None:
    algo.ratio, algo.spread = read.number(params, "callbackRatio"), read.number(params, "callbackSpread")
    if bool(algo.ratio) == bool(algo.spread) or algo.ratio >= 1:
        raise VenueError(51000, "callbackRatio")
    algo.activate = read.price(params, "activePx", instrument)


def find(venue: Venue, account: Account, params: Params, code: int) -> Algo:
    """The newest conditional order of that `algoId` or `algoClOrdId`.

    Raises:
        VenueError: `code` if there is none, 51000 if neither was sent.
    """
    algo_id, client_id = str(params.get("algoId", "")), str(params.get("algoClOrdId", ""))
    if not algo_id and not client_id:
        raise VenueError(51000, "algoId")
    for algo in reversed(venue.state.algos.values()):
        same = str(algo.id) == algo_id if algo_id else algo.client_id == client_id
        if same and algo.account == account.name:
            return algo
    raise VenueError(code)


def cancel(venue: Venue, account: Account, params: Params) -> Algo:
    """Cancels a conditional order.

    Raises:
        VenueError: 51400 if there is none that waits.
    """
    algo = find(venue, account, params, 51400)
    if not algo.is_open:
        raise VenueError(51400)
    algo.status = "canceled"
    venue.tell_algo(algo)
    return algo


def amend(venue: Venue, account: Account, params: Params) -> Algo:
    """Changes quantity, trigger, price or callback of a conditional order.

    Raises:
        VenueError: if it is refused; then nothing has changed.
    """
    algo = find(venue, account, params, 51503)
    if not algo.is_open:
        raise VenueError(51503)
    instrument = venue.state.instruments[algo.instrument]
    qty = (
        read.quantity(params, "newSz", instrument, instrument.max_limit) if params.get("newSz") else algo.qty
    )
    names = {"triggerPx": ("newTriggerPx", "newOrderPx")}
    names |= {
        "slTriggerPx": ("newSlTriggerPx", "newSlOrdPx"),
        "tpTriggerPx": ("newTpTriggerPx", "newTpOrdPx"),
    }
    trigger_name, price_name = names.get(algo.field, ("", ""))
    trigger = (read.price(params, trigger_name, instrument) if trigger_name else ZERO) or algo.trigger
    market = str(params.get(price_name, "")) == MARKET
    price = ZERO if market else (read.price(params, price_name, instrument) if price_name else ZERO)
    ratio, spread = read.number(params, "newCallbackRatio"), read.number(params, "newCallbackSpread")
    algo.qty, algo.trigger = qty, trigger
    algo.price = ZERO if market else price or algo.price
    if ratio or spread:
        algo.ratio, algo.spread = ratio, spread
    if algo.field == "triggerPx" and params.get(trigger_name):
        algo.rises = trigger > _watched(venue, algo)
    venue.tell_algo(algo)
    return algo


def _is_reached(algo: Algo, price: Decimal) -> bool:
    return price >= algo.trigger if algo.rises else price <= algo.trigger


def trail(algo: Algo, price: Decimal) -> bool:
    """Lets a trailing stop follow `price`, and says whether it is triggered there."""
    sells = algo.side is Side.SELL
    if not algo.activated:
        algo.activated = not algo.activate or (price >= algo.activate if sells else price <= algo.activate)
        algo.extreme = price
        return False
    algo.extreme = max(algo.extreme, price) if sells else min(algo.extreme, price)
    distance = algo.spread or algo.extreme * algo.ratio
    algo.trigger = algo.extreme - distance if sells else algo.extreme + distance
    return price <= algo.trigger if sells else price >= algo.trigger


def trigger_reached(venue: Venue) -> bool:
    """Triggers the conditional orders whose price is reached; whether there were any."""
    reached = [algo for algo in venue.open_algos() if _moves(venue, algo)]
    for algo in reached:
        _trigger(venue, algo)
    return bool(reached)


def _moves(venue: Venue, algo: Algo) -> bool:
    price = _watched(venue, algo)
    return trail(algo, price) if algo.type == "move_order_stop" else _is_reached(algo, price)


def _watched(venue: Venue, algo: Algo) -> Decimal:
    return venue.last[algo.instrument] if algo.watched == "last" else venue.mark(algo.instrument)


def _trigger(venue: Venue, algo: Algo) -> None:
    """Makes the order that the conditional one stands for; it fails if the venue refuses that."""
    asked = Asked(
        instrument=venue.state.instruments[algo.instrument],
        side=algo.side,
        type="limit" if algo.price else "market",
        qty=algo.qty,
        price=algo.price,
        mode=algo.mode,
        tag=algo.tag,
        reduce_only=algo.reduce_only,
    )
    algo.triggered_ms = venue.now_ms
    try:
        trading.enter(venue, venue.state.accounts[algo.account], asked, algo)
    except VenueError:
        algo.status = "order_failed"
        venue.tell_algo(algo)
