"""The folder that one stack owns, and the names in it."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from flotilla.schemas.environment import STATE, TOKENS_FILE
from flotilla.state.errors import StackError

CHOOSE: Final = "choose another with --state, or set FLOTILLA_STATE"


@dataclass(frozen=True)
class StateFolder:
    """Everything a stack keeps stands below `root`; nothing else does."""

    root: Path

    def __post_init__(self) -> None:
        """Raises StackError for a path that NautilusTrader's catalog takes for a pattern: it would find no data there, or another's."""
        if found := sorted(set("*?[") & set(str(self.root))):
            raise StackError(
                f"the state folder {self.root} cannot be used: NautilusTrader takes {' '.join(found)} for a pattern",
                CHOOSE,
            )

    @classmethod
    def chosen(cls, path: str | Path | None = None) -> Self:
        """`path`, else FLOTILLA_STATE, else /var/lib/flotilla for root and ~/.local/state/flotilla for everybody else.

        Raises StackError.
        """
        if named := path or STATE.given():
            return cls(Path(named).expanduser().absolute())
        if os.geteuid() == 0:
            return cls(Path("/var/lib/flotilla"))
        home = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state"
        return cls(Path(home) / "flotilla")

    @property
    def lock_file(self) -> Path:
        """Locked by the `flotilla up` that runs here; says its process id."""
        return self.root / "lock"

    @property
    def remains_file(self) -> Path:
        """Locked by every process of the stack, so that a new one waits for what is left of a killed one."""
        return self.root / "lock.children"

    @property
    def connection_file(self) -> Path:
        """How clients reach the stack that runs; there while it is ready."""
        return self.root / "connection.json"

    @property
    def wanted_file(self) -> Path:
        """Engines that ran when the stack was stopped, until they were asked to run again."""
        return self.root / "wanted.json"

    @property
    def restored_file(self) -> Path:
        """There from a restore of the record until the stack that was started first on it ends."""
        return self.root / "restored"

    @property
    def ports_file(self) -> Path:
        """The ports that were used last: engines that outlived the stack look for the bus there."""
        return self.root / "ports.json"

    @property
    def token_file(self) -> Path:
        """The administrator's token for the REST API."""
        return self.root / "admin.token"

    @property
    def digests_file(self) -> Path:
        """What the gateway keeps of tokens: whose, which role, and a digest."""
        return self.root / "tokens.jsonl"

    @property
    def tokens_in_use(self) -> Path:
        """The tokens that this stack's gateway accepts: another file when the environment names one."""
        return TOKENS_FILE.given() or self.digests_file

    @property
    def keys(self) -> Path:
        """Keys and credentials of the bus."""
        return self.root / "keys"

    @property
    def secret_key_file(self) -> Path:
        """The keys under which credentials of venues are encrypted."""
        return self.keys / "secrets.key"

    @property
    def nats(self) -> Path:
        """nats-server's folder."""
        return self.root / "nats"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's folder."""
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        """The folder of the server in which engines remember their orders and positions."""
        return self.root / "redis"

    @property
    def secrets(self) -> Path:
        """Credentials of venues, one file per name, encrypted."""
        return self.root / "secrets"

    @property
    def catalog(self) -> Path:
        """Market data, in NautilusTrader's Parquet layout."""
        return self.root / "catalog"

    @property
    def logs(self) -> Path:
        """One file per process of the stack."""
        return self.root / "logs"

    def create(self) -> None:
        """Makes the folder, for its owner only. Raises StackError.

        The catalog in it is open to everybody who gets there, whatever the umask: containers are given it alone, and read it as
        another account.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            self.root.chmod(0o700)
            self.logs.mkdir(exist_ok=True, mode=0o700)
            self.secrets.mkdir(exist_ok=True, mode=0o700)
            self.catalog.mkdir(exist_ok=True)
            self.catalog.chmod(0o755)
        except OSError as error:
            raise StackError(
                f"the state folder {self.root} cannot be used: {error.strerror}",
                CHOOSE,
            ) from None


def owner_of(folder: Path) -> str:
    """What marks this stack's engines, so that two stacks on one machine leave each other's alone."""
    return f"flotilla-{hashlib.sha256(str(folder).encode()).hexdigest()[:10]}"
