"""Tables fit into a terminal of 80 columns, and lose nothing in a pipe."""

import io
import re
from datetime import UTC, datetime, timedelta

import msgspec
from rich.console import Console, RenderableType

from flotilla.client.watch import Update
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.catalog import (
    AttachedCatalog,
    CatalogEntry,
    CatalogView,
    Parameter,
    StrategyVerdict,
    TemplateFault,
    TemplateList,
    TemplateView,
    UnusableData,
)
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.engine import EngineView, SessionView
from flotilla.schemas.fault import FieldError
from flotilla.schemas.host import HostView
from flotilla.schemas.states import Brake, ClientState, DesiredState, FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import (
    AccountUpdate,
    Alert,
    Balance,
    EngineEvent,
    EngineMetrics,
    EventKind,
    FeedProgress,
    FleetAlert,
    Resources,
    Severity,
    StateChange,
    StopFlag,
    StopReport,
)
from flotilla.show import tables, template_tables
from flotilla.show.event_lines import line_of, line_on_record

NOW = datetime(2026, 1, 31, 14, 25, tzinfo=UTC)
SESSION = SessionView(
    session_id="20260131-142001-3f9c2a7b1d04",
    instance_id="momentum-1",
    generation=3,
    state=RunState.TRADING,
    container_name="nautilus-engine-20260131-142001-3f9c2a7b1d04",
    created_at=NOW - timedelta(minutes=5),
    started_at=NOW - timedelta(minutes=5),
    last_seq=1204,
)
METRICS = EngineMetrics(
    instance_id="momentum-1",
    session_id="s",
    at_ns=1,
    orders_total=1204,
    fills_total=1203,
    balances={"USD": "1000123.45"},
    realized_pnl={"USD": "123.45"},
    unrealized_pnl={"USD": "-67.80"},
    net_positions={"SPX.SIM": "100"},
    feeds=(FeedProgress(venue="SIM", events=1204, total=5030, last_ts_event=1_066_176_000_000_000_000),),
)
ENGINE = EngineView(
    instance_id="momentum-1",
    state=ClientState.RUNNING,
    desired=DesiredState.RUNNING,
    config=EngineConfig(engine_type="sandbox"),
    session=SESSION,
    heartbeat_age_s=0.4,
    metrics=METRICS,
    resources=Resources(cpu_fraction=0.07, memory_bytes=222_298_112, memory_limit_bytes=2 << 30, pids=19),
)


def drawn(what: RenderableType, width: int = 80) -> str:
    out = io.StringIO()
    Console(file=out, width=width, markup=False).print(what)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_an_engine_takes_one_line() -> None:
    lines = drawn(tables.engines_table([ENGINE], NOW)).splitlines()
    assert len(lines) == 2
    assert lines[1].split() == (
        [
            "momentum-1",
            "trading",
            "sandbox",
            "5m00s",
            "1,203",
            "SPX.SIM",
            "+100",
            "123.45",
            "USD",
            "-67.80",
            "USD",
        ]
    )


def test_labels_have_a_column_where_an_engine_has_any() -> None:
    config = msgspec.structs.replace(ENGINE.config, labels={"zone": "b", "desk": "rates"})
    labelled = msgspec.structs.replace(ENGINE, instance_id="momentum-2", config=config)
    assert "LABELS" not in drawn(tables.engines_table([ENGINE], NOW))
    text = drawn(tables.engines_table([ENGINE, labelled], NOW), width=200)
    head, first, second = text.splitlines()
    assert head.endswith("LABELS")
    assert first.endswith("-67.80 USD")
    assert second.endswith("desk=rates, zone=b")
    assert max(map(len, drawn(tables.engines_table([ENGINE, labelled], NOW)).splitlines())) <= 80
    assert "desk=rates, zone=b" in drawn(tables.engine_details(labelled, [], NOW))
    assert "labels" not in drawn(tables.engine_details(ENGINE, [], NOW))


