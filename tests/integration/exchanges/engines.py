"""Real engine processes of ours that trade on an exchange, as the orchestrator plans them."""

import asyncio
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from flotilla.engine_sidecar.link.frames import Ended, FromEngine, Phase, Run
from flotilla.schemas.session import CacheAccess, EnginePlan
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import EngineProcess, ZygoteProcess
from tests.integration.exchanges.running import Venue
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


def run_on(
    exchange: Venue,
    *,
    instrument: str = INSTRUMENT,
    keys: dict[str, str] = KEYS,
    cache: CacheAccess | None = None,
    session: str = "session-1",
    **buyer: str,
) -> Run:
    """An engine with a Buyer, without a word about which instruments to load."""
    file = venue("binance")
    common = {"account_type": "USDT_FUTURES", "base_url_http": exchange.http}
    node: dict[str, Any] = {
        "environment": "live",
        **_TIMES,
        "exec_engine": {"reconciliation_startup_delay_secs": 0.1},
        "data_clients": {
            "BINANCE": {
                "path": file["data"]["path"],
                "factory": {"path": file["data"]["factory"]},
                "config": common | {"base_url_ws": exchange.ws},
            }
        },
        "exec_clients": {
            "BINANCE": {
                "path": file["execution"]["path"],
                "config": common | {"base_url_ws_stream": exchange.ws},
            }
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
        exec_factories={"BINANCE": file["execution"]["factory"]},
        secrets={"BINANCE": "mine"},
        strategies=(strategy,),
    )
    return Run(
        instance_id="engine-1",
        session_id=session,
        plan=plan,
        catalog_path="/nonexistent",
        log_level="WARNING",
        stop_timeout_s=10.0,
        secrets={"mine": keys},
        cache=cache,
    )


class Engine:
    """An engine process, asked without holding up the exchange in this loop."""

    def __init__(self, zygote: ZygoteProcess, run: Run) -> None:
        self.process: EngineProcess = zygote.fork(run)

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
        wanted = {INSTRUMENT: quantity} if quantity else {}
        await self.until(lambda _: self._net() == wanted or None)

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


def fills(engine: Engine) -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """Trade by trade: the venue's id, quantity, price, commission."""
    return sorted(
        (
            each["trade_id"],
            *(Decimal(each[field].partition(" ")[0]) for field in ("last_qty", "last_px", "commission")),
        )
        for each in engine.process.events(EventKind.FILL)
    )


async def fills_at(exchange: Venue, account: str = "main") -> list[tuple[str, Decimal, Decimal, Decimal]]:
    """The same in the exchange's ledger."""
    return sorted(
        (str(each["id"]), *(Decimal(each[field]) for field in ("qty", "price", "commission")))
        for each in (await exchange.account(account))["fills"]
    )
