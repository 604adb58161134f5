"""What engines, sessions, templates and data look like to people; all of it fits into 80 columns."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla import words
from flotilla.output import table
from schemas.catalog import CatalogView, TemplateView
from schemas.engine import EngineView, SessionView
from schemas.states import RunState
from schemas.telemetry import EngineMetrics, FeedProgress

_STYLES: Final = {
    RunState.TRADING: "green",
    RunState.STOPPED: "dim",
    RunState.FAILED: "bold red",
    RunState.UNKNOWN: "magenta",
}


def state_text(session: SessionView | None, *, is_frozen: bool = False) -> Text:
    """`trading`, `failed (crash, exit code -9)`."""
    if session is None:
        return Text("never started", style="dim")
    text = str(session.state)
    if session.reason:
        text += f" ({session.reason})"
    if is_frozen:
        text += " frozen"
    return Text(text, style="red" if is_frozen else _STYLES.get(session.state, "yellow"))


def engines_table(engines: Sequence[EngineView], now: datetime) -> RenderableType:
    """One row per engine."""
    if not engines:
        return Text("no engines; start one: flotilla engine start my-engine --strategy ema_cross")
    made = table("ENGINE", "STATE", "TYPE", ">AGE", ">FILLS", "POSITION", ">PNL", ">MEM")
    for engine in engines:
        metrics, resources = engine.metrics, engine.resources
        made.add_row(
            Text(engine.instance_id, overflow="fold"),
            state_text(engine.session, is_frozen=engine.is_frozen),
            str(engine.config.engine_type),
            _age(engine.session, now),
            f"{metrics.fills_total:,}" if metrics else "",
            words.positions(metrics.net_positions) if metrics else "",
            words.money(metrics.realized_pnl) if metrics else "",
            words.size(resources.memory_bytes) if resources else "",
        )
    return made


def engine_details(engine: EngineView, sessions: Sequence[SessionView], now: datetime) -> RenderableType:
    """All that is known of one engine."""
    facts = _facts()
    facts.add_row("engine", Text(engine.instance_id, style="bold"))
    facts.add_row("state", state_text(engine.session, is_frozen=engine.is_frozen))
    facts.add_row("wanted", str(engine.desired))
    facts.add_row("type", f"{engine.config.engine_type}, {engine.config.trading_mode} trading")
    if engine.session is not None:
        _session_facts(facts, engine.session)
    if engine.heartbeat_age_s is not None:
        facts.add_row("heartbeat", f"{words.duration(engine.heartbeat_age_s)} ago")
    if (used := engine.resources) is not None:
        limit = words.size(used.memory_limit_bytes)
        facts.add_row(
            "memory", f"{words.size(used.memory_bytes)} of {limit}, {used.pids} processes and threads"
        )
        facts.add_row("cpu", f"{used.cpu_fraction:.0%} of one core")
    if engine.metrics is not None:
        add_figures(facts, engine.metrics)
    parts: list[RenderableType] = [facts]
    if engine.session is not None and engine.session.log_tail:
        parts += [Text("\nlast log lines", style="bold"), *(Text(line) for line in engine.session.log_tail)]
    if len(sessions) > 1:
        parts += [Text(""), sessions_table(sessions, now)]
    return Group(*parts)


def add_figures(facts: Table, metrics: EngineMetrics) -> None:
    """Orders, positions, money and feeds."""
    facts.add_row(
        "orders", f"{metrics.orders_total:,} ({metrics.orders_open} open), {metrics.fills_total:,} fills"
    )
    facts.add_row("positions", f"{metrics.positions_total:,} ({metrics.positions_open} open)")
    facts.add_row("holds", words.positions(metrics.net_positions) or "nothing")
    facts.add_row("balance", words.money(metrics.balances))
    facts.add_row("realized pnl", words.money(metrics.realized_pnl))
    facts.add_row("unrealized pnl", words.money(metrics.unrealized_pnl))
    for feed in metrics.feeds:
        facts.add_row(f"feed {feed.venue}", feed_text(feed))


def feed_text(feed: FeedProgress) -> str:
    """`1,204 of 5,030 events, at 2003-10-15`."""
    total = f" of {feed.total:,}" if feed.total else ""
    at = f", at {words.day(feed.last_ts_event)}" if feed.last_ts_event else ""
    end = ", finished" if feed.is_finished else "" if feed.is_connected else ", disconnected"
    return f"{feed.events:,}{total} events{at}{end}"


def sessions_table(sessions: Sequence[SessionView], now: datetime) -> Table:
    """One row per session, as they come."""
    made = table("SESSION", "STATE", "STARTED", ">AGE", ">EVENTS", ">EXIT")
    for session in sessions:
        made.add_row(
            session.session_id,
            state_text(session),
            words.moment(session.started_at or session.created_at),
            _age(session, now),
            f"{session.last_seq:,}",
            "" if session.exit_code is None else str(session.exit_code),
        )
    return made


def templates_table(templates: Sequence[TemplateView]) -> Table:
    """One row per template, with the names of its parameters."""
    made = table("TEMPLATE", "DESCRIPTION")
    for template in templates:
        made.add_row(Text(template.name, style="bold"), template.description)
    return made


def template_details(template: TemplateView) -> RenderableType:
    """A template's parameters."""
    made = table("PARAMETER", "TYPE", "DEFAULT", "ABOUT")
    for name, parameter in template.parameters.items():
        bounds = _bounds(parameter.min, parameter.max)
        default = "(required)" if parameter.required else _default(parameter.default)
        made.add_row(name, parameter.type + bounds, default, parameter.help)
    head = Text.assemble((template.name, "bold"), f"  {template.description}\n")
    return Group(head, made if template.parameters else Text("it takes no parameters"))


def catalog_table(catalog: CatalogView) -> RenderableType:
    """One row per data set."""
    if not catalog.entries:
        return Text("the catalog is empty; import the sample data: flotilla data import --sample")
    made = table("DATA", "OF", "FROM", "TO", ">FILES", ">SIZE")
    for entry in catalog.entries:
        made.add_row(
            entry.data_type,
            Text(entry.identifier, overflow="fold"),
            f"{entry.start:%Y-%m-%d}",
            f"{entry.end:%Y-%m-%d}",
            str(entry.files),
            words.size(entry.size_bytes),
        )
    return made


def _session_facts(facts: Table, session: SessionView) -> None:
    facts.add_row("session", f"{session.session_id} (generation {session.generation})")
    facts.add_row("container", session.container_name + (f" on {session.host}" if session.host else ""))
    facts.add_row("started", words.moment(session.started_at or session.created_at))
    if session.trading_at:
        facts.add_row("trading since", words.moment(session.trading_at))
    if session.ended_at:
        exit_code = "" if session.exit_code is None else f", exit code {session.exit_code}"
        facts.add_row("ended", words.moment(session.ended_at) + exit_code)
    if session.detail:
        facts.add_row("detail", session.detail)
    facts.add_row("events", f"{session.last_seq:,} on record")


def _facts() -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def _age(session: SessionView | None, now: datetime) -> str:
    if session is None:
        return ""
    end = session.ended_at or now
    return words.duration(max(0.0, (end - (session.started_at or session.created_at)).total_seconds()))


def _bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    return f" {'' if low is None else f'{low:g}'}..{'' if high is None else f'{high:g}'}"


def _default(value: object) -> str:
    return "" if value is None else str(value)