def test_a_host_takes_one_line_that_says_what_keeps_engines_from_it() -> None:
    ready = HostView(
        host="h1",
        is_in_sight=True,
        heartbeat_age_s=0.4,
        labels={},
        runtime="docker",
        is_runtime_up=True,
        cpus=8,
        memory_bytes=32 << 30,
        sessions=3,
        version="1",
        has_cache=True,
        stop_flags=(),
    )
    head, line = drawn(tables.hosts_table([ready])).splitlines()
    assert head.split() == ["HOST", "STATE", "RUNTIME", "CPUS", "MEMORY", "SESSIONS"]
    assert line.split() == ["h1", "ready", "docker", "8", "32", "GiB", "3"]
    lost = msgspec.structs.replace(ready, is_in_sight=False, heartbeat_age_s=90.0, labels={"zone": "b"})
    assert "not heard for 1m30s" in drawn(tables.hosts_table([lost]))
    assert drawn(tables.hosts_table([ready, lost])).splitlines()[2].endswith("zone=b")
    down = msgspec.structs.replace(ready, is_runtime_up=False)
    assert "runtime down" in drawn(tables.hosts_table([down]))
    halted = msgspec.structs.replace(ready, stop_flags=(StopFlag(since=NOW),))
    assert "emergency stop in force" in drawn(tables.hosts_table([halted]))
    others_start = msgspec.structs.replace(ready, stop_flags=(StopFlag(since=NOW, instance_id="e1"),))
    assert "ready" in drawn(tables.hosts_table([others_start]))


def test_no_engines_say_how_to_start_one() -> None:
    assert "flotilla engine start" in drawn(tables.engines_table([], NOW))


def test_a_failed_engine_shows_why_and_its_last_words() -> None:
    failed = SessionView(
        session_id="s",
        instance_id="a",
        generation=1,
        state=RunState.FAILED,
        reason=FailureReason.CRASH,
        exit_code=-9,
        ended_at=NOW,
        log_tail=("[bold]not markup[/bold]",),
        container_name="c",
        created_at=NOW,
    )
    engine = EngineView(
        instance_id="a",
        state=ClientState.ERROR,
        desired=DesiredState.RUNNING,
        config=EngineConfig(),
        session=failed,
    )
    text = drawn(tables.engine_details(engine, [failed], NOW))
    assert "failed (crash)" in text
    assert "exit code -9" in text
    assert "[bold]not markup[/bold]" in text


def test_details_tell_figures_and_feeds() -> None:
    text = drawn(tables.engine_details(ENGINE, [SESSION, SESSION], NOW))
    for part in (
        "1,204 of 5,030 events, at 2003-10-15",
        "212 MiB of 2.0 GiB",
        "SPX.SIM +100",
        "1,204 on record",
    ):
        assert part in text
    assert max(map(len, text.splitlines())) <= 80


def test_a_name_as_long_as_allowed_is_not_cut() -> None:
    name = "q" * 63
    long = EngineView(
        instance_id=name,
        state=ClientState.STOPPED,
        desired=DesiredState.STOPPED,
        config=EngineConfig(engine_type="sandbox"),
    )
    assert drawn(tables.engines_table([long], NOW)).count("q") == 63
    assert name in drawn(tables.engines_table([long], NOW), width=1000)


def test_templates_and_data_fit() -> None:
    template = TemplateView(
        name="ema_cross",
        kind="strategy",
        file="ema_cross.json",
        description="Two exponential averages that cross",
        parameters={
            "fast": Parameter(type="integer", help="Bars of the fast average", default=10, min=1, max=500),
            "bar_type": Parameter(type="bar_type", help="What to trade on", required=True),
        },
    )
    text = drawn(template_tables.template_details(template))
    assert "integer 1..500" in text
    assert "(required)" in text
    entry = CatalogEntry(
        data_type="bars",
        identifier="SPX.SIM-1-DAY-LAST-EXTERNAL",
        instrument_id="SPX.SIM",
        start=NOW,
        end=NOW,
        files=1,
        size_bytes=180_000,
    )
    text = drawn(tables.catalog_table(CatalogView(path="/x", entries=(entry,))))
    assert "SPX.SIM-1-DAY-LAST-EXTERNAL" in text
    assert max(map(len, text.splitlines())) <= 80


def test_attached_catalogs_are_told_with_what_of_them_is_not_used() -> None:
    unusable = tuple(UnusableData(path=f"data/x{number}", why="is no whole file") for number in range(7))
    away = AttachedCatalog(name="mine", path="/data/mine", unusable=unusable, is_there=False)
    text = drawn(tables.catalog_table(CatalogView(path="/x", entries=(), attached=(away,))))
    assert "mine: /data/mine, which is not there" in text
    assert "not usable: data/x4: is no whole file" in text
    assert "and 2 more, which --json names" in text


