"""What is asked about the market: book, trades, bars, marks and funding."""

from decimal import Decimal

from exchanges.binance.core.candles import length
from exchanges.binance.core.errors import VenueError
from exchanges.binance.core.events import plain
from exchanges.binance.core.orders_read import Body, limit
from exchanges.binance.core.params import Params, integer, text
from exchanges.binance.core.settling import FUNDING_MS
from exchanges.binance.core.state import Symbol
from exchanges.binance.core.symbols_read import LISTED_MS
from exchanges.binance.core.venue import Venue
from exchanges.core.book import Level, Side
from exchanges.core.candles import Candle, Candles, Print

DEPTH_LIMITS = (5, 10, 20, 50, 100, 500, 1000)


def rows(levels: list[Level], symbol: Symbol) -> list[list[str]]:
    """Levels of a book as the venue writes them."""
    return [[symbol.text(price), symbol.amount(qty)] for price, qty in levels]


def depth(venue: Venue, params: Params, last_update_id: int) -> Body:
    """The book, best prices first."""
    symbol, count = venue.symbol(params), limit(params)
    if count not in DEPTH_LIMITS:
        raise VenueError(-4021)
    book = venue.books[symbol.name]
    return {
        "lastUpdateId": last_update_id,
        "E": venue.now_ms,
        "T": venue.now_ms,
        "bids": rows(book.depth(Side.BUY)[:count], symbol),
        "asks": rows(book.depth(Side.SELL)[:count], symbol),
    }


def klines(venue: Venue, candles: dict[str, Candles], params: Params) -> list[list[object]]:
    """Bars, oldest first, the one that is not closed too. The start is rounded up: whoever pages asks on from the last open time + 1."""
    symbol, bar_ms = venue.symbol(params), length(text(params, "interval"))
    count = limit(params, most=1500)
    last = min(integer(params, "endTime") or venue.now_ms, venue.now_ms) // bar_ms * bar_ms
    asked = integer(params, "startTime")
    first = last - (count - 1) * bar_ms if asked is None else -(-max(asked, LISTED_MS) // bar_ms) * bar_ms
    starts = range(first, last + 1, bar_ms)[:count]
    return [kline_row(candles[symbol.name].bar(start, bar_ms), bar_ms, symbol) for start in starts]


def kline_row(bar: Candle, bar_ms: int, symbol: Symbol) -> list[object]:
    """A bar as REST shows it."""
    prices = [symbol.text(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    bought = [symbol.amount(bar.bought), plain(bar.bought_quote), "0"]
    return [
        bar.start_ms,
        *prices,
        symbol.amount(bar.volume),
        bar.start_ms + bar_ms - 1,
        plain(bar.quote),
        bar.count,
        *bought,
    ]


def trades(venue: Venue, prints: list[Print], params: Params) -> list[Body]:
    """The market's trades since the exchange was started, the newest `limit`, or from an id on."""
    symbol, first, count = venue.symbol(params), integer(params, "fromId"), limit(params)
    found = [p for p in prints if p.symbol == symbol.name and (first is None or p.id >= first)]
    return [
        {
            "id": p.id,
            "price": symbol.text(p.price),
            "qty": symbol.amount(p.qty),
            "quoteQty": plain(p.price * p.qty),
            "time": p.time_ms,
            "isBuyerMaker": p.taker is Side.SELL,
        }
        for p in (found[-count:] if first is None else found[:count])
    ]


def agg_trades(venue: Venue, prints: list[Print], params: Params) -> list[Body]:
    """The same as aggregated trades, also of a window of time."""
    symbol, first, count = venue.symbol(params), integer(params, "fromId"), limit(params)
    start, end = integer(params, "startTime"), integer(params, "endTime")
    found = [
        p
        for p in prints
        if p.symbol == symbol.name
        and (first is None or p.id >= first)
        and (start is None or p.time_ms >= start)
        and (end is None or p.time_ms <= end)
    ]
    chosen = found[-count:] if first is None and start is None else found[:count]
    return [agg_trade(p, symbol) for p in chosen]


def agg_trade(trade: Print, symbol: Symbol) -> Body:
    """A trade as an aggregated one."""
    return {
        "a": trade.id,
        "p": symbol.text(trade.price),
        "q": symbol.amount(trade.qty),
        "f": trade.id,
        "l": trade.id,
        "T": trade.time_ms,
        "m": trade.taker is Side.SELL,
    }


def _chosen(venue: Venue, params: Params) -> list[Symbol]:
    return [venue.symbol(params)] if "symbol" in params else list(venue.state.symbols.values())


def _one_or_all(rows: list[Body], params: Params) -> Body | list[Body]:
    return rows[0] if "symbol" in params else rows


def next_funding_ms(venue: Venue) -> int:
    """When funding is paid next."""
    return (venue.now_ms // FUNDING_MS + 1) * FUNDING_MS


def premium_index(venue: Venue, params: Params) -> Body | list[Body]:
    """Mark prices and funding rates."""
    found: list[Body] = []
    for symbol in _chosen(venue, params):
        mark = symbol.text(venue.mark(symbol.name))
        found.append(
            {
                "symbol": symbol.name,
                "markPrice": mark,
                "indexPrice": mark,
                "estimatedSettlePrice": mark,
                "lastFundingRate": plain(symbol.funding_rate),
                "interestRate": "0.00010000",
                "nextFundingTime": next_funding_ms(venue),
                "time": venue.now_ms,
            }
        )
    return _one_or_all(found, params)


def funding_rate(venue: Venue, params: Params) -> list[Body]:
    """The rates of the last funding times."""
    count = limit(params, default=100)
    last = venue.now_ms // FUNDING_MS * FUNDING_MS
    return [
        {
            "symbol": s.name,
            "fundingRate": plain(s.funding_rate),
            "fundingTime": last - n * FUNDING_MS,
            "markPrice": s.text(venue.mark(s.name)),
        }
        for s in _chosen(venue, params)
        for n in reversed(range(min(count, 100)))
    ]


def ticker_price(venue: Venue, params: Params) -> Body | list[Body]:
    """Last prices."""
    found: list[Body] = [
        {"symbol": s.name, "price": s.text(venue.last[s.name]), "time": venue.now_ms}
        for s in _chosen(venue, params)
    ]
    return _one_or_all(found, params)


def ticker_book(venue: Venue, params: Params) -> Body | list[Body]:
    """Best bids and asks; an empty side is 0."""
    found: list[Body] = []
    for symbol in _chosen(venue, params):
        book = venue.books[symbol.name]
        bid, ask = (book.best(side) or (Decimal(0), Decimal(0)) for side in (Side.BUY, Side.SELL))
        found.append(
            {
                "symbol": symbol.name,
                "bidPrice": symbol.text(bid[0]),
                "bidQty": symbol.amount(bid[1]),
                "askPrice": symbol.text(ask[0]),
                "askQty": symbol.amount(ask[1]),
                "time": venue.now_ms,
            }
        )
    return _one_or_all(found, params)
