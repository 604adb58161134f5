"""Engines that say they trade and do not."""

import pytest

from flotilla.engine_sidecar.link.frames import Forked, Phase
from flotilla.engine_sidecar.link.messages import (
    AtRest,
    BusFound,
    Effect,
    Message,
    Observed,
    Publish,
    ZygoteReady,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.core.trading import notes, problems
from flotilla.schemas.states import RunState, TradingMode
from flotilla.schemas.telemetry import Alert, EngineMetrics, FeedProgress, QuietData, Severity, StateChange
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
        (
            measure(not_loaded=("strategy A-000 names X.SIM, which is not loaded",)),
            ("strategy A-000 names X.SIM, which is not loaded",),
        ),
        (feed(age_s=99.0, is_finished=True), ("the replay of SIM is through: no more data comes",)),
        (feed(not_there=("Bar of X",)), ("the replay of SIM has no Bar of X",)),
        (feed(), ()),
    ],
)
def test_each_problem_has_its_words(metrics: EngineMetrics, found: tuple[str, ...]) -> None:
    assert problems(metrics, stale_feed_after_s=10.0, at_rest={"B-000"}) == found


# What is subscribed, how long it has been quiet, how far apart its data is, whether its market is open, and the limit that was
# given: what is wrong, and what can only be said.
QUIET = [
    (10.1, 0.0, None, 10.0, "no trades of X for more than 10 s", None),
    (9.9, 0.0, None, 10.0, None, None),
    (10.1, 0.0, True, 10.0, "no trades of X for more than 10 s", None),
    (1e6, 0.0, False, 10.0, None, None),
    (1e6, 60.0, False, None, None, None),
    (69.9, 60.0, None, 10.0, None, None),
    (70.1, 60.0, None, 10.0, "no trades of X for more than 70 s", None),
    (90.1, 60.0, True, None, "no trades of X for more than 90 s", None),
    (89.9, 60.0, True, None, None, None),
    (90.1, 60.0, None, None, None, "no trades of X for 90 s"),
    (29.9, 0.0, None, None, None, None),
    (31.0, 0.0, None, None, None, "no trades of X for 31 s"),
    (31.0, 0.0, True, None, None, "no trades of X for 31 s"),
]


@pytest.mark.parametrize(("age_s", "interval_s", "is_open", "limit_s", "problem", "note"), QUIET)
def test_data_that_is_due_is_missed_and_of_what_may_be_the_time_is_told(
    age_s: float,
    interval_s: float,
    is_open: bool | None,
    limit_s: float | None,
    problem: str | None,
    note: str | None,
) -> None:
    quiet = QuietData(what="trades of X", age_s=age_s, interval_s=interval_s, is_market_open=is_open)
    metrics = feed(quiet=(quiet,))
    assert problems(metrics, stale_feed_after_s=limit_s) == ((problem,) if problem else ())
    assert notes(metrics, stale_feed_after_s=limit_s) == ((note,) if note else ())


def test_a_replay_between_two_bars_is_not_quiet() -> None:
    waiting = feed(age_s=1e6, total=5)
    assert problems(waiting, stale_feed_after_s=1.0) == notes(waiting, stale_feed_after_s=1.0) == ()


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
    assert codes(effects) == ["impaired"]
    session, effects = play(TRADING, Observed(SICK), Observed(SICK), Observed(WELL), Observed(WELL))
    assert session.problems == ()
    assert codes(effects) == ["impaired", "trading_again"]


def test_a_second_problem_beside_the_first_is_told_too() -> None:
    both = measure(strategies={"A-000": "FAULTED"}, not_connected=("SIM data",))
    _, effects = play(TRADING, Observed(SICK), Observed(SICK), Observed(both), Observed(both))
    assert codes(effects) == ["impaired", "impaired"]


def alarms(*spells: tuple[float, bool]) -> list[tuple[float, str, str]]:
    """The alerts of an engine that at these seconds is measured, twice each time, to be well or not."""
    session, _ = core.begin(spec(), 0.0)
    for message in (BusFound(), ZygoteReady(1.0), Forked(42), Phase(RunState.CONNECTING), TRADING):
        session, _ = core.decide(session, message, 0.0)
    told = []
    for at, is_well in spells:
        for _ in range(2):
            session, effects = core.decide(session, Observed(WELL if is_well else SICK), at)
            found = [each.data for each in effects if isinstance(each, Publish)]
            told += [(at, each.code, each.message) for each in found if isinstance(each, Alert)]
    return told


