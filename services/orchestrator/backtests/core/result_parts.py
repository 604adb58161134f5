"""The result of a trial from its pieces: whole and as it was sent, or not at all."""

import hashlib
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

from flotilla.schemas.backtest import EquityPoint, Outcome

MAX_BYTES: Final = 2 << 30
"""What a document may unpack to."""


class _Curve(msgspec.Struct):
    equity_curve: tuple[EquityPoint, ...]


class _OutcomeOfCurve(msgspec.Struct):
    """Of an Outcome what a curve is read from; the rest is passed over."""

    result: _Curve


class BrokenResultError(Exception):
    """The pieces do not make the document that was sent; the text says why."""


def joined(pieces: Mapping[int, bytes], count: int, sha256: str) -> bytes | None:
    """The packed document; None while pieces are missing. Raises BrokenResultError when it is not what was sent."""
    if len(pieces) < count:
        return None
    if set(pieces) != set(range(count)):
        raise BrokenResultError("its pieces have wrong numbers")
    whole = b"".join(pieces[index] for index in range(count))
    if hashlib.sha256(whole).hexdigest() != sha256:
        raise BrokenResultError("its SHA-256 is not the one that was sent")
    return whole


def unpacked(packed: bytes) -> Outcome:
    """The outcome. Raises BrokenResultError."""
    try:
        return msgspec.json.decode(_unpacked(packed), type=Outcome)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenResultError(str(error)) from error


def unpacked_curve(packed: bytes) -> tuple[EquityPoint, ...]:
    """The equity curve of an outcome alone. Raises BrokenResultError."""
    try:
        return msgspec.json.decode(_unpacked(packed), type=_OutcomeOfCurve).result.equity_curve
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BrokenResultError(str(error)) from error


def unpacked_report(packed: bytes) -> str:
    """The HTML of a tear sheet. Raises BrokenResultError."""
    try:
        return _unpacked(packed).decode()
    except UnicodeDecodeError as error:
        raise BrokenResultError(str(error)) from error


def _unpacked(packed: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        body = unpacking.decompress(packed, MAX_BYTES)
    except zlib.error as error:
        raise BrokenResultError(str(error)) from error
    if not unpacking.eof:
        raise BrokenResultError("it is cut off or too large")
    return body
