"""Tear sheets as files: ours, made here from what is on record, and NautilusTrader's, which a run again draws."""

import asyncio
from pathlib import Path
from typing import Final

from flotilla.bus.files import whole_file
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import ResultPart
from flotilla.schemas.fault import FaultCode, fault
from flotilla.show.tear_sheet.reading import record_from
from flotilla.show.tear_sheet.record import Record
from flotilla.show.tear_sheet.sheet import tear_sheet
from flotilla.show.tear_sheet.study_sheet import StudyRecord, study_sheet

NAUTILUS_S: Final = 30.0
"""NautilusTrader's is drawn after the run again has completed."""
_POLL_S: Final = 0.2


async def save_report(fleet: Flotilla, backtest_id: str, out: Path) -> None:
    """Writes the tear sheet of a completed backtest, whole or not at all.

    Raises FaultError `conflict` when it has not completed, `not_found` when its result was not saved, OSError when it cannot be written.
    """
    write_report(await record_of(fleet, backtest_id), out)


def write_report(record: Record, out: Path) -> None:
    """The same of what was read already."""
    _write(tear_sheet(record), out)


async def record_of(fleet: Flotilla, backtest_id: str) -> Record:
    """All that is on record of a completed backtest. Raises FaultError as `save_report` does."""
    view = await fleet.backtest(backtest_id)
    return await record_from(view, lambda part: fleet.backtest_result(backtest_id, part))


async def save_study_report(fleet: Flotilla, study_id: str, out: Path) -> None:
    """Writes the sheet of a study as it stands, whole or not at all. Raises FaultError `not_found`, OSError when it cannot be written."""
    study = await fleet.study(study_id)
    members = await fleet.all_backtests(study_id=study_id)
    walk = await fleet.walk_forward(study_id) if study.folds else None
    _write(study_sheet(StudyRecord(study=study, members=tuple(members), walk=walk)), out)


async def save_nautilus_report(fleet: Flotilla, backtest_id: str, out: Path) -> None:
    """Writes NautilusTrader's own sheet, whole or not at all. Raises FaultError `not_found` when none was drawn."""
    _write(await fleet.backtest_result(backtest_id, ResultPart.REPORT), out)


async def until_drawn(fleet: Flotilla, backtest_id: str, again_id: str) -> None:
    """Returns once a run again that has completed has drawn NautilusTrader's sheet, for the first one too.

    Raises FaultError: `conflict` where the two differ, `unavailable` when it does not come.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + NAUTILUS_S
    while True:
        again = await fleet.backtest(again_id)  # before the other one, whose sheet is kept first
        if (await fleet.backtest(backtest_id)).has_report:
            return
        if again.has_report:
            text = (
                f"{backtest_id} gets no sheet of NautilusTrader's, because its run again {again_id} is not the same: "
                f"flotilla backtest verify {backtest_id} tells where, and flotilla backtest report {again_id} --nautilus is of that one"
            )
            raise fault(FaultCode.CONFLICT, text)
        if loop.time() > deadline:
            text = f"{again_id} has run and drawn no sheet within {NAUTILUS_S:g} s"
            raise fault(FaultCode.UNAVAILABLE, text)
        await asyncio.sleep(_POLL_S)


def _write(html: str, out: Path) -> None:
    with whole_file(out) as made:
        made.write_text(html, encoding="utf-8")
