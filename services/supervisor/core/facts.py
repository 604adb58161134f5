"""Facts as both runtimes tell them alike. Pure."""

import hashlib

import msgspec

from flotilla.schemas.brakes import RELEASED
from flotilla.schemas.loss_limits import NOTHING_KEPT
from flotilla.schemas.session import ContainerFacts, ContainerStatus, SessionSpec

_HIGHEST_SIGNAL = 64


def exit_code_of(status: int) -> int:
    """The exit code of a shell's or Docker's status: 128 + n means signal n, told as -n."""
    return 128 - status if 128 < status <= 128 + _HIGHEST_SIGNAL else status


def spec_hash(spec: SessionSpec) -> str:
    """128 bits that tell two specifications apart, in hexadecimal. Brake and losses are no part of it: they change while a session runs."""
    spec = msgspec.structs.replace(spec, brake=RELEASED, losses=NOTHING_KEPT)
    return hashlib.sha256(msgspec.json.encode(spec, order="deterministic")).hexdigest()[:32]


def is_running(facts: ContainerFacts) -> bool:
    """True while something of it may still trade."""
    return facts.status == ContainerStatus.RUNNING


def as_gone(facts: ContainerFacts) -> ContainerFacts:
    """The last facts of a session of which nothing is left."""
    return msgspec.structs.replace(facts, status=ContainerStatus.GONE)


def never_seen(session_id: str, *, name: str, host: str, runtime: str) -> ContainerFacts:
    """What is said of a session that is not here when that is just what was asked for; its engine is not known."""
    return ContainerFacts(
        session_id=session_id,
        instance_id="unknown",
        generation=0,
        host=host,
        name=name,
        status=ContainerStatus.GONE,
        runtime=runtime,
    )
