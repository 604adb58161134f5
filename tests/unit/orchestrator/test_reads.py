"""Lists by label, from what is known of engines and hosts."""

from typing import Any, cast

import pytest

from flotilla.schemas.engine import ListEngines
from flotilla.schemas.host import ListHosts
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines import reads as module
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.reads import Reads
from tests.unit.orchestrator.makers import NOW, after, config, engine, host_beat, session


def known(name: str, number: int, state: RunState = RunState.TRADING, **labels: str) -> Engine:
    """An engine that is more recent than those of lower numbers."""
    present = session(state, session_id=f"s-{name}", instance_id=name, created_at=after(number))
    return engine(present, instance_id=name, config=config(instance_id=name, labels=labels))


ENGINES = (
    known("plain", 0),
    known("fx", 1, desk="fx"),
    known("rates", 2, desk="rates", zone="a"),
    known("ended", 3, RunState.STOPPED, desk="rates", zone="b"),
    known("late", 4, desk="rates", zone="b"),
)


def reads(sightings: FleetSightings | None = None, *engines: Engine) -> Reads:
    """As of one minute after NOW. Lists of engines and hosts ask neither bus nor record."""
    nothing = cast("Any", None)
    heard = sightings or FleetSightings(NOW)
    return Reads(
        nothing,
        nothing,
        Fleet(engines or ENGINES),
        heard,
        lambda: after(60),
        catalog=nothing,
        templates=nothing,
    )


@pytest.mark.parametrize(
    ("asked", "names", "count"),
    [
        (ListEngines(), ["late", "ended", "rates", "fx", "plain"], 5),
        (ListEngines(labels={"desk": "rates"}), ["late", "ended", "rates"], 3),
        (ListEngines(labels={"desk": "rates"}, active=True), ["late", "rates"], 2),
        (ListEngines(labels={"desk": "rates"}, limit=2), ["late", "ended"], 3),
        (ListEngines(labels={"desk": "fx"}, limit=1), ["fx"], 1),
        (ListEngines(labels={"desk": "rates", "zone": "b"}), ["late", "ended"], 2),
        (ListEngines(labels={"desk": "fx", "zone": "b"}), [], 0),
        (ListEngines(labels={"desk": "rate"}), [], 0),
        (ListEngines(labels={"floor": "1"}), [], 0),
    ],
)
async def test_engines_are_chosen_by_label_before_they_are_counted_and_cut(
    asked: ListEngines, names: list[str], count: int
) -> None:
    found = await reads().engines(asked)
    assert [view.instance_id for view in found.engines] == names
    assert found.total_count == count


async def test_an_engine_is_found_by_the_labels_that_are_shown_of_it() -> None:
    new = config(labels={"desk": "fx"})
    active = engine(session(), config=config(labels={"desk": "rates"}), configured=new)
    ended = engine(session(RunState.STOPPED), config=config(labels={"desk": "rates"}), configured=new)
    for one, desk in ((active, "rates"), (ended, "fx")):
        for asked in ("rates", "fx"):
            found = await reads(None, one).engines(ListEngines(labels={"desk": asked}))
            assert [view.config.labels for view in found.engines] == [{"desk": desk}] * (asked == desk)


async def test_hosts_are_listed_by_name_with_what_they_said_and_whether_they_are_in_sight() -> None:
    sightings = FleetSightings(NOW)
    flag = StopFlag(since=NOW)
    lost = host_beat("lost", labels={"zone": "a"}, cpus=8, is_runtime_up=False, stop_flags=(flag,))
    sightings.heard_host(lost, after(10))
    sightings.heard_host(host_beat("here", labels={"zone": "b"}, sessions=3), after(59.5))
    here, away = (await reads(sightings).hosts(ListHosts())).hosts
    assert (here.host, here.is_in_sight, here.heartbeat_age_s, here.sessions) == ("here", True, 0.5, 3)
    assert (here.labels, here.is_runtime_up, here.runtime) == ({"zone": "b"}, True, "docker")
    assert (away.host, away.is_in_sight, away.heartbeat_age_s, away.cpus) == ("lost", False, 50.0, 8)
    assert (away.labels, away.is_runtime_up, away.stop_flags) == ({"zone": "a"}, False, (flag,))


async def test_hosts_are_chosen_by_label() -> None:
    sightings = FleetSightings(NOW)
    for name, labels in (("h1", {"zone": "a", "disk": "ssd"}), ("h2", {"zone": "b"}), ("h3", {})):
        sightings.heard_host(host_beat(name, labels=labels), after(59))

    async def named(**labels: str) -> list[str]:
        return [host.host for host in (await reads(sightings).hosts(ListHosts(labels=labels))).hosts]

    assert await named() == ["h1", "h2", "h3"]
    assert await named(zone="b") == ["h2"]
    assert await named(zone="a", disk="ssd") == ["h1"]
    assert await named(zone="b", disk="ssd") == []


async def test_how_long_hosts_were_listened_to_is_told_where_all_of_them_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sightings = FleetSightings(NOW)
    for name in ("h1", "h2"):
        sightings.heard_host(host_beat(name), after(59))
    assert (await reads(sightings).hosts(ListHosts())).heard_for_s == 60.0
    monkeypatch.setattr(module, "fitting", lambda found: tuple(found)[:1])
    cut = await reads(sightings).hosts(ListHosts())
    assert ([host.host for host in cut.hosts], cut.heard_for_s) == (["h1"], 0.0)
