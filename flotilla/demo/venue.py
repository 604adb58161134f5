"""`flotilla demo --venue`: an engine that trades on a Binance exchange of our own, and both sides' account of it."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from flotilla.client.client import ENDED, Flotilla
from flotilla.client.watch import Watch
from flotilla.demo.event_audit import Tally
from flotilla.demo.exchange import Exchange, Ledger, LedgerFill, require_exchange, running_exchange
from flotilla.demo.surroundings import ENGINE, end_on_sigterm, listen, own_folder, recorded
from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.schemas.secrets import SecretBinding
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EngineMetrics, Fill
from flotilla.show.progress import Narrator
from flotilla.stack.stack import Stack, StackSettings
from flotilla.state.adapters import adapter_module
from flotilla.state.errors import StackError
from flotilla.state.secret_places import secret_store

INSTRUMENT: Final = "BTCUSDT-PERP.BINANCE"
_SYMBOL: Final = "BTCUSDT"
_BAR_S: Final = 1.0
_SECRET: Final = "rehearsal"  # noqa: S105 - a name
FILLS: Final = 6
"""When it is stopped, at the latest after `_TRADE_S`."""
_START_S: Final = 90.0
_TRADE_S: Final = 120.0
_STOP_S: Final = 60.0


class VenueAccount(msgspec.Struct, frozen=True, kw_only=True):
    """What the demo did, by the engine's events and by the exchange's ledger; `at_stop` is how the engine stood before it."""

    tally: Tally
    at_stop: EngineMetrics | None
    ledger: Ledger
    recorded: int
    problems: tuple[str, ...]
    seconds: float


class RehearsalFailedError(StackError):
    """Engine and exchange do not tell the same, or something is missing; `account` says what."""

    def __init__(self, account: VenueAccount) -> None:
        super().__init__("the rehearsal was not what it should be: " + "; ".join(account.problems))
        self.account = account


async def run_venue_demo(narrator: Narrator, show: Callable[[EngineMetrics], None]) -> VenueAccount:
    """Does it all, and cleans up. `show` is called about once a second while the engine trades.

    The engine is a process: from a container it would not reach an exchange that listens on this machine alone.
    Raises FaultError, EngineFailedError or StackError when a part of it does not work.
    """
    end_on_sigterm()
    require_exchange()
    async with own_folder(narrator) as folder:
        folder.create()
        async with running_exchange(folder.root) as exchange:
            narrator.say(f"a Binance exchange of our own listens on port {exchange.port}")
            binding = SecretBinding(adapter=adapter_module("binance"), is_test_exchange=True)
            secret_store(folder).save(_SECRET, exchange.secret, binding)
            stack = Stack(StackSettings(folder=folder, runtime="process", http_port=0), narrator)
            try:
                connection = await stack.start()
                async with Flotilla.connect(connection) as fleet, fleet.watch(ENGINE) as updates:
                    account = await _trade(fleet, updates, exchange, narrator, show)
            finally:
                await stack.stop()
        if account.problems:
            raise RehearsalFailedError(account)
    return account


async def _trade(
    fleet: Flotilla,
    updates: Watch,
    exchange: Exchange,
    narrator: Narrator,
    show: Callable[[EngineMetrics], None],
) -> VenueAccount:
    loop = asyncio.get_running_loop()
    began, tally = loop.time(), Tally(ENGINE)
    accepted = await fleet.start_engine(_config())
    narrator.say(f"engine {ENGINE} starts as {accepted.container_name}")
    await fleet.wait_for(ENGINE, (RunState.TRADING,), session_id=accepted.session_id, timeout_s=_START_S)
    narrator.say(f"connected, compared with the exchange, and trading after {loop.time() - began:.1f} s")
    narrator.say("the exchange closes its bars of a minute every second, so that there is something to see")
    bars = loop.create_task(exchange.close_bars(_SYMBOL, _BAR_S), name="bars")
    await listen(updates, tally, show, until=lambda heard: len(heard.fills) >= FILLS, timeout_s=_TRADE_S)
    bars.cancel()
    await asyncio.wait([bars])
    if not bars.cancelled():
        bars.result()
    narrator.say("that will do; the engine is stopped, and closes what it holds")
    at_stop = tally.metrics
    await fleet.stop_engine(ENGINE, policy=StopPolicy.FLATTEN)
    await fleet.wait_for(ENGINE, ENDED, session_id=accepted.session_id, timeout_s=_STOP_S)
    await listen(updates, tally, show, until=lambda heard: heard.is_over, timeout_s=_STOP_S)
    numbers, missing = await recorded(fleet, tally.events)
    ledger = await exchange.ledger()
    return VenueAccount(
        tally=tally,
        at_stop=at_stop,
        ledger=ledger,
        recorded=len(numbers),
        problems=(*tally.problems(numbers, missing, is_replay=False), *disagreements(tally.fills, ledger)),
        seconds=loop.time() - began,
    )


def disagreements(fills: list[Fill], ledger: Ledger) -> list[str]:
    """What the engine's events and the exchange's ledger do not tell alike, trade by trade, and what was left open."""
    ours, theirs = {_ours(fill) for fill in fills}, {_theirs(fill) for fill in ledger.fills}
    found = {
        f"{len(theirs - ours)} trades of the exchange are not among the engine's events": bool(theirs - ours),
        f"{len(ours - theirs)} fills of the engine's events are not in the exchange's ledger": bool(
            ours - theirs
        ),
        f"a trade was heard of twice: {len(fills)} fills of {len(ours)} trades": len(fills) != len(ours),
        f"the exchange has {ledger.positions} open positions": bool(ledger.positions),
        f"the exchange has {ledger.open_orders} open orders": bool(ledger.open_orders),
    }
    return [problem for problem, is_so in found.items() if is_so]


def _ours(fill: Fill) -> tuple[str, str, Decimal, Decimal, Decimal]:
    return fill.trade_id, fill.side, Decimal(fill.last_qty), Decimal(fill.last_px), Decimal(fill.commission)


def _theirs(fill: LedgerFill) -> tuple[str, str, Decimal, Decimal, Decimal]:
    return fill.trade_id, fill.side, Decimal(fill.quantity), Decimal(fill.price), Decimal(fill.fee)


def _config() -> EngineConfig:
    crossing = {
        "instrument_id": INSTRUMENT,
        "bar_type": f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL",
        "fast_ema_period": 1,
        "slow_ema_period": 2,
        "trade_size": "0.010",
    }
    return EngineConfig(
        instance_id=ENGINE,
        engine_type="live",
        trading_mode="paper",
        template="live_engine",
        strategies=(StrategyChoice(template="ema_cross", parameters=crossing),),
        venues=(
            VenueChoice(
                name="BINANCE", adapter="binance", secret=_SECRET, config={"account_type": "USDT_FUTURES"}
            ),
        ),
    )
