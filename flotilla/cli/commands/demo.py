"""`flotilla demo`."""

import asyncio
import os
import tempfile
from pathlib import Path

import click
from rich.progress import BarColumn, Progress, TextColumn

from flotilla.bus import logs
from flotilla.cli.options import Options, common, pass_options
from flotilla.demo.demo import Account, DemoFailedError, run_demo
from flotilla.demo.report import account_report, document
from flotilla.demo.venue import FILLS, RehearsalFailedError, VenueAccount, run_venue_demo
from flotilla.demo.venue_report import venue_document, venue_report
from flotilla.schemas.telemetry import EngineMetrics
from flotilla.show import formats
from flotilla.show.output import console
from flotilla.show.progress import Narrator, narrator


class ReplayProgress:
    """A bar where somebody looks, a sentence a second elsewhere."""

    def __init__(self, tell: Narrator, bar: Progress) -> None:
        self._tell = tell
        self._bar = bar
        self._task = bar.add_task("", visible=False)
        self._traded = ""

    def show(self, metrics: EngineMetrics) -> None:
        """Shows how far the replay is; called about once a second."""
        for feed in metrics.feeds:
            at = f" · {formats.day(feed.last_ts_event)}" if feed.last_ts_event else ""
            figures = f"{metrics.fills_total:,} fills · pnl {formats.money(metrics.realized_pnl) or '0'}"
            text = f"{feed.events:,} bars{at} · {figures}"
            if not self._bar.console.is_terminal:
                self._tell.say(text)
            elif feed.total:
                self._bar.update(
                    self._task, completed=feed.events, total=feed.total, description=text, visible=True
                )

    def show_live(self, metrics: EngineMetrics) -> None:
        """Shows how far it is to the fills that will do; called about once a second."""
        traded = f"{metrics.fills_total:,} fills · {formats.positions(metrics.net_positions) or 'flat'}"
        if self._bar.console.is_terminal:
            done = min(metrics.fills_total, FILLS)
            self._bar.update(self._task, completed=done, total=FILLS, description=traded, visible=True)
        elif traded != self._traded:
            self._tell.say(traded)
            self._traded = traded


def _writable(context: click.Context, parameter: click.Parameter, report: Path | None) -> Path | None:
    """Refused before half a minute of work, not after it."""
    if report is not None and not os.access(report.parent, os.W_OK | os.X_OK):
        raise click.BadParameter(f"no file can be written in {report.parent}", context, parameter)
    return report


@click.command()
@click.option(
    "--runtime",
    type=click.Choice(["auto", "docker", "process"]),
    default="auto",
    show_default=True,
    help="auto takes Docker when an engine and the image are there.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, resolve_path=True),
    callback=_writable,
    metavar="FILE",
    help="Where the tear sheet of the backtest goes.  [default: flotilla-demo.html here, or with the temporary files where nothing can be written here]",
)
@click.option(
    "--venue",
    "is_on_venue",
    is_flag=True,
    help="Trade on a Binance exchange of our own instead (in a checkout of the repository), and show both sides' accounts.",
)
@common
@pass_options
def demo(options: Options, *, runtime: str, report: Path | None, is_on_venue: bool) -> None:
    """Trade 20 years of the S&P 500 in a real engine, on a stack of its own, and show what happened.

    Then the same as a backtest. It takes half a minute, needs no Docker and no internet, and leaves nothing
    behind but the tear sheet.

    With --venue NautilusTrader's own Binance adapter trades on an exchange that this starts, for about a minute.
    """
    if is_on_venue and (report is not None or runtime == "docker"):
        raise click.UsageError(
            "--venue has no tear sheet and no containers: from one, an exchange on this machine is not reached"
        )
    stderr = console(stderr=True)
    tell = narrator(is_json=options.is_json, on=stderr)
    bar = Progress(
        BarColumn(16),
        TextColumn("{task.description}"),
        console=stderr,
        transient=True,
        refresh_per_second=4,
    )
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "demo.log").open("w") as log:
        logs.configure("demo", stream=log)
        try:
            with bar:
                progress = ReplayProgress(tell, bar)
                if is_on_venue:
                    rehearsed = asyncio.run(run_venue_demo(tell, progress.show_live))
                else:
                    account = asyncio.run(run_demo(tell, progress.show, runtime=runtime, report=report))
        except DemoFailedError as error:
            _show(options, error.account)
            raise
        except RehearsalFailedError as error:
            _show_venue(options, error.account)
            raise
    if is_on_venue:
        _show_venue(options, rehearsed)
    else:
        _show(options, account)


def _show_venue(options: Options, account: VenueAccount) -> None:
    options.output.document(venue_document(account), lambda: venue_report(account, options.program))


def _show(options: Options, account: Account) -> None:
    options.output.document(document(account), lambda: account_report(account, options.program))