FAULTED = "strategy A-000 is FAULTED"


def test_one_that_is_impaired_again_and_again_tells_it_twice_and_is_well_when_it_has_been_for_a_while() -> (
    None
):
    flapping = [(16.0 * number, number % 2 == 0) for number in range(1, 41)]
    told = alarms(*flapping, (939.0, True), (941.0, True), (1300.0, True))
    assert told == [
        (16.0, "impaired", FAULTED),
        (32.0, "trading_again", f"no longer so: {FAULTED}"),
        (48.0, "impaired", f"again within 300 s, 2 times by now: {FAULTED}"),
        (941.0, "trading_again", f"no longer so for 300 s, after 20 times: {FAULTED}"),
    ]


def test_one_that_is_impaired_again_long_after_is_told_as_the_first_time() -> None:
    told = alarms((10.0, False), (20.0, True), (320.0, False), (330.0, True))
    assert [(at, code) for at, code, _ in told] == [
        (10.0, "impaired"),
        (20.0, "trading_again"),
        (320.0, "impaired"),
        (330.0, "trading_again"),
    ]
    assert told[2][2] == FAULTED


def test_what_is_new_is_told_at_once_however_often_it_was_impaired() -> None:
    both = measure(strategies={"A-000": "FAULTED"}, not_connected=("SIM data",))
    walk = (SICK, SICK, WELL, SICK, SICK, WELL, SICK, SICK, both, both)
    _, effects = play(TRADING, *(Observed(metrics) for metrics in walk))
    assert codes(effects) == ["impaired", "trading_again", "impaired", "impaired"]
    last = [each.data for each in effects if isinstance(each, Publish) and isinstance(each.data, Alert)][-1]
    assert last.message == "SIM data is not connected"


def test_a_moments_problem_is_none() -> None:
    assert codes(play(TRADING, Observed(SICK), Observed(WELL), Observed(SICK), Observed(WELL))[1]) == []


def states(effects: list[Effect]) -> list[tuple[str, str]]:
    said = (effect.data for effect in effects if isinstance(effect, Publish))
    return [(change.state.value, change.detail) for change in said if isinstance(change, StateChange)]


def test_what_lasts_impairs_the_engine_until_it_is_gone() -> None:
    both = measure(strategies={"A-000": "FAULTED"}, not_connected=("SIM data",))
    walk = (WELL, SICK, SICK, both, both, SICK, WELL)
    _, effects = play(TRADING, *(Observed(metrics) for metrics in walk))
    assert states(effects)[1:] == [
        ("trading", ""),
        ("impaired", "strategy A-000 is FAULTED"),
        ("impaired", "strategy A-000 is FAULTED; SIM data is not connected"),
        ("impaired", "strategy A-000 is FAULTED"),
        ("trading", ""),
    ]


def test_an_engine_that_has_a_problem_when_its_start_is_done_never_says_that_it_trades() -> None:
    session, effects = play(Observed(SICK), TRADING)
    assert states(effects)[1:] == [("impaired", "strategy A-000 is FAULTED")]
    assert session.problems == ("strategy A-000 is FAULTED",)
    assert codes(effects) == ["impaired"]
    assert states(play(Observed(SICK), Observed(WELL), TRADING)[1])[1:] == [("trading", "")]


@pytest.mark.parametrize(("mode", "severity"), [("paper", "warning"), ("live", "critical")])
def test_an_impaired_engine_is_critical_where_it_trades_money(mode: str, severity: str) -> None:
    session, _ = core.begin(spec(trading_mode=TradingMode(mode)), 0.0)
    told: list[Effect] = []
    for message in (BusFound(), ZygoteReady(1.0), Forked(42), Observed(SICK), TRADING):
        session, effects = core.decide(session, message, 0.0)
        told += effects
    alerts = [each.data for each in told if isinstance(each, Publish) and isinstance(each.data, Alert)]
    assert [each.severity for each in alerts] == [Severity(severity)]


def test_an_engine_that_does_not_say_it_trades_has_none() -> None:
    session, effects = play(Observed(SICK), Observed(SICK))
    assert (session.problems, codes(effects)) == ((), [])


def test_a_strategy_that_somebody_stopped_is_none_until_it_is_started_again() -> None:
    rests = play(TRADING, AtRest("A-000", True), Observed(SICK), Observed(SICK))
    assert codes(rests[1]) == []
    again = play(TRADING, AtRest("A-000", True), AtRest("A-000", False), Observed(SICK), Observed(SICK))
    assert codes(again[1]) == ["impaired"]
