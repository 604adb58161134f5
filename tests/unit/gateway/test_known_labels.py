"""What is known of engines' labels."""

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import ClientState, DesiredState
from flotilla.services.gateway.live import labels
from flotilla.services.gateway.live.labels import KnownLabels


def view(instance_id: str, **carried: str) -> EngineView:
    config = EngineConfig(instance_id=instance_id, labels=carried)
    return EngineView(
        instance_id=instance_id, state=ClientState.RUNNING, desired=DesiredState.RUNNING, config=config
    )


def test_an_engine_is_in_scope_while_it_is_known_to_carry_every_label() -> None:
    known = KnownLabels()
    assert not known.has("e1", {"desk": "a"})
    known.saw(view("e1", desk="a", zone="x"))
    assert known.has("e1", {"desk": "a"})
    assert known.has("e1", {"desk": "a", "zone": "x"})
    assert not known.has("e1", {"desk": "a", "zone": "y"})
    assert not known.has("e2", {"desk": "a"})
    known.saw(view("e1", zone="x"))
    assert not known.has("e1", {"desk": "a"})
    known.saw(view("e1"))
    assert not known.has("e1", {"zone": "x"})


def test_nothing_is_in_a_scope_of_no_labels() -> None:
    known = KnownLabels()
    known.saw(view("e1", desk="a"))
    assert not known.has("e1", {})


def test_a_list_is_older_than_what_the_fleet_told_of_while_it_was_asked_for() -> None:
    known = KnownLabels()
    with known.asking() as first, known.asking() as second:
        known.saw(view("moved", desk="b"))
        first([view("moved", desk="a"), view("there", desk="a")])
        known.saw(view("there", desk="b"))
        second([view("moved", desk="a"), view("there", desk="a"), view("third", desk="a")])
    assert [known.has(one, {"desk": "a"}) for one in ("moved", "there", "third")] == [False, False, True]
    with known.asking() as later:
        later([view("moved", desk="a")])
    assert known.has("moved", {"desk": "a"})


def test_what_is_forgotten_is_in_no_scope() -> None:
    known = KnownLabels()
    known.saw(view("e1", desk="a"))
    known.forget()
    assert not known.has("e1", {"desk": "a"})


def test_no_more_is_kept_than_there_is_room_for(monkeypatch: object) -> None:
    known = KnownLabels()
    most, labels.MOST = labels.MOST, 3  # type: ignore[misc]
    try:
        for name in ("e1", "e2", "e3", "e1", "e4"):
            known.saw(view(name, desk="a"))
    finally:
        labels.MOST = most  # type: ignore[misc]
    assert [known.has(f"e{number}", {"desk": "a"}) for number in (1, 2, 3, 4)] == [True, False, True, True]
