"""Loss limits as the sidecar watches them: what is reached, what follows, what lifts it, and what is not known."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from flotilla.engine_sidecar.link.frames import BrakeTaken, CutLosses, Forked, Phase, PutBrake, Stop
from flotilla.engine_sidecar.link.messages import (
    BrakeAsked,
    BusFound,
    Effect,
    Message,
    Observed,
    Publish,
    Send,
    ZygoteReady,
)
from flotilla.engine_sidecar.session.core import session as core
from flotilla.engine_sidecar.session.core.facts import Session
from flotilla.engine_sidecar.session.core.losses import AGAIN_S, judged
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.loss_limits import NOTHING_KEPT, KeptLosses, LossLimits
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.telemetry import Alert, MarkedEquity
from tests.unit.schemas.losses import MONDAY, kept, limit, limits, mark, trip
from tests.unit.sidecar.samples import measure, spec

UP = (BusFound(), ZygoteReady(1.0), Forked(42), Phase(RunState.CONNECTING), Phase(RunState.TRADING))
FLATTENED = EngineBrake(brake=Brake.HALTED, number=1, since=MONDAY, by="limit")
CUT = Send(CutLosses(StopPolicy.FLATTEN, 25.0))


def seen(equity: str | None, *, after: timedelta = timedelta(), **figures: Any) -> Observed:
    """A measure with that equity; without one where it is not known."""
    amount = Decimal(equity) if equity is not None else None
    unknown = () if equity is not None else ("no price of X.SIM",)
    told = measure(
        equity=MarkedEquity(currency="USD", amount=amount, unknown=unknown),
        **{"positions_open": 1, "orders_open": 0} | figures,
    )
    at_ns = int((MONDAY + after).timestamp() * 1e9)
    return Observed(type(told)(**{f: getattr(told, f) for f in told.__struct_fields__} | {"at_ns": at_ns}))


def engine(given: LossLimits | None = None, **facts: Any) -> Session:
    """One that trades."""
    return fed(core.begin(spec(loss_limits=given or limits(), **facts), 0.0)[0], *UP)[0]


def fed(session: Session, *messages: Message, now: float = 0.0) -> tuple[Session, list[Effect]]:
    found: list[Effect] = []
    for message in messages:
        session, effects = core.decide(session, message, now)
        found += effects
    return session, found


def sent(effects: list[Effect]) -> list[object]:
    return [effect.message for effect in effects if isinstance(effect, Send)]


def alerts(effects: list[Effect]) -> Iterator[Alert]:
    for effect in effects:
        if isinstance(effect, Publish) and isinstance(effect.data, Alert):
            yield effect.data


def test_a_days_loss_halts_closes_and_is_told_with_equity_and_what_it_counts_from() -> None:
    session, effects = fed(engine(), seen("1000"), seen("900.01"))
    assert (sent(effects), session.losses.tripped) == ([], ())
    session, effects = fed(session, seen("900"))
    assert sent(effects) == [PutBrake(FLATTENED), CutLosses(StopPolicy.FLATTEN, 25.0)]
    (told,) = alerts(effects)
    assert (told.code, told.severity) == ("loss_limit", "critical")
    assert told.message.startswith(
        "day 100 (flatten): 100 USD lost at an equity of 900 USD, counted from 1000"
    )
    (held,) = session.losses.tripped
    assert (held.equity, held.lost, held.at, held.brake) == (Decimal(900), Decimal(100), MONDAY, 1)
    session, effects = fed(session, BrakeTaken(FLATTENED))
    assert (session.state, session.problems) == (RunState.IMPAIRED, ("halted by limit",))


def test_what_is_won_back_lifts_nothing_and_nothing_is_told_twice() -> None:
    session, _ = fed(engine(), seen("1000"), seen("900"))
    session, effects = fed(session, seen("1500", positions_open=0), seen("800", positions_open=0))
    assert effects == []
    assert (session.brake, len(session.losses.tripped)) == (FLATTENED, 1)


def test_a_share_is_of_what_the_loss_counts_from_and_a_drawdown_counts_from_the_highest() -> None:
    given = limits(limit(at="2%", action="reduce"), limit("drawdown", "10%", "flatten"))
    session, effects = fed(engine(given), seen("1000"), seen("1100"), seen("990.01"))
    assert sent(effects) == []
    session, effects = fed(session, seen("990"))
    assert [each.limit.measure for each in session.losses.tripped] == ["drawdown"]
    session, effects = fed(session, seen("980"))
    assert [each.limit.measure for each in session.losses.tripped] == ["drawdown", "day"]
    assert session.brake.brake == Brake.HALTED, "the narrower brake stays"


def test_an_account_without_anything_has_lost_every_share() -> None:
    given = limits(limit(at="2%"))
    assert judged(given, NOTHING_KEPT, mark("-1")).reached
    assert not judged(limits(limit(at="2")), NOTHING_KEPT, mark("-1")).reached


def test_reduce_lets_only_reduce_and_cancels_what_could_open_once() -> None:
    session, effects = fed(engine(limits(limit(action="reduce"))), seen("1000"), seen("900", orders_open=2))
    reduced = EngineBrake(brake=Brake.REDUCED, number=1, since=MONDAY, by="limit")
    assert sent(effects) == [PutBrake(reduced), CutLosses(StopPolicy.CANCEL, 25.0)]
    _, effects = fed(session, seen("890", orders_open=1), now=100.0)
    assert sent(effects) == []


def test_an_alert_tells_and_does_nothing() -> None:
    session, effects = fed(engine(limits(limit(action="alert"))), seen("1000"), seen("900", orders_open=2))
    assert (sent(effects), [each.code for each in alerts(effects)]) == ([], ["loss_limit"])
    assert not session.brake.is_on


def test_a_stop_closes_and_ends_the_session_and_the_next_one_is_looked_at_halted() -> None:
    given = limits(limit(action="stop"))
    session, effects = fed(engine(given), seen("1000"), seen("900"))
    assert sent(effects) == [PutBrake(FLATTENED), Stop(StopPolicy.FLATTEN, 27.0)]
    assert (session.state, session.stop_cause) == (RunState.STOPPING, "loss limit day 100 (stop)")
    session, effects = fed(engine(given, losses=session.losses, brake=session.brake), seen("900"))
    assert sent(effects) == [CutLosses(StopPolicy.FLATTEN, 25.0)]
    assert session.state == RunState.IMPAIRED


def test_what_stays_open_is_closed_again_and_a_restart_does_too() -> None:
    session, _ = fed(engine(), seen("1000"), seen("900"))
    assert fed(session, seen("900"), now=25.0 + AGAIN_S - 0.1)[1] == []
    assert fed(session, seen("900"), now=25.0 + AGAIN_S)[1] == [CUT]
    again = engine(losses=session.losses, brake=session.brake)
    assert CUT in fed(again, seen("950"))[1]


def test_a_restart_keeps_where_the_day_counts_from_and_the_highest() -> None:
    session, _ = fed(engine(), seen("1000"), seen("1050"), seen("960"))
    session, effects = fed(engine(losses=session.losses), seen("949"))
    assert (session.losses.counted_from, session.losses.peak) == (mark("1000"), mark("1050"))
    session, effects = fed(session, seen("900"))
    assert CUT in effects


def test_while_engine_and_venue_do_not_agree_it_is_halted_and_nothing_is_closed_yet() -> None:
    session, effects = fed(engine(), seen("1000"), Phase(RunState.MISMATCH, "more at the venue"), seen("900"))
    assert sent(effects) == [PutBrake(FLATTENED)]
    assert next(a for a in alerts(effects) if a.code == "loss_limit").message.endswith(
        "once engine and venue agree"
    )
    assert CUT in fed(session, Phase(RunState.TRADING), seen("900"))[1]


@pytest.mark.parametrize("until", ["resume", "next_day"])
def test_the_next_day_counts_anew_and_lifts_only_what_is_to_end_with_it(until: str) -> None:
    given = limits(limit(until=until), timezone="America/New_York", rollover="17:00")
    session, _ = fed(engine(given), seen("1000"), seen("900"))
    early, effects = fed(session, seen("890", after=timedelta(hours=6, minutes=59), positions_open=0))
    assert (early.brake, sent(effects)) == (FLATTENED, [])
    later, effects = fed(session, seen("890", after=timedelta(hours=7), positions_open=0))
    assert later.losses.counted_from is not None
    assert later.losses.counted_from.equity == 890
    is_lifted = until == "next_day"
    assert later.brake.is_on is not is_lifted
    assert bool(later.losses.tripped) is not is_lifted
    assert [each.code for each in alerts(effects)] == (["loss_limit_lifted"] if is_lifted else [])


def test_a_new_day_does_not_lift_what_a_person_put_on_since() -> None:
    session, _ = fed(engine(limits(limit(until="next_day"))), seen("1000"), seen("900"))
    by_alice = EngineBrake(brake=Brake.HALTED, number=2, by="alice")
    session, _ = fed(session, BrakeAsked(by_alice), seen("900", after=timedelta(days=1), positions_open=0))
    assert (session.brake, session.losses.tripped) == (by_alice, ())


def test_what_a_person_halts_that_a_limit_halted_is_closed_on() -> None:
    session, _ = fed(engine(limits(limit(until="next_day"))), seen("1000"), seen("900"))
    by_alice = EngineBrake(brake=Brake.HALTED, number=2, by="alice")
    session, effects = fed(session, BrakeAsked(by_alice), seen("900"), now=100.0)
    assert sent(effects) == [PutBrake(by_alice), CutLosses(StopPolicy.FLATTEN, 25.0)]


def test_a_clock_that_is_set_back_begins_no_day() -> None:
    before = kept("1000")
    assert judged(limits(), before, mark("990", MONDAY - timedelta(days=1))).kept.counted_from == mark("1000")


def test_a_person_lifts_it_and_the_loss_counts_anew_from_the_next_mark() -> None:
    session, _ = fed(engine(), seen("1000"), seen("900"))
    free = EngineBrake(number=2, by="alice")
    session, effects = fed(session, BrakeAsked(free))
    assert sent(effects) == [PutBrake(free)]
    assert [each.message for each in alerts(effects)] == [
        "day 100 (flatten): lifted by alice; it counts anew from the next mark"
    ]
    session, effects = fed(session, seen("890"), seen("790.01"))
    assert (sent(effects), session.losses.counted_from) == ([], mark("890"))
    assert CUT in fed(session, seen("790"))[1]


def test_what_a_person_does_with_the_brake_since_is_theirs_to_decide() -> None:
    session, _ = fed(engine(), seen("1000"), seen("900"))
    reduced = EngineBrake(brake=Brake.REDUCED, number=2, by="alice")
    session, effects = fed(session, BrakeAsked(reduced), seen("800"), now=100.0)
    assert sent(effects) == [PutBrake(reduced)]


def test_unknown_equity_is_said_reaches_nothing_and_moves_nothing() -> None:
    session, effects = fed(engine(), seen("1000"), seen(None))
    assert (session.unmarked, session.mark, sent(effects)) == (("no price of X.SIM",), mark("1000"), [])
    assert session.state == RunState.TRADING
    session, effects = fed(session, seen(None))
    assert session.problems == ("the loss limits are not watched: no price of X.SIM",)
    assert (session.state, [each.code for each in alerts(effects)]) == (RunState.IMPAIRED, ["impaired"])
    session, effects = fed(session, seen("900"))
    assert CUT in effects
    assert session.unmarked == ()


def test_nothing_is_judged_before_the_start_is_done() -> None:
    session = fed(core.begin(spec(loss_limits=limits(), losses=kept("1000")), 0.0)[0], *UP[:-1])[0]
    session, effects = fed(session, seen("1"))
    assert (effects, session.mark) == ([], None)


def test_equity_in_another_currency_counts_anew_and_lifts_nothing() -> None:
    before = kept("1000", peak="1100", tripped=(trip("day", "100", "flatten"),))
    after = judged(limits(currency="EUR"), before, mark("500")).kept
    assert (after.currency, after.counted_from, after.peak) == ("EUR", mark("500"), mark("500"))
    assert after.tripped == before.tripped


def test_an_engine_without_limits_has_no_losses() -> None:
    session = fed(core.begin(spec(), 0.0)[0], *UP)[0]
    session, effects = fed(session, Observed(measure(positions_open=1)))
    assert (session.losses_view, session.losses, effects) == (None, KeptLosses(), [])
