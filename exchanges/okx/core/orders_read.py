"""Orders, conditional orders and fills as the venue shows them, and what is asked about them."""

from collections.abc import Iterable

from exchanges.okx.core import algos, money, read, trading
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.state import Account, Algo, Bill, Order, Trade, plain
from exchanges.okx.core.venue import Params, Venue

type Body = dict[str, object]

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
PAGE = 100
ENDED = ("effective", "canceled", "order_failed")
_UNUSED: Body = dict.fromkeys(
    [
        "attachAlgoClOrdId",
        "source",
        "stpId",
        "tgtCcy",
        "quickMgnType",
        "slOrdPx",
        "slTriggerPx",
        "slTriggerPxType",
        "tpOrdPx",
        "tpTriggerPx",
        "tpTriggerPxType",
        "pxType",
        "pxUsd",
        "pxVol",
        "amendResult",
        "reqId",
        "code",
        "msg",
    ],
    "",
)
NO_FILL: Body = {
    **dict.fromkeys(("fillPx", "tradeId", "execType", "fillTime", "fillPnl", "fillFeeCcy"), ""),
    "fillSz": "0",
    "fillFee": "0",
}
_SOURCES = {
    "13": "FOK order was canceled because it could not be filled whole",
    "14": "IOC or market order was canceled because it could not be filled whole",
    "23": "Reduce-only order was canceled because there is nothing to reduce",
    "31": "POST_ONLY would take liquidity",
}


def order_body(venue: Venue, order: Order, trade: Trade | None = None) -> Body:
    """An order, with the trade that changed it or its last one."""
    instrument = venue.state.instruments[order.instrument]
    trade = trade or venue.state.trades.get(order.last_trade)
    return {
        **_UNUSED,
        "instType": "SWAP",
        "instId": order.instrument,
        "uly": instrument.family,
        "ordId": str(order.id),
        "clOrdId": order.client_id,
        "tag": order.tag,
        "algoId": str(order.algo_id) if order.algo_id else "",
        "algoClOrdId": order.algo_client_id,
        "linkedAlgoOrd": {"algoId": ""},
        "attachAlgoOrds": [],
        "side": order.side.lower(),
        "posSide": "net",
        "tdMode": order.mode,
        "ordType": order.type,
        "sz": plain(order.qty),
        "px": instrument.text(order.price) if order.price else "",
        "state": order.status,
        "accFillSz": plain(order.filled),
        "avgPx": plain(order.average) if order.filled else "",
        "fee": plain(-order.fee),
        "feeCcy": "USDT",
        "rebate": "0",
        "rebateCcy": "USDT",
        "pnl": plain(order.realized),
        "ccy": "",
        "lever": str(money.leverage(venue.state.accounts[order.account], order.instrument)),
        "reduceOnly": str(order.reduce_only).lower(),
        "category": order.category,
        "cancelSource": order.cancel_source,
        "cancelSourceReason": _SOURCES.get(order.cancel_source, ""),
        "stpMode": "cancel_maker",
        "isTpLimit": "false",
        "cTime": str(order.time_ms),
        "uTime": str(order.updated_ms),
        **_last_fill(venue, trade),
    }


def _last_fill(venue: Venue, trade: Trade | None) -> Body:
    if trade is None:
        return NO_FILL
    return {
        "fillPx": venue.state.instruments[trade.instrument].text(trade.price),
        "fillSz": plain(trade.qty),
        "tradeId": str(trade.id),
        "execType": "M" if trade.maker else "T",
        "fillTime": str(trade.time_ms),
        "fillFee": plain(-trade.fee),
        "fillFeeCcy": "USDT",
        "fillPnl": plain(trade.realized),
    }


def algo_body(venue: Venue, algo: Algo) -> Body:
    """A conditional order, with the order that it became."""
    instrument = venue.state.instruments[algo.instrument]
    order = venue.state.orders.get(algo.order_id)
    empty = ("triggerPx", "ordPx", "slTriggerPx", "slOrdPx", "tpTriggerPx", "tpOrdPx")
    body: Body = {
        **dict.fromkeys(empty, ""),
        **dict.fromkeys((f"{field}Type" for field in ("triggerPx", "slTriggerPx", "tpTriggerPx")), ""),
        "algoId": str(algo.id),
        "algoClOrdId": algo.client_id,
        "clOrdId": order.client_id if order else "",
        "ordId": str(order.id) if order else "",
        "ordIdList": [str(order.id)] if order else [],
        "instId": algo.instrument,
        "instType": "SWAP",
        "ordType": algo.type,
        "state": algo.status,
        "side": algo.side.lower(),
        "posSide": "net",
        "sz": plain(algo.qty),
        "tdMode": algo.mode,
        "lever": str(money.leverage(venue.state.accounts[algo.account], algo.instrument)),
        "reduceOnly": str(algo.reduce_only).lower(),
        "closeFraction": "",
        "actualPx": plain(order.average) if order and order.filled else "",
        "actualSz": plain(order.filled) if order else "0",
        "actualSide": "",
        "notionalUsd": plain(algo.qty * instrument.contract * venue.mark(algo.instrument)),
        "triggerTime": str(algo.triggered_ms) if algo.triggered_ms else "",
        "tag": algo.tag,
        "ccy": "",
        "callbackRatio": plain(algo.ratio) if algo.ratio else "",
        "callbackSpread": plain(algo.spread) if algo.spread else "",
        "activePx": instrument.text(algo.activate) if algo.activate else "",
        "failCode": "",
        "cTime": str(algo.time_ms),
        "uTime": str(algo.updated_ms),
    }
    if algo.field:
        price = instrument.text(algo.price) if algo.price else algos.MARKET
        body[algo.field], body[f"{algo.field}Type"] = instrument.text(algo.trigger), algo.watched
        body[{"triggerPx": "ordPx", "slTriggerPx": "slOrdPx", "tpTriggerPx": "tpOrdPx"}[algo.field]] = price
    return body


