"""What engines, sessions and data look like to people; all of it fits into 80 columns."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from flotilla.schemas.brakes import RELEASED, EngineBrake
from flotilla.schemas.catalog import AttachedCatalog, CatalogEntry, CatalogView
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.host import HostView
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import EngineMetrics, FeedProgress, StopReport
from flotilla.show import formats, limits
from flotilla.show.output import table

_UNUSABLE: Final = 5
_STYLES: Final = {
    RunState.TRADING: "green",
    RunState.IMPAIRED: "bold red",
    RunState.MISMATCH: "bold red",
    RunState.SILENT: "bold red",
    RunState.COMPLETED: "dim",
    RunState.STOPPED: "dim",
    RunState.FAILED: "bold red",
    RunState.UNKNOWN: "magenta",
}


def state_text(
    session: SessionView | None, *, is_frozen: bool = False, brake: EngineBrake = RELEASED
) -> Text:
    """`trading`, `impaired (halted)`, `failed (crash, exit code -9)`."""
    if session is None:
        return Text("never started", style="dim")
    text = str(session.state)
    if session.reason:
        text += f" ({session.reason})"
    if brake.is_on and session.state == RunState.IMPAIRED:
        text += f" ({brake.brake})"
    if is_frozen:
        text += " frozen"
    return Text(text, style="red" if is_frozen else _STYLES.get(session.state, "yellow"))


def engines_table(engines: Sequence[EngineView], now: datetime, *, is_choice: bool = False) -> RenderableType:
    """One row per engine; labels have a column where one has any. `is_choice`: there may be engines that were not asked for."""
    if not engines and is_choice:
        return Text("no such engine; all of them: flotilla engine ls")
    if not engines:
        return Text("no engines; start one: flotilla engine start my-engine --strategy ema_cross")
    has_labels = any(engine.config.labels for engine in engines)
    columns = ("ENGINE", "STATE", "TYPE", ">AGE", ">FILLS", "POSITION", ">REALIZED", ">UNREALIZED")
    made = table(*columns, *["LABELS"] * has_labels)
    for engine in engines:
        metrics = engine.metrics
        made.add_row(
            Text(engine.instance_id, overflow="fold"),
            state_text(engine.session, is_frozen=engine.is_frozen, brake=engine.brake),
            str(engine.config.engine_type),
            _age(engine.session, now),
            f"{metrics.fills_total:,}" if metrics else "",
            formats.positions(metrics.net_positions) if metrics else "",
            formats.money(metrics.realized_pnl) if metrics else "",
            formats.money(metrics.unrealized_pnl) if metrics else "",
            *[labels_text(engine.config.labels)] * has_labels,
        )
    # A stop of all engines is one line, not one for each.
    lines = {line.plain: line for engine in engines for line in _troubles(engine)}
    return Group(made, *lines.values())


def labels_text(labels: Mapping[str, str]) -> str:
    """`desk=rates, zone=b`, by key."""
    return ", ".join(f"{key}={value}" for key, value in sorted(labels.items()))


def hosts_table(hosts: Sequence[HostView], *, is_choice: bool = False) -> RenderableType:
    """One row per host; labels have a column where one has any. `is_choice`: there may be hosts that were not asked for."""
    if not hosts:
        return Text("no such host; all of them: flotilla host ls" if is_choice else "no host was heard yet")
    has_labels = any(host.labels for host in hosts)
    made = table("HOST", "STATE", "RUNTIME", ">CPUS", ">MEMORY", ">SESSIONS", *["LABELS"] * has_labels)
    for host in hosts:
        made.add_row(
            Text(host.host, overflow="fold"),
            _host_state(host),
            host.runtime,
            str(host.cpus),
            formats.size(host.memory_bytes),
            str(host.sessions),
            *[labels_text(host.labels)] * has_labels,
        )
    return made


def _host_state(host: HostView) -> Text:
    if not host.is_in_sight:
        return Text(f"not heard for {formats.duration(host.heartbeat_age_s)}", style="bold red")
    if not host.is_runtime_up:
        return Text("runtime down", style="bold red")
    if any(flag.instance_id is None for flag in host.stop_flags):
        return Text("emergency stop in force", style="bold red")
    return Text("ready", style="green")


def engine_details(
    engine: EngineView,
    sessions: Sequence[SessionView],
    now: datetime,
    *,
    missing: Sequence[tuple[int, int]] = (),
    last: Sequence[Text] = (),
) -> RenderableType:
    """All that is known of one engine; `missing` are the numbers of events of its session that are not on record.

    `last` are the lines of its last events, of a session that is over: its figures went with it.
    """
    facts = _facts()
    facts.add_row("engine", Text(engine.instance_id, style="bold"))
    facts.add_row("state", state_text(engine.session, is_frozen=engine.is_frozen, brake=engine.brake))
    for line in _troubles(engine, with_name=False):
        facts.add_row("", line)
    facts.add_row("wanted", str(engine.desired))
    _add_bounds(facts, engine)
    facts.add_row("type", f"{engine.config.engine_type}, {engine.config.trading_mode} trading")
    if engine.config.labels:
        facts.add_row("labels", labels_text(engine.config.labels))
    if engine.session is not None:
        _session_facts(facts, engine.session, missing)
    if engine.restarts or engine.restart_at:
        facts.add_row("restarts", _restarts(engine))
    if engine.heartbeat_age_s is not None:
        facts.add_row("heartbeat", f"{formats.duration(engine.heartbeat_age_s)} ago")
    if (used := engine.resources) is not None:
        limit = formats.size(used.memory_limit_bytes)
        facts.add_row(
            "memory", f"{formats.size(used.memory_bytes)} of {limit}, {used.pids} processes and threads"
        )
        facts.add_row("cpu", f"{used.cpu_fraction:.0%} of one core")
    if engine.metrics is not None:
        add_figures(facts, engine.metrics)
    elif last:
        facts.add_row("figures", "not kept when a session ends: what it did is among its events")
    parts: list[RenderableType] = [facts]
    if last:
        parts += [Text("\nlast events on record", style="bold"), *last]
    if engine.session is not None and engine.session.log_tail:
        parts += [Text("\nlast log lines", style="bold"), *(Text(line) for line in engine.session.log_tail)]
    if len(sessions) > 1:
        parts += [Text(""), sessions_table(sessions, now)]
    return Group(*parts)


def _add_bounds(facts: Table, engine: EngineView) -> None:
    """What keeps its strategies from trading as they like: a brake, loss limits, trading hours, its dead man."""
    if engine.brake.since is not None:
        facts.add_row("brake", brake_text(engine.brake, is_taken=engine.is_brake_taken))
    for name, line in limits.loss_lines(engine.losses) if engine.losses else ():
        facts.add_row(name, line)
    if engine.trading_hours is not None:
        facts.add_row("trading hours", limits.hours_text(engine.trading_hours))
    if (plan := engine.dead_man) is not None:
        waits = formats.duration(plan.after_s)
        facts.add_row("dead man", f"{plan.policy} once no orchestrator is heard for {waits}")


def brake_text(brake: EngineBrake, *, is_taken: bool | None) -> str:
    """`halted by alice since 2026-01-05 09:30:00 UTC`, `none: lifted by bob at …`, and whether the engine is known to obey."""
    at = formats.moment(brake.since) if brake.since else "an unknown time"
    doubt = "; the engine is NOT known to have taken it" if is_taken is False else ""
    told = f"{brake.text} since {at}" if brake.is_on else f"none: lifted by {brake.by or 'somebody'} at {at}"
    return told + doubt


def add_figures(facts: Table, metrics: EngineMetrics) -> None:
    """Orders, positions, money and feeds."""
    facts.add_row(
        "orders", f"{metrics.orders_total:,} ({metrics.orders_open} open), {metrics.fills_total:,} fills"
    )
    facts.add_row("positions", f"{metrics.positions_total:,} ({metrics.positions_open} open)")
    facts.add_row("holds", formats.positions(metrics.net_positions) or "nothing")
    facts.add_row("balance", formats.money(metrics.balances))
    facts.add_row("realized pnl", formats.money(metrics.realized_pnl))
    facts.add_row("unrealized pnl", formats.money(metrics.unrealized_pnl))
    for feed in metrics.feeds:
        facts.add_row(f"feed {feed.venue}", feed_text(feed))
    for client, count in metrics.reconnects.items():
        facts.add_row(f"stream {client}", f"private, connected anew {count:,} times")


def feed_text(feed: FeedProgress) -> str:
    """`1,204 of 5,030 events, at 2003-10-15`; of a feed whose end is not known, a live one, with the time of day in UTC."""
    total = f" of {feed.total:,}" if feed.total else ""
    read = formats.day if feed.total else formats.second
    at = f", at {read(feed.last_ts_event)}" if feed.last_ts_event else ""
    end = ", finished" if feed.is_finished else "" if feed.is_connected else ", disconnected"
    return f"{feed.events:,}{total} events{at}{end}"


def sessions_table(sessions: Sequence[SessionView], now: datetime) -> Table:
    """One row per session, as they come."""
    made = table("SESSION", "STATE", "STARTED", ">AGE", ">EVENTS", ">EXIT")
    for session in sessions:
        made.add_row(
            session.session_id,
            state_text(session),
            formats.moment(session.started_at or session.created_at),
            _age(session, now),
            f"{session.last_seq:,}",
            "" if session.exit_code is None else str(session.exit_code),
        )
    return made


def catalog_table(catalog: CatalogView) -> RenderableType:
    """One row per data set, and below each attached catalog with what of it is not used."""
    if not catalog.entries and not catalog.attached:
        return Text("the catalog is empty; import the sample data: flotilla data import --sample")
    made = table("DATA", "OF", "FROM", "TO", ">FILES", ">SIZE", *(["IN"] if catalog.attached else []))
    for entry in catalog.entries:
        made.add_row(
            entry.data_type,
            Text(entry.identifier, overflow="fold"),
            f"{entry.start:%Y-%m-%d}",
            f"{entry.end:%Y-%m-%d}",
            str(entry.files),
            formats.size(entry.size_bytes),
            *([entry.attached] if catalog.attached else []),
        )
    return Group(
        made,
        *map(_custom, (one for one in catalog.entries if one.is_custom)),
        *(line for one in catalog.attached for line in _attached(one)),
    )


def _custom(entry: CatalogEntry) -> Text:
    """Who reads rows of a class that is not NautilusTrader's."""
    name = f"{entry.data_type} {entry.identifier}".strip()
    if entry.known_by is None:
        return Text(f"{name}: a package has to know its class, and no fleet that answers said which one does")
    if not entry.known_by:
        return Text(f"not usable: {name}: no package has a class of data called so; push one that does")
    return Text(f"{name}: read by {', '.join(entry.known_by)}")


