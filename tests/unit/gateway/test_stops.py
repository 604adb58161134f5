"""Emergency stops in words: confirmed is said of what is confirmed, and of nothing else."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.session import EmergencyReceipt, FleetStopped
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import StopFlag, StopReport
from flotilla.services.gateway.engines.emergency import emergency_reply, open_questions

FLAG = StopFlag(since=datetime(2026, 1, 31, tzinfo=UTC))
REPORT = StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=1, positions_closed=2, is_flat=True)


def receipt(name: str = "a", **changes: Any) -> EmergencyReceipt:
    known: dict[str, Any] = {
        "instance_id": name,
        "session_id": f"s-{name}",
        "host": "h1",
        "is_flat": True,
        "is_gone": True,
        "stop": REPORT,
        **changes,
    }
    return EmergencyReceipt(**known)


def stopped(*receipts: EmergencyReceipt, unreached: tuple[str, ...] = ()) -> FleetStopped:
    return FleetStopped(receipts=receipts, flags=(FLAG,), unreached=unreached)


@pytest.mark.parametrize(
    ("done", "questions", "state"),
    [
        (stopped(), (), "stopped"),
        (stopped(receipt("a"), receipt("b")), (), "stopped"),
        (stopped(receipt("a", is_killed=True)), ("a: not confirmed to be flat",), "stopped"),
        (stopped(receipt("a", is_flat=False)), ("a: not confirmed to be flat",), "stopped"),
        (
            stopped(receipt("a", is_gone=False)),
            ("a: its container is not confirmed to be gone",),
            "unknown",
        ),
        (
            stopped(receipt("a", is_flat=False, not_confirmed=("order O-1", "order O-2"))),
            ("a: order O-1", "a: order O-2"),
            "stopped",
        ),
        (
            stopped(receipt("a"), unreached=("h2",)),
            ("host h2 did not answer, what runs there is not known",),
            "unknown",
        ),
    ],
)
def test_every_open_question_is_asked_and_decides_the_state(
    done: FleetStopped, questions: tuple[str, ...], state: str
) -> None:
    assert open_questions(done) == questions
    reply = emergency_reply(done, None, "r1")
    assert reply.state == state
    assert reply.message.startswith("not confirmed: ") == bool(questions)


@pytest.mark.parametrize(
    ("done", "instance_id", "message"),
    [
        (stopped(), None, "nothing ran; an engine starts again only once the stop is lifted"),
        (stopped(), "a", "nothing ran; a starts again only once the stop is lifted"),
        (stopped(receipt("a")), "a", "a is flat and gone; a starts again only once the stop is lifted"),
        (
            stopped(receipt("b"), receipt("a")),
            None,
            "a; b are flat and gone; an engine starts again only once the stop is lifted",
        ),
    ],
)
def test_the_message_names_what_was_stopped_and_that_it_stays_so(
    done: FleetStopped, instance_id: str | None, message: str
) -> None:
    assert emergency_reply(done, instance_id, "r1").message == message


def test_what_an_engine_did_not_live_to_tell_is_null_and_never_zero() -> None:
    (view,) = emergency_reply(stopped(receipt("a", stop=None, is_flat=False)), None, "r1").data.receipts
    assert (view.orders_cancelled, view.positions_closed, view.milliseconds.cancel) == (None, None, None)
    assert view.not_confirmed == ("not confirmed to be flat",)
