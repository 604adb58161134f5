"""What must hold after each step, written out by hand: whatever the product's own tables say, these sentences are the judge."""

import msgspec

from schemas.engine import EngineAccepted
from schemas.session import SessionSpec, VenueAccount
from schemas.states import EngineType, RunState, TradingMode
from services.orchestrator.core.model import Engine, Session
from services.orchestrator.ports import Change, Command
from tests.fakes.memory_record import Store
from tests.simulation.actors import Disk
from tests.simulation.docker import RUNNING, Container, Docker
from tests.simulation.engine import SimProcesses

OVER = ("stopped", "failed", "completed")
"""The states in which a session has ended."""


class Judge:
    """Sees every container that begins, every change on record, every answer, and every engine that begins to trade freely."""

    def __init__(self, store: Store, dockers: list[Docker], disks: dict[str, Disk]) -> None:
        self.wrong: list[str] = []
        self._store, self._dockers, self._disks = store, dockers, disks
        self._began: set[str] = set()
        self._engines: dict[str, SimProcesses] = {}
        self._trading: dict[VenueAccount, set[str]] = {}
        self._free: set[str] = set()
        self._confirmed: set[str] = set()
        """The requests that said that money may be traded."""

    def confirmed(self, request_id: str) -> None:
        """A command is about to be given that allows live trading."""
        self._confirmed.add(request_id)

    # -- containers

    def began(self, container: Container) -> None:
        """A container begins to run."""
        spec, host = container.spec, container.docker.host
        if spec.session_id in self._began:
            self._say(f"session {spec.session_id} has begun twice")
        self._began.add(spec.session_id)
        for other in self._running(spec.instance_id):
            if other is not container and not self._is_done(other):
                self._say(f"{spec.session_id} has begun beside {other.spec.session_id} of the same engine")
        known = self._store.sessions.get(spec.session_id)
        if known is None:
            self._say(f"{spec.session_id} has begun and is not on record")
        elif known.state in OVER and not known.is_given_up:
            self._say(f"{spec.session_id} has begun after its end")
        for flag in self._disks[host].flags:
            if flag.instance_id in (None, spec.instance_id):
                self._say(f"{spec.session_id} has begun under a stop flag")
        if is_live(spec):
            self._live_began(container)

    def _live_began(self, container: Container) -> None:
        """Never blindly: confirmed, isolated, and after a failure only when its budget had one left."""
        spec = container.spec
        if container.docker.kind != "docker":
            self._say(f"live session {spec.session_id} has begun where nothing isolates it")
        asked = self._command_of(spec.session_id)
        if asked is not None:
            if asked not in self._confirmed:
                self._say(f"live session {spec.session_id} has begun without being confirmed")
            return
        engine = self._store.engines[spec.instance_id]
        if engine.restart_policy is None or len(engine.restarts) > engine.restart_policy.max_restarts:
            self._say(f"live session {spec.session_id} has begun beyond its budget")

    def runs(self, container: Container, engine: SimProcesses) -> None:
        """The engine in a container."""
        self._engines[container.spec.session_id] = engine
        engine.forked = lambda: self._forked(container)

    def _forked(self, container: Container) -> None:
        """An engine begins to run."""
        for other in self._running(container.spec.instance_id):
            if (
                other is not container
                and self._engines[other.spec.session_id].is_forked
                and not self._is_done(other)
            ):
                self._say(f"two engines run: {container.spec.session_id} beside {other.spec.session_id}")

    def _running(self, instance_id: str) -> list[Container]:
        return [
            each
            for docker in self._dockers
            for each in docker.containers.values()
            if each.status == RUNNING and each.spec.instance_id == instance_id
        ]

    def _is_done(self, container: Container) -> bool:
        """True when its engine has ended, or ended before it began by its sidecar's word, or when somebody gave it up unseen."""
        engine = self._engines.get(container.spec.session_id)
        session = self._store.sessions.get(container.spec.session_id)
        if engine is not None and engine.has_ended:
            return True
        if session is None or session.state not in OVER:
            return False
        is_told = session.state_seq > 0 and not session.is_provisional
        return session.is_given_up or (is_told and engine is not None and not engine.is_forked)

    # -- accounts

    def trades(self, spec: SessionSpec, is_free: bool) -> None:
        """An engine begins to trade freely, or does no more."""
        (self._free.add if is_free else self._free.discard)(spec.session_id)
        for account in spec.lease.accounts if spec.lease else ():
            holders = self._trading.setdefault(account, set())
            if is_free:
                holders.add(spec.session_id)
            else:
                holders.discard(spec.session_id)
            if len(holders) > 1:
                self._say(f"account {account.account} is traded by {' and '.join(sorted(holders))}")

    # -- the record

    def saves(self, change: Change) -> None:
        """A change is about to go on record; the store has not got it yet."""
        engine, known = change.engine, self._store.engines.get(change.engine.instance_id)
        if known is not None and engine.generation < known.generation:
            self._say(f"{engine.instance_id} goes back to generation {engine.generation}")
        for session in (change.ended, engine.session):
            if session is not None and (before := self._store.sessions.get(session.session_id)):
                self._changes(before, session, change)
        if change.spec is not None:
            self._begins(known, change)
        if change.spec is not None and change.spec.lease is not None:
            self._leases(change.spec)

    def _changes(self, before: Session, after: Session, change: Change) -> None:
        """An ended session stays ended, and a sidecar changes its own session only."""
        if before.state in OVER and after.state != before.state:
            self._say(f"{after.session_id} was {before.state} and becomes {after.state}")
        if after.state_seq != before.state_seq:
            said = {(event.session_id, event.seq): event.kind for event in change.events}
            if said.get((after.session_id, after.state_seq)) != "state":
                self._say(f"{after.session_id} is changed by what another session has said")

    def _begins(self, known: Engine | None, change: Change) -> None:
        """A session begins because somebody asked for it, or in the place of one that failed; never beside one."""
        assert change.spec is not None
        name = change.spec.session_id
        before = known.session if known else None
        ended = change.ended or before
        if ended is not None and ended.state not in OVER:
            self._say(f"{name} begins beside {ended.session_id}, which is {ended.state}")
        is_asked = change.command is not None and session_of(change.command) == name
        if (
            not is_asked
            and self._command_of(name) is None
            and (ended is None or ended.state != RunState.FAILED)
        ):
            self._say(f"{name} begins and nobody has asked for it")

    def _leases(self, spec: SessionSpec) -> None:
        """No account has two sessions that have not ended."""
        assert spec.lease is not None
        wanted = set(spec.lease.accounts)
        for name, session in self._store.sessions.items():
            other = self._store.specs[name].lease
            if session.state in OVER or session.instance_id == spec.instance_id or other is None:
                continue
            if wanted & set(other.accounts):
                self._say(f"{spec.session_id} takes an account that {name} holds")

    def _command_of(self, session_id: str) -> str | None:
        return next(
            (name for name, each in self._store.commands.items() if session_of(each) == session_id), None
        )

    # -- answers

    def acknowledged(self, request_id: str, answer: EngineAccepted, earlier: EngineAccepted | None) -> None:
        """A command was answered: from now on it is on record, and the same again is answered alike."""
        command = self._store.commands.get(request_id)
        if command is None:
            self._say(f"command {request_id} was acknowledged and is not on record")
        if earlier is not None and earlier != answer:
            self._say(f"command {request_id} was answered in two ways")
        if answer.is_taken and answer.session_id in self._free:
            self._say(f"the stop of {answer.session_id} was said to be taken, and it trades on")

    def _say(self, text: str) -> None:
        self.wrong.append(text)


def session_of(command: Command) -> str | None:
    """The session that a command began, by its recorded answer."""
    if command.subject not in ("fleet.engine.start", "fleet.engine.restart"):
        return None
    said: dict[str, object] = msgspec.json.decode(command.reply)
    return str(said["session_id"]) if said.get("session_id") else None


def is_live(spec: SessionSpec) -> bool:
    """True where money is traded."""
    return spec.engine_type == EngineType.LIVE and spec.trading_mode == TradingMode.LIVE
