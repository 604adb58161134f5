"""What Prometheus is told of the fleet: figures made of the rows in memory when it asks, a table of them for each kind of row.

Nothing is asked of anybody for a scrape. What is not known is left out, and is never a 0. What engines tell is a claim (ADR 31): an
amount that is no number and a currency that is no word are left out too, so that no engine can make series without bound.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final

from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from flotilla.schemas.alerting import AlertView
from flotilla.schemas.contract import Actor
from flotilla.schemas.heartbeats import UNHEALTHY_AFTER_S
from flotilla.schemas.states import DesiredState
from flotilla.schemas.telemetry import Severity
from flotilla.services.gateway.live.http_metrics import Named, family
from flotilla.services.gateway.live.rows import EngineRow, HostRow, Row, ServiceRow, Topic

TOPICS: Final = frozenset({Topic.ENGINES, Topic.HOSTS, Topic.SERVICES, Topic.ALERTS})
"""The rows that figures are made of."""

MOST_CURRENCIES: Final = 20
"""Of one engine and one figure; what it has in others is left out."""
MOST_HOSTS: Final = 1_000
_CURRENCY: Final = re.compile(r"[A-Za-z0-9._-]{1,16}")
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,99}")

type Readings = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True)
class Figure[R]:
    """One name that Prometheus knows: what it means, what a row says of it, and its labels after that of the row."""

    name: str
    meaning: str
    read: Callable[[R, datetime], Readings]
    labels: tuple[str, ...] = ()


def known[R](read: Callable[[R], float | None]) -> Callable[[R, datetime], Readings]:
    """A number of the row, as far as it has it."""
    return lambda row, _: () if (value := read(row)) is None else (((), float(value)),)


def age[R](read: Callable[[R], datetime | None]) -> Callable[[R, datetime], Readings]:
    """The seconds since a time of the row, as far as it has it."""
    return lambda row, now: () if (at := read(row)) is None else (((), (now - at).total_seconds()),)


def money(read: Callable[[EngineRow], Mapping[str, str]]) -> Callable[[EngineRow, datetime], Readings]:
    """Amounts by currency."""
    return lambda row, _: _amounts(read(row))


def state_of(row: EngineRow) -> str:
    """Where its session is; that of the engine where it never had one."""
    return row.run_state or row.state


def _amounts(said: Mapping[str, str]) -> Readings:
    for currency in islice(sorted(said), MOST_CURRENCIES):
        try:
            amount = float(said[currency])
        except ValueError:
            continue
        if math.isfinite(amount) and _CURRENCY.fullmatch(currency):
            yield (currency,), amount


def _equity(row: EngineRow) -> Mapping[str, str]:
    return {row.equity_currency: row.equity} if row.equity is not None and row.equity_currency else {}


ENGINE_FIGURES: Final[tuple[Figure[EngineRow], ...]] = (
    Figure(
        "flotilla_engine_info",
        "1 for each engine: what it trades with, and the host of its session (empty: none).",
        lambda row, _: (((row.mode, row.host or ""), 1.0),),
        ("mode", "host"),
    ),
    Figure(
        "flotilla_engine_state",
        "1 for the state that its session is in.",
        lambda row, _: (((state_of(row),), 1.0),),
        ("state",),
    ),
    Figure(
        "flotilla_engine_wanted",
        "1 while somebody wants it to run.",
        known(lambda row: row.desired == DesiredState.RUNNING),
    ),
    Figure(
        "flotilla_engine_heartbeat_age_seconds",
        "Since its last heartbeat came.",
        age(lambda row: row.heard_at),
    ),
    Figure(
        "flotilla_engine_feed_age_seconds",
        "Since the last data of any venue came.",
        age(lambda row: row.fed_at),
    ),
    Figure(
        "flotilla_engine_frozen",
        "1 while its loop does not turn.",
        known(lambda row: row.is_frozen if row.heard_at else None),
    ),
    Figure(
        "flotilla_engine_problems",
        "Reasons why it is impaired.",
        known(lambda row: len(row.problems) if row.heard_at else None),
    ),
    Figure(
        "flotilla_engine_braked",
        "1 while it is halted or only reduces.",
        known(lambda row: row.brake is not None),
    ),
    Figure(
        "flotilla_engine_restarts",
        "Restarts by itself within the window of its policy.",
        known(lambda row: row.restarts),
    ),
    Figure(
        "flotilla_engine_lease_seconds",
        "What is left of the lease on its accounts.",
        known(lambda row: row.lease_s),
    ),
    Figure(
        "flotilla_engine_events_queued",
        "Events that wait to be told.",
        known(lambda row: row.events_queued),
    ),
    Figure(
        "flotilla_engine_cpu_cores",
        "Processors that its session uses; 1 is one core.",
        known(lambda row: row.cpu_fraction),
    ),
    Figure(
        "flotilla_engine_memory_bytes",
        "Memory that its session uses.",
        known(lambda row: row.memory_bytes),
    ),
    Figure(
        "flotilla_engine_memory_limit_bytes",
        "Memory that its session may use.",
        known(lambda row: row.memory_limit_bytes),
    ),
    Figure("flotilla_engine_orders_open", "Orders that are open.", known(lambda row: row.orders_open)),
    Figure(
        "flotilla_engine_orders_total",
        "Orders since its session began.",
        known(lambda row: row.orders_total),
    ),
    Figure(
        "flotilla_engine_fills_total", "Fills since its session began.", known(lambda row: row.fills_total)
    ),
    Figure(
        "flotilla_engine_positions_open",
        "Positions that are open.",
        known(lambda row: row.positions_open),
    ),
    Figure(
        "flotilla_engine_equity",
        "What its accounts are worth with everything open at the market.",
        money(_equity),
        ("currency",),
    ),
    Figure(
        "flotilla_engine_balance",
        "Totals of its accounts.",
        money(lambda row: row.balances),
        ("currency",),
    ),
    Figure(
        "flotilla_engine_realized_pnl",
        "Profit and loss of what is closed.",
        money(lambda row: row.realized_pnl),
        ("currency",),
    ),
    Figure(
        "flotilla_engine_unrealized_pnl",
        "Profit and loss of what is open.",
        money(lambda row: row.unrealized_pnl),
        ("currency",),
    ),
)
HOST_FIGURES: Final[tuple[Figure[HostRow], ...]] = (
    Figure(
        "flotilla_host_heartbeat_age_seconds",
        "Since its supervisor was heard last.",
        age(lambda row: row.heard_at),
    ),
    Figure("flotilla_host_sessions", "Sessions that run there.", known(lambda row: row.sessions)),
    Figure(
        "flotilla_host_runtime_up",
        "1 while Docker, or what else runs sessions there, answers.",
        known(lambda row: row.is_runtime_up),
    ),
    Figure("flotilla_host_cpus", "Its processors.", known(lambda row: row.cpus)),
    Figure("flotilla_host_memory_bytes", "Its memory.", known(lambda row: row.memory_bytes)),
    Figure("flotilla_host_stops", "Emergency stops in force there.", known(lambda row: len(row.stop_flags))),
)
SERVICE_FIGURES: Final[tuple[Figure[ServiceRow], ...]] = (
    Figure(
        "flotilla_service_ready",
        "1 while all that it depends on is well, as it said last.",
        known(lambda row: row.is_ready),
    ),
    Figure(
        "flotilla_service_heartbeat_age_seconds",
        "Since it was heard last; `nats` is the gateway's own connection, and has none.",
        age(lambda row: row.heard_at),
    ),
)
FLEET_FIGURES: Final = {
    "flotilla_engines": "Engines by mode and state, those too that are left out below.",
    "flotilla_alerts_open": "Alerts of the notifier that are open, by severity.",
    "flotilla_engines_left_out": "Engines that have no series of their own, because there are too many.",
    "flotilla_up": "1 while the bus is connected, and while the orchestrator was heard of in the last 5 s.",
}


class FleetFigures(Collector):
    """The rows at one moment. Of more than `most` engines those have series whose session is in sight, then those first in the alphabet."""

    def __init__(self, rows: Iterable[Row], now: datetime, *, most: int, is_bus_up: bool) -> None:
        found = list(rows)
        self._engines = [row for row in found if isinstance(row, EngineRow)]
        self._hosts = [row for row in found if isinstance(row, HostRow)]
        self._services = [row for row in found if isinstance(row, ServiceRow)]
        self._alerts = Counter(row.severity for row in found if isinstance(row, AlertView))
        self._now = now
        self._most = most
        self._is_bus_up = is_bus_up

    def collect(self) -> Iterator[Metric]:
        """One family for each figure of the tables, and the totals."""
        up, shown = self._up(), self._shown()
        counts = Counter((str(row.mode), str(state_of(row))) for row in self._engines)
        left_out = len(self._engines) - len(shown)
        yield family("flotilla_up", FLEET_FIGURES["flotilla_up"], up, ("service",))
        yield family("flotilla_engines", FLEET_FIGURES["flotilla_engines"], counts.items(), ("mode", "state"))
        yield family(
            "flotilla_engines_left_out",
            FLEET_FIGURES["flotilla_engines_left_out"],
            (((), float(left_out)),),
        )
        alerts = (((str(severity),), float(self._alerts[severity])) for severity in Severity)
        yield family("flotilla_alerts_open", FLEET_FIGURES["flotilla_alerts_open"], alerts, ("severity",))
        now = self._now
        yield from _families("engine", ENGINE_FIGURES, [(row.instance_id, row) for row in shown], now)
        hosts = sorted(self._hosts, key=lambda row: row.heard_at, reverse=True)[:MOST_HOSTS]
        yield from _families("host", HOST_FIGURES, [(row.host, row) for row in hosts], now)
        yield from _families("service", SERVICE_FIGURES, [(row.service, row) for row in self._services], now)
        if (orchestrator := self._orchestrator()) is not None:
            named = {name: value for name, value in orchestrator.metrics.items() if _NAME.fullmatch(name)}
            yield from Named("flotilla_orchestrator", named, {}).collect()

    def _shown(self) -> list[EngineRow]:
        if len(self._engines) <= self._most:
            return self._engines
        by_sight = sorted(self._engines, key=lambda row: (row.heard_at is None, row.instance_id))
        return by_sight[: self._most]

    def _up(self) -> Readings:
        yield ("bus",), float(self._is_bus_up)
        yield (str(Actor.ORCHESTRATOR),), float(self._orchestrator() is not None)

    def _orchestrator(self) -> ServiceRow | None:
        """As it said last, unless that was too long ago to be true."""
        for row in self._services:
            if row.service == Actor.ORCHESTRATOR and row.heard_at is not None:
                is_heard = (self._now - row.heard_at).total_seconds() <= UNHEALTHY_AFTER_S
                return row if is_heard else None
        return None


def _families[R](
    of: str, figures: Iterable[Figure[R]], rows: list[tuple[str, R]], now: datetime
) -> Iterator[Metric]:
    for figure in figures:
        readings = (
            ((row_id, *values), value) for row_id, row in rows for values, value in figure.read(row, now)
        )
        yield family(figure.name, figure.meaning, readings, (of, *figure.labels))
