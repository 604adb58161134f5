"""What the simulated account of an engine counts in: what it trades is settled in that, or there is a rate, or it does not trade."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.states import FailureReason, RunState
from flotilla.schemas.telemetry import EventKind
from tests import marked_catalog
from tests.engine_processes import EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process

BTC, COIN, EUR = "BTC/USDT.SIM", "COIN.SIM", "EUR/USDT.SIM"


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bars of BTC/USDT and of COIN, which is settled in USDT too, from 101 to 105; quotes of EUR/USDT."""
    folder = tmp_path_factory.mktemp("pairs")
    marked_catalog.write_pairs(folder)
    return folder


def buys(instrument: str) -> dict[str, Any]:
    return {
        "strategy_path": "tests.trial_strategies:Buys",
        "config_path": "tests.trial_strategies:BuysConfig",
        "config": {"bar_type": f"{instrument}-1-HOUR-LAST-EXTERNAL", "units": "10"},
    }


def engine(
    zygote: ZygoteProcess, catalog: Path, instrument: str, base_currency: str | None, **chosen: Any
) -> EngineProcess:
    node = sandbox_node(base_currency=base_currency, on_end="stop")
    node["exec_clients"]["SIM"]["config"] |= chosen
    return zygote.fork(run_of(catalog, node, buys(instrument)))


@pytest.mark.parametrize("instrument", [BTC, COIN])
def test_without_a_base_currency_an_account_counts_in_what_its_instrument_is_settled_in(
    zygote: ZygoteProcess, pairs: Path, instrument: str
) -> None:
    held = engine(zygote, pairs, instrument, None)
    ended, code = held.until_ended()
    assert (ended.reason, code) == (None, 0), ended
    last = held.metrics()[-1]
    assert last.balances == {"USDT": "1000000.00000000"}
    # Ten bought at 101, and the last close is 105.
    assert last.unrealized_pnl == {"USDT": "40.00000000"}
    assert held.events(EventKind.ACCOUNT)[-1]["base_currency"] == "USDT"


@pytest.mark.parametrize("instrument", [BTC, COIN])
def test_a_base_currency_that_no_pair_leads_to_is_refused_before_anything_is_traded(
    zygote: ZygoteProcess, pairs: Path, instrument: str
) -> None:
    refused = engine(zygote, pairs, instrument, "USD")
    ended, code = refused.until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert ended.detail == (
        f"base_currency USD: there is no rate from USDT, which {instrument} is settled in; give USDT"
    )
    assert refused.events(EventKind.ORDER) == []
    assert not [item for item in refused.heard if getattr(item, "state", None) == RunState.TRADING]


def test_an_engine_whose_pair_has_no_quotes_ends_at_its_first_fill(
    zygote: ZygoteProcess, pairs: Path
) -> None:
    blind = engine(zygote, pairs, BTC, "EUR")
    ended, code = blind.until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert ended.detail.startswith("base_currency EUR: there is no rate from USDT for a fill of BTC/USDT.SIM")
    assert len(blind.events(EventKind.FILL)) == 1


def test_where_nothing_tells_the_currency_it_must_be_given(zygote: ZygoteProcess, tmp_path: Path) -> None:
    ended, code = engine(zygote, tmp_path, BTC, None).until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert "exec_clients.SIM" in ended.detail
    assert "base_currency must be given: the catalog has none of its instruments" in ended.detail


def test_an_account_of_several_currencies_stays_one(zygote: ZygoteProcess, pairs: Path) -> None:
    own = engine(zygote, pairs, BTC, None, starting_balances=["1000 EUR", "5000 USDT"])
    ended, code = own.until_ended()
    assert (ended.reason, code) == (None, 0), ended
    assert own.metrics()[-1].balances.keys() == {"EUR", "USDT"}
