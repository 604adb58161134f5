"""The typed client in Python code, with and without an event loop."""

from collections.abc import Iterator

import pytest

from flotilla import EngineFailedError, Flotilla, SyncFlotilla
from flotilla.client.client import ENDED
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import RunState
from tests.e2e.engines import paced, stopped, trading
from tests.e2e.stacks import RunningStack


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    """One stack of local processes: a client cannot tell."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


def test_code_without_an_event_loop_starts_watches_and_stops_an_engine(stack: RunningStack) -> None:
    with SyncFlotilla(stack.folder.root) as fleet:
        with fleet.watch("plain", kinds=("state", "fill")) as updates:
            accepted = fleet.start_engine(paced("plain"))
            view = fleet.wait_for("plain", session_id=accepted.session_id)
            assert view.session is not None
            assert view.session.state == RunState.TRADING
            kinds = {next(updates).kind for _ in range(6)}
        assert kinds == {"state", "fill"}
        assert [engine.instance_id for engine in fleet.engines(active=True).engines] == ["plain"]
        assert fleet.logs("plain", lines=5).lines
        assert fleet.events("plain", kind="fill", limit=1).events
        assert fleet.status("plain").engine is not None
        assert [template.name for template in fleet.templates("engine").templates] == [
            "backtest_engine",
            "backtest_worker",
            "live_engine",
            "paper_trading",
            "sandbox_engine",
        ]
        assert fleet.catalog().entries
        assert [one.state for one in fleet.strategies("plain").strategies] == ["RUNNING"]
        assert [one.instance_id for one in fleet.containers().containers] == ["plain"]
        assert fleet.validate_strategy("ema_cross").is_valid
        done = fleet.emergency_stop("plain")
        assert [(one.is_flat, one.is_gone) for one in done.receipts] == [(True, True)]
        assert fleet.wait_for("plain", ENDED).session is not None
        assert fleet.lift_stop("plain").flags == ()
        assert len(fleet.sessions("plain").sessions) == 1
        assert fleet.cleanup_containers(dry_run=True).is_dry_run
        fleet.remove_engine("plain")
        assert fleet.engines().engines == ()
    fleet.close()
    with pytest.raises(RuntimeError, match="closed"):
        fleet.engines()


def test_a_refusal_reaches_code_without_an_event_loop(stack: RunningStack) -> None:
    with SyncFlotilla(stack.folder.root) as fleet, pytest.raises(FaultError) as caught:
        fleet.start_engine(EngineConfig(instance_id="x", template="nowhere"))
    assert caught.value.fault.code == FaultCode.INVALID
    assert caught.value.fault.errors[0].field == "config.template"


def test_no_stack_is_told_where_the_client_is_made(tmp_path_factory: pytest.TempPathFactory) -> None:
    with pytest.raises(FaultError, match="no stack runs"):
        SyncFlotilla(tmp_path_factory.mktemp("empty"))


async def test_waiting_for_an_engine_that_fails_says_why(fleet: Flotilla) -> None:
    broken = StrategyChoice(
        strategy_path="engine_sidecar.strategies.no_such:Strategy",
        config_path="engine_sidecar.strategies.no_such:Config",
    )
    accepted = await fleet.start_engine(
        EngineConfig(instance_id="broken", engine_type="sandbox", strategies=(broken,))
    )
    with pytest.raises(EngineFailedError, match=r"failed \(config\)") as caught:
        await fleet.wait_for("broken", session_id=accepted.session_id)
    assert caught.value.engine.instance_id == "broken"


async def test_waiting_ends_when_time_is_up(fleet: Flotilla) -> None:
    await trading(fleet, paced("steady"))
    with pytest.raises(FaultError, match=r"still trading after 0\.2 s") as caught:
        await fleet.wait_for("steady", ENDED, timeout_s=0.2)
    assert caught.value.fault.code == FaultCode.OUTCOME_UNKNOWN
    await stopped(fleet, "steady")


async def test_a_watch_of_all_engines_tells_them_apart(fleet: Flotilla) -> None:
    async with fleet.watch(kinds=("state",)) as updates:
        for name in ("a", "b"):
            await trading(fleet, paced(name))
        seen = [await updates.next(5) for _ in range(8)]
    assert {update.instance_id for update in seen if update} == {"a", "b"}
    assert updates.dropped == 0
    for name in ("a", "b"):
        await stopped(fleet, name)
