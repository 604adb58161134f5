"""What a gateway and an orchestrator hear of a fleet that trades, for figures of what it costs them to hear it: made up, and of the usual size."""

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.states import ClientState, DesiredState, RunState
from flotilla.schemas.telemetry import EngineMetrics, FeedProgress, Heartbeat, MarkedEquity, Resources

STREAM: Final = "/api/v1/nautilus/fleet/stream"


def name_of(number: int) -> str:
    """The id of an engine."""
    return f"engine-{number}"


def view(number: int) -> EngineView:
    """An engine as the record has it."""
    session = SessionView(
        session_id=f"session-{number}",
        instance_id=name_of(number),
        generation=1,
        state=RunState.TRADING,
        container_name=f"nautilus-engine-session-{number}",
        created_at=datetime.now(UTC),
        started_at=datetime.now(UTC),
        trading_at=datetime.now(UTC),
        host="h1",
    )
    return EngineView(
        instance_id=name_of(number),
        state=ClientState.RUNNING,
        desired=DesiredState.RUNNING,
        config=EngineConfig(instance_id=name_of(number)),
        session=session,
        version=5,
    )


def beat(number: int, count: int) -> Heartbeat:
    """One heartbeat of its session."""
    return Heartbeat(
        instance_id=name_of(number),
        session_id=f"session-{number}",
        generation=1,
        beat=count,
        at_ns=1,
        state=RunState.TRADING,
        lease_s=20.0,
        resources=Resources(cpu_fraction=0.1, memory_bytes=400 << 20, memory_limit_bytes=1 << 30, pids=9),
    )


def metrics(number: int, count: int) -> EngineMetrics:
    """Its figures, others each time."""
    return EngineMetrics(
        instance_id=name_of(number),
        session_id=f"session-{number}",
        at_ns=1,
        orders_total=count,
        fills_total=count % 1_000,
        feeds=(FeedProgress(venue="BINANCE", events=count, age_s=0.1),),
        balances={"BTC": "0.10000000", "USDT": "10000.00"},
        realized_pnl={"USDT": "12.10"},
        unrealized_pnl={"USDT": f"-3.{count % 100:02}"},
        net_positions={"BTCUSDT.BINANCE": "0.1"},
        strategies={"EMACross-001": "RUNNING"},
        equity=MarkedEquity(currency="USDT", amount=Decimal("10008.90")),
    )


def said(number: int, count: int) -> Iterator[Heartbeat | EngineMetrics]:
    """What an engine says within a second."""
    yield beat(number, count)
    yield metrics(number, count)
