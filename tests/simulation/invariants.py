"""What must hold after each step, written out by hand: whatever the product's own tables say, these sentences are the judge."""

import math
import signal
from typing import Final

import msgspec

from flotilla.schemas.engine import EngineAccepted
from flotilla.schemas.session import FleetStopped, RenewLease, SessionSpec, VenueAccount
from flotilla.schemas.states import EngineType, RunState, TradingMode
from flotilla.services.orchestrator.engines.core.model import Engine, Session
from flotilla.services.orchestrator.engines.ports import Change, Command
from tests.fakes.memory_record import Store
from tests.simulation.actors import Disk
from tests.simulation.docker import RUNNING, Container, Docker
from tests.simulation.engine import SimProcesses
from tests.simulation.loop import SimLoop

OVER = ("stopped", "failed", "completed")
"""The states in which a session has ended."""


LATE_S: Final = 1.5
"""How long an engine whose lease has run out may take until it only reduces."""
BOUND_S: Final = 36.0
"""By when a session has ended whose stop was recorded, where nothing else goes wrong: its 30 s, and what it takes to kill it."""


class Seen:
    """What the judge has seen of one session, and the Witness of its engine."""

    def __init__(self, judge: "Judge", container: Container) -> None:
        self.container, self._judge = container, judge
        self.engine: SimProcesses | None = None
        self.is_free = False
        self.was_killed = False
        self.lease_until = judge.loop.time() + (
            container.spec.lease.ttl_s if container.spec.lease else math.inf
        )

    def forked(self) -> None:
        """See Witness."""
        self._judge.forked(self)

    def trades(self, is_free: bool) -> None:
        """See Witness."""
        if is_free != self.is_free:
            self.is_free = is_free
            self._judge.trades(self)

    def stops(self) -> None:
        """See Witness."""
        self._judge.stops(self)


