"""The limits that people set are kept: orders over them are denied by the engine that really trades."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import Measured, Stop
from flotilla.schemas.states import FailureReason, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process

BAR_TYPE = "SPX.SIM-1-DAY-LAST-EXTERNAL"
ACCOUNTS = ("CASH", "MARGIN")
# The first closes are 1228.10, 1244.78, 1272.34, 1269.73: ten units are worth 12281.00 on the first day.
WORTH_TEN = 12281
DAYS = {"start": "1999-01-04", "end": "1999-01-15"}


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imported(tmp_path_factory.mktemp("catalog"), "--sample")


def imported(folder: Path, *arguments: str) -> Path:
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        str(folder),
        *arguments,
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def step(bar: int, do: str, side: str = "BUY", size: str = "10", **more: Any) -> dict[str, Any]:
    return {"bar": bar, "do": do, "side": side, "size": size} | more


def sends(*script: dict[str, Any]) -> dict[str, Any]:
    return {
        "strategy_path": "tests.scripted_orders:SendsOrders",
        "config_path": "tests.scripted_orders:ScriptConfig",
        "config": {"bar_type": BAR_TYPE, "script": script},
    }


def limited(limit: Any, account: str = "MARGIN", instrument: str = "SPX.SIM", **risk: Any) -> dict[str, Any]:
    node = sandbox_node(account_type=account, **DAYS)
    node["risk_engine"] |= {"max_notional_per_order": {instrument: limit}} | risk
    return node


def traded(
    zygote: ZygoteProcess, catalog: Path, node: dict[str, Any], strategy: dict[str, Any]
) -> EngineProcess:
    """An engine that has traded all days, and is still there."""
    engine = zygote.fork(run_of(catalog, node, strategy))
    engine.until(lambda message: isinstance(message, Measured) and engine.metrics()[-1].feeds[0].is_finished)
    return engine


def outcomes(engine: EngineProcess) -> list[str]:
    """What became of each order, in the order of their making: FILLED, ACCEPTED, or why it was denied."""
    last: dict[str, str] = {}
    for event in engine.events(EventKind.ORDER):
        is_denied = event["event"] in ("OrderDenied", "OrderModifyRejected")
        last[event["client_order_id"]] = event["reason"] if is_denied else event["status"]
    return list(last.values())


def leave(engine: EngineProcess, policy: StopPolicy = StopPolicy.LEAVE) -> None:
    engine.send(Stop(policy, 5.0))
    ended, code = engine.until_ended()
    assert (ended.reason, ended.not_confirmed, code) == (None, (), 0)


def too_large(notional: str, limit: str = "12281.00") -> str:
    return f"NOTIONAL_EXCEEDS_MAX_PER_ORDER: max_notional={limit} USD, notional={notional} USD"


@pytest.mark.parametrize("account", ACCOUNTS)
def test_orders_over_the_limit_are_denied_and_those_at_the_limit_pass(
    zygote: ZygoteProcess, catalog: Path, account: str
) -> None:
    script = (
        step(1, "market"),
        step(1, "market", size="11"),
        step(1, "limit", price="1000"),
        step(1, "limit", price="1000", size="13"),
        step(1, "stop_order", price="1900"),
        step(1, "bracket", price="1200", size="11"),
    )
    engine = traded(zygote, catalog, limited(WORTH_TEN, account), sends(*script))
    leave(engine)
    market, too_big, limit, big_limit, stop, *bracket = outcomes(engine)
    assert (market, limit) == ("FILLED", "ACCEPTED")
    assert (too_big, big_limit, stop) == (too_large("13509.10"), too_large("13000.00"), too_large("19000.00"))
    assert bracket[0] == too_large("13509.10")
    assert len(bracket) == 3
    assert all(reason.endswith(" DENIED") for reason in bracket[1:])
    assert len(engine.events(EventKind.FILL)) == 1


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("policy", [StopPolicy.LEAVE, StopPolicy.FLATTEN])
def test_a_position_that_grew_over_the_limit_can_be_closed(
    zygote: ZygoteProcess, catalog: Path, account: str, policy: StopPolicy
) -> None:
    script = [step(1, "market"), step(3, "market", "SELL")]
    if policy is StopPolicy.LEAVE:
        script.append(step(3, "market", "SELL", reduce_only=True))
    engine = traded(zygote, catalog, limited(WORTH_TEN, account), sends(*script))
    leave(engine, policy)
    assert outcomes(engine) == ["FILLED", too_large("12723.40"), "FILLED"]
    assert engine.metrics()[-1].positions_open == 0


def test_a_change_that_makes_an_order_too_large_is_rejected(zygote: ZygoteProcess, catalog: Path) -> None:
    script = (
        step(1, "limit", price="1000", size="12"),
        {"bar": 2, "do": "modify", "price": "1023.5"},
        {"bar": 3, "do": "modify", "size": "13"},
        {"bar": 4, "do": "modify", "size": "11"},
    )
    engine = traded(zygote, catalog, limited(WORTH_TEN), sends(*script))
    leave(engine)
    changes = [
        (event["event"], event["reason"])
        for event in engine.events(EventKind.ORDER)
        if event["event"] in ("OrderModifyRejected", "OrderUpdated")
    ]
    assert changes == [
        ("OrderModifyRejected", too_large("12282.00")),
        ("OrderModifyRejected", too_large("13000.00")),
        ("OrderUpdated", None),
    ]
    assert outcomes(engine) == ["ACCEPTED"]


def test_what_nautilustraders_emulator_releases_is_checked_too(zygote: ZygoteProcess, tmp_path: Path) -> None:
    quotes = tmp_path / "quotes.csv"
    quotes.write_text("time,bid,ask,bid_size,ask_size\n1999-01-06T12:00:00Z,1250.00,1250.00,1000,1000\n")
    catalog = imported(tmp_path / "catalog", "--sample")
    imported(catalog, str(quotes), "--type", "quotes", "--instrument", "SPX.SIM")
    emulated = {"price": "1300", "emulation_trigger": "BID_ASK"}
    script = step(1, "limit", size="10", **emulated), step(1, "limit", size="9", **emulated)
    engine = traded(zygote, catalog, limited(WORTH_TEN), sends(*script))
    leave(engine)
    assert outcomes(engine) == [too_large("12500.00"), "FILLED"]


def test_a_sell_limit_below_the_market_is_worth_what_it_would_fetch(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = traded(
        zygote, catalog, limited(WORTH_TEN), sends(step(1, "limit", "SELL", size="11", price="1"))
    )
    leave(engine)
    assert outcomes(engine) == [too_large("13509.10")]


@pytest.mark.parametrize("limit", ["12280.99", 12280.99])
def test_a_limit_may_be_a_fraction(zygote: ZygoteProcess, catalog: Path, limit: Any) -> None:
    engine = traded(zygote, catalog, limited(limit), sends(step(1, "market"), step(1, "market", size="9")))
    leave(engine)
    assert outcomes(engine) == [too_large("12281.00", "12280.99"), "FILLED"]


def test_one_limit_may_be_for_every_instrument(zygote: ZygoteProcess, catalog: Path) -> None:
    engine = traded(zygote, catalog, limited(WORTH_TEN, instrument="*"), sends(step(1, "market", size="11")))
    leave(engine)
    assert outcomes(engine) == [too_large("13509.10")]


def test_without_a_price_the_limit_cannot_be_kept_so_the_order_is_denied(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    engine = traded(zygote, catalog, limited(WORTH_TEN), sends(step(0, "market", size="1")))
    leave(engine)
    assert outcomes(engine) == ["NOTIONAL_UNKNOWN: max_notional=12281, and no price of SPX.SIM is known"]


def test_orders_over_the_rate_are_denied(zygote: ZygoteProcess, catalog: Path) -> None:
    node = sandbox_node(**DAYS)
    node["risk_engine"]["max_order_submit_rate"] = "3/00:01:00"
    engine = traded(zygote, catalog, node, sends(*(step(bar, "market") for bar in range(1, 6))))
    leave(engine)
    assert outcomes(engine) == ["FILLED"] * 3 + ["Exceeded MAX_ORDER_SUBMIT_RATE"] * 2


def test_a_rate_that_is_used_up_does_not_keep_an_engine_from_closing(
    zygote: ZygoteProcess, catalog: Path
) -> None:
    node = sandbox_node(**DAYS)
    node["risk_engine"]["max_order_submit_rate"] = "1/01:00:00"
    engine = traded(zygote, catalog, node, sends(step(1, "market")))
    leave(engine, StopPolicy.FLATTEN)
    assert engine.metrics()[-1].positions_open == 0


def test_a_bypassed_risk_engine_has_no_limits(zygote: ZygoteProcess, catalog: Path) -> None:
    engine = traded(zygote, catalog, limited(WORTH_TEN, bypass=True), sends(step(1, "market", size="11")))
    leave(engine)
    assert outcomes(engine) == ["FILLED"]


@pytest.mark.parametrize("limit", [0, -1, "NaN", "much", True])
def test_what_is_no_amount_is_refused(zygote: ZygoteProcess, catalog: Path, limit: Any) -> None:
    ended, code = zygote.fork(run_of(catalog, limited(limit), sends())).until_ended()
    assert (ended.reason, code) == (FailureReason.CONFIG, 78)
    assert f"`risk_engine.max_notional_per_order`: {limit!r} for SPX.SIM is no amount above 0" in ended.detail
