"""On which host a session begins."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec

from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import SessionSpec
from flotilla.schemas.states import EngineType, FailureReason, RunState, TradingMode
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.orchestrator.engines.core.effects import Effect, StartContainer
from flotilla.services.orchestrator.engines.core.model import Session
from flotilla.services.orchestrator.engines.core.session import move

NO_HOST_AFTER: Final = timedelta(seconds=30)
PROCESS_RUNTIME: Final = "process"


class HostLoad(msgspec.Struct, frozen=True):
    """A host that can take sessions, how many it has, and what it offers."""

    host: str
    cpus: int
    sessions: int
    runtime: str = "docker"
    has_cache: bool = False
    stop_flags: tuple[StopFlag, ...] = ()


def needs_docker(spec: SessionSpec) -> bool:
    """True for a session that trades money: it runs in a container of its own or not at all."""
    return spec.engine_type == EngineType.LIVE and spec.trading_mode == TradingMode.LIVE


def choose(hosts: Sequence[HostLoad]) -> str | None:
    """The host with the fewest sessions per CPU; by name where that is equal, so that the choice can be repeated."""
    ranked = sorted(hosts, key=lambda host: (host.sessions / max(1, host.cpus), host.host))
    return ranked[0].host if ranked else None


def place(session: Session, hosts: Sequence[HostLoad], now: datetime) -> tuple[Session, tuple[Effect, ...]]:
    """A scheduled session on its host, which is recorded before the host hears of it, so that a retry goes there too.

    Without a host that suits it stays scheduled, and fails when none came in sight in time.
    """
    if host := choose([host for host in hosts if _suits(host, session)]):
        session = move(session, RunState.CREATING, now, host=host)
        return session, (StartContainer(session.instance_id, session.session_id, host),)
    if now - session.changed_at < NO_HOST_AFTER:
        return session, ()
    detail = f"no host that {_wanted(session)} came in sight within {NO_HOST_AFTER.total_seconds():.0f} s"
    return move(session, RunState.FAILED, now, reason=FailureReason.HOST, detail=detail), ()


def has_place(spec: SessionSpec, hosts: Sequence[HostLoad]) -> bool:
    """True when a host in sight can run the session."""
    needs = (needs_docker(spec), spec.uses_cache)
    return any(_offers(host, spec.instance_id, *needs) for host in hosts)


def check_runtime(spec: SessionSpec, hosts: Sequence[HostLoad]) -> None:
    """Raises FaultError `conflict` when the session trades live and every host in sight runs plain processes."""
    if needs_docker(spec) and hosts and all(host.runtime == PROCESS_RUNTIME for host in hosts):
        seen = ", ".join(sorted(host.host for host in hosts))
        raise fault(
            FaultCode.CONFLICT,
            f"engine {spec.instance_id} trades live and needs a host with Docker; in sight is only {seen},"
            " which runs engines as plain processes",
        )


def settle_cache(spec: SessionSpec, hosts: Sequence[HostLoad], *, is_demanded: bool) -> SessionSpec:
    """The spec, without its cache where no host in sight has one. Raises FaultError `conflict` when it is demanded."""
    if not spec.uses_cache or not hosts or any(host.has_cache for host in hosts):
        return spec
    if is_demanded:
        raise fault(
            FaultCode.CONFLICT,
            f"engine {spec.instance_id} needs a host with Redis (use_cache_database), and none in sight has it",
        )
    return msgspec.structs.replace(spec, uses_cache=False)


def _suits(host: HostLoad, session: Session) -> bool:
    return _offers(host, session.instance_id, session.needs_docker, session.needs_cache)


def _offers(host: HostLoad, instance_id: str, needs_docker: bool, needs_cache: bool) -> bool:
    if any(flag.names(instance_id) for flag in host.stop_flags):
        return False
    if needs_docker and host.runtime == PROCESS_RUNTIME:
        return False
    return host.has_cache or not needs_cache


def _wanted(session: Session) -> str:
    wanted = [
        "has Docker" if session.needs_docker else "",
        "has Redis" if session.needs_cache else "",
    ]
    return " and ".join(["runs engines", *filter(None, wanted)])
