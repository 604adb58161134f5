"""The project that `flotilla package new` writes: a strategy that runs on the sample data as it is, a test, and what to do next."""

from typing import Final

_MODULE: Final = '''"""{title}: a strategy of your own."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta
from nautilus_trader.config import StrategyConfig
from nautilus_trader.indicators import SimpleMovingAverage
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.trading.strategy import Strategy


class {title}Config(StrategyConfig, frozen=True):
    """What can be chosen. Each field is a parameter: its type, range, help and default are read from here.

    `flotilla template show {name}` lists them once the package is pushed.
    """

    instrument_id: InstrumentId = InstrumentId.from_str("SPX.SIM")
    bar_type: BarType = BarType.from_str("SPX.SIM-1-DAY-LAST-EXTERNAL")
    period: Annotated[int, Meta(ge=2, le=500, description="Bars that the average is of.")] = 50
    trade_size: Annotated[Decimal, Meta(description="Units that are bought at once.")] = Decimal(10)


class {title}(Strategy):
    """Holds the instrument while its price is above its average."""

    def __init__(self, config: {title}Config) -> None:
        super().__init__(config)
        self.average = SimpleMovingAverage(config.period)

    def on_start(self) -> None:
        """Called once, when trading begins."""
        self.instrument = self.cache.instrument(self.config.instrument_id)
        self.register_indicator_for_bars(self.config.bar_type, self.average)
        self.subscribe_bars(self.config.bar_type)

    def on_bar(self, bar: Bar) -> None:
        """Called with each bar; the average has it already."""
        if not self.average.initialized:
            return
        is_above = bar.close.as_double() > self.average.value
        # Its own only: other strategies of the run may trade the instrument too.
        held = self.cache.positions_open(instrument_id=self.config.instrument_id, strategy_id=self.id)
        if is_above and not held:
            size = self.instrument.make_qty(self.config.trade_size)
            self.submit_order(self.order_factory.market(self.config.instrument_id, OrderSide.BUY, size))
        elif held and not is_above:
            self.close_all_positions(self.config.instrument_id)

    def on_stop(self) -> None:
        """Called once, when trading ends."""
        self.cancel_all_orders(self.config.instrument_id)
'''
_TEST: Final = '''"""Runs the strategy over made-up bars, without a fleet: `python -m pytest` in this folder."""

import sys
from decimal import Decimal
from pathlib import Path

from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.model.currencies import USD
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money, Price, Quantity
from nautilus_trader.test_kit.providers import TestInstrumentProvider

sys.path.insert(0, str(Path(__file__).parents[1]))
from {name} import {title}, {title}Config

DAY_NS = 86_400_000_000_000


def test_it_buys_above_the_average_and_sells_below() -> None:
    share = TestInstrumentProvider.equity(symbol="TEST", venue="SIM")
    bar_type = BarType.from_str(f"{{share.id}}-1-DAY-LAST-EXTERNAL")
    engine = BacktestEngine()
    engine.add_venue(Venue("SIM"), OmsType.NETTING, AccountType.MARGIN, [Money(1_000_000, USD)], base_currency=USD)
    engine.add_instrument(share)
    engine.add_data([_bar(bar_type, day, 100 + abs(20 - day)) for day in range(60)])
    config = {title}Config(instrument_id=share.id, bar_type=bar_type, period=5, trade_size=Decimal(1))
    engine.add_strategy({title}(config))
    engine.run()
    assert engine.cache.positions_total_count() > 0
    engine.dispose()


def _bar(bar_type: BarType, day: int, price: float) -> Bar:
    close = Price(price, 2)
    return Bar(bar_type, close, close, close, close, Quantity.from_int(1_000), day * DAY_NS, day * DAY_NS)
'''
_README: Final = """# {name}

A strategy of your own for Flotilla. `{name}.py` has the strategy and, in `{title}Config`, what can be chosen.

```sh
flotilla backtest run --file {folder}                      # as it is now, over the catalog
flotilla study run --file {folder} --axis period=20,50,100
flotilla package push {folder}                             # from now on the fleet has it by name
flotilla engine start my-engine --strategy {name}
```

Everything in this folder is part of the package but hidden files and caches, and a link is refused; modules beside `{name}.py`, folders of them and data
files work as well. A version never changes: push again for the next one, and name an older one as `--strategy {name}@1`.

What it imports beside Python and NautilusTrader is named in a `requirements.txt` (or a `pyproject.toml`) in this folder: a push finds the
wheels with pip, or takes them from a folder (`--wheels FOLDER`), and they come with the package.

```sh
python -m pytest                                           # its test, without a fleet
```
"""


def project_files(name: str, folder: str) -> dict[str, str]:
    """The files of a new project, by path; `folder` is how it is reached from where it was made."""
    title = "".join(part.capitalize() for part in name.split("_")) or "Mine"
    said = {"name": name, "title": title, "folder": folder}
    return {
        f"{name}.py": _MODULE.format(**said),
        f"tests/test_{name}.py": _TEST.format(**said),
        "README.md": _README.format(**said),
    }
