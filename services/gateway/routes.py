"""Every route, once: the router, the rights and the OpenAPI document are made from these rows."""

from collections.abc import Awaitable, Callable
from dataclasses import KW_ONLY, dataclass
from functools import partial
from typing import Any, Final

from services.gateway import commands, probes, queries, reads, replies, sse
from services.gateway.auth import Role
from services.gateway.gateway import Gateway
from services.gateway.inputs import Ask

API: Final = "/api/v1/nautilus"
ENGINE: Final = f"{API}/engine"
ENGINES: Final = f"{API}/engines"
ONE: Final = f"{ENGINES}/{{instance_id}}"
TEMPLATES: Final = f"{ENGINE}/strategies/templates"

type Handler = Callable[[Gateway, Ask[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One row. `role` None is open to all; `reply` None is an answer that has no schema, such as a page or a stream.

    `id_in_body` is where the body repeats the `instance_id` of the path or query; a body that says otherwise is refused.
    """

    name: str
    path: str
    handler: Handler
    reply: Any
    summary: str
    _: KW_ONLY
    tag: str
    method: str = "GET"
    role: Role | None = None
    query: Any = queries.NoQuery
    body: Any = None
    is_body_optional: bool = True
    id_in_body: str = "instance_id"
    media: str = "application/json"


_read = partial(Route, role=Role.VIEWER)
_command = partial(Route, method="POST", role=Role.TRADER, query=queries.WaitQuery)
_start = partial(_command, body=queries.StartBody, is_body_optional=False, id_in_body="config.instance_id")
_open = partial(Route, tag="service")

_ENGINE_ROUTES: Final = (
    _start(
        "start",
        f"{ENGINE}/start",
        commands.start_engine,
        replies.CommandReply,
        "Start the engine that the configuration names.",
        tag="engine",
    ),
    _command(
        "stop",
        f"{ENGINE}/stop",
        commands.stop_engine,
        replies.CommandReply,
        "Stop an engine; one that has stopped already is a success.",
        tag="engine",
        query=queries.EngineWaitQuery,
        body=queries.StopBody,
    ),
    _command(
        "restart",
        f"{ENGINE}/restart",
        commands.restart_engine,
        replies.CommandReply,
        "Start a new session with the last configuration, also after a stop.",
        tag="engine",
        query=queries.EngineWaitQuery,
        body=queries.RestartBody,
    ),
    _read(
        "status",
        f"{ENGINE}/status",
        reads.read_status,
        replies.StatusReply,
        "State, figures, container and health of an engine.",
        tag="engine",
        query=queries.EngineQuery,
    ),
    _read(
        "health",
        f"{ENGINE}/health",
        reads.read_health,
        replies.HealthReply,
        "Whether the engines are well.",
        tag="engine",
    ),
    _read(
        "logs",
        f"{ENGINE}/logs",
        reads.read_active_logs,
        replies.LogsReply,
        "The last lines of an engine's output, also after its container is gone.",
        tag="engine",
        query=queries.EngineLogQuery,
    ),
    _read(
        "containers",
        f"{ENGINE}/containers",
        reads.list_containers,
        replies.ContainersReply,
        "The engine containers of every host in sight.",
        tag="engine",
    ),
)

_ENGINES_ROUTES: Final = (
    _read(
        "engines",
        ENGINES,
        reads.list_engines,
        replies.EnginesReply,
        "Engines, most recent first.",
        tag="engines",
        query=queries.ListQuery,
    ),
    _read(
        "engine",
        ONE,
        reads.read_engine,
        replies.EngineReply,
        "All that is known of one engine.",
        tag="engines",
    ),
    _start(
        "engine_start",
        f"{ONE}/start",
        commands.start_engine,
        replies.CommandReply,
        "Start this engine.",
        tag="engines",
    ),
    _command(
        "engine_stop",
        f"{ONE}/stop",
        commands.stop_engine,
        replies.CommandReply,
        "Stop this engine; one that has stopped already is a success.",
        tag="engines",
        body=queries.StopBody,
    ),
    _command(
        "engine_restart",
        f"{ONE}/restart",
        commands.restart_engine,
        replies.CommandReply,
        "Start a new session of this engine with its last configuration.",
        tag="engines",
        body=queries.RestartBody,
    ),
    _read(
        "engine_logs",
        f"{ONE}/logs",
        reads.read_logs,
        replies.LogsReply,
        "The last lines of its output, also after its container is gone.",
        tag="engines",
        query=queries.LogQuery,
    ),
    _read(
        "engine_events",
        f"{ONE}/events",
        reads.read_events,
        replies.EventsReply,
        "Its states, orders, fills, positions, accounts and alerts, from the record.",
        tag="engines",
        query=queries.EventQuery,
    ),
    _read(
        "engine_metrics",
        f"{ONE}/metrics",
        reads.read_metrics,
        replies.MetricsReply,
        "Its latest figures.",
        tag="engines",
    ),
    _read(
        "engine_sessions",
        f"{ONE}/sessions",
        reads.list_sessions,
        replies.SessionsReply,
        "Its sessions, newest first.",
        tag="engines",
        query=queries.SessionQuery,
    ),
)

_STREAM_ROUTES: Final = (
    _read(
        "stream",
        f"{API}/stream",
        sse.stream_events,
        None,
        "States, orders, fills, positions, accounts, alerts, metrics and heartbeats as they happen, as server-sent events.",
        tag="stream",
        query=queries.StreamQuery,
        media="text/event-stream",
    ),
)

_LIBRARY_ROUTES: Final = (
    _read(
        "strategy_templates",
        TEMPLATES,
        reads.list_strategy_templates,
        replies.TemplatesReply,
        "Strategy templates, sorted by name.",
        tag="templates and data",
    ),
    _read(
        "strategy_template",
        f"{TEMPLATES}/{{name}}",
        reads.read_strategy_template,
        replies.TemplateReply,
        "One strategy template.",
        tag="templates and data",
    ),
    # The contract has it below /engine; it belongs to no engine, so it stands beside it too.
    *(
        _read(
            name,
            path,
            reads.read_catalog,
            replies.CatalogReply,
            "What the data catalog holds.",
            tag="templates and data",
        )
        for name, path in (("engine_catalog", f"{ENGINE}/catalog"), ("catalog", f"{API}/catalog"))
    ),
)

_SERVICE_ROUTES: Final = (
    _open("healthz", "/healthz", probes.read_liveness, replies.ProbeReply, "Whether the gateway answers."),
    _open(
        "readyz",
        "/readyz",
        probes.read_readiness,
        replies.ProbeReply,
        "Whether commands can be carried out; 503 when not.",
    ),
    _open(
        "metrics",
        "/metrics",
        probes.read_prometheus,
        None,
        "Figures for Prometheus; they name no engine.",
        media="text/plain",
    ),
    _open("openapi", "/openapi.json", probes.read_document, None, "This document."),
    _open("docs", "/docs", probes.read_docs, None, "This document for people.", media="text/html"),
)

ROUTES: Final[tuple[Route, ...]] = (
    *_ENGINE_ROUTES,
    *_ENGINES_ROUTES,
    *_STREAM_ROUTES,
    *_LIBRARY_ROUTES,
    *_SERVICE_ROUTES,
)
