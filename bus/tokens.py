"""The file of tokens for the REST API: what each may do and a digest of it, a line each; never a token."""

import base64
import fcntl
import hashlib
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from flotilla.bus.files import opened_folder, write_whole
from flotilla.schemas.access import CODE_GOOD_FOR, BusKeys, Role, SignInCode, TokenName, TokenRecord
from flotilla.schemas.decoding import convert
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.labels import Labels

_BYTES: Final = 32
NOTHING: Final[dict[str, str]] = {}


class TokenLine(msgspec.Struct, frozen=True):
    """One line: the record in it, or None with what is wrong with it."""

    number: int
    text: bytes
    record: TokenRecord | None
    problem: str = ""


def digest(token: str) -> str:
    """What is kept of a token. Tokens are 256 random bits, so a plain hash cannot be guessed backwards."""
    return hashlib.sha256(token.encode(errors="surrogateescape")).hexdigest()


def read_lines(path: Path) -> tuple[TokenLine, ...]:
    """The lines of a tokens file that are not blank; none when there is no file. Raises OSError."""
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    return tuple(_line(number, text) for number, text in enumerate(lines, 1) if text.strip())


def read_tokens(path: Path) -> tuple[TokenRecord, ...]:
    """The records of a tokens file. Raises OSError."""
    return tuple(line.record for line in read_lines(path) if line.record is not None)


def add_token(
    path: Path,
    name: str,
    role: Role,
    *,
    now: datetime,
    labels: Labels = NOTHING,
    lifetime: timedelta | None = None,
    bus: BusKeys | None = None,
    replace: bool = False,
) -> tuple[str, TokenRecord]:
    """A new token and its record; the text is returned once and kept nowhere. `bus` is of the credentials that go with it.

    The file is written anew with mode 0600 and put in place in one step, on disk. Raises FaultError `invalid` that names the field,
    `conflict` for a name that has a token unless it is to be replaced; OSError when the file cannot be written.
    """
    convert(name, TokenName, "name")
    convert(labels, Labels, "labels")
    if lifetime is not None and lifetime <= timedelta():
        raise invalid(FieldError("expires", "must lie ahead"))
    token = secrets.token_urlsafe(_BYTES)
    record = TokenRecord(
        name=name,
        role=role,
        sha256=digest(token),
        labels=labels,
        created_at=now,
        expires_at=now + lifetime if lifetime else None,
        bus=bus,
    )
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(path):
        lines = read_lines(path)
        if not replace and any(line.record is not None and line.record.name == name for line in lines):
            raise fault(FaultCode.CONFLICT, f"{name} has a token already")
        _write(path, [*_without(lines, name), msgspec.json.encode(record)])
    return token, record


def remove_token(path: Path, name: str) -> TokenRecord:
    """Takes a token out of the file, and returns what it was. Raises FaultError `invalid`, `not_found`; OSError."""
    convert(name, TokenName, "name")
    if not path.parent.is_dir():
        raise _unknown(name)
    with _locked(path):
        lines = read_lines(path)
        found = [line.record for line in lines if line.record is not None and line.record.name == name]
        if not found:
            raise _unknown(name)
        _write(path, _without(lines, name))
    return found[-1]


def codes_file(path: Path) -> Path:
    """The file of sign-in codes that lies beside a tokens file."""
    return path.with_name("codes.jsonl")


def add_code(path: Path, name: str, *, now: datetime) -> tuple[str, SignInCode]:
    """A code with which a browser may sign in once, within a minute, as the token of `name` in the tokens file `path`.

    The text, of 50 random bits, is returned once. Raises FaultError `invalid`, `not_found`, `conflict` for a token that has expired; OSError.
    """
    convert(name, TokenName, "name")
    record = next((one for one in read_tokens(path) if one.name == name), None)
    if record is None:
        raise _unknown(name)
    if record.is_expired(now):
        raise fault(FaultCode.CONFLICT, f"the token of {name} has expired")
    text = base64.b32encode(secrets.token_bytes(7)).decode()[:10]
    code = f"{text[:5]}-{text[5:]}"
    made = SignInCode(name=name, sha256=digest(code), created_at=now, expires_at=now + CODE_GOOD_FOR)
    file = codes_file(path)
    with _locked(file):
        kept = [one for one in read_codes(file) if one.expires_at > now]
        _write(file, [msgspec.json.encode(one) for one in (*kept, made)])
    return code, made


def read_codes(file: Path) -> tuple[SignInCode, ...]:
    """The codes in a file; a line that is none is passed over, as it is of no use to anybody within a minute. Raises OSError."""
    try:
        lines = file.read_bytes().splitlines()
    except FileNotFoundError:
        return ()
    found = []
    for line in lines:
        with suppress(msgspec.DecodeError, UnicodeDecodeError):
            found.append(msgspec.json.decode(line, type=SignInCode))
    return tuple(found)


def _unknown(name: str) -> Exception:
    return fault(FaultCode.NOT_FOUND, f"{name} has no token")


def _line(number: int, text: bytes) -> TokenLine:
    try:
        return TokenLine(number, text, msgspec.json.decode(text, type=TokenRecord))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return TokenLine(number, text, None, str(error))


def _without(lines: tuple[TokenLine, ...], name: str) -> list[bytes]:
    """What is left: a line that cannot be read stays, it may be somebody's."""
    return [line.text for line in lines if line.record is None or line.record.name != name]


def _write(path: Path, lines: list[bytes]) -> None:
    write_whole(path, b"".join(line + b"\n" for line in lines), as_folder=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Two that change the file at the same time do so one after the other. Raises OSError."""
    with opened_folder(path.parent) as folder:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