def _attached(one: AttachedCatalog) -> Iterator[Text]:
    away = "" if one.is_there else ", which is not there"
    yield Text(f"{one.name}: {one.path}{away}", style="" if one.is_there else "bold red")
    for unusable in one.unusable[:_UNUSABLE]:
        yield Text(f"  not usable: {unusable.path}: {unusable.why}")
    if len(one.unusable) > _UNUSABLE:
        yield Text(f"  and {len(one.unusable) - _UNUSABLE} more, which --json names")


def _session_facts(facts: Table, session: SessionView, missing: Sequence[tuple[int, int]]) -> None:
    facts.add_row("session", f"{session.session_id} (generation {session.generation})")
    facts.add_row("container", session.container_name + (f" on {session.host}" if session.host else ""))
    facts.add_row("started", formats.moment(session.started_at or session.created_at))
    if session.trading_at:
        facts.add_row("trading since", formats.moment(session.trading_at))
    if session.ended_at:
        exit_code = "" if session.exit_code is None else f", exit code {session.exit_code}"
        facts.add_row("ended", formats.moment(session.ended_at) + exit_code)
    if session.detail:
        facts.add_row("detail", session.detail)
    if session.stop:
        facts.add_row("stop", stop_text(session.stop))
    facts.add_row("events", events_text(session.last_seq, missing))


