"""How commands follow a study: its results as they come, and a bar with counts and the best so far where somebody looks."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Final, TypeAlias

from rich.console import Console
from rich.progress import Progress, TaskID

from flotilla.cli.following import bar
from flotilla.cli.options import Options
from flotilla.client.backtest_watch import BacktestWatch
from flotilla.client.client import Flotilla
from flotilla.client.retry import patiently
from flotilla.schemas.backtest import BacktestView, StudyView
from flotilla.show.output import console
from flotilla.show.study_tables import as_json, chosen, counts, done, label, metric, result_line

_LOOK_S: Final = 1.0
_LAST_S: Final = 0.2

Tell: TypeAlias = Callable[[BacktestView], None]


async def follow_study(options: Options, fleet: Flotilla, study_id: str) -> StudyView:
    """The study once it has ended. Goes on for a minute when the orchestrator is away, then raises the fault."""
    stderr = console(stderr=True)
    async with fleet.watch_backtests(study_id=study_id) as updates:
        study = await fleet.study(study_id)
        tell = _teller(options, stderr, study)
        with bar(stderr) as shown:
            task = shown.add_task("", total=None)
            while not study.status.is_final:
                _show(shown, task, study)
                await _listen(updates, tell, _LOOK_S)
                study = await patiently(partial(fleet.study, study_id))
            await _listen(updates, tell, _LAST_S)
    return study


def _teller(options: Options, stderr: Console, study: StudyView) -> Tell:
    """Says of each backtest once what came of it; for programs, a JSON object per line."""
    told: set[str] = set()

    def tell(view: BacktestView) -> None:
        if not view.status.is_final or view.backtest_id in told:
            return
        told.add(view.backtest_id)
        line = as_json(view, study) if options.is_json else result_line(view, study)
        stderr.print(line, soft_wrap=True)

    return tell


async def _listen(updates: BacktestWatch, tell: Tell, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while (left := deadline - loop.time()) > 0 and (view := await updates.next(left)) is not None:
        tell(view)


def _show(shown: Progress, task: TaskID, study: StudyView) -> None:
    text, best = counts(study), study.best
    if best is not None:
        text += f"\nbest {label(study.config)} {metric(best, study.config)}: {chosen(best, study.config)}"
    shown.update(task, total=study.total, completed=done(study), description=text)
