"""A catalog of every kind of market data, as NautilusTrader writes it: BTCUSDT-PERP.SIM on a random walk, ETHUSDT-PERP.SIM order by order, ACME.SIM."""

import random
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, Final

from nautilus_trader.model.data import (
    Bar,
    BarType,
    BookOrder,
    FundingRateUpdate,
    IndexPriceUpdate,
    InstrumentClose,
    InstrumentStatus,
    MarkPriceUpdate,
    OrderBookDelta,
    OrderBookDepth10,
    QuoteTick,
    TradeTick,
)
from nautilus_trader.model.enums import (
    AggressorSide,
    BookAction,
    InstrumentCloseType,
    MarketStatusAction,
    OrderSide,
)
from nautilus_trader.model.identifiers import TradeId
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider


def _at_sim(instrument: CryptoPerpetual) -> Any:
    told = CryptoPerpetual.to_dict(instrument)
    return CryptoPerpetual.from_dict(told | {"id": f"{instrument.id.symbol}.SIM"})


BTC_PERP: Final = _at_sim(TestInstrumentProvider.btcusdt_perp_binance())
ETH_PERP: Final = _at_sim(TestInstrumentProvider.ethusdt_perp_binance())
SHARE: Final = TestInstrumentProvider.equity("ACME", "SIM")
BTC, ETH, ACME = BTC_PERP.id.value, ETH_PERP.id.value, SHARE.id.value
MINUTES: Final = f"{BTC}-1-MINUTE-LAST-EXTERNAL"
SECOND: Final = 1_000_000_000
BEGIN: Final = 1_600_041_600 * SECOND
STEPS: Final = 240
"""Seconds in which something happens."""
LEVELS: Final = 10
_LAST, _SNAPSHOT = 128, 32


@cache
def prices() -> tuple[int, ...]:
    """The best bid of each second, in ticks."""
    chance, price = random.Random(5), 100_000
    return tuple(price := price + chance.choice((-2, -1, 0, 0, 1, 2)) for _ in range(STEPS))


def at(step: int) -> int:
    return BEGIN + step * SECOND


def _price(ticks: int) -> Any:
    return BTC_PERP.make_price(ticks / 10)


def _order(side: OrderSide, ticks: int, size: float, order_id: int = 0) -> BookOrder:
    return BookOrder(side, _price(ticks), BTC_PERP.make_qty(size), order_id)


def _sizes(step: int) -> list[float]:
    chance = random.Random(step)
    return [round(chance.uniform(0.1, 3), 3) for _ in range(2 * LEVELS)]


def _book(step: int) -> dict[tuple[OrderSide, int], float]:
    """All levels of a second."""
    best, sizes = prices()[step], _sizes(step)
    bids = {(OrderSide.BUY, best - level): sizes[level] for level in range(LEVELS)}
    return bids | {(OrderSide.SELL, best + 1 + level): sizes[LEVELS + level] for level in range(LEVELS)}


def _delta(step: int, action: BookAction, order: BookOrder | None, flags: int) -> OrderBookDelta:
    return OrderBookDelta(BTC_PERP.id, action, order, flags, step, at(step), at(step))


def deltas() -> list[OrderBookDelta]:
    """A snapshot, then what changed each second; the last change of each is flagged."""
    made = [OrderBookDelta.clear(BTC_PERP.id, 0, at(0), at(0))]
    before: dict[tuple[OrderSide, int], float] = {}
    for step in range(STEPS):
        book = _book(step)
        changes = [(BookAction.DELETE, key, before[key]) for key in before if key not in book]
        changes += [
            (BookAction.UPDATE if key in before else BookAction.ADD, key, size)
            for key, size in book.items()
            if before.get(key) != size
        ]
        flags = _SNAPSHOT if step == 0 else 0
        for index, (action, (side, ticks), size) in enumerate(changes):
            is_last = index == len(changes) - 1
            made.append(_delta(step, action, _order(side, ticks, size), flags | (_LAST if is_last else 0)))
        before = book
    return made


def depths() -> list[OrderBookDepth10]:
    """The ten levels of every fifth second."""
    return [
        OrderBookDepth10(
            BTC_PERP.id,
            [_order(*key, size) for key, size in _book(step).items() if key[0] is OrderSide.BUY],
            [_order(*key, size) for key, size in _book(step).items() if key[0] is OrderSide.SELL],
            [1] * LEVELS,
            [1] * LEVELS,
            0,
            step,
            at(step),
            at(step),
        )
        for step in range(0, STEPS, 5)
    ]


def quotes() -> list[QuoteTick]:
    return [
        QuoteTick(
            BTC_PERP.id,
            _price(best),
            _price(best + 1),
            BTC_PERP.make_qty(_sizes(step)[0]),
            BTC_PERP.make_qty(_sizes(step)[LEVELS]),
            at(step),
            at(step),
        )
        for step, best in enumerate(prices())
    ]


