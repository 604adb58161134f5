"""The demo: a stack of its own, one engine on the sample data at full speed, and an account of all that was heard."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import msgspec

from flotilla.client.client import ENDED, Flotilla
from flotilla.client.watch import Watch
from flotilla.demo.backtest import Again, run_again
from flotilla.demo.event_audit import Tally
from flotilla.demo.surroundings import ENGINE, end_on_sigterm, listen, own_folder, recorded
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineMetrics
from flotilla.show.progress import Narrator
from flotilla.stack.stack import Stack, StackSettings
from flotilla.state.errors import StackError
from flotilla.state.settings import Connection

_START_S: Final = 60.0
_REPLAY_S: Final = 180.0
_STOP_S: Final = 60.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo did. `before_stop` is how the engine stood when the data was through; `recorded` is from PostgreSQL."""

    connection: Connection
    session_id: str
    tally: Tally
    before_stop: EngineMetrics
    recorded: int
    problems: tuple[str, ...]
    again: Again
    seconds: float


class DemoFailedError(StackError):
    """Something was not real, or not complete; `account` says what."""

    def __init__(self, account: Account) -> None:
        super().__init__("the demo was not what it should be: " + "; ".join(account.problems))
        self.account = account


async def run_demo(
    narrator: Narrator, show: Callable[[EngineMetrics], None], *, runtime: str, report: Path | None
) -> Account:
    """Does it all, and cleans up. `show` is called about once a second while data are replayed.

    The tear sheet of its backtest stays in the file `report`, None for the usual one. Raises FaultError, EngineFailedError or StackError
    when a part of it does not work.
    """
    end_on_sigterm()
    async with own_folder(narrator) as folder:
        stack = Stack(StackSettings(folder=folder, runtime=runtime, http_port=0), narrator)
        try:
            connection = await stack.start()
            async with Flotilla.connect(connection) as fleet, fleet.watch(ENGINE) as updates:
                account = await _trade(fleet, updates, connection, narrator, show, report=report)
        finally:
            await stack.stop()
        if account.problems:
            raise DemoFailedError(account)
    return account


async def _trade(
    fleet: Flotilla,
    updates: Watch,
    connection: Connection,
    narrator: Narrator,
    show: Callable[[EngineMetrics], None],
    *,
    report: Path | None,
) -> Account:
    loop = asyncio.get_running_loop()
    began, tally = loop.time(), Tally(ENGINE)
    accepted = await fleet.start_engine(_config())
    narrator.say(f"engine {ENGINE} starts as {accepted.container_name}")
    view = await fleet.wait_for(
        ENGINE, (RunState.TRADING,), session_id=accepted.session_id, timeout_s=_START_S
    )
    narrator.say(f"trading after {loop.time() - began:.1f} s")
    await listen(updates, tally, show, until=lambda tally: tally.is_replayed, timeout_s=_REPLAY_S)
    narrator.say("all market data is through; the engine flattens and is completed")
    before_stop = tally.at_end
    await fleet.wait_for(ENGINE, ENDED, session_id=accepted.session_id, timeout_s=_STOP_S)
    await listen(updates, tally, show, until=lambda tally: tally.is_over, timeout_s=_STOP_S)
    numbers, missing = await recorded(fleet, tally.events)
    if view.session is None or before_stop is None:
        raise fault(FaultCode.INTERNAL, "the engine traded without a session or metrics")
    again = await run_again(fleet, narrator, tally.fills, report)
    return Account(
        connection=connection,
        session_id=view.session.session_id,
        tally=tally,
        before_stop=before_stop,
        recorded=len(numbers),
        problems=(*tally.problems(numbers, missing), *again.problems),
        again=again,
        seconds=loop.time() - began,
    )


def _config() -> EngineConfig:
    return EngineConfig(
        instance_id=ENGINE,
        engine_type="sandbox",
        template="sandbox_engine",
        parameters={"speed": 0},
        strategies=(StrategyChoice(template="ema_cross"),),
    )
