"""Numbered rows: who followed each batch, who missed some and who begins now all hold the same rows."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.states import ClientState, DesiredState
from flotilla.services.gateway.live.numbered import FleetChange, NumberedRows
from flotilla.services.gateway.live.rows import EngineRow, Mode, Row, Topic

type Held = dict[tuple[str, str], dict[str, Any]]


def row(instance_id: str = "e1", **changes: Any) -> EngineRow:
    known: dict[str, Any] = {
        "instance_id": instance_id,
        "mode": Mode.PAPER,
        "state": ClientState.RUNNING,
        "desired": DesiredState.RUNNING,
        **changes,
    }
    return EngineRow(**known)


def everything(topic: Topic, _: Row) -> bool:
    return topic is Topic.ENGINES


def of_desk_a(_: Topic, shown: Row) -> bool:
    return isinstance(shown, EngineRow) and shown.labels.get("desk") == "a"


def apply(held: Held, changes: list[FleetChange]) -> None:
    for change in changes:
        key = (change.topic, change.id)
        if change.set is None:
            assert key in held, "what nobody had is gone"
            del held[key]
        else:
            held.setdefault(key, {}).update(change.set)


def holding(rows: NumberedRows, sees: Any = everything) -> Held:
    return {
        (topic, row_id): {name: getattr(shown, name) for name in shown.__struct_fields__}
        for topic, row_id, shown in rows.rows(sees)
    }


def test_a_change_names_only_the_fields_that_are_another() -> None:
    rows = NumberedRows()
    rows.put(Topic.ENGINES, "e1", row())
    rows.close_batch()
    rows.put(Topic.ENGINES, "e1", row(state=ClientState.ERROR, problems=("no data",)))
    batch = rows.close_batch()
    assert batch is not None
    (change,) = batch.seen(everything)
    assert change.set == {"state": ClientState.ERROR, "problems": ("no data",)}


def test_what_is_put_as_it_was_is_no_change_and_takes_no_number() -> None:
    rows = NumberedRows()
    rows.put(Topic.ENGINES, "e1", row())
    assert rows.close_batch() is not None
    rows.put(Topic.ENGINES, "e1", row())
    assert rows.close_batch() is None
    assert rows.number == 1


def test_a_row_that_comes_into_sight_is_told_whole_and_one_that_leaves_it_is_gone() -> None:
    rows = NumberedRows()
    rows.put(Topic.ENGINES, "e1", row())
    first = rows.close_batch()
    assert first is not None
    assert first.seen(of_desk_a) == []
    rows.put(Topic.ENGINES, "e1", row(labels={"desk": "a"}))
    second = rows.close_batch()
    assert second is not None
    (came,) = second.seen(of_desk_a)
    assert came.set is not None
    assert came.set["instance_id"] == "e1"
    rows.put(Topic.ENGINES, "e1", row(labels={"desk": "b"}))
    third = rows.close_batch()
    assert third is not None
    (left,) = third.seen(of_desk_a)
    assert left.set is None


def test_who_left_off_before_what_is_remembered_of_gone_rows_begins_anew(monkeypatch: Any) -> None:
    monkeypatch.setattr("flotilla.services.gateway.live.numbered.KEPT_GONE", 1)
    rows = NumberedRows()
    for name in ("e1", "e2"):
        rows.put(Topic.ENGINES, name, row(name))
    rows.close_batch()
    for name in ("e1", "e2"):
        rows.drop(Topic.ENGINES, name)
        rows.close_batch()
    assert rows.since(1, everything) is None
    assert rows.since(2, everything) == [FleetChange(topic=Topic.ENGINES, id="e2", set=None)]
    assert rows.since(4, everything) is None


_STEP = st.tuples(
    st.sampled_from("abc"), st.sampled_from([None, "running", "error", "stopped"]), st.booleans()
)


@given(st.lists(_STEP, max_size=30), st.sets(st.integers(0, 30)))
def test_whoever_follows_holds_what_whoever_begins_is_shown(steps: list[Any], read_at: set[int]) -> None:
    rows, follows, now_and_then = NumberedRows(), {}, {}
    left_off = 0
    for place, (name, state, is_batch_end) in enumerate(steps):
        if state is None:
            rows.drop(Topic.ENGINES, name)
        else:
            rows.put(Topic.ENGINES, name, row(name, state=ClientState(state)))
        if is_batch_end and (batch := rows.close_batch()):
            apply(follows, batch.seen(everything))
        if place in read_at:
            missed = rows.since(left_off, everything)
            assert missed is not None
            for (
                change
            ) in missed:  # a row that came and went between two reads is gone for whoever never had it
                if change.set is None:
                    now_and_then.pop((change.topic, change.id), None)
                else:
                    now_and_then[change.topic, change.id] = dict(change.set)
            left_off = rows.number
            assert now_and_then == holding(rows)
    if batch := rows.close_batch():
        apply(follows, batch.seen(everything))
    assert follows == holding(rows)
