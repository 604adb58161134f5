"""What a process must read to import and run Python code: all that a check is let read, beside what is its own."""

import os
import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_SYSTEM: Final = (
    *("/usr", "/lib", "/lib64", "/bin", "/dev/null", "/dev/urandom", "/dev/random", "/dev/zero"),
    *("/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/sys/devices/system/cpu"),
    *(
        "/etc/ld.so.cache",
        "/etc/localtime",
        "/etc/timezone",
        "/etc/passwd",
        "/etc/group",
        "/etc/nsswitch.conf",
    ),
    *(
        "/etc/hosts",
        "/etc/mime.types",
        "/etc/os-release",
        "/etc/ssl/certs",
        "/etc/ssl/openssl.cnf",
        "/etc/pki/tls/certs",
    ),
)
_PATHS: Final = ("stdlib", "platstdlib", "purelib", "platlib")
_LIBRARIES: Final = ("LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


def readable_from(own: Path, more: Iterable[Path] = ()) -> tuple[Path, ...]:
    """Files and folders that are there: Python, what is installed, where modules are found, our own code, little of the system, and `more`.

    None in which `own` stands, the process's folder: a local process has it in the state folder, among the keys of the fleet.
    """
    home = own.resolve()
    found = dict.fromkeys(
        Path(path).resolve() for path in (*_wanted(), *map(str, more)) if os.path.exists(path)
    )
    return tuple(path for path in found if path not in (home, *home.parents))


def _wanted() -> Iterator[str]:
    yield from _SYSTEM
    yield from (sysconfig.get_path(name) for name in _PATHS)
    yield from (os.path.join(prefix, "lib") for prefix in (sys.prefix, sys.base_prefix))
    yield from _code_of_ours()
    # Python puts it there by itself, and where we were started has no code that is meant.
    working = _working_folder()
    yield from (path for path in sys.path if path not in ("", working))
    yield from (path for name in _LIBRARIES for path in os.environ.get(name, "").split(os.pathsep) if path)


def _working_folder() -> str:
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _code_of_ours() -> Iterator[str]:
    """The package's folder, and what is linked into it in a checkout."""
    package = Path(__file__).parents[2]
    yield str(package)
    yield from (str(path) for path in package.iterdir() if path.is_symlink())
