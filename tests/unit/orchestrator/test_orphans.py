import asyncio
from datetime import timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.fault import Fault, FaultCode, FaultError
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.schemas.states import DesiredState, EngineType, OrphanPolicy, RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import Severity
from flotilla.services.orchestrator.engines.core.effects import (
    CommandStop,
    KillContainer,
    RaiseAlert,
    RemoveContainer,
    StopContainer,
)
from flotilla.services.orchestrator.engines.core.orphans import (
    AdoptContainer,
    Orphan,
    adopt,
    may_trade_live,
    step,
)
from flotilla.services.orchestrator.engines.core.reconcile import reconcile
from flotilla.services.orchestrator.engines.core.sightings import Sight
from flotilla.services.orchestrator.engines.orphans import Orphans
from tests.unit.orchestrator.makers import (
    HOSTS,
    NOW,
    after,
    beat,
    config,
    engine,
    facts,
    replace,
    session,
    spec,
)

GRACE = timedelta(seconds=60)
RUNNING = facts()
LIVE = facts(trading_mode=TradingMode.LIVE)
UNLABELLED = facts(trading_mode=None)
EXITED = facts(ContainerStatus.EXITED)
STOPS = (CommandStop, StopContainer, KillContainer, RemoveContainer)


def orphan(container: object = RUNNING, **more: object) -> Orphan:
    return Orphan(container=container, seen_at=NOW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("policy", list(OrphanPolicy))
def test_within_the_grace_nothing_is_done(policy: OrphanPolicy) -> None:
    assert step(orphan(), policy, GRACE, after(59)) == (orphan(), ())


def test_one_on_paper_is_stopped_by_its_own_policy_and_that_is_told() -> None:
    stopping, effects = step(orphan(), OrphanPolicy.STOP, GRACE, after(60))
    told, stop = effects
    assert isinstance(told, RaiseAlert)
    assert (told.alert.code, told.alert.severity) == ("orphan_stopped", Severity.WARNING)
    assert stop == CommandStop("e1", "s1", None, after(90))
    later, effects = step(stopping, OrphanPolicy.STOP, GRACE, after(66))
    assert effects == (StopContainer("e1", "s1", "h1", 28.0),)
    over = replace(later, container=EXITED)
    assert step(over, OrphanPolicy.STOP, GRACE, after(70))[1] == (RemoveContainer("e1", "s1", "h1"),)


async def nothing(_: str) -> None:
    """What an engine said before it was on record, where that does not matter."""


class SilentSidecar:
    """A bus on which every question to a sidecar ends with one fault."""

    def __init__(self, code: FaultCode) -> None:
        self._code = code
        self.asked = 0

    async def call(self, *_: object, **__: object) -> object:
        self.asked += 1
        raise FaultError(Fault(code=self._code, message="no answer"))


@pytest.mark.parametrize(
    ("code", "asked"), [(FaultCode.UNAVAILABLE, 3), (FaultCode.BUSY, 3), (FaultCode.INTERNAL, 1)]
)
async def test_a_sidecar_that_may_yet_answer_is_asked_three_times_and_another_once(
    code: FaultCode, asked: int
) -> None:
    bus = SilentSidecar(code)
    at = [NOW]
    orphans = Orphans(
        bus,  # type: ignore[arg-type]
        lambda: at[0],
        mailboxes=SimpleNamespace(),  # type: ignore[arg-type]
        actions=SimpleNamespace(begin=lambda _: None),  # type: ignore[arg-type]
        policy=OrphanPolicy.ADOPT,
        grace=GRACE,
        said_before=nothing,
    )
    for seconds in (0, *range(60, 70)):
        at[0] = after(seconds)
        orphans.see([RUNNING])
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))
    assert bus.asked == asked


@pytest.mark.parametrize(
    ("problem", "follows"),
    [
        (None, []),
        (
            Fault(code=FaultCode.UNAVAILABLE, message="nobody answers"),
            [StopContainer("e1", "s1", "h1", 28.0)],
        ),
    ],
)
def test_a_stop_that_nobody_took_is_followed_by_a_signal_and_one_that_was_taken_has_its_time(
    problem: Fault | None, follows: list[StopContainer]
) -> None:
    begun: list[object] = []
    at = [NOW]
    orphans = Orphans(
        SimpleNamespace(),  # type: ignore[arg-type]
        lambda: at[0],
        mailboxes=SimpleNamespace(),  # type: ignore[arg-type]
        actions=SimpleNamespace(begin=begun.append),  # type: ignore[arg-type]
        policy=OrphanPolicy.STOP,
        grace=GRACE,
        said_before=nothing,
    )
    for seconds in (0, 60):
        at[0] = after(seconds)
        orphans.see([RUNNING])
    (stop,) = (each for each in begun if isinstance(each, CommandStop))
    orphans.report(stop, problem)
    begun.clear()
    at[0] = after(66)
    orphans.see([RUNNING])
    assert begun == follows


