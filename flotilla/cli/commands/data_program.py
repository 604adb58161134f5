"""The program that changes catalogs, and what it says of one change."""

import asyncio
from contextlib import aclosing
from typing import Any, Final

import click
import msgspec

from flotilla.cli.options import Options
from flotilla.schemas.fault import FaultCode, fault
from flotilla.stack.checks import require_engine_package
from flotilla.state.errors import ProgramFailedError
from flotilla.state.programs import output_lines, python

PROGRAM: Final = ("-m", "flotilla.engine_sidecar.catalog")


def refuse_host(host: str | None) -> None:
    """Raises UsageError for a host where the catalog is that of a state folder."""
    if host is not None:
        raise click.UsageError("--host is for the fleet that FLOTILLA_NATS_URL names")


def told(options: Options, arguments: list[str]) -> dict[str, Any]:
    """Runs it and returns its last word. Raises FaultError with its reason when it refused."""
    require_engine_package()
    options.folder.create()
    return asyncio.run(_last_report(options, arguments))


async def _last_report(options: Options, arguments: list[str]) -> dict[str, Any]:
    """What the catalog's program said last. Raises FaultError with its words when it refused."""
    command, *given = arguments
    argv = python(*PROGRAM, command, "--json", "--catalog", str(options.folder.catalog), *given)
    report: dict[str, Any] = {}
    try:
        async with aclosing(output_lines(argv)) as lines:
            async for line in lines:
                report = msgspec.json.decode(line)
    except ProgramFailedError:
        if report.get("event") != "error":
            raise
        raise fault(FaultCode.INVALID, report["message"]) from None
    return report
