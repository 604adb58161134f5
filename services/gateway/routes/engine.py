"""The routes of the REST contract: one engine, named or the one that is active, and the containers."""

from typing import Final

from flotilla.services.gateway.engines import (
    commands,
    container_replies,
    containers,
    emergency,
    replies,
    stop_replies,
)
from flotilla.services.gateway.fleet import reads
from flotilla.services.gateway.routes.route import (
    ENGINE,
    Route,
    changing,
    commanding,
    configuring,
    deleting,
    reading,
)
from flotilla.services.gateway.web import queries

ENGINE_ROUTES: Final[tuple[Route, ...]] = (
    commanding(
        "start",
        f"{ENGINE}/start",
        commands.start_engine,
        replies.CommandReply,
        "Start the engine that the configuration names.",
        tag="engine",
        body=queries.StartBody,
        is_body_optional=False,
        id_in_body="config.instance_id",
    ),
    commanding(
        "stop",
        f"{ENGINE}/stop",
        commands.stop_engine,
        replies.CommandReply,
        "Stop an engine; one that has stopped already is a success. Answered once the engine has taken it, at most two seconds"
        " later: `data.is_taken` says which.",
        tag="engine",
        query=queries.EngineWaitQuery,
        body=queries.StopBody,
    ),
    commanding(
        "restart",
        f"{ENGINE}/restart",
        commands.restart_engine,
        replies.CommandReply,
        "Start a new session with the last configuration, also after a stop.",
        tag="engine",
        query=queries.EngineWaitQuery,
        body=queries.RestartBody,
    ),
    changing(
        "emergency_stop",
        f"{ENGINE}/emergency-stop",
        emergency.emergency_stop,
        stop_replies.EmergencyReply,
        "Make every engine, or the one that is named, flat and gone now; it stays stopped until that is lifted.",
        tag="engine",
        query=queries.EngineQuery,
        body=queries.EmergencyBody,
    ),
    deleting(
        "lift_stop",
        f"{ENGINE}/emergency-stop",
        emergency.lift_active_stop,
        stop_replies.LiftReply,
        "Lift an emergency stop; nothing starts by itself because of it.",
        tag="engine",
        query=queries.EngineQuery,
    ),
    configuring(
        "config",
        f"{ENGINE}/config",
        commands.configure_engine,
        replies.CommandReply,
        "Store a configuration for the next start of the engine that it names.",
        tag="engine",
    ),
    reading(
        "status",
        f"{ENGINE}/status",
        reads.read_status,
        replies.StatusReply,
        "State, figures, container and health of an engine.",
        tag="engine",
        query=queries.EngineQuery,
    ),
    reading(
        "health",
        f"{ENGINE}/health",
        reads.read_health,
        replies.HealthReply,
        "Whether the engines are well.",
        tag="engine",
    ),
    reading(
        "logs",
        f"{ENGINE}/logs",
        reads.read_active_logs,
        replies.LogsReply,
        "The last lines of an engine's output, also after its container is gone.",
        tag="engine",
        query=queries.EngineLogQuery,
    ),
    reading(
        "containers",
        f"{ENGINE}/containers",
        containers.list_containers,
        container_replies.ContainersReply,
        "The engine containers of every host in sight.",
        tag="engine",
    ),
    deleting(
        "cleanup",
        f"{ENGINE}/containers/cleanup",
        containers.clean_up,
        container_replies.CleanupReply,
        "Remove what is left of ended sessions; with force stop and remove active ones too.",
        tag="engine",
        query=queries.CleanupQuery,
        failures={500: container_replies.CleanupFailure},
    ),
)
