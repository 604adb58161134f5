"""What the supervisor needs of the outside: a runtime for engine containers, what engines are given, and where flags are kept."""

from collections.abc import AsyncGenerator, Callable, Collection, Iterable
from concurrent.futures import Future
from typing import Final, Protocol

import msgspec

from flotilla.schemas.data import DataUploaded, ImportEnd, UploadData
from flotilla.schemas.secrets import BoundSecret
from flotilla.schemas.session import (
    CacheAccess,
    ContainerFacts,
    EmergencyStop,
    RenewCredential,
    RenewedCredential,
    SessionSpec,
)
from flotilla.schemas.telemetry import StopFlag
from flotilla.services.supervisor.core.check_output import CheckOutput, Question
from flotilla.services.supervisor.core.identity import Access, SessionIdentity
from flotilla.services.supervisor.core.imports import AskedImport, KeptImport
from flotilla.services.supervisor.core.stops import StopUnderWay
from flotilla.services.supervisor.core.strangers import Connection

NO_CATALOG: Final = "this host has no catalog: set FLOTILLA_CATALOG"


class RuntimeProbe(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a runtime can start anything now, and what its host has. Zeros while that was never learnt.

    `has_seccomp`: it keeps engines to a profile of system calls, where it has one.
    """

    is_up: bool
    cpus: int = 0
    memory_bytes: int = 0
    version: str = ""
    detail: str = ""
    has_seccomp: bool = True


class ContainerRuntime(Protocol):
    """Runs sessions, one container each, and checks plans. Every verb names a session, and saying it again changes nothing more.

    All raise FaultError: `unavailable` when the runtime cannot be reached or cannot do it now (`retry_after_s` is set when
    trying again makes sense), `outcome_unknown` when a change was sent and its answer was lost, `not_found` for a session that
    is not here, `conflict` when the name is taken by something else, `invalid` for a specification that cannot be run.
    """

    @property
    def kind(self) -> str:
        """`docker` or `process`, as told in ContainerFacts.runtime."""

    @property
    def is_isolated(self) -> bool:
        """True when an engine reaches nothing but what it is given; only there may it trade money."""

    async def ensure(
        self, spec: SessionSpec, launch_line: bytes, go_on: Callable[[], None] = lambda: None
    ) -> ContainerFacts:
        """Makes the session run and returns its facts. A session that runs, or has ended, is left alone and reported.

        `launch_line` is put on the sidecar's stdin before it starts and is kept nowhere. `go_on` is called last of all before
        it starts, maybe in a thread: what it raises is raised, and nothing is left of the session.
        """

    async def stop(self, session_id: str, timeout_s: float) -> ContainerFacts:
        """SIGTERM to the sidecar, SIGKILL to all of it after `timeout_s`; returns when it has ended.

        SIGTERM is sent several times: a process that is just being started may lose the first. The deadline holds although the
        supervisor dies meanwhile.
        """

    async def pulse(self, session_id: str) -> str | None:
        """A text that changes every second while the sidecar's loop turns, whether or not it finds the bus.

        None when that cannot be told: it does not run, has shown no life yet, or is paused.
        """

    async def kill(self, session_id: str) -> ContainerFacts:
        """SIGKILL to all of it; returns when it has ended."""

    async def remove(self, session_id: str) -> ContainerFacts:
        """Deletes what is left of an ended session and returns its last facts as `gone`. A running one is a `conflict`."""

    async def inspect(self, session_id: str) -> ContainerFacts:
        """What the runtime says of the session now."""

    async def list(self) -> tuple[ContainerFacts, ...]:
        """All sessions of this owner, whatever their state."""

    def watch(self) -> AsyncGenerator[ContainerFacts]:
        """Every session once, then each one again whenever its facts change, for ever.

        It goes by what is there, not by what is announced: a change that happened while the runtime was away, or nobody
        watched, is reported all the same. Close it with `aclose`.
        """

    async def check(self, line: bytes, timeout_s: float) -> CheckOutput:
        """Asks the program that checks plans, in a container or process of its own of which nothing is left. Touches no session."""

    async def check_when_asked(self, asked: Future[Question | None]) -> CheckOutput:
        """The same, begun before there is a question: the program imports what it needs meanwhile. It ends unasked with None, and by itself
        some time after READY_S.
        """

    async def catalog(self, line: bytes, timeout_s: float, *, writes: bool = False) -> CheckOutput:
        """Asks the program that reads and changes this host's catalog, likewise; a container can write there only with `writes`.

        Raises `unavailable` also where this host has no catalog.
        """

    async def probe(self) -> RuntimeProbe:
        """Never raises: a runtime that is down is an answer."""

    async def close(self) -> None:
        """Lets go of threads and connections; the sessions run on."""


class CredentialDesk(Protocol):
    """Gives sessions what they need to get onto the bus, and takes it back when they are over."""

    async def issue(self, spec: SessionSpec) -> Access:
        """Credentials that are good for this session's subjects only, and a worker's for the queue too."""

    async def renew(self, request: RenewCredential) -> RenewedCredential:
        """For the session that asks. Raises FaultError `forbidden` for one that is over or not of this host."""

    def sessions(self) -> tuple[SessionIdentity, ...]:
        """Those who have credentials."""

    def saw(self, facts: ContainerFacts) -> None:
        """Takes note of what a container does."""

    async def run(self, runtime: ContainerRuntime) -> None:
        """Revokes the credentials of sessions that have ended, until cancelled."""

    async def close(self) -> None:
        """Lets go of connections."""


class Connections(Protocol):
    """Who is on the bus in the account of engines."""

    async def seen(self) -> tuple[Connection, ...]:
        """Those connected, and those who were last. Raises FaultError `unavailable`."""

    async def close(self) -> None:
        """Lets go of connections."""


class IdentityStore(Protocol):
    """Keeps which users the sessions of this host are on the bus, also over a loss of power."""

    def load(self) -> tuple[SessionIdentity, ...]:
        """As last saved, none when none ever were. Raises OSError or ValueError when it cannot be told."""

    def save(self, identities: tuple[SessionIdentity, ...]) -> None:
        """Returns when they are on disk. Raises OSError."""


class Revoking(Protocol):
    """Tells the bus that users are good no longer."""

    async def revoke(self, users: Collection[str]) -> None:
        """Returns when the server knows of it: they are cut off, and get in no more. Raises FaultError `unavailable`."""

    async def close(self) -> None:
        """Lets go of connections."""


class SecretStore(Protocol):
    """Where this host keeps what engines need to log in at venues."""

    def read(self, names: Iterable[str]) -> dict[str, BoundSecret]:
        """The entries of these names, never logged. Raises FaultError `invalid` for one that is not there or not fit."""


class CacheUsers(Protocol):
    """Who may keep state in this host's Redis."""

    async def admit(self, spec: SessionSpec) -> CacheAccess:
        """A way into Redis for this session alone, the same one when asked again. Raises FaultError `unavailable`."""

    async def dismiss(self, session_id: str) -> None:
        """The session is over for good. Raises FaultError; asking again is safe."""

    async def look(self, running: Collection[str]) -> bool:
        """Whether engines can keep state there now; sessions that run are let in again if they were forgotten. Never raises."""

    async def close(self) -> None:
        """Lets go of connections."""


class ImportStore(Protocol):
    """The imports of this host. All but `forget_old` raise FaultError `unavailable` where they cannot be kept, or told."""

    def add(self, piece: UploadData) -> DataUploaded:
        """Appends a piece to an uploaded file. Raises FaultError: `conflict` for one that does not follow, `too_large`."""

    def ask(self, asked: AskedImport) -> AskedImport:
        """Puts on record what was asked; returns what is on record then, `asked` itself when it is new. Raises FaultError: `not_found` for a
        file that was not uploaded, `conflict` for an id that has other options.
        """

    def kept(self) -> list[KeptImport]:
        """Those on record, the newest first."""

    def one(self, import_id: str) -> KeptImport | None:
        """One of them."""

    def end(self, import_id: str, end: ImportEnd) -> None:
        """Puts on record how it ended, unless that is there already, and lets go of its file."""

    def forget_old(self) -> None:
        """Forgets the oldest of very many that have ended."""


class LeftOrder(msgspec.Struct, frozen=True):
    """An emergency stop that waits for this supervisor, under the name of its file."""

    name: str
    request: EmergencyStop


class FlagStore(Protocol):
    """Keeps the stop flags of this host, also over a loss of power."""

    def load(self) -> tuple[StopFlag, ...]:
        """The flags as last saved, none when none ever were. Raises OSError or ValueError when it cannot be told."""

    def save(self, flags: tuple[StopFlag, ...]) -> None:
        """Returns when they are on disk. Raises OSError, and then those saved before still are."""

    def left(self) -> tuple[LeftOrder, ...]:
        """The stops that somebody left here because the bus did not carry them, oldest first. Never raises."""

    def settle(self, order: LeftOrder) -> None:
        """Takes an order away. Never raises."""


class OrderLog(Protocol):
    """The fleet's emergency stops and lifts, as they are kept for hosts that could not be asked."""

    async def after(self, seq: int) -> tuple[int, bytes] | None:
        """The first that came after this number, with its own; None when none did. Raises FaultError `unavailable`."""


class NothingKept:
    """Where nobody keeps any."""

    async def after(self, _: int) -> tuple[int, bytes] | None:
        """None."""
        return None


class CalledOffStore(Protocol):
    """Keeps which starts of this host were called off, also over a loss of power."""

    def load(self) -> tuple[str, ...]:
        """The sessions as last saved, oldest first, none when none ever were. Raises OSError or ValueError when it cannot be told."""

    def save(self, sessions: tuple[str, ...]) -> None:
        """Returns when they are on disk. Raises OSError, and then those saved before still are."""


class StopStore(Protocol):
    """Keeps which stops are under way on this host, also over a loss of power."""

    def load(self) -> tuple[StopUnderWay, ...]:
        """The stops as last saved, none of an earlier boot of the host. Raises OSError or ValueError when it cannot be told."""

    def save(self, stops: tuple[StopUnderWay, ...]) -> None:
        """Returns when they are on disk. Raises OSError, and then those saved before still are."""
