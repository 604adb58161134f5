"""The routes of the REST contract: one engine, named or the one that is active, and the containers."""

from typing import Final

from flotilla.services.gateway.engines import commands, container_replies, containers, emergency
from flotilla.services.gateway.fleet import reads
from flotilla.services.gateway.routes.route import (
    ENGINE,
    Route,
    changing,
    configuring,
    deleting,
    observing,
    reading,
)
from flotilla.services.gateway.web.scope import About

ENGINE_ROUTES: Final[tuple[Route, ...]] = (
    changing(
        "start",
        f"{ENGINE}/start",
        commands.start_engine,
        "Start the engine that the configuration names.",
        tag="engine",
        about=About.ENGINE,
        id_in_body="config.instance_id",
    ),
    changing(
        "stop",
        f"{ENGINE}/stop",
        commands.stop_active_engine,
        "Stop an engine; one that has stopped already is a success. Answered once the engine has taken it, at most two seconds"
        " later: `data.is_taken` says which.",
        tag="engine",
        about=About.ENGINE,
    ),
    changing(
        "restart",
        f"{ENGINE}/restart",
        commands.restart_active_engine,
        "Start a new session with the last configuration, also after a stop.",
        tag="engine",
        about=About.ENGINE,
    ),
    changing(
        "emergency_stop",
        f"{ENGINE}/emergency-stop",
        emergency.emergency_stop,
        "Make every engine, or the one that is named, flat and gone now; it stays stopped until that is lifted.",
        tag="engine",
        about=About.ENGINE_OR_FLEET,
        is_urgent=True,
    ),
    deleting(
        "lift_stop",
        f"{ENGINE}/emergency-stop",
        emergency.lift_active_stop,
        "Lift an emergency stop; nothing starts by itself because of it.",
        tag="engine",
        about=About.ENGINE_OR_FLEET,
    ),
    configuring(
        "config",
        f"{ENGINE}/config",
        commands.configure_engine,
        "Store a configuration for the next start of the engine that it names.",
        tag="engine",
        about=About.ENGINE,
    ),
    observing(
        "status",
        f"{ENGINE}/status",
        reads.read_status,
        "State, figures, container and health of an engine.",
        tag="engine",
        about=About.ENGINE,
        is_polled=True,
    ),
    observing(
        "health",
        f"{ENGINE}/health",
        reads.read_health,
        "Whether the engines are well; without a credential in states and counts only.",
        tag="engine",
        about=About.ENGINES,
        is_open=True,
        is_polled=True,
    ),
    reading(
        "logs",
        f"{ENGINE}/logs",
        reads.read_active_logs,
        "The last lines of an engine's output, also after its container is gone.",
        tag="engine",
        about=About.ENGINE,
    ),
    reading(
        "containers",
        f"{ENGINE}/containers",
        containers.list_containers,
        "The engine containers of every host in sight.",
        tag="engine",
        about=About.FLEET,
    ),
    deleting(
        "cleanup",
        f"{ENGINE}/containers/cleanup",
        containers.clean_up,
        "Remove what is left of ended sessions; with force stop and remove active ones too.",
        tag="engine",
        about=About.FLEET,
        failures={500: container_replies.CleanupFailure},
    ),
)
