"""One FLOTILLA_* variable: how its text is read, and the one form of error for a text that does not fit."""

import ipaddress
import logging
import os
import re
import shlex
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

import msgspec

from flotilla.schemas.ids import NAME_PATTERN, is_id
from flotilla.schemas.labels import FORM, MOST_LABELS, parse_labels

T = TypeVar("T")
Choice = TypeVar("Choice", bound=StrEnum)
N = TypeVar("N", int, float)

_LONGEST_PREFIX: Final = 29
_HOST_NAME: Final = re.compile(r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\Z")
_ORIGIN: Final = re.compile(r"\Ahttps?://[A-Za-z0-9.\[\]:-]{1,260}\Z")


class Reader(StrEnum):
    """Who reads a variable."""

    ORCHESTRATOR = "orchestrator"
    SUPERVISOR = "supervisor"
    NOTIFIER = "notifier"
    GATEWAY = "gateway"
    SERVICES = "every service"
    CLIENT = "CLI and SDK"
    SIDECAR = "sidecar"
    ENGINE = "engine"
    ACCEPTANCE = "`test-engine-integration.py`"
    COMPOSE = "`deploy/compose.yaml`"
    BUILD = "image builds"
    SCRIPTS = "scripts and CI"


class Kind(msgspec.Struct, Generic[T], frozen=True):
    """What a variable's text may be: `text` says it to people; `parse` makes the value, and raises ValueError where it does not fit.

    No error shows a text that `may_hold_secret`.
    """

    text: str
    parse: Callable[[str], T]
    may_hold_secret: bool = False


class Variable(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """One row. `default` is the text that means the same as no variable; where there is none, `without` says what then holds."""

    name: str
    readers: tuple[Reader, ...]
    kind: Kind[T]
    meaning: str
    default: str = ""
    without: str = ""

    def given(self, env: Mapping[str, str] = os.environ) -> T | None:
        """Its value; None where it is not set. One that is empty is not set. Raises ValueError that names it, and its text."""
        text = env.get(self.name)
        return self._parsed(text) if text else None

    def read(self, env: Mapping[str, str] = os.environ) -> T:
        """Its value, else its default. Raises ValueError that names it, also where it has no default and is not set."""
        text = env.get(self.name) or self.default
        if not text:
            raise ValueError(f"{self.name} must be set")
        return self._parsed(text)

    def _parsed(self, text: str) -> T:
        try:
            return self.kind.parse(text)
        except ValueError:
            shown = "" if self.kind.may_hold_secret else f" {text!r}"
            raise ValueError(f"{self.name}{shown} must be {self.kind.text.replace('`', '')}") from None


def text(what: str) -> Kind[str]:
    """Any text; `what` says of what."""
    return Kind(what, str)


def choice(kinds: type[Choice]) -> Kind[Choice]:
    """One of the words of an enumeration, in either case."""
    words = [f"`{word}`" for word in kinds]
    return Kind(f"{', '.join(words[:-1])} or {words[-1]}", lambda given: kinds(given.strip().lower()))


def number(unit: str, least: float, most: float) -> Kind[float]:
    """A number of `unit`, with or without decimals."""

    def parse(given: str) -> float:
        return _within(float(given), least, most)

    return Kind(f"a number of {unit}, {least:.0f} to {most:.0f}", parse)


def whole(what: str, least: int, most: int) -> Kind[int]:
    """A whole number; `what` says of what."""

    def parse(given: str) -> int:
        return _within(int(given), least, most)

    return Kind(f"{what}, {least} to {most}", parse)


def _within(value: N, least: N, most: N) -> N:
    if not least <= value <= most:  # as no comparison with "nan" is
        raise ValueError("out of range")
    return value


_NEVER: Final = "never"
_UNITS: Final = {"h": 1 / 24, "d": 1.0, "y": 365.0}
_SIZES: Final = {"MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}


def _age(given: str) -> float | None:
    """Days, None for no end."""
    if given.strip().lower() == _NEVER:
        return None
    return _within(float(given.strip()[:-1]) * _UNITS[given.strip()[-1]], 1, 36_500)


def _size(given: str) -> int:
    number, unit = given.strip()[:-3], given.strip()[-3:]
    return _within(int(float(number) * _SIZES[unit]), 64 << 20, 1 << 50)


def _with_unit(parse: Callable[[str], T]) -> Callable[[str], T]:
    def read(given: str) -> T:
        try:
            return parse(given)
        except (KeyError, IndexError, OverflowError) as error:
            raise ValueError("no such unit") from error

    return read


def _paths(given: str) -> tuple[Path, ...]:
    return tuple(Path(path) for path in given.split(os.pathsep) if path)


def _listed(given: str, fits: Callable[[str], object]) -> tuple[str, ...]:
    found = tuple(part.strip() for part in given.split(",") if part.strip())
    if not all(fits(part) for part in found):
        raise ValueError("one of them does not fit")
    return found


def _is_module(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))


def _id(given: str) -> str:
    if not is_id(given):
        raise ValueError("not an id")
    return given


def _name(given: str) -> str:
    if re.match(NAME_PATTERN, given) is None:
        raise ValueError("not a name")
    return given


def _address_range(given: str) -> str:
    if ipaddress.IPv4Network(given).prefixlen > _LONGEST_PREFIX:
        raise ValueError("no room for engines")
    return given


def _without_password(given: str) -> str:
    if urlsplit(given).password:
        raise ValueError("holds a password")
    return given


def _bus_url(given: str) -> str:
    parts = urlsplit(given)
    if parts.scheme not in {"nats", "tls"} or not parts.hostname:
        raise ValueError("not a bus")
    _ = parts.port  # raises ValueError for one that is none
    return given


def _level(given: str) -> str:
    if (level := given.strip().upper()) not in logging.getLevelNamesMapping():
        raise ValueError("not a level")
    return level


def _labels(given: str) -> dict[str, str]:
    return parse_labels(pair.strip() for pair in given.split(","))


AGE: Final = Kind("an age such as `36h`, `90d` or `2y`, a day at least, or `never`", _with_unit(_age))
SIZE: Final = Kind("a size such as `512MiB` or `20GiB`, 64 MiB at least", _with_unit(_size))
PATH: Final = Kind("a path", Path)
PATHS: Final = Kind("paths, separated as in PATH", _paths)
URL: Final = Kind("a URL", str, may_hold_secret=True)
BUS_URL: Final = Kind(
    "a URL such as `nats://127.0.0.1:4222` or `tls://bus.example:4222`", _bus_url, may_hold_secret=True
)
URL_WITHOUT_PASSWORD: Final = Kind(
    "a URL without a password: that stands in the file which `FLOTILLA_POSTGRES_PASSWORD_FILE` names",
    _without_password,
    may_hold_secret=True,
)
TOKEN: Final = Kind("a token", str, may_hold_secret=True)
ID: Final = Kind("lower case letters, digits and `-`, 1 to 63", _id)
NAME: Final = Kind("a name: lower case letters, digits and `_`, 1 to 63", _name, may_hold_secret=True)
FLAG: Final = Kind("`1` or `0`", lambda given: bool(whole("", 0, 1).parse(given)))
PORT: Final = whole("a port", 1, 65_535)
PORT_OR_ANY: Final = Kind("a port, or 0 for any free one", whole("a port", 0, 65_535).parse)
ADDRESS_RANGE: Final = Kind("an address range such as `10.231.0.0/24`", _address_range)
LEVEL: Final = Kind("`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`", _level)
WORDS: Final = Kind("words, as a shell splits them", lambda given: tuple(shlex.split(given)))
MODULES: Final = Kind("modules, separated by commas", lambda given: _listed(given, _is_module))
ORIGINS: Final = Kind(
    "origins such as `https://desk.example`, separated by commas", lambda given: _listed(given, _ORIGIN.match)
)
HOST_NAMES: Final = Kind(
    "names of hosts such as `desk.example`, without a port, separated by commas",
    lambda given: tuple(name.lower() for name in _listed(given, _HOST_NAME.match)),
)
LABELS: Final = Kind(
    f"at most {MOST_LABELS} labels with different keys, separated by commas, each {FORM}", _labels
)
