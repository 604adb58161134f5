"""The lease: an engine without it reduces, then stops; a renewal in between sets it free."""

import pytest

from flotilla.engine_sidecar.link.frames import EndNow, Forked, GoOn, HoldLease, Phase, Reduce, Stop, Tick
from flotilla.engine_sidecar.link.messages import (
    BusFound,
    Checked,
    Effect,
    EndAsked,
    Fork,
    LeaseRenewed,
    Publish,
    Send,
    StopAsked,
    ZygoteReady,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.schemas.session import AccountLease
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import Alert
from tests.unit.sidecar.samples import spec


def begin(ttl_s: float = 120.0) -> Session:
    session, _ = core.begin(spec(lease=AccountLease(token=7, ttl_s=ttl_s)), 0.0)
    for message in (
        BusFound(),
        ZygoteReady(1.0),
        Forked(42),
        Phase(RunState.CONNECTING),
        Phase(RunState.TRADING),
    ):
        session, _ = core.decide(session, message, 0.0)
    return session


def pass_time(session: Session, start: float, end: float) -> tuple[Session, list[tuple[float, Effect]]]:
    """Checks every half second, with a loop that turns; effects with their times."""
    found: list[tuple[float, Effect]] = []
    for step in range(round((end - start) * 2)):
        now = start + (step + 1) / 2
        for message in (Tick(0.0), Checked()):
            session, effects = core.decide(session, message, now)
            found += [(now, effect) for effect in effects]
    return session, found


def sent(found: list[tuple[float, Effect]]) -> list[tuple[float, object]]:
    return [(at, effect.message) for at, effect in found if isinstance(effect, Send)]


def codes(found: list[tuple[float, Effect]]) -> list[str]:
    alerts = (effect.data for _, effect in found if isinstance(effect, Publish))
    return [alert.code for alert in alerts if isinstance(alert, Alert)]


@pytest.mark.parametrize(("ttl_s", "stop_at"), [(120.0, 180.5), (20.0, 30.5), (600.0, 660.5)])
def test_a_lease_that_nobody_renews_has_the_engine_reduce_and_then_stop(ttl_s: float, stop_at: float) -> None:
    session, found = pass_time(begin(ttl_s), 0.0, stop_at + 5)
    stop = Stop(policy=StopPolicy.CANCEL, timeout_s=27.0)
    assert sent(found) == [(ttl_s + 0.5, Reduce()), (stop_at, stop)]
    assert codes(found) == ["lease_lost"]
    assert session.stop_cause == "the lease on its accounts was not renewed"


def test_a_renewal_in_between_sets_the_engine_free() -> None:
    session, _ = pass_time(begin(20.0), 0.0, 25.0)
    session, effects = core.decide(session, LeaseRenewed(7, 20.0), 25.0)
    assert [effect.message for effect in effects if isinstance(effect, Send)] == [
        HoldLease(45.0),
        GoOn(),
    ]
    assert codes([(25.0, effect) for effect in effects]) == ["lease_regained"]
    session, found = pass_time(session, 25.0, 45.0)
    assert found == []
    assert sent(pass_time(session, 45.0, 46.0)[1]) == [(45.5, Reduce())]


def test_one_that_is_renewed_in_time_is_never_heard_of() -> None:
    session, now = begin(20.0), 0.0
    for _ in range(20):
        session, found = pass_time(session, now, now + 5)
        assert found == []
        now += 5
        session, effects = core.decide(session, LeaseRenewed(8, 20.0), now)
        assert effects == (Send(HoldLease(now + 20.0)),)
    assert session.lease is not None
    assert (session.lease.token, session.lease.left_s(now)) == (8, 20.0)


def test_an_older_holders_renewal_changes_nothing() -> None:
    session = begin(20.0)
    assert core.decide(session, LeaseRenewed(6, 500.0), 10.0) == (session, ())


def test_an_older_holders_renewal_does_not_set_a_reduced_engine_free() -> None:
    session, _ = pass_time(begin(20.0), 0.0, 25.0)
    assert session.lease is not None
    assert session.lease.is_lost
    assert core.decide(session, LeaseRenewed(6, 500.0), 25.0) == (session, ())


def test_a_renewal_counts_from_the_heartbeat_that_it_answers() -> None:
    session, effects = core.decide(begin(20.0), LeaseRenewed(7, 20.0, as_of_s=8.0), 11.0)
    assert effects == (Send(HoldLease(28.0)),)
    assert session.lease is not None
    assert session.lease.until == 28.0


def test_a_renewal_that_was_under_way_for_too_long_does_not_set_a_reduced_engine_free() -> None:
    session, _ = pass_time(begin(20.0), 0.0, 25.0)
    assert core.decide(session, LeaseRenewed(7, 20.0, as_of_s=5.0), 25.0) == (session, ())


def test_a_renewal_that_comes_late_takes_nothing_back() -> None:
    session, _ = core.decide(begin(20.0), LeaseRenewed(7, 20.0, as_of_s=15.0), 15.0)
    session, _ = core.decide(session, LeaseRenewed(7, 20.0, as_of_s=3.0), 16.0)
    assert session.lease is not None
    assert session.lease.until == 35.0


def test_a_renewal_of_the_future_counts_from_now() -> None:
    session, _ = core.decide(begin(20.0), LeaseRenewed(7, 20.0, as_of_s=1e9), 11.0)
    assert session.lease is not None
    assert session.lease.until == 31.0


def test_a_lease_that_was_lost_before_the_fork_has_the_engine_begin_reduced() -> None:
    session, _ = core.begin(spec(lease=AccountLease(token=7, ttl_s=10.0)), 0.0)
    session, _ = pass_time(session, 0.0, 12.0)
    for message in (BusFound(), ZygoteReady(1.0)):
        session, effects = core.decide(session, message, 12.0)
    assert effects == (Fork(), Send(Reduce()))


def test_an_engine_that_stops_has_no_more_to_fear_of_its_lease() -> None:
    session, _ = core.decide(begin(20.0), StopAsked(StopPolicy.LEAVE), 15.0)
    assert pass_time(session, 15.0, 40.0)[1] == []


def test_ending_now_takes_the_earlier_deadline_and_is_handed_on_whatever_is_under_way() -> None:
    session, _ = core.decide(begin(), StopAsked(StopPolicy.LEAVE), 10.0)
    session, effects = core.decide(session, EndAsked(10.0), 12.0)
    assert effects == (Send(EndNow(timeout_s=9.0)),)
    assert session.stop_until == 22.0
    session, effects = core.decide(session, EndAsked(60.0), 13.0)
    assert session.stop_until == 22.0
    assert effects == (Send(EndNow(timeout_s=pytest.approx(8.1))),)
