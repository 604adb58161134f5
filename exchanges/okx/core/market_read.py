"""What is asked about the market: instruments, prices, book, trades, bars, funding."""

import zlib
from collections.abc import Iterable
from decimal import Decimal

from exchanges.core.book import Level, Side
from exchanges.core.candles import MINUTE_MS, Candle, Candles, Print
from exchanges.okx.core import read
from exchanges.okx.core.errors import VenueError
from exchanges.okx.core.orders_read import Body
from exchanges.okx.core.settling import FUNDING_MS
from exchanges.okx.core.state import ZERO, Instrument, plain
from exchanges.okx.core.trading import BAND
from exchanges.okx.core.venue import Params, Venue

LISTED_MS = 1_573_557_408_000
CHECKED = 25  # levels of a side that the checksum is over
_HOUR, _DAY = 60, 1440
BARS_MS = {
    name: minutes * MINUTE_MS
    for name, minutes in {
        **{f"{n}m": n for n in (1, 3, 5, 15, 30)},
        **{f"{n}H": n * _HOUR for n in (1, 2, 4, 6, 12)},
        **{f"{n}D{zone}": n * _DAY for n in (1, 2, 3) for zone in ("", "utc")},
        **{f"1W{zone}": 7 * _DAY for zone in ("", "utc")},
        **{f"{n}Hutc": n * _HOUR for n in (6, 12)},
    }.items()
}
_NO_INSTRUMENT = [
    "alias",
    "auctionEndTime",
    "baseCcy",
    "contTdSwTime",
    "expTime",
    "maxPlatOILmt",
    "openType",
    "optType",
    "posLmtAmt",
    "posLmtPct",
    "preMktSwTime",
    "quoteCcy",
    "stk",
    "maxLmtAmt",
    "maxMktAmt",
]


def time(venue: Venue, _: Params) -> list[Body]:
    """The venue's clock."""
    return [{"ts": str(venue.now_ms)}]


def instruments(venue: Venue, params: Params) -> list[Body]:
    """The instruments; those that have expired are not shown."""
    if read.text(params, "instType") != "SWAP":
        return []
    name, family = str(params.get("instId", "")), str(params.get("instFamily", ""))
    return [
        instrument_body(one)
        for one in venue.state.instruments.values()
        if name in ("", one.name) and family in ("", one.family) and one.status != "expired"
    ]


def instrument_body(one: Instrument) -> Body:
    """An instrument."""
    return {
        **dict.fromkeys(_NO_INSTRUMENT, ""),
        "category": "1",
        "ctMult": "1",
        "ctType": "linear",
        "ctVal": plain(one.contract),
        "ctValCcy": one.base,
        "futureSettlement": False,
        "instFamily": one.family,
        "instId": one.name,
        "instIdCode": one.code,
        "instType": "SWAP",
        "lever": str(one.max_leverage),
        "listTime": str(LISTED_MS),
        "lotSz": plain(one.step),
        "minSz": plain(one.step),
        "tickSz": plain(one.tick),
        "maxIcebergSz": plain(one.max_limit),
        "maxLmtSz": plain(one.max_limit),
        "maxMktSz": plain(one.max_market),
        "maxStopSz": plain(one.max_market),
        "maxTriggerSz": plain(one.max_limit),
        "maxTwapSz": plain(one.max_limit),
        "ruleType": "normal",
        "settleCcy": "USDT",
        "state": one.status,
        "tradeQuoteCcyList": [],
        "uly": one.family,
    }


def _named(venue: Venue, params: Params) -> list[Instrument]:
    return [venue.instrument(params)] if "instId" in params else list(venue.state.instruments.values())


def mark_price(venue: Venue, params: Params) -> list[Body]:
    """Mark prices."""
    return [mark_body(venue, one) for one in _named(venue, params)]


def mark_body(venue: Venue, one: Instrument) -> Body:
    """A mark price."""
    mark = one.text(venue.mark(one.name))
    return {"instType": "SWAP", "instId": one.name, "markPx": mark, "ts": str(venue.now_ms)}