def trades() -> list[TradeTick]:
    """At the best price of a side every third second."""
    made = []
    for step in range(0, STEPS, 3):
        is_buy = _sizes(step)[3] > 1.5
        made.append(
            TradeTick(
                BTC_PERP.id,
                _price(prices()[step] + is_buy),
                BTC_PERP.make_qty(0.8),
                AggressorSide.BUYER if is_buy else AggressorSide.SELLER,
                TradeId(str(step)),
                at(step),
                at(step),
            )
        )
    return made


def bars() -> list[Bar]:
    kind, made = BarType.from_str(MINUTES), []
    for first in range(0, STEPS, 60):
        seen = prices()[first : first + 60]
        four = (_price(each) for each in (seen[0], max(seen), min(seen), seen[-1]))
        made.append(Bar(kind, *four, BTC_PERP.make_qty(60), at(first + 60), at(first + 60)))
    return made


def mark_prices() -> list[MarkPriceUpdate]:
    return [
        MarkPriceUpdate(BTC_PERP.id, _price(prices()[step] + 7), at(step), at(step))
        for step in range(0, STEPS, 10)
    ]


def index_prices() -> list[IndexPriceUpdate]:
    return [
        IndexPriceUpdate(BTC_PERP.id, _price(prices()[step] - 4), at(step), at(step))
        for step in range(0, STEPS, 20)
    ]


def funding_rates() -> list[FundingRateUpdate]:
    return [
        FundingRateUpdate(BTC_PERP.id, Decimal(step - 110) / 10**6, at(step), at(step), 480, at(step + 60))
        for step in range(0, STEPS, 60)
    ]


def status() -> list[InstrumentStatus]:
    actions = (MarketStatusAction.TRADING, MarketStatusAction.HALT, MarketStatusAction.TRADING)
    return [
        InstrumentStatus(BTC_PERP.id, action, at(step), at(step), reason="planned", is_trading=step != 150)
        for action, step in zip(actions, (1, 150, 170), strict=True)
    ]


def closes() -> list[InstrumentClose]:
    return [
        InstrumentClose(BTC_PERP.id, _price(prices()[step]), kind, at(step), at(step))
        for kind, step in (
            (InstrumentCloseType.END_OF_SESSION, 100),
            (InstrumentCloseType.CONTRACT_EXPIRED, 235),
        )
    ]


def single_orders() -> list[OrderBookDelta]:
    """Of ETH: orders that come, change their size, and go, each by its id."""
    return list(_single_orders())


def _single_orders() -> Iterator[OrderBookDelta]:
    chance, alive, last_id = random.Random(9), dict[int, BookOrder](), 0
    yield OrderBookDelta.clear(ETH_PERP.id, 0, at(0), at(0))
    for step in range(STEPS):
        if len(alive) > 60:
            order_id = chance.choice(list(alive))
            yield _single(step, BookAction.DELETE, alive.pop(order_id))
        else:
            last_id += 1
            side = chance.choice((OrderSide.BUY, OrderSide.SELL))
            away = chance.randint(1, 12) * (-1 if side is OrderSide.BUY else 1)
            price = ETH_PERP.make_price(400 + away / 100)
            alive[last_id] = BookOrder(side, price, ETH_PERP.make_qty(chance.randint(1, 9)), last_id)
            yield _single(step, BookAction.ADD, alive[last_id])
        if step % 7 == 6:
            order_id = chance.choice(list(alive))
            old = alive[order_id]
            alive[order_id] = BookOrder(
                old.side, old.price, ETH_PERP.make_qty(chance.randint(1, 9)), order_id
            )
            yield _single(step, BookAction.UPDATE, alive[order_id])


def _single(step: int, action: BookAction, order: BookOrder) -> OrderBookDelta:
    return OrderBookDelta(ETH_PERP.id, action, order, _LAST, step, at(step), at(step))


def shares() -> list[OrderBookDelta]:
    """Of ACME: one level of each side, a dollar higher after a minute."""
    made = []
    for step, bid in ((0, 100), (60, 101)):
        made.append(OrderBookDelta.clear(SHARE.id, step, at(step), at(step)))
        for side, price, flags in ((OrderSide.BUY, bid, 0), (OrderSide.SELL, bid + 0.02, _LAST)):
            order = BookOrder(side, SHARE.make_price(price), SHARE.make_qty(500), 0)
            made.append(OrderBookDelta(SHARE.id, BookAction.ADD, order, flags, step, at(step), at(step)))
    return made


KINDS: Final = {
    "bars": bars,
    "funding_rates": funding_rates,
    "index_prices": index_prices,
    "instrument_closes": closes,
    "instrument_status": status,
    "mark_prices": mark_prices,
    "order_book_deltas": deltas,
    "order_book_depths": depths,
    "quotes": quotes,
    "trades": trades,
}


def write(folder: Path) -> None:
    """Everything, into an empty folder, by NautilusTrader's own class."""
    catalog = ParquetDataCatalog(str(folder))
    catalog.write_data([BTC_PERP, ETH_PERP, SHARE])
    for made in KINDS.values():
        catalog.write_data(made())
    catalog.write_data(single_orders())
    catalog.write_data(shares())
