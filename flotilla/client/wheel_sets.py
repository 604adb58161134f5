"""From the requirements of a package to the wheels that it is pushed with: those that it needs besides what engines have, and no more."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from flotilla.client import pip
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.package import MOST_WHEEL_BYTES, EnginePython, Wheel
from flotilla.schemas.package_archive import ArchiveError
from flotilla.schemas.requirement import Asked, Settled, settled
from flotilla.schemas.wheel import wheels_text
from flotilla.schemas.wheel_archive import OpenWheel, too_many_files

_ROUNDS: Final = 5


async def wheel_set(
    asked: Sequence[Asked],
    python: EnginePython,
    folder: Path | None = None,
    patience_s: float = pip.RESOLVE_S,
) -> dict[Wheel, bytes]:
    """The wheels with their content, sorted, that meet what is asked where engines run; none where they have it all. With `folder` no index is asked.

    Raises FaultError: `invalid` naming requirement or wheel, `unavailable` where an index is out of reach, or takes more than `patience_s`
    for all that it is asked.
    """
    until = asyncio.get_running_loop().time() + patience_s
    source = _whole_path(folder) if folder is not None else None
    found = settled(asked, {}, python)
    opened: dict[str, OpenWheel] = {}
    roots: dict[str, None] = {}
    for _ in range(_ROUNDS):
        _require_sound(found)
        if not found.missing:
            return await asyncio.to_thread(_made, [opened[name] for name in found.used], python)
        if known := [each for each in found.missing if _text(each) in roots]:
            text = f"{known[0].requirement} is asked for, and pip found no wheel of it"
            raise invalid(FieldError(known[0].by, text))
        # Markers are judged by what engines are, and pip knows this machine only.
        roots |= dict.fromkeys(map(_text, found.missing))
        with tempfile.TemporaryDirectory(prefix="flotilla-wheels-") as into:
            try:
                paths = await pip.download(roots, python, Path(into), source, until)
            except TimeoutError:
                raise pip.out_of_reach(roots, f"it did not answer all within {patience_s:g} s") from None
            opened = await asyncio.to_thread(_opened, paths)
        found = settled(asked, opened, python)
    missing = ", ".join(sorted({str(each.requirement) for each in found.missing}))
    raise invalid(FieldError("requirements", f"{missing}: not found after {_ROUNDS} tries of pip"))


def _text(asked: Asked) -> str:
    """Without its marker."""
    one = asked.requirement
    extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
    return f"{one.name}{extras}{one.specifier}"


def _whole_path(folder: Path) -> Path:
    """pip runs in a folder of its own, where a relative path would be another."""
    if not folder.is_dir():
        raise invalid(FieldError("wheels", f"{folder} is no folder"))
    if not any(folder.glob("*.whl")):
        raise invalid(FieldError("wheels", f"{folder} has no wheel in it: files whose names end in .whl"))
    return folder.resolve()


def _require_sound(found: Settled) -> None:
    if found.problems:
        raise invalid(*found.problems)


def _opened(paths: Sequence[Path]) -> dict[str, OpenWheel]:
    sizes = {path.name: path.stat().st_size for path in paths}
    if (total := sum(sizes.values())) > MOST_WHEEL_BYTES:
        largest = max(sizes, key=sizes.__getitem__)
        text = (
            f"its wheels have {total / (1 << 20):.1f} MiB, and a package {MOST_WHEEL_BYTES >> 20} MiB at most; the largest is "
            f"{largest} ({sizes[largest] / (1 << 20):.1f} MiB)"
        )
        raise invalid(FieldError("requirements", text))
    try:
        wheels = [OpenWheel(path.read_bytes(), path.name) for path in paths]
    except ArchiveError as error:
        raise invalid(FieldError("requirements", str(error))) from None
    return {wheel.name: wheel for wheel in wheels}


def _made(wheels: Sequence[OpenWheel], python: EnginePython) -> dict[Wheel, bytes]:
    try:
        for wheel in wheels:
            _require_runnable(wheel, python)
            wheel.require_whole()
        if text := too_many_files(wheels):
            raise invalid(FieldError("requirements", text))
        listed = {wheel.as_listed: wheel.data for wheel in wheels}
        wheels_text(tuple(listed))  # which refuses too many
    except ArchiveError as error:
        raise invalid(FieldError("requirements", str(error))) from None
    return {one: listed[one] for one in sorted(listed)}


def _require_runnable(wheel: OpenWheel, python: EnginePython) -> None:
    if not set(python.tags) & set(map(str, wheel.tags)):
        raise ArchiveError(f"{wheel.file}: it is not for what engines run on, {python.label}")
