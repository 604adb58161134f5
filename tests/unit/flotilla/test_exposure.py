"""An engine on a host that is out of sight is not forgotten in the receipt of an emergency stop."""

from datetime import UTC, datetime

import msgspec

from flotilla.client.host_calls import hosts_of, with_unseen
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.session import EmergencyReceipt, FleetStopped
from flotilla.schemas.states import ClientState, DesiredState, RunState


def engine(name: str, host: str | None = "attic") -> EngineView:
    session = SessionView(
        session_id=f"s-{name}",
        instance_id=name,
        generation=1,
        state=RunState.UNKNOWN,
        container_name="c",
        created_at=datetime(2026, 1, 31, tzinfo=UTC),
        host=host,
    )
    return EngineView(
        instance_id=name,
        state=ClientState.ERROR,
        desired=DesiredState.RUNNING,
        config=EngineConfig(),
        session=session,
    )


def stopped(*names: str, unreached: tuple[str, ...] = ()) -> FleetStopped:
    receipts = tuple(
        EmergencyReceipt(instance_id=name, session_id=f"s-{name}", host="desk", is_flat=True, is_gone=True)
        for name in names
    )
    return FleetStopped(receipts=receipts, flags=(), unreached=unreached)


def test_an_engine_that_still_runs_on_record_without_a_receipt_makes_its_host_unreached() -> None:
    both = (engine("a"), engine("b"))
    assert with_unseen(stopped("a"), both, both, None).unreached == ("attic",)
    assert with_unseen(stopped("a", unreached=("barn",)), both, both, None).unreached == ("attic", "barn")


def test_what_has_a_receipt_has_ended_since_or_was_never_placed_is_fine() -> None:
    assert with_unseen(stopped("a"), (engine("a"),), (engine("a"),), None).unreached == ()
    assert with_unseen(stopped(), (engine("a"),), (), None).unreached == ()
    unplaced = (engine("a", host=None),)
    assert with_unseen(stopped(), unplaced, unplaced, None).unreached == ()


def test_another_engine_than_the_one_that_was_meant_is_left_out() -> None:
    both = (engine("a"), engine("b"))
    assert with_unseen(stopped("a"), both, both, "a").unreached == ()
    assert with_unseen(stopped(), both, both, "a").unreached == ("attic",)


def test_an_engine_that_nobody_told_of_is_named_and_nothing_of_it_is_confirmed() -> None:
    both = (engine("a"), engine("b"))
    told, untold = with_unseen(stopped("a"), both, both, None).receipts
    assert (told.instance_id, untold.instance_id, untold.host) == ("a", "b", "attic")
    assert (untold.is_flat, untold.is_gone) == (False, False)
    assert untold.not_confirmed


def test_a_worker_on_record_is_no_engine() -> None:
    worker = msgspec.structs.replace(engine("worker-attic"), config=EngineConfig(template="backtest_worker"))
    done = with_unseen(stopped(), (worker,), (worker,), None)
    assert (done.receipts, done.unreached) == ((), ())
    assert hosts_of((worker, engine("a", "desk")), None) == {"desk"}
    assert hosts_of((engine("a", "desk"), engine("b")), "b") == {"attic"}
