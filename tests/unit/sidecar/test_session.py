"""The session machine: what is said when, and what is killed for what."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.engine_sidecar.link.frames import Ended, Exited, Forked, Phase, Stop, Tick, ZygoteReady
from flotilla.engine_sidecar.link.messages import (
    AtRest,
    BusFound,
    CannotRun,
    Checked,
    Conclude,
    Effect,
    EndAsked,
    Fork,
    KillEngine,
    KillZygote,
    LeaseRenewed,
    LinkClosed,
    Message,
    Observed,
    Publish,
    Send,
    StopAsked,
    ZygoteGone,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import KillCause, Session
from flotilla.engine_sidecar.session.core.final_state import final_state
from flotilla.schemas.session import AccountLease
from flotilla.schemas.states import EngineType, FailureReason, RunState, StopPolicy, TradingMode
from flotilla.schemas.telemetry import Alert, Severity, StateChange
from tests.unit.sidecar.samples import measure, spec

LATEST_END_S = 10.0

UNKEPT = ZygoteReady(1.0, cannot_confine="no lock")
UP_STATES = (RunState.TRADING, RunState.IMPAIRED)
UP: Sequence[Message] = (
    BusFound(),
    ZygoteReady(import_s=1.0),
    Forked(pid=42),
    Phase(RunState.CONNECTING),
    Phase(RunState.RECONCILING),
    Phase(RunState.TRADING),
)


def play(
    messages: Sequence[Message], *, session: Session | None = None, now: float = 0.0
) -> tuple[Session, list[Effect]]:
    state, effects = (session, ()) if session else core.begin(spec(), 0.0)
    found = list(effects)
    for message in messages:
        state, effects = core.decide(state, message, now)
        found += effects
    return state, found


def states(effects: Sequence[Effect]) -> list[RunState]:
    return [e.data.state for e in effects if isinstance(e, Publish) and isinstance(e.data, StateChange)]


def alerts(effects: Sequence[Effect]) -> list[str]:
    return [e.data.code for e in effects if isinstance(e, Publish) and isinstance(e.data, Alert)]


def alive(now: float) -> tuple[Session, list[Effect]]:
    """A trading engine whose loop turned at `now`, checked every 0.2 s since 0."""
    session, _ = play(UP)
    return wait(session, 0.0, now, ticks=True)


def wait(
    session: Session, start: float, end: float, *, ticks: bool, rss: int | None = None
) -> tuple[Session, list[Effect]]:
    effects: list[Effect] = []
    for i in range(1, round((end - start) / 0.2) + 1):
        now = start + i * 0.2
        if ticks:
            session, found = core.decide(session, Tick(loop_age_s=0.0), now)
        session, found = core.decide(session, Checked(rss), now)
        effects += found
    return session, effects


def live() -> Session:
    changes = {"engine_type": EngineType.LIVE, "trading_mode": TradingMode.LIVE, "confirm_live_trading": True}
    return core.begin(spec(**changes), 0.0)[0]


@pytest.mark.parametrize("messages", [(BusFound(), UNKEPT), (UNKEPT, BusFound())], ids=["late", "early"])
def test_live_trading_is_refused_where_nothing_keeps_an_engine_from_its_sidecar(
    messages: Sequence[Message],
) -> None:
    session, effects = play(messages, session=live())
    assert session.is_over
    assert (Conclude() in effects, Fork() in effects) == (True, False)
    found = final_state(session, is_oom=False, log_tail=())
    assert (found.state, found.reason) == (RunState.FAILED, FailureReason.CONFIG)
    assert found.detail == "live trading is refused here: no lock"


def test_elsewhere_it_is_not_and_without_money_neither() -> None:
    assert Fork() in play((BusFound(), UNKEPT))[1]
    assert Fork() in play((BusFound(), ZygoteReady(1.0)), session=live())[1]


def test_a_session_whose_packages_are_nowhere_fails_before_there_is_an_engine() -> None:
    session, effects = play(
        (ZygoteReady(1.0), CannotRun("package mine@1: not here", FailureReason.CONFIG), BusFound())
    )
    assert (Conclude() in effects, Fork() in effects) == (True, False)
    found = final_state(session, is_oom=False, log_tail=())
    assert (found.reason, found.detail) == (FailureReason.CONFIG, "package mine@1: not here")
    assert not play((*UP, CannotRun("too late", FailureReason.CONFIG)))[0].is_over


def test_a_session_whose_packages_did_not_come_in_time_may_be_tried_again() -> None:
    session, _ = play((CannotRun("not within 60 s", FailureReason.HOST),))
    found = final_state(session, is_oom=False, log_tail=())
    assert (found.state, found.reason) == (RunState.FAILED, FailureReason.HOST)


def test_a_session_goes_through_its_states_in_order() -> None:
    session, effects = play([*UP, StopAsked(StopPolicy.CANCEL), Ended(None), Exited(pid=42, exit_code=0)])
    assert states(effects) == [
        RunState.BOOTING,
        RunState.CONNECTING,
        RunState.RECONCILING,
        RunState.TRADING,
        RunState.STOPPING,
    ]
    assert effects[-1] == Conclude()
    assert session.is_over


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_engine_starts_once_the_bus_and_the_zygote_are_there(order: tuple[int, int]) -> None:
    session, effects = play([UP[order[0]]])
    assert Fork() not in effects
    session, effects = play([UP[order[1]]], session=session)
    assert effects == [Fork()]
    assert Fork() not in play([BusFound(), ZygoteReady(0.1)], session=session)[1]


# What an engine says of itself, in the order of its life; what it skips, and what it says again, is no lie.
LIFE = (
    RunState.BOOTING,
    RunState.CONNECTING,
    RunState.RECONCILING,
    RunState.TRADING,
    RunState.STOPPING,
)
CANNOT_BE = [
    (before, said)
    for before in LIFE
    for said in RunState
    if said not in (*LIFE, RunState.MISMATCH)
    or (said in LIFE and LIFE.index(said) < LIFE.index(before))
    or (said == RunState.MISMATCH and before == RunState.STOPPING)
]


def said_last(phase: RunState) -> Session:
    return play([*UP[:3], *map(Phase, LIFE[1 : LIFE.index(phase) + 1])])[0]


DIFFERENT = Phase(RunState.MISMATCH, "A: position of X is 1 at the venue, 0 in the engine")


@pytest.mark.parametrize("before", LIFE[:-1])
def test_what_engine_and_venue_do_not_agree_on_is_a_state_of_its_own(before: RunState) -> None:
    session, effects = play([DIFFERENT], session=said_last(before))
    assert states(effects) == [RunState.MISMATCH]
    assert (session.state, session.problems) == (RunState.MISMATCH, (DIFFERENT.detail,))
    measured, more = play([Observed(measure(not_connected=("A data",)))], session=session)
    assert (measured.state, measured.problems, more) == (RunState.MISMATCH, (DIFFERENT.detail,), [])
    assert play([DIFFERENT], session=session)[1] == []
    other, more = play([Phase(RunState.MISMATCH, "B")], session=session)
    assert (states(more), other.problems) == ([RunState.MISMATCH], ("B",))
    agreed, more = play([Phase(RunState.TRADING)], session=other)
    assert (states(more), agreed.state, agreed.problems) == ([RunState.TRADING], RunState.TRADING, ())


@pytest.mark.parametrize("phase", [RunState.BOOTING, RunState.CONNECTING, RunState.RECONCILING])
def test_what_a_start_waits_for_is_told_whenever_it_changes(phase: RunState) -> None:
    session = said_last(phase)
    for detail, told in (("A: no DNS", 1), ("A: no DNS", 0), ("A: refused", 1), ("", 1)):
        session, effects = play([Phase(phase, detail)], session=session)
        changes = [effect.data for effect in effects if isinstance(effect, Publish)]
        assert [(each.state, each.detail) for each in changes] == [(phase, detail)] * told
    assert session.state is phase


def test_no_time_limit_of_the_start_ends_what_waits_for_a_person() -> None:
    session, _ = play([DIFFERENT], session=said_last(RunState.RECONCILING))
    after, effects = play([Tick(0.0), Checked(engine_rss_bytes=1)], session=session, now=1e6)
    assert (after.state, effects) == (RunState.MISMATCH, [])


@pytest.mark.parametrize(("before", "said"), CANNOT_BE)
def test_a_phase_that_cannot_be_is_refused_and_told_once(before: RunState, said: RunState) -> None:
    session = said_last(before)
    after, effects = play([Phase(said)], session=session, now=5.0)
    assert msgspec.structs.replace(after, refused=session.refused) == session
    (told,) = effects
    assert isinstance(told, Publish)
    assert isinstance(told.data, Alert)
    assert told.data.code == "unexpected_phase"
    assert told.data.severity is Severity.WARNING
    assert (
        told.data.message
        == f"the engine says {said} after {before}, which cannot be: its session stays {before}"
    )
    assert play([Phase(said)] * 3, session=after, now=6.0) == (after, [])
    for following in LIFE[LIFE.index(before) + 1 :]:
        after, effects = play([Phase(following)], session=after, now=7.0)
        assert states(effects) == [following]


@pytest.mark.parametrize("before", LIFE)
def test_an_engine_that_tells_its_life_raises_no_alert(before: RunState) -> None:
    session = said_last(before)
    assert play([Phase(before)] * 3, session=session) == (session, [])
    for said in LIFE[LIFE.index(before) + 1 :]:
        _, effects = play([Phase(said)], session=session)
        assert (states(effects), alerts(effects)) == ([said], [])


@pytest.mark.parametrize("before", LIFE[:-1])
def test_what_an_engine_says_before_it_hears_of_its_stop_changes_nothing_and_is_no_lie(
    before: RunState,
) -> None:
    session, _ = play([StopAsked(StopPolicy.CANCEL)], session=said_last(before))
    late = [Phase(said) for said in LIFE[LIFE.index(before) + 1 :]]
    after, effects = play(late, session=session)
    assert effects == []
    assert msgspec.structs.replace(after, phase=session.phase) == session


def test_an_engine_that_says_again_that_it_trades_is_still_impaired() -> None:
    session, _ = play(
        [Observed(measure(strategies={"A-000": "FAULTED"}))] * 2, session=said_last(RunState.TRADING)
    )
    assert session.state is RunState.IMPAIRED
    assert play([Phase(RunState.TRADING)], session=session) == (session, [])
    session, effects = play([Phase(RunState.CONNECTING)], session=session)
    assert (alerts(effects), session.state) == (["unexpected_phase"], RunState.IMPAIRED)


@given(st.lists(st.sampled_from(RunState), min_size=500, max_size=2_000))
def test_an_engine_that_babbles_does_not_flood_the_record(said: list[RunState]) -> None:
    _, effects = play([*UP[:3], *map(Phase, said)])
    told = [
        effect.data for effect in effects if isinstance(effect, Publish) and isinstance(effect.data, Alert)
    ]
    assert len(told) == len(set(told)) <= len(CANNOT_BE)


@pytest.mark.parametrize("last", [state for state in RunState if state.is_terminal])
def test_a_phase_that_comes_after_the_last_state_is_dropped(last: RunState) -> None:
    session = msgspec.structs.replace(said_last(RunState.TRADING), is_over=True, state=last)
    for said in RunState:
        assert play([Phase(said)], session=session) == (session, [])


def test_stopping_twice_changes_nothing() -> None:
    session, effects = play([*UP, StopAsked(StopPolicy.FLATTEN)], now=5.0)
    assert [e for e in effects if isinstance(e, Send)] == [
        Send(Stop(policy=StopPolicy.FLATTEN, timeout_s=27.0))
    ]
    assert play([StopAsked(StopPolicy.LEAVE)], session=session, now=6.0) == (session, [])


def test_a_stop_before_the_fork_ends_the_session_without_an_engine() -> None:
    session, effects = play([ZygoteReady(1.0), StopAsked(StopPolicy.CANCEL)])
    assert session.is_over
    assert effects[-1] == Conclude()
    assert play([BusFound()], session=session)[1] == []


def test_a_stop_while_the_engine_boots_reaches_it() -> None:
    _, effects = play([*UP[:2], StopAsked(StopPolicy.CANCEL)])
    assert effects[-1] == Send(Stop(policy=StopPolicy.CANCEL, timeout_s=27.0))


def test_an_engine_that_does_not_stop_in_time_is_killed() -> None:
    session, _ = play([*UP, StopAsked(StopPolicy.CANCEL)])
    session, effects = wait(session, 0.0, 30.0, ticks=True)
    assert KillEngine() not in effects
    session, effects = wait(session, 30.0, 31.0, ticks=True)
    assert effects.count(KillEngine()) == 1
    assert session.killed_for is KillCause.STOP


def test_one_that_failed_and_does_not_stop_in_time_has_failed_all_the_same() -> None:
    failing = Phase(RunState.STOPPING, "the node stopped of itself", FailureReason.CRASH)
    session, effects = play([*UP, failing])
    (told,) = [effect.data for effect in effects if isinstance(effect, Publish)][-1:]
    assert (told.state, told.reason, told.detail) == (RunState.STOPPING, failing.reason, failing.detail)
    session, effects = wait(session, 0.0, 60.0, ticks=True)
    assert KillEngine() in effects
    session, _ = play([Exited(pid=42, exit_code=-9)], session=session, now=61.0)
    final = final_state(session, is_oom=False, log_tail=())
    assert (final.state, final.reason) == (RunState.FAILED, FailureReason.CRASH)
    assert final.detail == "the node stopped of itself; then it did not end in time and was killed"


def test_a_kill_without_news_goes_on_to_the_zygote_and_then_waits_for_nobody() -> None:
    session, _ = play([*UP, StopAsked(StopPolicy.CANCEL, timeout_s=1.0)])
    session, effects = wait(session, 0.0, 8.0, ticks=True)
    assert [effect for effect in effects if not isinstance(effect, Publish)] == [
        KillEngine(),
        KillZygote(),
        Conclude(),
    ]
    assert session.is_over


def test_a_zygote_that_is_gone_is_not_killed() -> None:
    session, effects = play([*UP, ZygoteGone(exit_code=1)])
    assert effects[-1] == KillEngine()
    session, effects = wait(session, 0.0, 5.0, ticks=False)
    assert KillZygote() not in effects
    assert session.is_over


def test_a_frozen_engine_is_told_of_once_then_killed() -> None:
    session, _ = alive(10.0)
    session, effects = wait(session, 10.0, 20.0, ticks=False)
    assert alerts(effects) == ["frozen"]
    assert session.is_frozen
    session, effects = wait(session, 20.0, 41.0, ticks=False)
    assert effects.count(KillEngine()) == 1
    assert session.killed_for is KillCause.FROZEN


def test_a_recovered_engine_is_told_of_and_lives() -> None:
    session, _ = alive(10.0)
    session, _ = wait(session, 10.0, 20.0, ticks=False)
    session, effects = wait(session, 20.0, 60.0, ticks=True)
    assert alerts(effects) == ["recovered"]
    assert session.killed_for is None


def test_a_frozen_engine_that_is_asked_to_stop_has_15_s_to_wake_up() -> None:
    session, _ = alive(10.0)
    session, _ = wait(session, 10.0, 30.0, ticks=False)
    session, _ = play([StopAsked(StopPolicy.CANCEL)], session=session, now=30.0)
    session, effects = wait(session, 30.0, 44.9, ticks=False)
    assert KillEngine() not in effects
    session, _ = wait(session, 44.9, 46.0, ticks=False)
    assert session.killed_for is KillCause.STOP


def test_an_engine_that_wakes_up_during_its_stop_has_all_of_its_time() -> None:
    session, _ = alive(10.0)
    session, _ = play([StopAsked(StopPolicy.CANCEL)], session=session, now=10.0)
    session, _ = wait(session, 10.0, 24.0, ticks=False)
    session, effects = wait(session, 24.0, 39.9, ticks=True)
    assert KillEngine() not in effects
    session, effects = wait(session, 39.9, 41.0, ticks=True)
    assert effects.count(KillEngine()) == 1


def test_a_stop_takes_no_longer_than_what_is_left_of_its_time() -> None:
    session, effects = play([*UP, StopAsked(StopPolicy.CANCEL, timeout_s=20.0)], now=5.0)
    assert effects[-1] == Send(Stop(policy=StopPolicy.CANCEL, timeout_s=18.0))
    session, effects = wait(session, 5.0, 24.9, ticks=True)
    assert KillEngine() not in effects
    session, effects = wait(session, 24.9, 26.0, ticks=True)
    assert effects.count(KillEngine()) == 1
    session, _ = play([*UP, StopAsked(StopPolicy.CANCEL, timeout_s=300.0)], now=5.0)
    assert session.stop_until == 35.0


def test_a_stop_at_once_gives_a_frozen_engine_no_more_time_to_wake_up() -> None:
    session, _ = alive(10.0)
    session, _ = play([StopAsked(StopPolicy.CANCEL)], session=session, now=10.0)
    session, _ = wait(session, 10.0, 20.0, ticks=False)
    session, _ = play([EndAsked(30.0)], session=session, now=20.0)
    session, _ = wait(session, 20.0, 26.0, ticks=False)
    assert session.killed_for is KillCause.STOP


def test_a_stop_after_the_engines_last_word_gives_it_no_more_time_to_exit() -> None:
    session, _ = alive(10.0)
    session, _ = play([Ended(None)], session=session, now=10.0)
    session, _ = play([StopAsked(StopPolicy.CANCEL)], session=session, now=11.0)
    session, effects = wait(session, 11.0, 15.5, ticks=True)
    assert effects.count(KillEngine()) == 1


def test_a_slow_boot_is_no_freeze() -> None:
    session, _ = play(UP[:3])
    session, effects = wait(session, 0.0, 50.0, ticks=False)
    assert effects == []
    session, effects = play([Phase(RunState.CONNECTING)], session=session, now=50.0)
    assert wait(session, 50.0, 52.0, ticks=False)[1] == []


@pytest.mark.parametrize(("count", "kill"), [(2, KillZygote()), (3, KillEngine()), (4, KillEngine())])
def test_a_boot_that_takes_too_long_is_killed(count: int, kill: Effect) -> None:
    session, _ = play(UP[:count])
    _, effects = wait(session, 0.0, 60.0, ticks=True)
    assert kill not in effects
    session, effects = wait(session, 60.0, 61.0, ticks=True)
    assert effects == [kill]
    assert session.killed_for is KillCause.BOOT


def test_a_boot_that_gets_on_with_what_was_kept_may_take_longer_and_is_killed_once_it_does_not() -> None:
    session, now = play(UP[:3])[0], 0.0
    for read in range(4):
        session, effects = wait(session, now, now + 50.0, ticks=True)
        assert effects == []
        now += 50.0
        session, effects = play(
            [Phase(RunState.BOOTING, f"has read {read} of 9 orders")], session=session, now=now
        )
        assert states(effects) == [RunState.BOOTING]
    session, effects = wait(session, now, now + 61.0, ticks=True)
    assert effects == [KillEngine()]
    session, _ = play([Exited(pid=42, exit_code=-9)], session=session, now=now + 62.0)
    assert final_state(session, is_oom=False, log_tail=()).detail == (
        "the engine was still being built after 60 s, in which it has read 3 of 9 orders and got no further"
    )


def test_waiting_for_the_bus_has_no_deadline() -> None:
    session, _ = play([ZygoteReady(1.0)])
    assert wait(session, 0.0, 300.0, ticks=False)[1] == []


def test_too_much_memory_is_killed() -> None:
    session, _ = alive(1.0)
    assert wait(session, 1.0, 2.0, ticks=True, rss=512 << 20)[1] == []
    session, effects = wait(session, 2.0, 3.0, ticks=True, rss=(512 << 20) + 1)
    assert effects == [KillEngine()]
    assert session.killed_for is KillCause.MEMORY


def test_an_engine_that_closed_its_link_and_lives_on_is_killed() -> None:
    session, _ = alive(1.0)
    session, _ = play([LinkClosed()], session=session, now=1.0)
    session, effects = wait(session, 1.0, 4.0, ticks=False)
    assert effects == [KillEngine()]
    assert session.killed_for is KillCause.LINK


def test_a_zygote_that_does_not_report_the_end_is_killed_and_the_session_concludes_all_the_same() -> None:
    session, _ = alive(1.0)
    session, _ = play([LinkClosed()], session=session, now=1.0)
    session, effects = wait(session, 1.0, 6.0, ticks=False)
    assert effects == [KillEngine(), KillZygote()]
    session, effects = play([ZygoteGone(-9)], session=session, now=6.0)
    assert effects == [KillEngine()]
    session, effects = play([Exited(pid=42, exit_code=3)], session=session, now=6.1)
    assert effects == [Conclude()]
    assert session.exit_code == 3


def test_an_exit_that_nobody_reports_is_given_up_on() -> None:
    session, _ = alive(1.0)
    session, _ = play([LinkClosed(), ZygoteGone(-9)], session=session, now=1.0)
    session, effects = wait(session, 1.0, 20.0, ticks=False)
    assert effects == [KillEngine(), Conclude()]
    assert session.exit_code is None


def test_a_zygote_whose_end_nobody_reports_is_killed_once_and_then_given_up_on() -> None:
    session, _ = alive(1.0)
    session, _ = play([LinkClosed()], session=session, now=1.0)
    session, effects = wait(session, 1.0, 20.0, ticks=False)
    assert effects == [KillEngine(), KillZygote(), Conclude()]
    assert session.is_over


def test_a_zygote_that_dies_takes_its_engine_along() -> None:
    session, _ = alive(1.0)
    _, effects = play([ZygoteGone(1)], session=session, now=1.0)
    assert effects == [KillEngine()]


def test_a_zygote_that_dies_without_an_engine_ends_the_session() -> None:
    assert play([BusFound(), ZygoteGone(1)])[1][-1] == Conclude()


def test_an_engine_that_said_its_last_word_and_does_not_exit_is_killed() -> None:
    session, _ = alive(1.0)
    session, _ = play([Ended(FailureReason.STRATEGY, "boom")], session=session, now=1.0)
    session, effects = wait(session, 1.0, 7.0, ticks=False)
    assert effects == [KillEngine()]


def test_what_the_engine_said_before_its_end_still_counts_after_it() -> None:
    session, _ = play([*UP, Exited(pid=42, exit_code=1)])
    session, effects = play([Ended(FailureReason.VENUE)], session=session)
    assert session.ended == Ended(FailureReason.VENUE)
    assert effects == []


_MESSAGES = st.one_of(
    st.sampled_from(
        [
            *UP,
            LinkClosed(),
            LinkClosed("boom"),
            ZygoteGone(1),
            ZygoteGone(-9),
            CannotRun("why", FailureReason.CONFIG),
        ]
    ),
    st.builds(Tick, st.floats(0, 100)),
    st.builds(Phase, st.sampled_from(RunState)),
    st.builds(Ended, st.sampled_from([None, *FailureReason])),
    st.builds(Exited, st.just(42), st.sampled_from([0, 1, -9, -11])),
    st.builds(StopAsked, st.sampled_from(StopPolicy)),
    st.builds(EndAsked, st.floats(0.1, 30)),
    st.builds(LeaseRenewed, st.integers(1, 3), st.floats(0.1, 30)),
    st.builds(AtRest, st.just("A-000"), st.booleans()),
    st.sampled_from([Observed(measure(strategies={"A-000": state})) for state in ("RUNNING", "FAULTED")]),
    st.builds(Checked, st.one_of(st.none(), st.integers(0, 1 << 30))),
)


@given(st.lists(st.tuples(_MESSAGES, st.floats(0, 20)), max_size=60))
def test_whatever_happens_a_session_only_moves_forward_and_concludes_once(
    walk: list[tuple[Message, float]],
) -> None:
    order = list(RunState)
    session, effects = core.begin(spec(lease=AccountLease(token=2, ttl_s=20.0)), 0.0)
    found, now = list(effects), 0.0
    for message, gap in walk:
        now += gap
        session, effects = core.decide(session, message, now)
        found += effects
    # Between trading, impaired and mismatch it may go to and fro, as long as it is up.
    up = (*UP_STATES, RunState.MISMATCH)
    told = [order.index(RunState.TRADING if state in up else state) for state in states(found)]
    assert told == sorted(told)
    assert all(a != b or a == order.index(RunState.TRADING) for a, b in pairwise(told))
    assert found.count(Fork()) <= 1
    assert found.count(Conclude()) <= 1
    assert (Conclude() in found) == session.is_over


@given(st.lists(st.tuples(_MESSAGES, st.floats(0, 20)), max_size=30), st.floats(0.1, 30))
def test_once_it_is_to_end_now_it_has_ended_soon_after_the_deadline(
    walk: list[tuple[Message, float]], deadline_s: float
) -> None:
    session, now = core.begin(spec(), 0.0)[0], 0.0
    for message, gap in walk:
        now += gap
        session, _ = core.decide(session, message, now)
    session, _ = core.decide(session, EndAsked(deadline_s), now)
    session, _ = wait(session, now, now + deadline_s + LATEST_END_S - 1, ticks=False)
    assert session.is_over


@given(st.lists(st.tuples(_MESSAGES, st.floats(0, 20)), max_size=30))
def test_once_a_stop_was_asked_the_session_ends_within_its_deadline(
    walk: list[tuple[Message, float]],
) -> None:
    session, now = core.begin(spec(), 0.0)[0], 0.0
    for message, gap in walk:
        now += gap
        session, _ = core.decide(session, message, now)
    session, _ = core.decide(session, StopAsked(StopPolicy.CANCEL), now)
    session, _ = wait(session, now, now + 45.0, ticks=False)
    assert session.is_over
