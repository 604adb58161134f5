"""Every subject, once: what is said on it, who answers or publishes, who may ask, and how long an answer may take.

Publishers, subscribers, permissions, discovery, AsyncAPI and the documentation all come from these rows.
"""

from enum import StrEnum
from typing import Any, Final

import msgspec

from schemas import catalog, engine, health, session, telemetry
from schemas.telemetry import EngineEvent


class Actor(StrEnum):
    """Who speaks on the bus."""

    ORCHESTRATOR = "orchestrator"
    SUPERVISOR = "supervisor"
    SIDECAR = "sidecar"
    GATEWAY = "gateway"
    OPERATOR = "operator"


class Durability(StrEnum):
    """What keeps a feed: nothing, or one of the two JetStream streams."""

    LOSSY = "lossy"
    EVENTS = "EVENTS"
    LOGS = "LOGS"


class Call[Q, R](msgspec.Struct, frozen=True, kw_only=True):
    """A request and its reply. `is_command` means it changes something: it carries a request id and is safe to repeat."""

    subject: str
    request: type[Q]
    reply: type[R]
    owner: Actor
    callers: tuple[Actor, ...]
    summary: str
    is_command: bool = False
    timeout_s: float = 5.0


class Feed[T](msgspec.Struct, frozen=True, kw_only=True):
    """Facts that are published; nobody answers."""

    subject: str
    payload: Any
    owner: Actor
    durability: Durability
    summary: str


_PEOPLE: Final = (Actor.GATEWAY, Actor.OPERATOR)
_CONTROL: Final = (Actor.ORCHESTRATOR, Actor.OPERATOR)

ENGINE_START: Final = Call(
    subject="fleet.engine.start",
    request=engine.StartEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Start a new session of an engine.",
    is_command=True,
)
ENGINE_STOP: Final = Call(
    subject="fleet.engine.stop",
    request=engine.StopEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop an engine; stopping a stopped one is a success.",
    is_command=True,
)
ENGINE_RESTART: Final = Call(
    subject="fleet.engine.restart",
    request=engine.RestartEngine,
    reply=engine.EngineAccepted,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Stop an engine if it runs, then start a new session with its last configuration.",
    is_command=True,
)
ENGINE_STATUS: Final = Call(
    subject="fleet.engine.status",
    request=engine.WhichEngine,
    reply=engine.FleetStatus,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="State, metrics and resources of one engine.",
)
ENGINE_LIST: Final = Call(
    subject="fleet.engine.list",
    request=engine.ListEngines,
    reply=engine.EngineList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Engines, most recent first.",
)
ENGINE_SESSIONS: Final = Call(
    subject="fleet.engine.sessions",
    request=engine.ListSessions,
    reply=engine.SessionList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The sessions of an engine, newest first.",
)
ENGINE_LOGS: Final = Call(
    subject="fleet.engine.logs",
    request=engine.ReadLogs,
    reply=engine.EngineLogs,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The last lines of an engine's log, also after its container is gone.",
)
ENGINE_EVENTS: Final = Call(
    subject="fleet.engine.events",
    request=engine.ReadEvents,
    reply=engine.EventList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Durable events of a session, from the record.",
)
CONTAINER_LIST: Final = Call(
    subject="fleet.container.list",
    request=session.ListContainers,
    reply=session.ContainerList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="The engine containers of every host in sight.",
)
TEMPLATE_LIST: Final = Call(
    subject="fleet.template.list",
    request=catalog.ListTemplates,
    reply=catalog.TemplateList,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="Engine or strategy templates.",
)
CATALOG_LIST: Final = Call(
    subject="fleet.catalog.list",
    request=catalog.ListCatalog,
    reply=catalog.CatalogView,
    owner=Actor.ORCHESTRATOR,
    callers=_PEOPLE,
    summary="What the data catalog holds.",
)

SESSION_START: Final = Call(
    subject="engine.start",
    request=session.StartSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Make a session run on this host.",
    is_command=True,
    timeout_s=30.0,
)
SESSION_STOP: Final = Call(
    subject="engine.stop",
    request=session.StopSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Stop a session's container: SIGTERM, then SIGKILL.",
    is_command=True,
    timeout_s=10.0,
)
SESSION_KILL: Final = Call(
    subject="engine.kill",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="SIGKILL a session's container.",
    is_command=True,
    timeout_s=10.0,
)
SESSION_REMOVE: Final = Call(
    subject="engine.remove",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="Remove what is left of an ended session; a running one is refused.",
    is_command=True,
    timeout_s=10.0,
)
SESSION_INSPECT: Final = Call(
    subject="engine.inspect",
    request=session.WhichSession,
    reply=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="What the runtime says of a session.",
)
SESSION_LIST: Final = Call(
    subject="engine.list",
    request=session.ListContainers,
    reply=session.ContainerList,
    owner=Actor.SUPERVISOR,
    callers=_CONTROL,
    summary="The engine containers of this host.",
)

COMMAND_STOP: Final = Call(
    subject="engine.<instance_id>.command.stop",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Stop trading by policy and end the session.",
    is_command=True,
)
COMMAND_CANCEL_ORDERS: Final = Call(
    subject="engine.<instance_id>.command.cancel_orders",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Cancel every open order.",
    is_command=True,
)
COMMAND_FLATTEN: Final = Call(
    subject="engine.<instance_id>.command.flatten",
    request=session.EngineCommand,
    reply=session.CommandAccepted,
    owner=Actor.SIDECAR,
    callers=_CONTROL,
    summary="Cancel every open order and close every position.",
    is_command=True,
)


