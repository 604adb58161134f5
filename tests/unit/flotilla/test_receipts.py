"""What an emergency stop came to: only what was confirmed is called done."""

from datetime import UTC, datetime

import pytest

from flotilla.bus.receipts import are_confirmed, is_confirmed
from flotilla.schemas.session import EmergencyReceipt, FleetStopped, StopFlags
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.telemetry import StopFlag, StopReport
from flotilla.show.receipts import flags_left, stopped_report
from tests.unit.flotilla.test_tables import drawn

FLAT = StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=3, positions_closed=1, is_flat=True)
FLAG = StopFlag(since=datetime(2026, 1, 31, 14, 25, tzinfo=UTC), reason="venue is halted")


def receipt(name: str, **given: object) -> EmergencyReceipt:
    fine = {"is_flat": True, "is_gone": True, "stop": FLAT, "gone_ms": 812.4, "engine_ms": 640.0}
    session = "20260131-142501-3f9c2a7b1d04"
    return EmergencyReceipt(instance_id=name, session_id=session, host="desk", **{**fine, **given})  # type: ignore[arg-type]


def stopped(*receipts: EmergencyReceipt, unreached: tuple[str, ...] = ()) -> FleetStopped:
    return FleetStopped(receipts=receipts, flags=(FLAG,), unreached=unreached, milliseconds=1290.0)


def test_all_flat_and_gone_is_confirmed() -> None:
    assert are_confirmed(stopped(receipt("a"), receipt("b")))
    assert are_confirmed(stopped()), "nothing ran, and every host said so"


@pytest.mark.parametrize(
    "done",
    [
        stopped(receipt("a"), receipt("b", is_flat=False)),
        stopped(receipt("a", is_gone=False)),
        stopped(receipt("a", is_killed=True)),
        stopped(receipt("a", not_confirmed=("fill of O-2",))),
        stopped(receipt("a"), unreached=("attic",)),
    ],
)
def test_one_doubt_is_enough_to_be_not_confirmed(done: FleetStopped) -> None:
    assert not are_confirmed(done)
    text = drawn(stopped_report(done, "flotilla"))
    assert f"{sum(map(is_confirmed, done.receipts))} of {len(done.receipts)} engines confirmed" in text


def test_an_engine_that_was_reached_around_the_bus_is_said_to_be() -> None:
    told = receipt("a", is_flat=False, stop=None, is_around_bus=True, not_confirmed=("nothing is heard",))
    text = drawn(stopped_report(stopped(told, receipt("b")), "flotilla"))
    assert "AROUND THE BUS a: told by SIGTERM on host desk" in text
    assert "AROUND THE BUS b" not in text


def test_a_receipt_takes_what_80_columns_have_and_loses_nothing() -> None:
    frozen = receipt(
        "frozen", is_flat=False, is_killed=True, stop=None, not_confirmed=("the engine did not answer",)
    )
    text = drawn(stopped_report(stopped(receipt("steady"), frozen, unreached=("attic",)), "flotilla"))
    assert max(map(len, text.splitlines())) <= 80
    header, first, *rest = text.splitlines()
    assert header.split() == ["ENGINE", "SESSION", "ORDERS", "CLOSED", "FLAT", "GONE", "MS"]
    assert first.split() == ["steady", "20260131-142501-3f9c2a7b1d04", "3", "1", "yes", "yes", "812"]
    assert "NOT CONFIRMED  killed" in rest[0]
    for part in (
        "NOT CONFIRMED frozen: the engine did not answer",
        "NOT CONFIRMED host attic did not answer: what runs there is not known",
        "1 of 2 engines confirmed flat and gone, 1,290 ms",
        "engines do not start, since 2026-01-31 14:25:00Z (venue is halted)",
        "flotilla emergency-stop --lift",
    ):
        assert part in text


def test_nothing_that_ran_is_said() -> None:
    assert "no engine ran" in drawn(stopped_report(stopped(), "flotilla"))
    unseen = drawn(stopped_report(stopped(unreached=("attic",)), "flotilla"))
    assert "no engine ran" not in unseen
    assert "no engine gave a receipt" in unseen


def test_flags_that_are_left_are_told() -> None:
    assert drawn(flags_left(StopFlags(flags=()))) == "no stop is in force"
    one = StopFlag(since=FLAG.since, instance_id="a")
    assert "engine a does not start" in drawn(flags_left(StopFlags(flags=(one,))))
    assert "attic did not answer" in drawn(flags_left(StopFlags(flags=(), unreached=("attic",))))
