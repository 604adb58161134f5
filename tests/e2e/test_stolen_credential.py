"""A credential that was truly stolen, out of a running sidecar's memory, as root can: whatever is done with it, it is named and ended (ADR 36)."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from nats.aio.msg import Msg

from flotilla.bus.bus import Bus, connect
from flotilla.bus.jwt import claims_of
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.client.client import ENDED, Flotilla
from flotilla.schemas.config import RestartPolicy
from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.states import RunState, SilencePolicy
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import alerts_of, eventually, named, paced, trading
from tests.e2e.stacks import RunningStack, processes_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can read a sidecar's memory")

CREDENTIALS = re.compile(
    rb"-----BEGIN NATS USER JWT-----\n[\w.-]+\n------END NATS USER JWT------\n.{0,400}?"
    rb"-----BEGIN USER NKEY SEED-----\n[A-Z2-7]+\n------END USER NKEY SEED------",
    re.DOTALL,
)
REVOKED_S = 1.0


@pytest.fixture(scope="module")
def runtime() -> str:
    """The credential lies in the memory of the same sidecar in both."""
    return best_runtime()


def memory_of(pid: int) -> Iterator[bytes]:
    """What a process may write to, mapping by mapping."""
    with (
        Path(f"/proc/{pid}/maps").open() as maps,
        Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory,
    ):
        for line in maps:
            place, rights = line.split()[:2]
            if rights.startswith("rw"):
                start, end = (int(text, 16) for text in place.split("-"))
                memory.seek(start)
                try:
                    yield memory.read(end - start)
                except OSError:  # of a device, or gone meanwhile
                    continue


def pids_of(stack: RunningStack, view: EngineView) -> list[int]:
    assert view.session is not None
    if stack.runtime == "process":
        return processes_of(stack.folder.root / "sessions" / view.session.session_id)
    name = f"nautilus-engine-{view.session.session_id}"
    told = subprocess.run(
        ["docker", "top", name, "-eo", "pid"], capture_output=True, text=True, check=True
    ).stdout
    return [int(pid) for pid in told.split()[1:]]


def stolen_from(stack: RunningStack, view: EngineView) -> str:
    """The text of the session's credentials on the bus, as its sidecar holds it, and nobody else in its container."""
    assert view.session is not None
    found = {}
    for pid in pids_of(stack, view):
        texts = {match.group().decode() for part in memory_of(pid) for match in CREDENTIALS.finditer(part)}
        if texts:
            found[pid] = texts
    assert len(found) == 1, f"the credentials lie in {len(found)} processes"
    (texts,) = found.values()
    # The other is for renewals, and good for a week.
    return min(texts, key=lambda text: claims_of(text.splitlines()[1])["exp"])


async def answers(thief: Bus, name: str) -> None:
    """`hijack.py` of the hostile suite."""

    async def answer(message: Msg) -> None:
        asked = msgspec.json.decode(message.data)
        told = {"instance_id": name, "session_id": asked.get("session_id"), "message": "accepted"}
        await thief.client.publish(message.reply, msgspec.json.encode({**asked, **told}))

    for _ in range(5):
        await thief.client.subscribe(f"engine.{name}.command.*", queue="sidecar", cb=answer)


async def tries_every_subject(thief: Bus, name: str) -> None:
    """`busattack.py`, `spoof.py` (a ghost that answers for supervisors) and `replytrick.py` (an acknowledgement as somebody's request)."""
    for subject in ("$SRV.PING.supervisor", "$SRV.PING", "$SRV.INFO", "$SRV.STATS", ">"):
        await thief.client.subscribe(subject)
    for subject in (
        "fleet.engine.stop",
        "fleet.engine.emergency_stop",
        "engine.other.fill",
        "host.h.heartbeat",
    ):
        await thief.client.publish(subject, b"{}")
        await thief.client.publish(f"engine.{name}.fill", b"{}", reply=subject)
        await thief.client.subscribe(subject)


async def is_only_there(thief: Bus, name: str) -> None:
    """He is silent."""


@pytest.mark.parametrize("what", [is_only_there, answers, tries_every_subject])
async def test_its_thief_is_named_the_engine_is_ended_by_its_policy_and_the_credential_is_good_no_more(
    stack: RunningStack, fleet: Flotilla, what: Callable[[Bus, str], Awaitable[None]]
) -> None:
    name = what.__name__.replace("_", "-")
    policy = RestartPolicy(on_silence=SilencePolicy.STOP)
    view = await trading(fleet, msgspec.structs.replace(paced(name), restart=policy))
    assert view.session is not None
    session_id = view.session.session_id
    creds = await asyncio.to_thread(stolen_from, stack, view)
    settings = BusSettings(url=stack.connection.nats_url, name=engine_name(name, session_id), creds=creds)
    async with alerts_of(fleet) as told:
        thief = await connect(settings)
        await what(thief, name)
        assert "what follows: stop" in (await named(told, name)).message
        ended = await fleet.wait_for(name, ENDED, session_id=session_id, timeout_s=45)
    assert ended.session is not None
    assert (ended.session.state, ended.session.exit_code, ended.session.not_confirmed) == (
        RunState.STOPPED,
        0,
        (),
    )

    async def is_gone() -> bool:
        return all(each.session_id != session_id for each in (await fleet.containers()).containers)

    await eventually(is_gone, 30, "the end of its container")
    gone_at = time.monotonic()
    while thief.is_connected:
        assert time.monotonic() - gone_at < REVOKED_S
        await asyncio.sleep(0.01)
    await thief.client.close()
    with pytest.raises(FaultError):
        await connect(settings, wait_s=1)
    found = await fleet.audit(name)
    attempts = [entry for entry in found.entries if entry.code == FaultCode.FORBIDDEN]
    assert f"engine.{name}.connection" in {entry.subject for entry in attempts}
    assert {entry.caller.credential for entry in attempts} == {f"engine_{name}"}