def test_an_update_is_told_in_one_line() -> None:
    alert = Alert(severity=Severity.CRITICAL, code="engine_frozen", message="silent for 5 s")
    event = EngineEvent(
        instance_id="a", session_id="s", generation=1, seq=1, at_ns=1, kind=EventKind.ALERT, data=alert
    )
    told = line_of(Update("alert", "a", event), with_name=False).plain
    assert told.endswith("alert     critical engine_frozen: silent for 5 s")
    assert "1,204 of 5,030 events" in line_of(Update("metrics", "a", METRICS), with_name=True).plain


def test_what_is_wrong_with_an_engine_stands_under_the_table_and_in_its_details() -> None:
    session = msgspec.structs.replace(
        SESSION,
        not_confirmed=("order O-1 still open",),
        stop=StopReport(policy=StopPolicy.FLATTEN, orders_cancelled=1, positions_closed=2),
    )
    engine = msgspec.structs.replace(
        ENGINE,
        session=session,
        problems=("strategy EMACross-001 is DEGRADED",),
        stop_flag=StopFlag(since=NOW, reason="halted"),
        restarts=2,
        restart_at=NOW,
    )
    listed = drawn(tables.engines_table([engine], NOW))
    shown = drawn(tables.engine_details(engine, [session], NOW))
    for text in (listed, shown):
        assert "strategy EMACross-001 is DEGRADED" in text
        assert "an emergency stop is in force (halted)" in text
        assert "NOT CONFIRMED order O-1 still open" in text
        assert max(map(len, text.splitlines())) <= 80
    assert "2 by itself, next at 2026-01-31 14:25:00Z" in shown
    assert "flatten: 1 order cancelled, 2 positions closed, NOT confirmed flat" in " ".join(shown.split())


def test_files_that_are_not_served_are_listed_with_their_fault() -> None:
    fault = TemplateFault(file="mine.json", kind="strategy", message="no class my.module:Mine")
    listed = TemplateList(templates=(), faults=(fault,))
    text = drawn(template_tables.templates_report({"strategy": listed}))
    assert "files that are not served" in text
    assert "mine.json: no class my.module:Mine" in text
    assert "not served" not in drawn(
        template_tables.templates_report({"strategy": TemplateList(templates=())})
    )


def test_a_verdict_tells_everything_that_is_wrong() -> None:
    errors = (FieldError("trade_size", "must be over 0"), FieldError("bogus", "no such parameter"))
    verdict = StrategyVerdict(is_valid=False, message="2 parameters are wrong", errors=errors)
    text = drawn(template_tables.verdict_report(verdict))
    assert text.splitlines() == [
        "● refused",
        "  trade_size: must be over 0",
        "  bogus: no such parameter",
    ]


def test_an_alert_of_the_fleet_is_told_as_one_of_an_engine_is() -> None:
    alert = FleetAlert(
        at=NOW, severity=Severity.WARNING, code="orphan", message="container x", instance_id="a"
    )
    told = line_of(Update("fleet_alert", "a", alert), with_name=True).plain
    assert told.endswith("a                alert     warning orphan: container x")


def test_the_end_of_a_session_tells_what_is_not_confirmed() -> None:
    end = StateChange(state=RunState.STOPPED, not_confirmed=("order O-1 still open", "position P-1 open"))
    event = EngineEvent(
        instance_id="a", session_id="s", generation=1, seq=1, at_ns=1, kind=EventKind.STATE, data=end
    )
    told = line_of(Update("state", "a", event), with_name=False).plain
    assert told.endswith("stopped; NOT CONFIRMED: order O-1 still open, position P-1 open")


def test_of_a_session_that_is_over_the_last_events_are_shown_and_no_figures() -> None:
    over = msgspec.structs.replace(SESSION, state=RunState.COMPLETED, ended_at=NOW)
    engine = msgspec.structs.replace(ENGINE, session=over, metrics=None, heartbeat_age_s=None)
    account = AccountUpdate(
        account_id="SIM-001",
        account_type="MARGIN",
        balances=(Balance(currency="USD", total="1000123.45", free="1000123.45", locked="0.00"),),
        ts_event=1,
    )
    event = EngineEvent(
        instance_id="a", session_id="s", generation=1, seq=9, at_ns=1, kind=EventKind.ACCOUNT, data=account
    )
    line = line_on_record(msgspec.Raw(msgspec.json.encode(event)))
    text = drawn(tables.engine_details(engine, [over], NOW, last=[line]))
    assert re.search(r"last events on record\n.* account +1,000,123\.45 USD", text), text
    assert "figures" in text
    assert "figures" not in drawn(tables.engine_details(ENGINE, [SESSION], NOW))
    assert max(map(len, text.splitlines())) <= 80


