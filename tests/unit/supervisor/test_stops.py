"""How a stop is carried through on a host, and that the next supervisor takes it up where the last one left it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import ContainerFacts, ContainerStatus
from flotilla.services.supervisor import stops as module
from flotilla.services.supervisor.adapters import process_table
from flotilla.services.supervisor.adapters.stops_file import StopsFile
from flotilla.services.supervisor.core.stops import StopUnderWay, stopped_by, with_pulse
from flotilla.services.supervisor.stops import Stops
from tests.fakes.memory_runtime import MemoryRuntime
from tests.fakes.supervised import session

SPEC = session("s1")


class Host:
    """A session that does not obey SIGTERM, and the supervisors of its host one after the other."""

    def __init__(self, folder: Path) -> None:
        self.runtime = MemoryRuntime()
        self.runtime.put(SPEC, ContainerStatus.RUNNING)
        self.runtime.is_deaf = True
        self.folder = folder
        self.made: list[Stops] = []

    def supervisor(self) -> Stops:
        self.made.append(Stops(self.runtime, StopsFile(self.folder)))
        return self.made[-1]

    @property
    def stored(self) -> tuple[StopUnderWay, ...]:
        return StopsFile(self.folder).load()

    @property
    def signals(self) -> list[str]:
        return [signal for _, signal in self.runtime.signals]


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    made = Host(tmp_path)
    yield made
    for stops in made.made:
        await stops.close()


async def until(is_so: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not is_so():
            await asyncio.sleep(0.005)


@pytest.mark.parametrize(("is_silent", "signals"), [(True, ["SIGTERM", "SIGKILL"]), (False, ["SIGTERM"])])
async def test_only_a_sidecar_that_is_silent_is_killed_before_its_time(
    host: Host, is_silent: bool, signals: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIDECAR_STUCK_S", 0.05)
    host.runtime.is_silent = is_silent
    await host.supervisor().begin("s1", 60.0)
    await until(lambda: host.runtime.pulses_taken == 2 and len(host.signals) >= len(signals))
    assert host.signals == signals


async def test_a_pulse_that_cannot_be_told_is_looked_at_again(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that is so busy that looking into a container takes too long."""
    monkeypatch.setattr(module, "SIDECAR_STUCK_S", 0.05)
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    pulse, looks = host.runtime.pulse, 0

    async def seldom(session_id: str) -> str | None:
        nonlocal looks
        looks += 1
        return await pulse(session_id) if looks % 3 == 0 else None

    monkeypatch.setattr(host.runtime, "pulse", seldom)
    host.runtime.is_silent = True
    await host.supervisor().begin("s1", 60.0)
    await until(lambda: host.signals == ["SIGTERM", "SIGKILL"])
    assert looks == 6


async def test_a_silence_that_an_earlier_supervisor_noticed_goes_on_counting(host: Host) -> None:
    """12 s after its pulse was seen it is killed, although the supervisor that saw it lived for a moment only."""
    host.runtime.is_silent = True
    first = host.supervisor()
    await first.begin("s1", 60.0)
    await until(lambda: host.stored and host.stored[0].pulse is not None)
    await first.close()
    (seen,) = host.stored
    StopsFile(host.folder).save((with_pulse(seen, seen.pulse or "", seen.seen_at - 12.0),))
    await host.supervisor().resume()
    await until(lambda: host.signals[-1] == "SIGKILL")
    assert host.signals == ["SIGTERM", "SIGTERM", "SIGKILL"]
    await until(lambda: host.stored == ())


async def test_one_that_turned_meanwhile_has_all_of_the_time_that_it_was_given(host: Host) -> None:
    first = host.supervisor()
    await first.begin("s1", 60.0)
    await until(lambda: host.stored and host.stored[0].pulse is not None)
    await first.close()
    (seen,) = host.stored
    StopsFile(host.folder).save((with_pulse(seen, seen.pulse or "", seen.seen_at - 12.0),))
    await until(lambda: str(host.runtime.host.sessions["s1"].sidecar.beats) != seen.pulse)
    await host.supervisor().resume()
    await until(lambda: host.runtime.pulses_taken == 2)
    assert host.signals == ["SIGTERM", "SIGTERM"]
    assert host.stored[0].until == seen.until


async def test_a_stop_whose_supervisor_died_before_it_did_anything_is_done_and_in_time(host: Host) -> None:
    first = host.supervisor()
    await first.begin("s1", 0.3)
    await first.close()
    assert host.signals == []
    await host.supervisor().resume()
    await until(lambda: host.signals == ["SIGTERM"])
    await until(lambda: host.signals[-1] == "SIGKILL")
    await until(lambda: host.stored == ())


async def test_asked_again_the_earlier_end_of_patience_holds(host: Host) -> None:
    stops = host.supervisor()
    await stops.begin("s1", 60.0)
    await stops.begin("s1", 90.0)
    await until(lambda: host.signals)
    assert host.signals == ["SIGTERM"]
    await stops.begin("s1", 0.05)
    await until(lambda: host.signals[-1] == "SIGKILL")


async def test_a_runtime_that_is_away_is_asked_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    stop, tries = host.runtime.stop, 0

    async def sometimes(session_id: str, timeout_s: float) -> ContainerFacts:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise fault(FaultCode.UNAVAILABLE, "no Docker engine answers", retry_after_s=1.0)
        return await stop(session_id, timeout_s)

    monkeypatch.setattr(host.runtime, "stop", sometimes)
    host.runtime.is_deaf = False
    await host.supervisor().begin("s1", 60.0)
    await until(lambda: host.signals)
    assert host.signals == ["SIGTERM"]


async def test_what_was_under_way_before_the_host_was_restarted_is_over(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    StopsFile(host.folder).save((StopUnderWay(session_id="s1", until=1e9),))
    assert len(host.stored) == 1
    monkeypatch.setattr(process_table, "boot_id", lambda: "another")
    assert host.stored == ()


@pytest.mark.parametrize("content", ["{", '{"boot_id": 1}', ""])
async def test_a_file_that_cannot_be_read_keeps_no_supervisor_from_stopping(host: Host, content: str) -> None:
    (host.folder / "stops.json").write_text(content)
    stops = host.supervisor()
    await stops.resume()
    host.runtime.is_deaf = False
    await stops.begin("s1", 60.0)
    await until(lambda: host.signals == ["SIGTERM"] and host.stored == ())


async def test_what_cannot_be_stored_is_carried_through_all_the_same(host: Host) -> None:
    host.folder = host.folder / "file"
    host.folder.write_text("")
    host.runtime.is_deaf = False
    await host.supervisor().begin("s1", 60.0)
    await until(lambda: host.signals == ["SIGTERM"])


def test_of_two_ends_of_patience_the_earlier_holds_and_what_was_seen_is_kept() -> None:
    known = StopUnderWay(session_id="s1", until=10.0, pulse="p", seen_at=3.0)
    assert stopped_by(None, "s1", 10.0) == StopUnderWay(session_id="s1", until=10.0)
    assert stopped_by(known, "s1", 10.0) is known
    assert stopped_by(known, "s1", 12.0) is known
    assert stopped_by(known, "s1", 9.0) == StopUnderWay(session_id="s1", until=9.0, pulse="p", seen_at=3.0)
