"""Engines that say they trade and do not."""

import pytest

from engine_sidecar.core import session as core
from engine_sidecar.core.facts import Session
from engine_sidecar.core.messages import AtRest, BusFound, Effect, Message, Observed, Publish, ZygoteReady
from engine_sidecar.core.problems import problems
from engine_sidecar.link import Forked, Phase
from schemas.states import RunState
from schemas.telemetry import Alert, EngineMetrics, FeedProgress
from tests.unit.sidecar.samples import measure, spec


def feed(**figures: object) -> EngineMetrics:
    return measure(feeds=(FeedProgress(venue="SIM", events=3, **figures),))  # type: ignore[arg-type]


SICK = measure(strategies={"A-000": "FAULTED"})
WELL = measure(strategies={"A-000": "RUNNING"})


@pytest.mark.parametrize(
    ("metrics", "found"),
    [
        (WELL, ()),
        (measure(strategies={"A-000": "STARTING"}), ()),
        (SICK, ("strategy A-000 is FAULTED",)),
        (measure(strategies={"B-000": "STOPPED"}), ()),
        (measure(not_connected=("SIM data",)), ("SIM data is not connected",)),
        (feed(age_s=9.9), ()),
        (feed(age_s=10.1), ("feed SIM has been silent for more than 10 s",)),
        (feed(age_s=99.0, is_finished=True), ()),
        (feed(), ()),
    ],
)
def test_each_problem_has_its_words(metrics: EngineMetrics, found: tuple[str, ...]) -> None:
    assert problems(metrics, stale_feed_after_s=10.0, at_rest={"B-000"}) == found


def test_a_feed_is_never_stale_where_nobody_said_when() -> None:
    assert problems(feed(age_s=1e6), stale_feed_after_s=None) == ()


def play(*messages: Message) -> tuple[Session, list[Effect]]:
    session, _ = core.begin(spec(), 0.0)
    up = (BusFound(), ZygoteReady(1.0), Forked(42), Phase(RunState.CONNECTING))
    found: list[Effect] = []
    for message in (*up, *messages):
        session, effects = core.decide(session, message, 0.0)
        found += effects
    return session, found


def codes(effects: list[Effect]) -> list[str]:
    alerts = (effect.data for effect in effects if isinstance(effect, Publish))
    return [alert.code for alert in alerts if isinstance(alert, Alert)]


TRADING = Phase(RunState.TRADING)


def test_what_lasts_is_told_once_and_so_is_its_end() -> None:
    session, effects = play(TRADING, Observed(SICK), Observed(SICK), Observed(SICK))
    assert session.problems == ("strategy A-000 is FAULTED",)
    assert codes(effects) == ["not_trading"]
    session, effects = play(TRADING, Observed(SICK), Observed(SICK), Observed(WELL), Observed(WELL))
    assert session.problems == ()
    assert codes(effects) == ["not_trading", "trading_again"]


def test_a_second_problem_beside_the_first_is_told_too() -> None:
    both = measure(strategies={"A-000": "FAULTED"}, not_connected=("SIM data",))
    _, effects = play(TRADING, Observed(SICK), Observed(SICK), Observed(both), Observed(both))
    assert codes(effects) == ["not_trading", "not_trading"]


def test_a_moments_problem_is_none() -> None:
    assert codes(play(TRADING, Observed(SICK), Observed(WELL), Observed(SICK), Observed(WELL))[1]) == []


def test_an_engine_that_does_not_say_it_trades_has_none() -> None:
    session, effects = play(Observed(SICK), Observed(SICK))
    assert (session.problems, codes(effects)) == ((), [])


def test_a_strategy_that_somebody_stopped_is_none_until_it_is_started_again() -> None:
    rests = play(TRADING, AtRest("A-000", True), Observed(SICK), Observed(SICK))
    assert codes(rests[1]) == []
    again = play(TRADING, AtRest("A-000", True), AtRest("A-000", False), Observed(SICK), Observed(SICK))
    assert codes(again[1]) == ["not_trading"]