def test_a_feed_without_an_end_is_told_with_the_time_of_day() -> None:
    live = FeedProgress(venue="BINANCE", events=7, last_ts_event=1_066_199_401_500_000_000)
    assert tables.feed_text(live) == "7 events, at 2003-10-15 06:30:01Z"


def test_events_that_are_not_on_record_are_named() -> None:
    lost = drawn(tables.engine_details(ENGINE, [SESSION], NOW, missing=[(7, 7), (1202, 1204)]))
    assert "1,204, 4 of them NOT on record: 7, 1,202 to 1,204" in lost


def test_an_impaired_engine_shows_its_reasons_also_when_only_the_record_has_them() -> None:
    session = msgspec.structs.replace(SESSION, state=RunState.IMPAIRED, detail="strategy A-000 is STOPPED")
    known = msgspec.structs.replace(ENGINE, session=session, problems=("strategy A-000 is STOPPED",))
    for engine in (known, msgspec.structs.replace(known, problems=())):
        text = drawn(tables.engines_table([engine], NOW))
        assert "impaired" in text
        assert text.count("momentum-1: strategy A-000 is STOPPED") == 1
    quiet = msgspec.structs.replace(ENGINE, notes=("no trades of X for 95 s",))
    assert "momentum-1: no trades of X for 95 s" in drawn(tables.engines_table([quiet], NOW))


def test_what_a_start_waits_for_is_shown_with_the_state() -> None:
    for state in (RunState.CONNECTING, RunState.RECONCILING, RunState.STOPPING):
        session = msgspec.structs.replace(SESSION, state=state, detail="A data: no DNS for a.example")
        text = drawn(tables.engines_table([msgspec.structs.replace(ENGINE, session=session)], NOW))
        is_shown = state is not RunState.STOPPING
        assert (f"momentum-1: {state}: A data: no DNS for a.example" in text) == is_shown


def test_a_brake_is_shown_with_whose_it_is_and_whether_the_engine_obeys() -> None:
    brake = EngineBrake(brake=Brake.HALTED, number=1, since=NOW, by="alice")
    session = msgspec.structs.replace(SESSION, state=RunState.IMPAIRED, detail=brake.text)
    halted = msgspec.structs.replace(
        ENGINE, session=session, problems=(brake.text,), brake=brake, is_brake_taken=True
    )
    listed = drawn(tables.engines_table([halted], NOW))
    assert "(halted)" in listed
    assert listed.count("momentum-1: halted by alice") == 1
    shown = drawn(tables.engine_details(halted, [session], NOW))
    assert "halted by alice since 2026-01-31" in shown
    assert "NOT known" not in shown
    deaf = msgspec.structs.replace(ENGINE, brake=brake, is_brake_taken=False)
    assert "momentum-1: halted by alice; it is not known to obey yet" in drawn(
        tables.engines_table([deaf], NOW)
    )
    shown = " ".join(drawn(tables.engine_details(deaf, [SESSION], NOW)).split())
    assert "(halted)" not in shown
    assert "the engine is NOT known to have taken it" in shown
    ended = msgspec.structs.replace(SESSION, state=RunState.STOPPED)
    waiting = msgspec.structs.replace(ENGINE, session=ended, brake=brake)
    table = drawn(tables.engines_table([waiting], NOW))
    assert "stopped (halted)" not in table
    assert "momentum-1: halted by alice; it begins so" in table
    lifted = msgspec.structs.replace(ENGINE, brake=EngineBrake(number=2, since=NOW, by="bob"))
    assert "none: lifted by bob at 2026-01-31" in drawn(tables.engine_details(lifted, [SESSION], NOW))


def test_none_of_those_that_were_asked_for_is_not_said_to_be_none_at_all() -> None:
    assert drawn(tables.engines_table([], NOW)).startswith("no engines; start one")
    assert drawn(tables.engines_table([], NOW, is_choice=True)).startswith("no such engine; all of them")
    assert drawn(tables.hosts_table([])).startswith("no host was heard yet")
    assert drawn(tables.hosts_table([], is_choice=True)).startswith("no such host; all of them")
