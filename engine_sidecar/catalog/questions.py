"""`python -m flotilla.engine_sidecar.catalog.questions`: one CatalogLine as JSON on stdin, its CatalogAnswer on stdout.

Whoever asks has no NautilusTrader, or is not to read what people brought. Exit code 78: the line could not be read.
"""

import os
import sys
from pathlib import Path
from typing import Final

import msgspec
from pyarrow import ArrowException

from flotilla.engine_sidecar.catalog.charting import chart_of
from flotilla.engine_sidecar.catalog.looking import gaps_of, rows_of
from flotilla.engine_sidecar.catalog.refusal import ImportRefusedError
from flotilla.engine_sidecar.catalog.times import bound_ns
from flotilla.schemas.data import IMPORTS_FOLDER, CatalogAnswer, CatalogLine, DataRemoved, RemoveData
from flotilla.schemas.fault import FaultCode

MAX_BYTES: Final = 1 << 20
UMASK: Final = 0o022
"""What a catalog holds is read by engines in containers, as another account."""


def answer(line: CatalogLine) -> CatalogAnswer:
    """Does what the line says. What is refused is an answer."""
    try:
        return _done(Path(line.path), line)
    except ImportRefusedError as error:
        return CatalogAnswer(refusal=str(error), code=error.code)
    except (OSError, ArrowException) as error:
        named = getattr(error, "filename", None)
        where = f"{Path(named).name}: " if named else ""
        why = getattr(error, "strerror", None) or error
        return CatalogAnswer(refusal=f"{where}{why}", code=FaultCode.UNAVAILABLE)


def _done(catalog: Path, line: CatalogLine) -> CatalogAnswer:
    if line.load is not None:
        from flotilla.engine_sidecar.catalog.import_job import run_import  # noqa: PLC0415 - a second, as below

        run_import(catalog, catalog / IMPORTS_FOLDER / line.load.import_id, line.load)
        return CatalogAnswer()
    if line.remove is not None:
        return CatalogAnswer(removed=_removed(catalog, line.remove))
    if line.remove_instrument is not None:
        from flotilla.engine_sidecar.catalog.instrument_program import removed  # noqa: PLC0415 - a second, as below

        return CatalogAnswer(instrument=removed(catalog, line.remove_instrument))
    return CatalogAnswer(
        chart=chart_of(catalog, line.chart) if line.chart else None,
        gaps=gaps_of(catalog, line.gaps) if line.gaps else None,
        rows=rows_of(catalog, line.rows) if line.rows else None,
    )


def _removed(catalog: Path, ask: RemoveData) -> DataRemoved:
    from flotilla.engine_sidecar.catalog.mending import remove  # noqa: PLC0415 - a second, which reads do not need
    from flotilla.schemas.backtest import DataKind  # noqa: PLC0415 - goes with it

    try:
        kind = DataKind(ask.type) if ask.type else None
    except ValueError:
        raise ImportRefusedError(f"{ask.type} is no type of data: there are {', '.join(DataKind)}") from None
    done = remove(
        catalog,
        ask.identifier,
        kind,
        **({"first": bound_ns(ask.first, "from", is_end=False)} if ask.first else {}),
        **({"last": bound_ns(ask.last, "to", is_end=True)} if ask.last else {}),
    )
    return DataRemoved(**msgspec.structs.asdict(done))


def main() -> int:
    """The exit code."""
    os.umask(UMASK)
    try:
        line = msgspec.json.decode(sys.stdin.buffer.readline(MAX_BYTES), type=CatalogLine)
    except msgspec.MsgspecError as error:
        print(error, file=sys.stderr)
        return 78
    sys.stdout.buffer.write(msgspec.json.encode(answer(line)) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
