"""Wheels that a package needs besides what engines have: named in a file of its archive, so that its digest says which they are. Pure."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec

from flotilla.schemas.package import MOST_UNPACKED_BYTES, MOST_WHEEL_BYTES, Wheel
from flotilla.schemas.package_archive import ArchiveError, archive_file

WHEELS_FILE: Final = "flotilla-wheels.json"
"""What a push writes into an archive, and what nobody else may call a file at its top."""
MOST_WHEELS: Final = 64
MOST_WHEEL_FILES: Final = 20_000
"""Of all of them."""
_FORMAT: Final = 1


class _WheelSet(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    format: int
    wheels: tuple[Wheel, ...]


def wheels_text(wheels: Sequence[Wheel]) -> bytes:
    """The file that names them, the same for the same wheels. Raises ArchiveError for more than one package may have."""
    _check(wheels)
    document = _WheelSet(format=_FORMAT, wheels=tuple(sorted(wheels)))
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


def wheels_of(files: Mapping[str, bytes]) -> tuple[Wheel, ...]:
    """The wheels of a package by its files, sorted; none where there is no such file. Raises ArchiveError for one that no push wrote."""
    return _read(files.get(WHEELS_FILE))


def wheels_in(archive: bytes) -> tuple[Wheel, ...]:
    """The same of an archive, of which nothing else is read."""
    return _read(archive_file(archive, WHEELS_FILE))


def too_many_wheels(wheels: Collection[Wheel]) -> str | None:
    """What is wrong with these, all different, in one process; None when nothing is."""
    for what, sizes, most in (
        ("", [(one.label, one.size_bytes) for one in sorted(wheels)], MOST_WHEEL_BYTES),
        (" unpacked", [(one.label, one.unpacked_bytes) for one in sorted(wheels)], MOST_UNPACKED_BYTES),
    ):
        if sum(size for _, size in sizes) > most:
            each = ", ".join(f"{label} ({size / (1 << 20):.1f} MiB)" for label, size in sizes)
            return f"{each}: more than {most >> 20} MiB{what} together, and one engine or trial takes no more"
    return None


def _read(text: bytes | None) -> tuple[Wheel, ...]:
    if text is None:
        return ()
    try:
        wheels = msgspec.json.decode(text, type=_WheelSet).wheels
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ArchiveError(f"{WHEELS_FILE}: {error}; a push writes this file, and nobody else") from None
    if wheels_text(wheels) != text:
        raise ArchiveError(f"{WHEELS_FILE} is not as a push writes it")
    return wheels


def _check(wheels: Sequence[Wheel]) -> None:
    names = [each.name for each in wheels]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ArchiveError(f"{WHEELS_FILE}: there are several wheels of {twice[0]}")
    if len(wheels) > MOST_WHEELS:
        raise ArchiveError(
            f"its requirements need {len(wheels)} wheels, and a package has {MOST_WHEELS} at most"
        )
    for what, sizes, most in (
        ("wheels of", {each.label: each.size_bytes for each in wheels}, MOST_WHEEL_BYTES),
        ("unpacked wheels of", {each.label: each.unpacked_bytes for each in wheels}, MOST_UNPACKED_BYTES),
    ):
        if (total := sum(sizes.values())) > most:
            largest = max(sizes, key=sizes.__getitem__)
            raise ArchiveError(
                f"its requirements need {what} {total / (1 << 20):.1f} MiB, and a package has {most >> 20} MiB at most; the "
                f"largest is {largest} ({sizes[largest] / (1 << 20):.1f} MiB)"
            )