@pytest.mark.parametrize("container", [LIVE, UNLABELLED])
@pytest.mark.parametrize("policy", [OrphanPolicy.STOP, OrphanPolicy.REPORT])
def test_one_that_may_trade_live_is_only_told_of_and_once(container: object, policy: OrphanPolicy) -> None:
    told, effects = step(orphan(container), policy, GRACE, after(60))
    (alert,) = effects
    assert isinstance(alert, RaiseAlert)
    assert (alert.alert.code, alert.alert.severity) == ("orphan_container", Severity.CRITICAL)
    assert step(told, policy, GRACE, after(600)) == (told, ())


def test_a_container_may_trade_live_unless_its_labels_say_otherwise() -> None:
    assert may_trade_live(LIVE)
    assert may_trade_live(UNLABELLED)
    assert may_trade_live(facts(trading_mode=TradingMode.LIVE, engine_type=EngineType.LIVE))
    assert not may_trade_live(RUNNING)
    assert not may_trade_live(facts(trading_mode=TradingMode.LIVE, engine_type=EngineType.SANDBOX))


@given(
    st.sampled_from([LIVE, UNLABELLED]),
    st.sampled_from([status for status in ContainerStatus if status != ContainerStatus.CREATED]),
    st.sampled_from(list(OrphanPolicy)),
    st.lists(st.floats(0, 500), max_size=8),
    st.booleans(),
)
def test_one_that_may_trade_live_is_never_stopped(
    container: object, status: ContainerStatus, policy: OrphanPolicy, times: list[float], is_refused: bool
) -> None:
    present = orphan(replace(container, status=status), refusal="no" if is_refused else "")  # type: ignore[type-var]
    for seconds in sorted(times):
        present, effects = step(present, policy, GRACE, after(seconds))
        assert not [effect for effect in effects if isinstance(effect, STOPS)]


@pytest.mark.parametrize("policy", list(OrphanPolicy))
@pytest.mark.parametrize("container", [RUNNING, LIVE, UNLABELLED])
def test_what_was_only_created_never_traded_and_is_removed_after_the_grace(
    container: ContainerFacts, policy: OrphanPolicy
) -> None:
    created = orphan(replace(container, status=ContainerStatus.CREATED))
    assert step(created, policy, GRACE, after(59)) == (created, ())
    assert step(created, policy, GRACE, after(60)) == (created, (RemoveContainer("e1", "s1", "h1"),))


@pytest.mark.parametrize(
    ("container", "words"),
    [
        (RUNNING, "runs session s1 of engine e1, which is on no record"),
        (EXITED, "is what is left of session s1 of engine e1, which is on no record"),
        (LIVE, "on no record; it may trade live, so it is left alone until somebody stops it"),
        (replace(LIVE, status=ContainerStatus.EXITED), "it may have traded live"),
    ],
)
def test_what_is_told_of_an_orphan_says_whether_it_runs(container: ContainerFacts, words: str) -> None:
    _, (alert,) = step(orphan(container), OrphanPolicy.REPORT, GRACE, after(60))
    assert isinstance(alert, RaiseAlert)
    assert words in alert.alert.message


def test_the_policy_to_report_stops_nothing() -> None:
    _, (alert,) = step(orphan(), OrphanPolicy.REPORT, GRACE, after(60))
    assert isinstance(alert, RaiseAlert)
    assert alert.alert.severity == Severity.WARNING


@pytest.mark.parametrize("container", [RUNNING, LIVE])
def test_the_policy_to_adopt_asks_the_sidecar(container: object) -> None:
    assert step(orphan(container), OrphanPolicy.ADOPT, GRACE, after(60))[1] == (AdoptContainer(container),)  # type: ignore[arg-type]


def test_what_cannot_be_adopted_is_stopped_or_told_of() -> None:
    _, effects = step(orphan(refusal="no"), OrphanPolicy.ADOPT, GRACE, after(60))
    assert CommandStop("e1", "s1", None, after(90)) in effects
    _, (alert,) = step(orphan(LIVE, refusal="no"), OrphanPolicy.ADOPT, GRACE, after(60))
    assert isinstance(alert, RaiseAlert)
    assert "could not be adopted: no" in alert.alert.message


