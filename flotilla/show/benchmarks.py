"""The benchmark of a tear sheet that somebody asked for: from the run's own prices, else from a catalog on this machine."""

from pathlib import Path

import msgspec

from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.thinning import Point
from flotilla.show.tear_sheet.record import Benchmark, Record, benchmark_of
from flotilla.state.programs import output, python


async def benchmark_for(record: Record, instrument_id: str, catalog: Path) -> Benchmark:
    """Buying and holding an instrument over the time of a run.

    Raises FaultError `invalid` without two prices of it, ProgramFailedError when the catalog's files cannot be read.
    """
    prices = record.priced().get(instrument_id) or await _read(record, instrument_id, catalog)
    found = benchmark_of(instrument_id, prices)
    if found is None:
        own = ", ".join(record.view.config.instruments[:3])
        text = f"has no prices in the time of the run, neither among its own ({own}) nor in the catalog at {catalog}, which `flotilla data ls` shows"
        raise invalid(FieldError("benchmark", text))
    return found


async def _read(record: Record, instrument_id: str, catalog: Path) -> list[Point]:
    if not record.curve:
        return []
    span = ("--start", str(record.curve[0].at_ns), "--end", str(record.curve[-1].at_ns))
    program = ("-m", "flotilla.engine_sidecar.backtest.price_history")
    text = await output(python(*program, "--catalog", str(catalog), f"--instrument={instrument_id}", *span))
    return msgspec.json.decode(text, type=list[Point])
