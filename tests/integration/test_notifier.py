"""The notifier over a real bus and record: each alert is told once, and again only where it must be."""

import asyncio
import time
from pathlib import Path

from flotilla.schemas.contract import Actor
from flotilla.schemas.states import RunState
from tests.integration.conftest import ConnectAs
from tests.integration.notifiers import (  # noqa: F401 - fixtures
    PASSWORD,
    Fleet,
    Told,
    fleet,
    notifier_dsn,
    running,
    secrets_in,
    told,
    until,
    view_of,
)


async def test_an_engine_that_is_killed_is_told_once_within_five_seconds_and_resolved_when_it_is_back(
    connect_as: ConnectAs,
    notifier_dsn: str,  # noqa: F811
    tmp_path: Path,
    fleet: Fleet,  # noqa: F811
    told: Told,  # noqa: F811
) -> None:
    secrets_in(tmp_path, desk_hook=told.address)
    async with running(await connect_as(Actor.NOTIFIER), notifier_dsn, tmp_path) as notifier:
        await until(lambda: notifier.ledger.is_loaded)
        await fleet.channel()
        await fleet.says(view_of(RunState.TRADING))
        began = time.monotonic()
        await fleet.says(view_of(RunState.FAILED))
        await fleet.says(view_of(RunState.FAILED))
        await until(lambda: told.messages)
        assert time.monotonic() - began < 5
        for state in (RunState.SCHEDULED, RunState.BOOTING, RunState.TRADING):
            await fleet.says(view_of(state, generation=2))
        await until(lambda: len(told.messages) == 2)
        await asyncio.sleep(1.5)  # whether a third comes
    assert told.titles == [
        "[warning] engine e1: failed (killed): exit code -9",
        "[warning] resolved: engine e1: failed (killed): exit code -9",
    ]
    assert told.messages[0]["type"] == "warning"
