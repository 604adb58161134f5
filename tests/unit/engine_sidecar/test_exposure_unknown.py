"""What cannot be valued is unknown, and no 0."""

from types import SimpleNamespace

from nautilus_trader.model.enums import PositionSide
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.objects import Currency

from flotilla.engine_sidecar.backtest.equity import EquitySampler
from flotilla.schemas.backtest import ExposurePoint


def test_a_position_without_a_price_makes_exposure_unknown() -> None:
    position = SimpleNamespace(instrument_id=InstrumentId.from_str("ACME.SIM"), side=PositionSide.LONG)
    cache = SimpleNamespace(
        positions_open=lambda: [position], price=lambda *_: None, bar_types=lambda **_: [], bar=lambda _: None
    )
    engine = SimpleNamespace(
        cache=cache,
        portfolio=SimpleNamespace(account=lambda _: None),
        kernel=SimpleNamespace(clock=SimpleNamespace(timestamp_ns=lambda: 5)),
    )
    marks = SimpleNamespace(of=lambda _: None)
    sampler = EquitySampler(engine, ["SIM"], Currency.from_str("USD"), 0, marks)
    sampler.sample()
    assert sampler.exposure == [ExposurePoint(at_ns=5, gross=None, net=None, leverage=None)]
