"""Real engine processes of ours that trade on an exchange, as the orchestrator plans them."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from flotilla.engine_sidecar.link.frames import Ended, FromEngine, Phase, Run
from flotilla.schemas.session import CacheAccess, EnginePlan
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import EngineProcess, ZygoteProcess
from tests.integration.exchanges.running import Trade, Venue
from tests.venue_runs import venue

INSTRUMENT = "BTCUSDT-PERP.BINANCE"
KEYS = {"api_key": "test-key", "api_secret": "test-secret"}
_TIMES = {
    "timeout_connection": 20.0,
    "timeout_reconciliation": 10.0,
    "timeout_portfolio": 10.0,
    "timeout_disconnection": 2.0,
    "timeout_post_stop": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class Reached:
    """How an exchange is reached: what a user gives with `--venue`, by client, and what the secret has."""

    name: str
    adapter: str
    instrument: str
    data: dict[str, Any]
    execution: dict[str, Any]
    secret: dict[str, Any]


def binance_at(exchange: Venue, instrument: str = INSTRUMENT, keys: dict[str, str] = KEYS) -> Reached:
    """The Binance exchange."""
    common = {"account_type": "USDT_FUTURES", "base_url_http": exchange.http}
    return Reached(
        name="BINANCE",
        adapter="binance",
        instrument=instrument,
        data=common | {"base_url_ws": exchange.ws},
        execution=common | {"base_url_ws_stream": exchange.ws},
        secret=keys,
    )


def run_on(
    exchange: Venue,
    *,
    instrument: str = INSTRUMENT,
    keys: dict[str, str] = KEYS,
    cache: CacheAccess | None = None,
    session: str = "session-1",
    exec_engine: dict[str, Any] | None = None,
    **buyer: object,
) -> Run:
    """An engine on the Binance exchange with a Buyer, without a word about which instruments to load."""
    at = binance_at(exchange, instrument, keys)
    return run_at(at, cache=cache, session=session, exec_engine=exec_engine, **buyer)


def run_at(
    reached: Reached,
    *,
    cache: CacheAccess | None = None,
    session: str = "session-1",
    exec_engine: dict[str, Any] | None = None,
    **buyer: object,
) -> Run:
    """The same on any exchange."""
    file, name, instrument = venue(reached.adapter), reached.name, reached.instrument
    defaults = file["defaults"]
    node: dict[str, Any] = {
        "environment": "live",
        **_TIMES,
        "exec_engine": {"reconciliation_startup_delay_secs": 0.1, **(exec_engine or {})},
        "data_clients": {
            name: {
                "path": file["data"]["path"],
                "factory": {"path": file["data"]["factory"]},
                "config": defaults["data"] | reached.data,
            }
        },
        "exec_clients": {
            name: {"path": file["execution"]["path"], "config": defaults["execution"] | reached.execution}
        },
    }
    module = "tests.integration.exchanges.buyer"
    strategy = {
        "strategy_path": f"{module}:Buyer",
        "config_path": f"{module}:BuyerConfig",
        "config": {
            "instrument_id": instrument,
            "order_id_tag": "001",
            "external_order_claims": [instrument],
            **buyer,
        },
    }
    plan = EnginePlan(
        trader_id="ENGINE-001",
        node=node,
        exec_factories={name: file["execution"]["factory"]},
        secrets={name: "mine"} if reached.secret else {},
        strategies=(strategy,),
    )
    return Run(
        instance_id="engine-1",
        session_id=session,
        plan=plan,
        catalog_path="/nonexistent",
        log_level="WARNING",
        stop_timeout_s=10.0,
        secrets={"mine": reached.secret},
        cache=cache,
    )


class Engine:
    """An engine process, asked without holding up the exchange in this loop."""

    def __init__(self, zygote: ZygoteProcess, run: Run) -> None:
        self.process: EngineProcess = zygote.fork(run)
        # One that does not get as far as trading needs no strategy.
        self.instrument = run.plan.strategies[0]["config"]["instrument_id"] if run.plan.strategies else ""

    async def until[T](self, done: Callable[[FromEngine], T | None], timeout_s: float = 30.0) -> T:
        """What `done` first finds in what it says from now on."""
        return await asyncio.to_thread(self.process.until, done, timeout_s)

    async def phase(self, state: RunState, timeout_s: float = 30.0) -> Phase:
        """The next time that it says so."""
        return await self.until(
            lambda said: said if isinstance(said, Phase) and said.state is state else None, timeout_s
        )

    async def ended(self) -> Ended:
        """Its last word."""
        return (await asyncio.to_thread(self.process.until_ended, 30.0))[0]

    async def net(self, quantity: str) -> None:
        """Waits until its net position is this; empty for flat."""
        wanted = {self.instrument: quantity} if quantity else {}
        await self.until(lambda _: self._net() == wanted or None)

    async def holds(self, quantity: int) -> None:
        """The same, whatever the decimals are."""
        await self.until(lambda _: Decimal(self._net().get(self.instrument, "0")) == quantity or None)

    async def hears_for(self, seconds: float) -> None:
        """Listens for so long."""
        ends = time.monotonic() + seconds
        await self.until(lambda _: time.monotonic() > ends or None, seconds + 30)

    def phases(self) -> list[RunState]:
        """All that it said so far."""
        return [said.state for said in self.process.heard if isinstance(said, Phase)]

    def alerts(self) -> list[str]:
        """The codes of its alerts."""
        return [each["code"] for each in self.process.events(EventKind.ALERT)]

    def positions(self) -> list[dict[str, Any]]:
        """Events of positions."""
        return self.process.events(EventKind.POSITION)

    def _net(self) -> dict[str, str]:
        measured = self.process.metrics()
        return measured[-1].net_positions if measured else {}


def trades(engine: Engine) -> list[Trade]:
    """What it says of its fills, trade by trade."""
    return trades_in(engine.process.events(EventKind.FILL))


def trades_in(events: list[dict[str, Any]]) -> list[Trade]:
    """The same of events of fills, but for those that a session tells again since the one before may not have."""
    return sorted(
        (
            each["trade_id"],
            *(Decimal(each[field].partition(" ")[0]) for field in ("last_qty", "last_px", "commission")),
            each["client_order_id"],
        )
        for each in events
        if not each["is_restored"]
    )


def fills(engine: Engine) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """Trade by trade: the venue's id, quantity, price, commission."""
    return [each[:4] for each in trades(engine)]


async def fills_at(exchange: Venue, account: str = "main") -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """The same in the exchange's ledger."""
    return [each[:4] for each in await exchange.trades(account)]
