"""Before an engine trades money with a package: what it is, what changed, and a question."""

import asyncio
import sys

import click
from rich.console import Console

from flotilla.bus.packages import fetch_package
from flotilla.client.client import Flotilla
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import StartReview
from flotilla.schemas.fault import FaultCode, FieldError, fault
from flotilla.schemas.package import PackageChange
from flotilla.schemas.package_archive import contents
from flotilla.show.start_reviews import diff_of, start_review

yes_option = click.option(
    "--yes", is_flag=True, help="Do not ask about packages that the engine has not traded money with."
)


async def confirmed(
    fleet: Flotilla, config: EngineConfig | None, instance_id: str | None, *, yes: bool
) -> dict[str, str]:
    """The packages that a live start may run, digests by name: those of now, for an engine that would trade no money too, since somebody may
    configure it otherwise before it is started.

    Shows on stderr, and asks about, packages with other content than the engine last traded money with. Raises FaultError
    `confirmation_required` where there is nobody to ask, click.Abort for a no.
    """
    review = await fleet.review_start(config, instance_id=instance_id)
    if review.trades_money and not review.is_as_before:
        Console(stderr=True, highlight=False).print(start_review(review, await _diffs(fleet, review)))
        if not yes:
            _ask()
    return {each.package.name: each.package.digest for each in review.packages}


def _ask() -> None:
    if not sys.stdin.isatty():
        text = "the engine has not traded money with this yet, and there is nobody to ask"
        raise fault(FaultCode.CONFIRMATION_REQUIRED, text, FieldError("yes", "must be given by a script"))
    click.confirm("Trade money with this?", abort=True, err=True)


async def _diffs(fleet: Flotilla, review: StartReview) -> dict[str, list[str]]:
    found = {}
    for each in review.packages:
        if each.change is not None:
            before = await fetch_package(fleet.bus, each.change.then.digest)
            after = await fetch_package(fleet.bus, each.change.now.digest)
            found[each.package.name] = await asyncio.to_thread(_diff, before, after, each.change)
    return found


def _diff(before: bytes, after: bytes, change: PackageChange) -> list[str]:
    return diff_of(contents(before), contents(after), change.files)