def test_an_adopted_session_is_where_its_next_heartbeat_says() -> None:
    decision = adopt(None, spec(generation=4), RUNNING, after(60))
    adopted = decision.engine
    assert adopted.session is not None
    assert (adopted.generation, adopted.session.state, adopted.session.host) == (4, RunState.UNKNOWN, "h1")
    sight = Sight(is_host_in_sight=True, is_listed=True, container=RUNNING, heartbeat=beat())
    seen = reconcile(adopted, sight, HOSTS, after(61))
    assert seen is not None
    assert seen.engine.session is not None
    assert seen.engine.session.state == RunState.TRADING


@pytest.mark.parametrize(
    ("present", "told", "reason"),
    [
        (engine(session(session_id="s9")), spec(generation=4), "another session"),
        (engine(session(RunState.STOPPED, generation=4)), spec(generation=4), "later sessions"),
        (None, spec("s9"), "runs session s9"),
        (None, replace(spec(), instance_id="e2"), "runs session s1"),
        (None, replace(spec(), config=None), "does not know the configuration"),
    ],
)
def test_what_cannot_be_the_engines_present_session_is_not_adopted(
    present: object, told: object, reason: str
) -> None:
    with pytest.raises(FaultError, match=reason):
        adopt(present, told, RUNNING, NOW)  # type: ignore[arg-type]


def test_one_whose_stop_is_under_way_is_not_adopted() -> None:
    stopping, _ = step(orphan(), OrphanPolicy.STOP, GRACE, after(60))
    _, effects = step(stopping, OrphanPolicy.ADOPT, GRACE, after(66))
    assert [type(effect) for effect in effects] == [StopContainer]


def test_only_of_one_that_may_trade_live_it_is_told_that_it_is_left_alone() -> None:
    told = {}
    for container in (RUNNING, LIVE):
        _, (alert,) = step(orphan(container), OrphanPolicy.REPORT, GRACE, after(60))
        assert isinstance(alert, RaiseAlert)
        told[container.trading_mode] = (alert.alert.severity, "it may trade live" in alert.alert.message)
    assert told == {
        TradingMode.PAPER: (Severity.WARNING, False),
        TradingMode.LIVE: (Severity.CRITICAL, True),
    }


def test_a_stop_of_one_without_a_generation_is_of_the_first() -> None:
    for known, stopped in ((0, 1), (1, 1), (4, 4)):
        stopping, _ = step(orphan(facts(generation=known)), OrphanPolicy.STOP, GRACE, after(60))
        assert stopping.stopping is not None
        assert stopping.stopping.generation == stopped


def test_an_adopted_engine_is_wanted_as_it_runs_and_owes_nothing_of_before() -> None:
    before = replace(
        engine(session(RunState.FAILED, session_id="s0")),
        desired=DesiredState.STOPPED,
        config=config(max_order_rate=7),
        configured=config(max_order_rate=8),
        restarts=(after(-10),),
        restart_at=after(5),
        removed_at=after(-5),
    )
    told = replace(spec(generation=2), config=config(max_order_rate=9))
    decision = adopt(before, told, RUNNING, after(60))
    adopted = decision.engine
    assert (adopted.desired, adopted.generation) == (DesiredState.RUNNING, 2)
    assert adopted.config is not None
    assert (adopted.config.max_order_rate, adopted.configured) == (9, None)
    assert (adopted.restarts, adopted.restart_at, adopted.removed_at) == ((), None, None)
    assert (decision.spec, decision.ended) == (told, before.session)
    assert (decision.is_change, adopted.updated_at) == (True, after(60))
    (alert,) = (effect for effect in decision.effects if isinstance(effect, RaiseAlert))
    assert (alert.alert.code, alert.alert.severity) == ("orphan_adopted", Severity.WARNING)
    assert alert.alert.instance_id == "e1"
    assert "it is on record again" in alert.alert.message


def test_an_adopted_session_has_what_its_spec_and_its_container_say() -> None:
    told = replace(
        spec(generation=2),
        stop_policy=StopPolicy.LEAVE,
        stop_timeout_s=12.5,
        uses_cache=True,
        engine_type=EngineType.LIVE,
        trading_mode=TradingMode.LIVE,
    )
    seen = replace(RUNNING, host="h7", created_at=after(-90), started_at=after(-80))
    adopted = adopt(None, told, seen, after(60)).engine.session
    assert adopted is not None
    assert (adopted.stop_policy, adopted.stop_timeout_s) == (StopPolicy.LEAVE, 12.5)
    assert (adopted.needs_docker, adopted.needs_cache, adopted.host) == (True, True, "h7")
    assert (adopted.created_at, adopted.started_at, adopted.changed_at) == (after(-90), after(-80), after(60))


def test_adoption_follows_an_ended_session() -> None:
    before = engine(session(RunState.STOPPED, session_id="s0"))
    decision = adopt(before, spec(generation=2), RUNNING, NOW)
    assert (decision.ended, decision.engine.version) == (before.session, before.version + 1)