def index_tickers(venue: Venue, params: Params) -> list[Body]:
    """Prices of the indices: the venue's own marks, there is no other market."""
    name = str(params.get("instId", ""))
    found = [one for one in venue.state.instruments.values() if name in ("", one.family)]
    if name and not found:
        raise VenueError(51001)
    return [index_body(venue, one) for one in found]


def index_body(venue: Venue, one: Instrument) -> Body:
    """The price of an instrument's index."""
    price = one.text(venue.mark(one.name))
    others = ("high24h", "low24h", "open24h", "sodUtc0", "sodUtc8")
    return {
        "instId": one.family,
        "idxPx": price,
        **dict.fromkeys(others, price),
        "ts": str(venue.now_ms),
    }


def tickers(venue: Venue, params: Params) -> list[Body]:
    """Last prices with best bid and ask."""
    return [ticker_body(venue, one) for one in _named(venue, params)]


def ticker_body(venue: Venue, one: Instrument) -> Body:
    """The last price of an instrument with its best bid and ask."""
    book, last = venue.books[one.name], one.text(venue.last[one.name])
    bid, ask = (book.best(side) or (ZERO, ZERO) for side in (Side.BUY, Side.SELL))
    others = ("open24h", "high24h", "low24h", "sodUtc0", "sodUtc8")
    return {
        "instType": "SWAP",
        "instId": one.name,
        "last": last,
        "lastSz": plain(one.step),
        "bidPx": one.text(bid[0]),
        "bidSz": plain(bid[1]),
        "askPx": one.text(ask[0]),
        "askSz": plain(ask[1]),
        **dict.fromkeys(others, last),
        "vol24h": "0",
        "volCcy24h": "0",
        "ts": str(venue.now_ms),
    }


