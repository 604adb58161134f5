"""What our strategies decide without an engine: sizes, a day's loss, the lines of a grid, and which configs they take."""

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from nautilus_trader.config import StrategyConfig
from nautilus_trader.model.enums import OrderSide
from nautilus_trader.model.identifiers import InstrumentId

from flotilla.engine_sidecar.catalog.adding import added
from flotilla.engine_sidecar.catalog.instruments import new_instrument
from flotilla.engine_sidecar.strategies.bollinger_reversion import BollingerReversionConfig
from flotilla.engine_sidecar.strategies.buy_and_hold import BuyAndHoldConfig
from flotilla.engine_sidecar.strategies.daily_loss import DailyLoss
from flotilla.engine_sidecar.strategies.donchian_breakout import DonchianBreakoutConfig
from flotilla.engine_sidecar.strategies.grid import GridConfig, wanted_lines
from flotilla.engine_sidecar.strategies.simple_momentum import SimpleMomentumConfig
from flotilla.engine_sidecar.strategies.sizing import unit_value, units_at_risk, whole_quantity
from flotilla.schemas.instrument import AddInstrument

HOUR = 3_600 * 10**9
DAY = 24 * HOUR
BUY, SELL = OrderSide.BUY, OrderSide.SELL
SPX = {"instrument_id": "SPX.SIM", "bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL"}


def test_units_at_risk_lose_that_part_of_the_equity() -> None:
    assert units_at_risk(Decimal(100_000), Decimal("0.01"), Decimal(4)) == 250
    assert units_at_risk(Decimal(100_000), Decimal("0.01"), Decimal(0)) == 0
    assert units_at_risk(Decimal(-1), Decimal("0.01"), Decimal(4)) == 0


@pytest.mark.parametrize(
    ("name", "fields", "value"),
    [
        ("BTCUSDT-PERP.BINANCE", {}, "40000"),
        ("BTCUSD-PERP.BINANCE", {}, "0.0025"),  # 100 USD in BTC
        ("ESH4.CME", {"expiration_ns": "2024-03"}, "2000000"),
    ],
)
def test_a_unit_is_worth_what_its_instrument_says(name: str, fields: dict[str, Any], value: str) -> None:
    instrument = added(AddInstrument(name=name, fields=fields)).instrument
    assert unit_value(instrument, Decimal(40_000)) == Decimal(value)


@pytest.mark.parametrize(
    ("units", "quantity"), [("0.29", "0.29"), ("0.299", "0.29"), ("1", "1.00"), ("0.009", None), ("-1", None)]
)
def test_a_quantity_is_rounded_down_to_the_steps_of_the_instrument(units: str, quantity: str | None) -> None:
    pair = new_instrument(InstrumentId.from_str("BTC/USDT.SIM"), 2, 2, "USD")
    found = whole_quantity(pair, Decimal(units))
    assert (None if found is None else str(found)) == quantity


class TestDailyLoss:
    def test_it_is_reached_at_the_limit_and_not_before(self) -> None:
        loss = DailyLoss(Decimal(10))
        reached = []
        for hour, profit in enumerate((0, 5, -4, -9, -10)):
            loss.update(DAY + (hour + 1) * HOUR, Decimal(profit))
            reached.append(loss.is_reached)
        assert reached == [False, False, False, False, True]

    def test_it_stays_reached_until_the_day_is_over(self) -> None:
        loss = DailyLoss(Decimal(10))
        reached = []
        for hour, profit in ((1, 0), (2, -10), (3, 50), (24, 50), (25, 49)):
            loss.update(DAY + hour * HOUR, Decimal(profit))
            reached.append(loss.is_reached)
        # Midnight ends a day.
        assert reached == [False, True, True, True, False]

    def test_a_days_loss_begins_where_the_day_before_ended(self) -> None:
        loss = DailyLoss(Decimal(10))
        for day, profit in ((1, 0), (2, -9), (3, -18), (4, -28)):
            loss.update(day * DAY, Decimal(profit))
            assert loss.is_reached is (day == 4)

    def test_what_was_lost_before_it_looked_first_is_no_loss_of_the_day(self) -> None:
        loss = DailyLoss(Decimal(10))
        loss.update(DAY, Decimal(-500))
        assert not loss.is_reached

    def test_it_goes_on_where_another_left_off(self) -> None:
        loss, later = DailyLoss(Decimal(10)), DailyLoss(Decimal(10))
        later.restore(loss.save())
        loss.update(DAY + HOUR, Decimal(0))
        loss.update(DAY + 2 * HOUR, Decimal(-6))
        later.restore(loss.save())
        later.update(DAY + 3 * HOUR, Decimal(-10))
        assert later.is_reached

    def test_without_a_limit_it_is_never_reached(self) -> None:
        loss = DailyLoss(None)
        loss.update(DAY, Decimal(0))
        loss.update(DAY, Decimal(-(10**9)))
        assert not loss.is_reached


