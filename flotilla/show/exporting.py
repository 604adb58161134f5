"""Lists of a result as files for other programs: CSV, JSON or Parquet, whole or not at all."""

import asyncio
import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from flotilla.bus.files import whole_file
from flotilla.schemas.backtest import ResultPart
from flotilla.schemas.result_lists import LISTS
from flotilla.state.environment import of_program
from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import python

FORMATS = ("csv", "json", "parquet")


async def export(rows: Sequence[Any], part: ResultPart, form: str, out: Path) -> None:
    """Writes the entries of `part` to `out`. Columns are the fields of its type, also when there are no rows.

    Raises OSError when it cannot be written, ProgramFailedError when the Parquet writer does not work.
    """
    with whole_file(out) as made:
        if form == "csv":
            _write_csv(rows, part, made)
        elif form == "json":
            made.write_bytes(msgspec.json.encode(rows) + b"\n")
        else:
            await write_parquet(rows, str(part), made)


def _write_csv(rows: Sequence[Any], part: ResultPart, path: Path) -> None:
    names = LISTS[part].__struct_fields__
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([getattr(row, name) for name in names] for row in rows)


async def write_parquet(rows: Sequence[Any], part: str, path: Path) -> None:
    """Has a program with pyarrow write rows to `path`. Raises ProgramFailedError when it does not."""
    argv = python("-m", "flotilla.engine_sidecar.backtest.export", "--part", part, "--out", str(path))
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env=of_program(),
    )
    try:
        _, errors = await process.communicate(msgspec.json.encode(rows))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise ProgramFailedError(argv, process.returncode, errors.decode(errors="replace"))