def events_text(last_seq: int, missing: Sequence[tuple[int, int]]) -> str:
    """`1,204 on record`, or `1,204, 3 of them NOT on record: 1,202 to 1,204`."""
    if not missing:
        return f"{last_seq:,} on record"
    count = sum(last - first + 1 for first, last in missing)
    ranges = ", ".join(
        f"{first:,} to {last:,}" if last > first else f"{first:,}" for first, last in missing[:5]
    )
    more = ", …" if len(missing) > 5 else ""
    return f"{last_seq:,}, {count:,} of them NOT on record: {ranges}{more}"


def stop_text(stop: StopReport) -> str:
    """`flatten: 2 orders cancelled, 1 position closed, flat`."""
    orders = f"{stop.orders_cancelled} {'order' if stop.orders_cancelled == 1 else 'orders'} cancelled"
    closed = f"{stop.positions_closed} {'position' if stop.positions_closed == 1 else 'positions'} closed"
    return f"{stop.policy}: {orders}, {closed}, {'flat' if stop.is_flat else 'NOT confirmed flat'}"


def not_confirmed(session: SessionView) -> list[Text]:
    """What a stop could not confirm, a line each."""
    return [Text(f"NOT CONFIRMED {what}", style="red") for what in session.not_confirmed]


def _troubles(engine: EngineView, *, with_name: bool = True) -> list[Text]:
    """Why an engine does not do what it should, for people to see before anything else."""
    name = f"{engine.instance_id}: " if with_name else ""
    lines = [Text(f"{name}{problem}", style="yellow") for problem in _problems(engine)]
    lines += [Text(f"{name}{note}", style="dim") for note in engine.notes]
    if engine.brake.is_on and engine.brake.text not in engine.problems:
        when = "begins so" if engine.is_brake_taken is None else "is not known to obey yet"
        lines.append(Text(f"{name}{engine.brake.text}; it {when}", style="yellow"))
    if (flag := engine.stop_flag) is not None:
        why = f" ({flag.reason})" if flag.reason else ""
        who = f"{name}does not start" if flag.instance_id else "no engine starts"
        lines.append(Text(f"{who}: an emergency stop is in force{why}", style="bold red"))
    if engine.session is not None:
        lines += [Text.assemble(name, line) for line in not_confirmed(engine.session)]
    return lines


_WAITS: Final = (RunState.CONNECTING, RunState.RECONCILING)


def _problems(engine: EngineView) -> tuple[str, ...]:
    """Those of its heartbeat; else, as of one that is not heard or not up yet, what the record has."""
    session = engine.session
    if engine.problems or session is None or not session.detail:
        return engine.problems
    if session.state in _WAITS:
        return (f"{session.state}: {session.detail}",)
    is_shown = session.state in (RunState.IMPAIRED, RunState.MISMATCH, RunState.SILENT)
    return (session.detail,) if is_shown else ()


def _restarts(engine: EngineView) -> str:
    next_one = f", next at {formats.moment(engine.restart_at)}" if engine.restart_at else ""
    return f"{engine.restarts} by itself{next_one}"


def _facts() -> Table:
    made = Table.grid(padding=(0, 2, 0, 0))
    made.add_column(style="dim", no_wrap=True)
    made.add_column(overflow="fold")
    return made


def _age(session: SessionView | None, now: datetime) -> str:
    if session is None:
        return ""
    end = session.ended_at or now
    return formats.duration(max(0.0, (end - (session.started_at or session.created_at)).total_seconds()))