@pytest.mark.parametrize(
    ("room_to_buy", "room_to_sell", "expected"),
    [
        (20, 0, [(4, BUY), (3, BUY)]),
        (20, 20, [(4, BUY), (6, SELL), (3, BUY), (7, SELL)]),
        (19, 9, [(4, BUY)]),
        (1000, 0, [(4, BUY), (3, BUY), (2, BUY)]),
        (-5, -5, []),
    ],
)
def test_a_grid_has_as_many_lines_as_there_are_levels_and_room(
    room_to_buy: int, room_to_sell: int, expected: list[tuple[int, OrderSide]]
) -> None:
    lines = wanted_lines(5, 3, Decimal(10), Decimal(room_to_buy), Decimal(room_to_sell))
    assert [(line.index, line.side) for line in lines] == expected


@pytest.mark.parametrize(
    ("kind", "fields", "faults"),
    [
        (SimpleMomentumConfig, {}, ["`trade_size` or `risk_fraction`"]),
        (SimpleMomentumConfig, {"trade_size": "0"}, ["`trade_size`"]),
        (SimpleMomentumConfig, {"risk_fraction": "1.1"}, ["`risk_fraction`"]),
        (
            SimpleMomentumConfig,
            {"trade_size": "1", "instrument_id": "A.SIM", "max_daily_loss": "0"},
            ["`bar_type`", "`max_daily_loss`"],
        ),
        (SimpleMomentumConfig, {"trade_size": "1", "atr_period": 0}, ["atr_period"]),
        (SimpleMomentumConfig, {"trade_size": "1", "stop_multiple": 0}, ["stop_multiple"]),
        (SimpleMomentumConfig, {"trade_size": "1", "colour": "red"}, ["colour"]),
        (DonchianBreakoutConfig, {"risk_fraction": "0.01", "exit_period": 20}, ["`exit_period`"]),
        (BollingerReversionConfig, {"trade_size": "1", "exit_z": 2}, ["`exit_z`"]),
        (BollingerReversionConfig, {"trade_size": "1", "entry_z": 4}, ["`entry_z`"]),
        (BollingerReversionConfig, {"trade_size": "1", "period": 1}, ["`period`"]),
        (GridConfig, {"trade_size": "10", "max_inventory": "9"}, ["`trade_size`"]),
        (BuyAndHoldConfig, {"invested": "0"}, ["`invested`"]),
        (BuyAndHoldConfig, {"invested": "1.01", "instrument_id": "A.SIM"}, ["`bar_type`", "`invested`"]),
    ],
)
def test_a_config_that_makes_no_sense_is_refused_naming_every_fault(
    kind: type[StrategyConfig], fields: dict[str, Any], faults: list[str]
) -> None:
    with pytest.raises(ValueError) as raised:  # noqa: PT011 - each case names what it says
        kind.parse(msgspec.json.encode(SPX | fields))
    assert all(fault in str(raised.value) for fault in faults)