class Judge:
    """Sees every container that begins and ends, every change on record, every answer, and what every engine does."""

    def __init__(self, loop: SimLoop, store: Store, dockers: list[Docker], disks: dict[str, Disk]) -> None:
        self.wrong: list[str] = []
        self.loop, self._store, self._dockers, self._disks = loop, store, dockers, disks
        self.is_quiet = False
        """Nothing goes wrong but in engines: then a stop has its bound, and no signal comes before the question."""
        self._seen: dict[str, Seen] = {}
        self._asked: set[str] = set()
        self._ending: set[str] = set()
        self._stopped_at: dict[str, float] = {}
        self._trading: dict[VenueAccount, set[str]] = {}
        self._confirmed: set[str] = set()
        """The requests that said that money may be traded."""

    def confirmed(self, request_id: str) -> None:
        """A command is about to be given that allows live trading."""
        self._confirmed.add(request_id)

    # -- containers

    def began(self, container: Container) -> None:
        """A container begins to run."""
        spec = container.spec
        if spec.session_id in self._seen:
            self._say(f"session {spec.session_id} has begun twice")
        self._seen[spec.session_id] = Seen(self, container)
        for other in self._running(spec.instance_id):
            if other is not container and not self._is_done(other):
                self._say(f"{spec.session_id} has begun beside {other.spec.session_id} of the same engine")
        known = self._store.sessions.get(spec.session_id)
        if known is None:
            self._say(f"{spec.session_id} has begun and is not on record")
        elif known.state in OVER and not known.is_given_up:
            self._say(f"{spec.session_id} has begun after its end")
        if is_live(spec):
            self._live_began(container)

    def passes(self, host: str, spec: SessionSpec) -> None:
        """A start is let through: it is made true a moment later, whatever comes then, and must not live under a flag."""
        for flag in self._disks[host].flags:
            if flag.instance_id in (None, spec.instance_id):
                self._say(f"{spec.session_id} is let through under a stop flag")

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

    def of(self, container: Container) -> Seen:
        """What was seen of it."""
        return self._seen[container.spec.session_id]

    def ends(self, container: Container, code: int) -> None:
        """A container's process has ended."""
        seen = self.of(container)
        if code == -signal.SIGKILL and seen.engine is not None and seen.engine.runs:
            seen.was_killed = True

    def signals(self, container: Container, number: int) -> None:
        """A host sends a signal to a container: not before its sidecar was asked to follow the stop policy."""
        name, seen = container.spec.session_id, self.of(container)
        session = self._store.sessions[name]
        is_needless = seen.engine is None or not seen.engine.runs or session.state in OVER
        is_forced = session.stop is not None and session.stop.is_forced
        if self.is_quiet and not is_needless and not is_forced and name not in self._asked | self._ending:
            self._say(f"{name} is sent signal {number} and was never asked")

    # -- engines

    def forked(self, seen: Seen) -> None:
        """An engine begins to run; one that somebody gave up unseen may do so late, beside the one that came after it."""
        name = seen.container.spec.session_id
        session = self._store.sessions.get(name)
        if session is not None and session.is_given_up:
            return
        for other in self._running(seen.container.spec.instance_id):
            engine = self.of(other).engine
            if other is not seen.container and engine and engine.is_forked and not self._is_done(other):
                self._say(f"two engines run: {name} beside {other.spec.session_id}")

    def stops(self, seen: Seen) -> None:
        """An engine begins to stop: because that was asked of its own session, or its lease has run out."""
        name = seen.container.spec.session_id
        session = self._store.sessions[name]
        is_asked = session.stop is not None or session.state in OVER or seen.container.is_told
        is_without_lease = seen.engine is not None and seen.engine.is_reduced
        if not is_asked and name not in self._ending and not is_without_lease:
            self._say(f"{name} stops and nobody has asked for it")

    def heard(self, verb: str, body: bytes) -> None:
        """A command to an engine is on its way."""
        name = msgspec.json.decode(body).get("session_id") or ""
        if verb == "stop":
            self._asked.add(name)
        elif verb == "end_now":
            self._ending.add(name)
        elif verb == "renew_lease" and name in self._seen:
            renewal = msgspec.json.decode(body, type=RenewLease)
            as_of = self.loop.time() if renewal.as_of_s is None else renewal.as_of_s
            seen = self._seen[name]
            seen.lease_until = max(seen.lease_until, as_of + renewal.ttl_s)
            self.loop.outside(max(0.0, seen.lease_until - self.loop.time()) + LATE_S, self._lapsed, seen)

    def _lapsed(self, seen: Seen) -> None:
        """A lease may have run out a moment ago."""
        is_able = seen.engine is not None and not seen.engine.is_silent
        if seen.is_free and is_able and self.loop.time() > seen.lease_until + LATE_S / 2:
            self._say(f"{seen.container.spec.session_id} trades freely though its lease has run out")

    def _running(self, instance_id: str) -> list[Container]:
        return [
            each
            for docker in self._dockers
            for each in docker.containers.values()
            if each.status == RUNNING and each.spec.instance_id == instance_id
        ]

    def _is_done(self, container: Container) -> bool:
        """True when its engine has ended, or ended before it began by its sidecar's word, or when somebody gave it up unseen."""
        engine = self.of(container).engine
        session = self._store.sessions.get(container.spec.session_id)
        if engine is not None and engine.has_ended:
            return True
        if session is None or session.state not in OVER:
            return False
        is_told = session.state_seq > 0 and not session.is_provisional
        return session.is_given_up or (is_told and engine is not None and not engine.is_forked)

    # -- accounts

    def trades(self, seen: Seen) -> None:
        """An engine begins to trade freely, or does no more."""
        spec = seen.container.spec
        brake = self._store.engines[spec.instance_id].brake
        if seen.is_free and brake.is_on and brake == self._store.specs[spec.session_id].brake:
            self._say(f"{spec.session_id} began {brake.text} and trades freely")
        for account in spec.lease.accounts if spec.lease else ():
            holders = self._trading.setdefault(account, set())
            (holders.add if seen.is_free else holders.discard)(spec.session_id)
            if len(holders) > 1:
                self._say(f"account {account.account} is traded by {' and '.join(sorted(holders))}")
        if spec.lease and seen.is_free:
            self.loop.outside(max(0.0, seen.lease_until - self.loop.time()) + LATE_S, self._lapsed, seen)
            if self.loop.time() > seen.lease_until + LATE_S:
                self._say(f"{spec.session_id} is set free though its lease has run out")

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
        name = after.session_id
        if after.is_given_up and not before.is_given_up and before.state != RunState.UNKNOWN:
            self._say(f"{name} is given up while it is {before.state}")
        if after.stop is not None and before.stop is None:
            self._stopped_at[name] = self.loop.time()
        took_s = self.loop.time() - self._stopped_at.get(name, math.inf)
        if self.is_quiet and after.state in OVER and before.state not in OVER and took_s > BOUND_S:
            self._say(f"the stop of {name} took {took_s:.1f} s")
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
        # How far a stop got is found out anew where it could not be put on record.
        alike = ("request_id", "instance_id", "session_id", "container_name", "started_at")
        if earlier is not None and any(getattr(earlier, each) != getattr(answer, each) for each in alike):
            self._say(f"command {request_id} was answered in two ways")
        known = self._store.engines.get(answer.instance_id)
        if answer.brake is not None and known and (answer.brake != known.brake or not known.brake.is_on):
            return  # Lifted, or another was asked for since: the engine may trade.
        seen = self._seen.get(answer.session_id or "")
        if answer.is_taken and seen is not None and seen.is_free:
            self._say(f"the stop or brake of {answer.session_id} was said to be taken, and it trades on")

    def receipts(self, done: FleetStopped) -> None:
        """An emergency stop was answered: what is called gone is, and what is called flat was not killed."""
        for receipt in done.receipts:
            seen = self._seen.get(receipt.session_id)
            if seen is None:
                continue
            if receipt.is_gone and seen.container.status == RUNNING:
                self._say(f"{receipt.session_id} is said to be gone and runs")
            if receipt.is_flat and seen.was_killed:
                self._say(f"{receipt.session_id} was killed and is said to be flat")

    # -- the end

    def concludes(self) -> None:
        """Everything is settled: of an engine that was killed somebody says what is not known, and nobody here tells a lie."""
        for name, seen in self._seen.items():
            session = self._store.sessions[name]
            brake = self._store.engines[session.instance_id].brake
            if seen.is_free and brake.is_on:
                self._say(f"{name} is {brake.text} in the end, and trades freely")
            if seen.was_killed and session.state in OVER and not session.not_confirmed:
                self._say(f"{name} was killed, and nothing is said to be unknown")
        for refusal in self._store.refusals:
            # The clocks of hosts are set by an hour here, which is said of their events.
            is_claim = refusal.caller.credential == f"engine_{refusal.instance_id}"
            if is_claim and "on record under" not in refusal.message:
                self._say(f"{refusal.instance_id} is honest and is not believed: {refusal.message}")

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
