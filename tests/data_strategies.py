"""Classes of data that are not NautilusTrader's, strategies that trade on them, and a catalog of them, for tests that compare runs."""

from pathlib import Path
from typing import Any, Final

import pyarrow as pa
from nautilus_trader.config import StrategyConfig
from nautilus_trader.core.data import Data
from nautilus_trader.model.custom import customdataclass
from nautilus_trader.model.data import DataType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import ClientId, InstrumentId
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.serialization.arrow.serializer import register_arrow
from nautilus_trader.trading.strategy import Strategy

from tests.book_catalog import BEGIN, BTC, ETH, SECOND

STEPS: Final = 40


@customdataclass
class NewsItem(Data):
    """Of no instrument."""

    mood: float = 0.0
    text: str = ""


@customdataclass
class Score(Data):
    """Of an instrument."""

    instrument_id: InstrumentId
    value: int = 0


class Level(Data):
    """With an Arrow schema that is written by hand."""

    def __init__(self, level: int, ts_event: int, ts_init: int) -> None:
        self.level, self._ts_event, self._ts_init = level, ts_event, ts_init

    @property
    def ts_event(self) -> int:
        return self._ts_event

    @property
    def ts_init(self) -> int:
        return self._ts_init


_LEVEL: Final = pa.schema([("level", pa.int32()), ("ts_event", pa.uint64()), ("ts_init", pa.uint64())])
register_arrow(
    Level,
    _LEVEL,
    lambda one: pa.RecordBatch.from_pylist(
        [{"level": one.level, "ts_event": one.ts_event, "ts_init": one.ts_init}], schema=_LEVEL
    ),
    lambda table: [Level(**row) for row in table.to_pylist()],
)


class NotStored(Data):
    """Without a schema."""


class ActsOnNewsConfig(StrategyConfig, frozen=True):
    """Trades one instrument on quotes of it, and on news, scores and levels."""

    instrument_id: InstrumentId
    client_id: ClientId = ClientId("SIM")


class ActsOnNews(Strategy):
    """Sends a market order on each, whose size says what it was."""

    def on_start(self) -> None:
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.turn = 0
        self.subscribe_quote_ticks(self.config.instrument_id)
        self.subscribe_data(DataType(NewsItem), client_id=self.config.client_id)
        self.subscribe_data(DataType(Level), client_id=self.config.client_id)
        self.subscribe_data(DataType(Score), instrument_id=self.config.instrument_id)

    def on_data(self, data: Any) -> None:
        match data:
            case NewsItem():
                assert data.text.startswith("news ")
                self.act(1, int(data.mood * 10))
            case Score():
                assert data.instrument_id == self.config.instrument_id
                self.act(2, data.value)
            case Level():
                self.act(3, data.level)

    def act(self, tenths: int, thousandths: int) -> None:
        self.turn += 1
        side = OrderSide.BUY if self.turn % 3 else OrderSide.SELL
        size = self.instrument.make_qty(tenths / 10 + thousandths / 1000)
        self.submit_order(self.order_factory.market(self.config.instrument_id, side, size))


def write(folder: Path) -> None:
    """Rows of all three classes, scores of two instruments, as NautilusTrader writes them."""
    catalog = ParquetDataCatalog(str(folder))
    at = [BEGIN + (3 + 5 * step) * SECOND for step in range(STEPS)]
    catalog.write_data([NewsItem(ts, ts, mood=step % 7, text=f"news {step}") for step, ts in enumerate(at)])
    catalog.write_data([Level(step % 5, ts + SECOND // 2, ts + SECOND) for step, ts in enumerate(at)])
    for name, start in ((BTC, 0), (ETH, 50)):
        of = InstrumentId.from_str(name)
        catalog.write_data(
            [Score(ts, ts + 7, instrument_id=of, value=start + step % 30) for step, ts in enumerate(at)]
        )