def trade_body(venue: Venue, trade: Trade) -> Body:
    """A fill."""
    order = venue.state.orders[trade.order_id]
    return {
        "instType": "SWAP",
        "instId": trade.instrument,
        "tradeId": str(trade.id),
        "ordId": str(trade.order_id),
        "clOrdId": order.client_id,
        "billId": str(trade.id),
        "tag": order.tag,
        "fillPx": venue.state.instruments[trade.instrument].text(trade.price),
        "fillSz": plain(trade.qty),
        "fillPnl": plain(trade.realized),
        "side": trade.side.lower(),
        "posSide": "net",
        "execType": "M" if trade.maker else "T",
        "feeCcy": "USDT",
        "fee": plain(-trade.fee),
        "ts": str(trade.time_ms),
        "fillTime": str(trade.time_ms),
    }


# --- what is asked


def page[T: (Order, Algo, Trade, Bill)](params: Params, found: Iterable[T]) -> list[T]:
    """The newest first, `limit` of them, older than the id `after` and newer than the id `before`.

    Raises:
        VenueError: 51000 if a number is none.
    """
    after, before = read.whole(params, "after"), read.whole(params, "before")
    count = read.whole(params, "limit", PAGE)
    if not 1 <= count <= PAGE:
        raise VenueError(51000, "limit")
    rows = [one for one in found if (not after or one.id < after) and one.id > before]
    return sorted(rows, key=lambda one: -one.id)[:count]


def _asked[T: (Order, Algo, Trade)](params: Params, account: Account, found: Iterable[T]) -> list[T]:
    if str(params.get("instType", "") or "SWAP") != "SWAP":
        return []
    name = str(params.get("instId", ""))
    return [one for one in found if one.account == account.name and name in ("", one.instrument)]


def _is_of(order: Order, params: Params) -> bool:
    kinds, state = str(params.get("ordType", "")), str(params.get("state", ""))
    return (not kinds or order.type in kinds.split(",")) and state in ("", order.status)


def order(venue: Venue, account: Account, params: Params) -> list[Body]:
    """One order."""
    return [order_body(venue, trading.find(venue, account, params, 51603))]


def pending(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Open orders."""
    found = [o for o in _asked(params, account, venue.open_orders(account)) if _is_of(o, params)]
    return [order_body(venue, one) for one in page(params, found)]


def history(venue: Venue, account: Account, params: Params, days: int = 7) -> list[Body]:
    """Orders that ended in the last seven days; those that ended without a fill, in the last two hours."""
    found = [
        one
        for one in _asked(params, account, venue.state.orders.values())
        if not one.is_open
        and _is_of(one, params)
        and venue.now_ms - one.updated_ms < (days * DAY_MS if one.filled else 2 * HOUR_MS)
        and read.whole(params, "begin") <= one.time_ms <= (read.whole(params, "end") or venue.now_ms)
    ]
    return [order_body(venue, one) for one in page(params, found)]


def archive(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Orders that ended in the last three months."""
    return history(venue, account, params, 90)


def fills(venue: Venue, account: Account, params: Params, days: int = 3) -> list[Body]:
    """Fills of the last three days."""
    order_id = str(params.get("ordId", ""))
    found = [
        one
        for one in _asked(params, account, venue.state.trades.values())
        if venue.now_ms - one.time_ms < days * DAY_MS
        and order_id in ("", str(one.order_id))
        and read.whole(params, "begin") <= one.time_ms <= (read.whole(params, "end") or venue.now_ms)
    ]
    return [trade_body(venue, one) for one in page(params, found)]


def fills_archive(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Fills of the last three months."""
    return fills(venue, account, params, 90)


def _algos(venue: Venue, account: Account, params: Params, found: Iterable[Algo]) -> list[Body]:
    kinds, algo_id = str(params.get("ordType", "")), str(params.get("algoId", ""))
    client_id = str(params.get("algoClOrdId", ""))
    chosen = [
        one
        for one in _asked(params, account, found)
        if (not kinds or one.type in kinds.split(","))
        and algo_id in ("", str(one.id))
        and client_id in ("", one.client_id)
    ]
    return [algo_body(venue, one) for one in page(params, chosen)]


def algo(venue: Venue, account: Account, params: Params) -> list[Body]:
    """One conditional order."""
    return [algo_body(venue, algos.find(venue, account, params, 51603))]


def algos_pending(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Conditional orders that wait."""
    return _algos(venue, account, params, venue.open_algos(account))


def algos_history(venue: Venue, account: Account, params: Params) -> list[Body]:
    """Conditional orders that do not wait any more, by `state` or `algoId`.

    Raises:
        VenueError: 50014 if neither was sent.
    """
    state = str(params.get("state", ""))
    if not state and not params.get("algoId"):
        raise VenueError(50014, "state")
    found = [a for a in venue.state.algos.values() if a.status in ENDED and state in ("", a.status)]
    return _algos(venue, account, params, found)
