"""A record is backed up while engines trade, lost, and restored while they trade on."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.bus import connect
from flotilla.bus.streams import read_on
from flotilla.client.client import Flotilla, bus_settings
from flotilla.schemas.contract import Durability
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import RunState
from flotilla.stack.servers.postgres import PostgresServer
from flotilla.stack.servers.record_access import RecordAccess
from flotilla.state.settings import Connection
from tests.e2e.engines import eventually, paced, stopped, trading
from tests.e2e.stacks import RunningStack


@pytest.fixture
def restorable() -> Iterator[RunningStack]:
    made = RunningStack("process", {"FLOTILLA_ORPHAN_GRACE_S": "1"})
    made.start()
    yield made
    made.remove()


def recorded(stack: RunningStack) -> list[tuple[str, int]]:
    """The events that are on record."""
    record = RecordAccess(PostgresServer(stack.folder.postgres).dsn_of)
    rows = record.run("flotilla", "select session_id, seq from events order by 1, 2;")
    return [(session_id, int(seq)) for session_id, seq in rows]


class Said(msgspec.Struct):
    """What names an event."""

    session_id: str
    seq: int


async def published(connection: Connection) -> list[tuple[str, int]]:
    """The events of engines that the bus keeps, each once."""
    bus, after = await connect(bus_settings(connection)), 0
    found: set[tuple[str, int]] = set()
    while batch := await read_on(bus, Durability.EVENTS, after, subjects="engine.>"):
        after = batch[-1].seq
        said = (msgspec.json.decode(one.data, type=Said) for one in batch)
        found |= {(one.session_id, one.seq) for one in said}
    await bus.close()
    return sorted(found)


async def test_a_record_is_restored_while_engines_trade(restorable: RunningStack, tmp_path: Path) -> None:
    stack, file = restorable, tmp_path / "one.backup"
    async with Flotilla.connect(stack.connection) as fleet:
        await trading(fleet, paced("old"))
        await trading(fleet, paced("ended"))
        # While events are being recorded.
        assert stack.json("backup", str(file))["manifest"]["rows"]["public.sessions"] == 2
        await stopped(fleet, "old")
        old = await trading(fleet, paced("old"))
        young = await trading(fleet, paced("young"))
        await stopped(fleet, "ended")
    refused = stack.cli("restore", str(file), "--replace", "--yes")
    assert (refused.returncode != 0, "flotilla down" in refused.stderr) == (True, True)
    running = containers(stack)
    assert stack.cli("down", "--leave-engines").returncode == 0
    stack.wait()
    shutil.rmtree(stack.folder.postgres)
    done = stack.json("restore", str(file))
    assert [one["instance_id"] for one in done["since"]["off"]] == ["young"]
    assert done["since"]["lost"] == []
    stack.start()
    await judge(stack, old, young, running)


async def judge(stack: RunningStack, old: EngineView, young: EngineView, running: set[str]) -> None:
    """The sessions that ran run on, alone, and their events are on record, each once."""
    async with Flotilla.connect(stack.connection) as fleet:
        for before in (old, young):
            assert before.session is not None

            async def heard(before: EngineView = before) -> EngineView | None:
                view = next(
                    (one for one in (await fleet.engines()).engines if one.instance_id == before.instance_id),
                    None,
                )
                return view if view and view.session and view.session.state == RunState.TRADING else None

            view = await eventually(heard, 40, f"{before.instance_id} on record")
            assert view.session is not None
            assert (view.session.session_id, view.session.generation) == (
                before.session.session_id,
                before.session.generation,
            )
        assert containers(stack) == running
        ended = await fleet.engine("ended")
        assert (ended.session and ended.session.state, ended.desired) == (RunState.STOPPED, "stopped")
        for name in ("old", "young"):
            await stopped(fleet, name)
        wanted = await published(stack.connection)

        async def complete() -> bool:
            return recorded(stack) == wanted

        await eventually(complete, 30, "every event on record")
        again = await trading(fleet, paced("old"))
        assert again.session is not None
        assert again.session.generation == 3


def containers(stack: RunningStack) -> set[str]:
    """The sessions that have a process."""
    return {
        one["session_id"] for one in stack.json("container", "ls")["containers"] if one["status"] == "running"
    }