def next_funding_ms(venue: Venue) -> int:
    """When funding is paid next, in Unix milliseconds."""
    return (venue.now_ms // FUNDING_MS + 1) * FUNDING_MS


def funding_rate(venue: Venue, params: Params) -> list[Body]:
    """The funding to come."""
    return [funding_body(venue, venue.instrument(params))]


def funding_body(venue: Venue, one: Instrument) -> Body:
    """The funding to come of an instrument."""
    due = next_funding_ms(venue)
    return {
        "instType": "SWAP",
        "instId": one.name,
        "method": "current_period",
        "formulaType": "noRate",
        "fundingRate": plain(one.funding_rate),
        "nextFundingRate": "",
        "fundingTime": str(due),
        "nextFundingTime": str(due + FUNDING_MS),
        "prevFundingTime": str(due - FUNDING_MS),
        "minFundingRate": "-0.00375",
        "maxFundingRate": "0.00375",
        "settState": "settled",
        "settFundingRate": plain(one.funding_rate),
        "interestRate": "",
        "impactValue": "",
        "premium": "0",
        "ts": str(venue.now_ms),
    }


def funding_history(venue: Venue, params: Params) -> list[Body]:
    """The funding of before, newest first: at the rate that is set now."""
    one, last = venue.instrument(params), venue.now_ms // FUNDING_MS * FUNDING_MS
    after, before = read.whole(params, "after"), read.whole(params, "before")
    newest = min(last, (after - 1) // FUNDING_MS * FUNDING_MS) if after else last
    times = (newest - n * FUNDING_MS for n in range(_count(params, 400)))
    rate = plain(one.funding_rate)
    return [
        {
            "instType": "SWAP",
            "instId": one.name,
            "fundingRate": rate,
            "realizedRate": rate,
            "fundingTime": str(at),
            "method": "current_period",
            "formulaType": "noRate",
        }
        for at in times
        if at > max(before, LISTED_MS)
    ]


def _count(params: Params, most: int) -> int:
    count = read.whole(params, "limit", 100)
    if not 1 <= count <= most:
        raise VenueError(51000, "limit")
    return count


def rows(levels: Iterable[Level], one: Instrument) -> list[list[str]]:
    """Levels of a book as the venue writes them: the number of orders is not counted."""
    return [[one.text(price), plain(qty), "0", "1"] for price, qty in levels]


def books(venue: Venue, params: Params) -> list[Body]:
    """The book, best prices first."""
    one, count = venue.instrument(params), read.whole(params, "sz", 1)
    if not 1 <= count <= 400:
        raise VenueError(51000, "sz")
    book = venue.books[one.name]
    bids, asks = (rows(book.depth(side)[:count], one) for side in (Side.BUY, Side.SELL))
    return [{"bids": bids, "asks": asks, "ts": str(venue.now_ms)}]


def checksum(bids: list[list[str]], asks: list[list[str]]) -> int:
    """CRC32 over the best 25 levels, bid and ask in turn, as price:size: by OKX's documentation a signed number of 32 bits."""
    parts: list[str] = []
    for place in range(CHECKED):
        for side in (bids, asks):
            if place < len(side):
                parts += side[place][:2]
    value = zlib.crc32(":".join(parts).encode())
    return value - (1 << 32) if value >= 1 << 31 else value


def trades(venue: Venue, prints: Iterable[Print], params: Params) -> list[Body]:
    """Trades since the exchange was started, newest first: by id, or with `type` 2 by time."""
    one = venue.instrument(params)
    after, before = read.whole(params, "after"), read.whole(params, "before")
    by_time, count = str(params.get("type", "")) == "2", _count(params, 500)
    found = [
        trade
        for trade in prints
        if trade.symbol == one.name
        and (not after or (trade.time_ms if by_time else trade.id) < after)
        and (trade.time_ms if by_time else trade.id) > before
    ]
    return [trade_body(one, trade) for trade in reversed(found[-count:])]


def trade_body(one: Instrument, trade: Print) -> Body:
    """A trade as the market sees it."""
    return {
        "instId": one.name,
        "tradeId": str(trade.id),
        "px": one.text(trade.price),
        "sz": plain(trade.qty),
        "side": trade.taker.lower(),
        "source": "0",
        "ts": str(trade.time_ms),
    }


def candles(venue: Venue, candles: dict[str, Candles], params: Params) -> list[list[str]]:
    """Bars, newest first, the one that is not closed too: those that open before `after` and after `before`."""
    one, name = venue.instrument(params), str(params.get("bar", "") or "1m")
    if name not in BARS_MS:
        raise VenueError(51000, "bar")
    length, count = BARS_MS[name], _count(params, 300)
    after, before = read.whole(params, "after"), read.whole(params, "before")
    newest = venue.now_ms // length * length
    if after:
        newest = min(newest, (after - 1) // length * length)
    starts = (newest - n * length for n in range(count))
    return [
        candle_row(one, candles[one.name].bar(start, length), closed=start + length <= venue.now_ms)
        for start in starts
        if start > max(before, LISTED_MS)
    ]


def candle_row(one: Instrument, bar: Candle, *, closed: bool) -> list[str]:
    """A bar as the venue shows it: volume in contracts, in the base currency, in USDT."""
    prices = [one.text(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    volumes = [plain(v) for v in (bar.volume, bar.volume * one.contract, bar.quote * one.contract)]
    return [str(bar.start_ms), *prices, *volumes, "1" if closed else "0"]


def price_limit(venue: Venue, params: Params) -> list[Body]:
    """The highest price of a buy and the lowest of a sell."""
    one = venue.instrument(params)
    mark = venue.mark(one.name)
    high, low = (one.text((mark * (1 + BAND * sign)).quantize(one.tick)) for sign in (Decimal(1), -1))
    ends = {"buyLmt": high, "sellLmt": low, "enabled": True, "ts": str(venue.now_ms)}
    return [{"instType": "SWAP", "instId": one.name, **ends}]
