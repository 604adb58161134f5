"""The validated forms of every id and name that comes from outside.

All patterns are anchored with \\A and \\Z, because `$` lets a trailing newline pass. A value that fits may stand in a
subject, a route, a container name and a file name.
"""

import re
import secrets
from datetime import datetime
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

ID_PATTERN: Final = r"\A[a-z0-9][a-z0-9-]{0,62}\Z"
NAME_PATTERN: Final = r"\A[a-z][a-z0-9_]{0,62}\Z"
REQUEST_ID_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z"
VERSION_PATTERN: Final = r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z"
_SYMBOL: Final = r"[A-Za-z0-9^=](?:[A-Za-z0-9^=/_: -]{0,61}[A-Za-z0-9^=/_:-])?"
"""Without anchors. Options of CME and OPRA have blanks inside."""
INSTRUMENT_PATTERN: Final = rf"\A{_SYMBOL}(?:\.[A-Za-z0-9/_:-]{{1,30}}){{1,3}}\Z"
_BAR_STEP: Final = r"[1-9][0-9]{0,8}-[A-Z][A-Z_]{2,19}"
BAR_TYPE_PATTERN: Final = (
    INSTRUMENT_PATTERN.removesuffix(r"\Z")
    + rf"-{_BAR_STEP}-(?:BID|ASK|MID|LAST)-(?:EXTERNAL|INTERNAL(?:@{_BAR_STEP}-(?:EXTERNAL|INTERNAL))?)\Z"
)
"""Bars of a step, of a price, from outside or made inside NautilusTrader: of ticks, or after `@` of other bars."""

InstanceId: TypeAlias = Annotated[
    str, Meta(pattern=ID_PATTERN, description="An engine: lower case letters, digits and '-', 1 to 63.")
]
SessionId: TypeAlias = Annotated[str, Meta(pattern=ID_PATTERN, description="One life of one engine.")]
HostId: TypeAlias = Annotated[str, Meta(pattern=ID_PATTERN, description="The host that a supervisor owns.")]
Name: TypeAlias = Annotated[str, Meta(pattern=NAME_PATTERN, description="A template or parameter name.")]
RequestId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=REQUEST_ID_PATTERN,
        description="Chosen by the caller; the same id twice gives the same answer and one effect.",
    ),
]
PackageVersion: TypeAlias = Annotated[
    str,
    Meta(
        pattern=VERSION_PATTERN,
        description="A version of a package: letters, digits, '.', '_' and '-', 1 to 80.",
    ),
]
StrategyName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=NAME_PATTERN.removesuffix(r"\Z")
        + "(?:@"
        + VERSION_PATTERN.removeprefix(r"\A").removesuffix(r"\Z")
        + r")?\Z",
        description="A strategy template; one of a package may have the version behind it, such as mine@2.",
    ),
]
InstrumentId: TypeAlias = Annotated[
    str, Meta(pattern=INSTRUMENT_PATTERN, description="SYMBOL.VENUE as NautilusTrader writes it.")
]
BarType: TypeAlias = Annotated[
    str, Meta(pattern=BAR_TYPE_PATTERN, description="For example SPX.SIM-1-DAY-LAST-EXTERNAL.")
]

BACKTEST_ID_PATTERN: Final = r"\A(?!(?i:test|admin|system|root|config|data|logs)\Z)[A-Za-z0-9_-]{1,100}\Z"

BacktestId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=BACKTEST_ID_PATTERN,
        description="A backtest: letters, digits, '_' and '-', 1 to 100; test, admin, system, root, config, data and logs are not free.",
    ),
]
StudyId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=BACKTEST_ID_PATTERN.replace("{1,100}", "{1,90}"),
        description="A study, named as a backtest is.",
    ),
]

_ID = re.compile(ID_PATTERN)
_REQUEST_ID = re.compile(REQUEST_ID_PATTERN)
_BACKTEST_ID = re.compile(BACKTEST_ID_PATTERN)


def is_id(value: str) -> bool:
    """True when `value` may name an engine, a session or a host."""
    return _ID.match(value) is not None


def is_request_id(value: str) -> bool:
    """True when `value` may be the id of a request."""
    return _REQUEST_ID.match(value) is not None


def new_session_id(now: datetime, token: str | None = None) -> str:
    """A session id that sorts by time and cannot be guessed: `20260131-142501-3f9c2a7b1d04` (48 random bits)."""
    return f"{now:%Y%m%d-%H%M%S}-{token or secrets.token_hex(6)}"


def new_request_id() -> str:
    """A fresh request id for a command whose caller chose none (96 random bits)."""
    return secrets.token_hex(12)


def is_backtest_id(value: str) -> bool:
    """True when `value` may name a backtest."""
    return _BACKTEST_ID.match(value) is not None
