"""How commands follow a backtest: a bar with simulated time, rate and time left where somebody looks, a sentence elsewhere."""

from contextlib import aclosing

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from flotilla.cli.options import Options
from flotilla.client.client import Flotilla
from flotilla.schemas.backtest import BacktestStatus, BacktestView, TrialProgress
from flotilla.show import formats
from flotilla.show.output import console
from flotilla.show.progress import narrator
from flotilla.state.errors import BacktestFailedError


def bar(on: Console) -> Progress:
    """A bar on its own line that is gone at the end, on a terminal only."""
    return Progress(
        BarColumn(14),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        console=on,
        transient=True,
        refresh_per_second=5,
        disable=not on.is_terminal,
    )


async def follow(options: Options, fleet: Flotilla, backtest_id: str) -> BacktestView:
    """The backtest once it has completed; shows how far it is meanwhile. Raises BacktestFailedError."""
    stderr = console(stderr=True)
    tell = narrator(is_json=options.is_json, on=stderr)
    is_told = False
    with bar(stderr) as shown:
        task = shown.add_task("waiting for a worker", total=None)
        async with aclosing(fleet.follow_backtest(backtest_id)) as views:
            async for view in views:
                if view.status is BacktestStatus.RUNNING and not (is_told or stderr.is_terminal):
                    is_told = True
                    tell.say(f"backtest {backtest_id} runs in {view.worker}")
                if view.trial is not None:
                    trial = view.trial
                    shown.update(
                        task, total=trial.total, completed=trial.events, description=progress_text(trial)
                    )
    if view.status is not BacktestStatus.COMPLETED:
        raise BacktestFailedError(view)
    return view


def progress_text(trial: TrialProgress) -> str:
    """`2003-10-15 · 1,204 of 5,030 events · 2,100/s · 2.5s left`."""
    left = f" · {formats.duration(trial.remaining_s)} left" if trial.remaining_s else ""
    at = f"{formats.day(trial.simulated_ns)} · " if trial.simulated_ns else ""
    return f"{at}{trial.events:,} of {trial.total:,} · {trial.events_per_s:,.0f}/s{left}"