def health_of(actor: Actor) -> Call[health.ReadHealth, health.Health]:
    """The call that asks a service how it is."""
    return Call(
        subject=f"service.{actor}.health",
        request=health.ReadHealth,
        reply=health.Health,
        owner=actor,
        callers=(Actor.GATEWAY, Actor.OPERATOR, Actor.ORCHESTRATOR),
        summary=f"Is the {actor} well, and its figures.",
    )


HEALTH: Final = {actor: health_of(actor) for actor in (Actor.ORCHESTRATOR, Actor.SUPERVISOR, Actor.GATEWAY)}

CALLS: Final[tuple[Call[Any, Any], ...]] = (
    ENGINE_START,
    ENGINE_STOP,
    ENGINE_RESTART,
    ENGINE_STATUS,
    ENGINE_LIST,
    ENGINE_SESSIONS,
    ENGINE_LOGS,
    ENGINE_EVENTS,
    CONTAINER_LIST,
    TEMPLATE_LIST,
    CATALOG_LIST,
    SESSION_START,
    SESSION_STOP,
    SESSION_KILL,
    SESSION_REMOVE,
    SESSION_INSPECT,
    SESSION_LIST,
    COMMAND_STOP,
    COMMAND_CANCEL_ORDERS,
    COMMAND_FLATTEN,
    *HEALTH.values(),
)


def on_host(call: Call[Any, Any]) -> str:
    """The subject of a supervisor's call for one host, `host.<host>.engine.start`; the plain one reaches any host."""
    return f"host.<host>.{call.subject}"


def _engine_feed(kind: str, payload: Any, durability: Durability, summary: str) -> Feed[Any]:
    return Feed(
        subject=f"engine.<instance_id>.{kind}",
        payload=payload,
        owner=Actor.SIDECAR,
        durability=durability,
        summary=summary,
    )


HEARTBEAT: Final = _engine_feed(
    "heartbeat", telemetry.Heartbeat, Durability.LOSSY, "Once a second from the sidecar."
)
METRICS: Final = _engine_feed(
    "metrics", telemetry.EngineMetrics, Durability.LOSSY, "Once a second from the engine."
)
STATE: Final = _engine_feed(
    "state", EngineEvent[telemetry.StateChange], Durability.EVENTS, "The session's state changed."
)
ORDER: Final = _engine_feed(
    "order", EngineEvent[telemetry.OrderUpdate], Durability.EVENTS, "An order changed."
)
FILL: Final = _engine_feed(
    "fill", EngineEvent[telemetry.Fill], Durability.EVENTS, "An order was filled, in part or whole."
)
POSITION: Final = _engine_feed(
    "position", EngineEvent[telemetry.PositionUpdate], Durability.EVENTS, "A position changed."
)
ACCOUNT: Final = _engine_feed(
    "account", EngineEvent[telemetry.AccountUpdate], Durability.EVENTS, "An account changed."
)
ALERT: Final = _engine_feed("alert", EngineEvent[telemetry.Alert], Durability.EVENTS, "Somebody should look.")
LOG: Final = _engine_feed(
    "log", telemetry.LogLines, Durability.LOGS, "Lines of the engine's stdout and stderr."
)

HOST_HEARTBEAT: Final = Feed[telemetry.HostHeartbeat](
    subject="host.<host>.heartbeat",
    payload=telemetry.HostHeartbeat,
    owner=Actor.SUPERVISOR,
    durability=Durability.LOSSY,
    summary="Once a second from each supervisor.",
)
HOST_CONTAINER: Final = Feed[session.ContainerFacts](
    subject="host.<host>.container",
    payload=session.ContainerFacts,
    owner=Actor.SUPERVISOR,
    durability=Durability.LOSSY,
    summary="A container of ours changed; a hint only, the list is the truth.",
)
FLEET_STATE: Final = Feed[engine.EngineView](
    subject="fleet.engine.<instance_id>.state",
    payload=engine.EngineView,
    owner=Actor.ORCHESTRATOR,
    durability=Durability.EVENTS,
    summary="The engine as the record has it, after each change.",
)

ENGINE_EVENT_FEEDS: Final = (STATE, ORDER, FILL, POSITION, ACCOUNT, ALERT)
FEEDS: Final[tuple[Feed[Any], ...]] = (
    HEARTBEAT,
    METRICS,
    *ENGINE_EVENT_FEEDS,
    LOG,
    HOST_HEARTBEAT,
    HOST_CONTAINER,
    FLEET_STATE,
)


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """A JetStream stream: file storage, limits retention; the limits bound it per engine and in all."""

    name: str
    subjects: tuple[str, ...]
    max_age_s: float
    max_bytes: int
    max_per_subject: int = -1


STREAMS: Final = (
    Stream(
        name="EVENTS",
        subjects=(*(f"engine.*.{kind}" for kind in telemetry.EventKind), "fleet.engine.*.state"),
        max_age_s=7 * 86_400.0,
        max_bytes=4 << 30,
    ),
    Stream(
        name="LOGS",
        subjects=("engine.*.log",),
        max_age_s=7 * 86_400.0,
        max_bytes=1 << 30,
        max_per_subject=1_000,
    ),
)
