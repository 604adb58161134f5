"""What the REST contract has and nothing here honours."""

import msgspec
import pytest

from flotilla.schemas.backtest import BacktestConfig
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.services.orchestrator.core.unhonoured import refuse_unhonoured

RUN = BacktestConfig(
    strategy="ema_cross", start_date="2020-01-01", end_date="2020-12-31", instruments=("SPX.SIM",)
)


@pytest.mark.parametrize("config", [EngineConfig(), RUN])
def test_the_contracts_defaults_are_accepted(config: EngineConfig | BacktestConfig) -> None:
    refuse_unhonoured(config)


@pytest.mark.parametrize(
    ("config", "field", "why"),
    [
        (
            EngineConfig(data_catalog_path="/srv"),
            "data_catalog_path",
            'must be "/app/data": .*FLOTILLA_CATALOG',
        ),
        (EngineConfig(cache_database_path="/srv"), "cache_database_path", 'must be "/app/cache": .*Redis'),
        (msgspec.structs.replace(RUN, output_path=""), "output_path", 'must be "/app/results": .*on record'),
        (msgspec.structs.replace(RUN, data_sources=()), "data_sources", r'must be \["catalog"\]: '),
    ],
)
def test_any_other_value_is_refused_by_name_with_the_reason(
    config: EngineConfig | BacktestConfig, field: str, why: str
) -> None:
    with pytest.raises(FaultError, match=why) as caught:
        refuse_unhonoured(config, "config.base")
    assert caught.value.fault.code == FaultCode.INVALID
    assert [error.field for error in caught.value.fault.errors] == [f"config.base.{field}"]


def test_all_that_are_at_fault_are_named_at_once() -> None:
    with pytest.raises(FaultError) as caught:
        refuse_unhonoured(EngineConfig(data_catalog_path="/a", cache_database_path="/b"))
    fields = [error.field for error in caught.value.fault.errors]
    assert fields == ["config.data_catalog_path", "config.cache_database_path"]


def test_what_was_stored_with_another_value_is_still_read() -> None:
    stored = b'{"data_catalog_path": "/srv/data", "cache_database_path": "/srv/cache"}'
    config = msgspec.json.decode(stored, type=EngineConfig)
    assert (config.data_catalog_path, config.cache_database_path) == ("/srv/data", "/srv/cache")
    assert msgspec.json.decode(
        msgspec.json.encode(msgspec.structs.replace(RUN, output_path="/srv")), type=BacktestConfig
    )
