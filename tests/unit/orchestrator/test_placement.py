import pytest

from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import EngineType, RunState, TradingMode
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines.core import lifecycle
from flotilla.services.orchestrator.engines.core.effects import RaiseAlert
from flotilla.services.orchestrator.engines.core.placement import (
    HostLoad,
    check_runtime,
    choose,
    has_place,
    place,
    settle_cache,
)
from tests.unit.orchestrator.makers import HOSTS, NOW, after, config, replace, session, spec

PROCESS = HostLoad("p1", 2, 0, runtime="process")
WITH_CACHE = HostLoad("c1", 2, 5, has_cache=True)
LIVE = replace(spec(), engine_type=EngineType.LIVE, trading_mode=TradingMode.LIVE)


def placed(hosts: tuple[HostLoad, ...], seconds: float = 0, **needs: bool) -> tuple[str | None, str]:
    result, _ = place(session(RunState.SCHEDULED, **needs), hosts, after(seconds))
    return result.host, result.detail or ""


def test_a_host_under_a_stop_flag_that_names_the_engine_is_not_chosen() -> None:
    flagged = HostLoad("a1", 8, 0, stop_flags=(StopFlag(since=NOW, instance_id="e1"),))
    assert placed((flagged, *HOSTS)) == ("h1", "")
    others = HostLoad("a1", 8, 0, stop_flags=(StopFlag(since=NOW, instance_id="e2"),))
    assert placed((others, *HOSTS)) == ("a1", "")


def test_a_session_that_trades_live_is_never_placed_among_plain_processes() -> None:
    assert placed((PROCESS,), needs_docker=True) == (None, "")
    assert placed((PROCESS, *HOSTS), needs_docker=True) == ("h1", "")
    host, detail = placed((PROCESS,), 30, needs_docker=True)
    assert host is None
    assert "has Docker" in detail
    assert placed((PROCESS,)) == ("p1", "")


def test_a_session_that_keeps_its_state_goes_where_redis_is() -> None:
    assert placed((*HOSTS, WITH_CACHE), needs_cache=True) == ("c1", "")
    assert "has Redis" in placed(HOSTS, 30, needs_cache=True)[1]


def test_a_live_start_with_nothing_but_plain_processes_in_sight_is_refused() -> None:
    with pytest.raises(FaultError, match="needs a host with Docker") as raised:
        check_runtime(LIVE, (PROCESS,))
    assert raised.value.fault.code == FaultCode.CONFLICT
    check_runtime(LIVE, ())
    check_runtime(LIVE, (PROCESS, *HOSTS))
    check_runtime(spec(), (PROCESS,))
    assert not has_place(LIVE, (PROCESS,))
    assert has_place(LIVE, HOSTS)


def test_a_cache_that_is_demanded_and_nowhere_is_refused_and_one_that_is_not_is_dropped() -> None:
    cached = replace(spec(), uses_cache=True)
    with pytest.raises(FaultError, match="Redis") as raised:
        settle_cache(cached, HOSTS, is_demanded=True)
    assert raised.value.fault.code == FaultCode.CONFLICT
    assert not settle_cache(cached, HOSTS, is_demanded=False).uses_cache
    assert settle_cache(cached, (WITH_CACHE,), is_demanded=True) == cached
    assert settle_cache(cached, (), is_demanded=True) == cached


@pytest.mark.parametrize("hosts", [(*HOSTS, WITH_CACHE), (WITH_CACHE, *HOSTS), (PROCESS, WITH_CACHE)])
@pytest.mark.parametrize("is_demanded", [False, True])
def test_a_cache_that_one_host_of_several_has_is_kept(hosts: tuple[HostLoad, ...], is_demanded: bool) -> None:
    cached = replace(spec(), uses_cache=True)
    assert settle_cache(cached, hosts, is_demanded=is_demanded) == cached


def test_a_session_without_a_cache_needs_none() -> None:
    assert settle_cache(spec(), HOSTS, is_demanded=True) == spec()


@pytest.mark.parametrize(
    ("hosts", "chosen"),
    [
        ((), None),
        ((HostLoad("b", 2, 1), HostLoad("a", 2, 2)), "b"),
        ((HostLoad("b", 2, 2), HostLoad("a", 2, 2)), "a"),
        ((HostLoad("a", 4, 3), HostLoad("b", 2, 1)), "b"),
        ((HostLoad("a", 2, 2), HostLoad("b", 1, 1)), "a"),
        ((HostLoad("a", 0, 1), HostLoad("b", 4, 3)), "b"),
    ],
)
def test_the_host_with_the_fewest_sessions_per_cpu_is_chosen(
    hosts: tuple[HostLoad, ...], chosen: str | None
) -> None:
    assert choose(hosts) == chosen
    assert choose(tuple(reversed(hosts))) == chosen


def test_a_dropped_cache_is_told() -> None:
    cached = replace(spec(), uses_cache=True)
    decision = lifecycle.start(None, config(), cached, request_id="r", hosts=HOSTS, now=NOW)
    (alert,) = (effect for effect in decision.effects if isinstance(effect, RaiseAlert))
    assert alert.alert.code == "cache_not_available"
    assert decision.spec is not None
    assert not decision.spec.uses_cache
    demanded = config(use_cache_database=True)
    with pytest.raises(FaultError, match="use_cache_database"):
        lifecycle.start(None, demanded, cached, request_id="r", hosts=HOSTS, now=NOW)
