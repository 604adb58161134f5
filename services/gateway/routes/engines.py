"""The routes of clients that know of many engines, of the strategies in each, and of the hosts."""

from typing import Final

from flotilla.services.gateway.engines import brakes, commands, emergency, strategies
from flotilla.services.gateway.fleet import reads
from flotilla.services.gateway.routes.route import (
    ENGINES,
    HOSTS,
    ONE,
    STRATEGIES,
    STRATEGY,
    Route,
    changing,
    configuring,
    deleting,
    observing,
    reading,
)
from flotilla.services.gateway.web.failure import Failure
from flotilla.services.gateway.web.scope import About

ENGINES_ROUTES: Final[tuple[Route, ...]] = (
    observing(
        "engines",
        ENGINES,
        reads.list_engines,
        "Engines, most recent first.",
        tag="engines",
        about=About.ENGINES,
    ),
    observing(
        "engine",
        ONE,
        reads.read_engine,
        "All that is known of one engine.",
        tag="engines",
        about=About.ENGINE,
    ),
    deleting(
        "engine_remove",
        ONE,
        commands.remove_engine,
        "Forget an engine that is not active; its sessions and events stay on record.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_start",
        f"{ONE}/start",
        commands.start_named_engine,
        "Start this engine, without a body with the configuration that is stored for it.",
        tag="engines",
        about=About.ENGINE,
        id_in_body="config.instance_id",
    ),
    changing(
        "engine_stop",
        f"{ONE}/stop",
        commands.stop_engine,
        "Stop this engine; one that has stopped already is a success. Answered once the engine has taken it, at most two seconds"
        " later: `data.is_taken` says which.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_restart",
        f"{ONE}/restart",
        commands.restart_engine,
        "Start a new session of this engine with its last configuration.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_halt",
        f"{ONE}/halt",
        brakes.halt_engine,
        "Let no order of its strategies pass any more, only cancels, until it is resumed; what is open stays.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_reduce",
        f"{ONE}/reduce",
        brakes.reduce_engine,
        "Let only orders pass that reduce a position, and cancels, until it is resumed.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_resume",
        f"{ONE}/resume",
        brakes.resume_engine,
        "Lift its brake: its strategies trade freely again.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_accept",
        f"{ONE}/accept",
        brakes.accept_difference,
        "Take what it and its venue do not agree on (state mismatch) as it is: it trades on. The message has the list.",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_cancel_orders",
        f"{ONE}/cancel-orders",
        brakes.cancel_orders,
        "Cancel all of its orders; its strategies go on. Answered once that is confirmed, or is not in time (504).",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_flatten",
        f"{ONE}/flatten",
        brakes.flatten_engine,
        "Cancel all of its orders, close all of its positions, and halt it unless told otherwise. Answered once that is confirmed, or is"
        " not in time (504).",
        tag="engines",
        about=About.ENGINE,
    ),
    changing(
        "engine_emergency_stop",
        f"{ONE}/emergency-stop",
        emergency.emergency_stop_engine,
        "Make this engine flat and gone now; it stays stopped until that is lifted.",
        tag="engines",
        about=About.ENGINE,
        is_urgent=True,
    ),
    deleting(
        "engine_lift_stop",
        f"{ONE}/emergency-stop",
        emergency.lift_stop,
        "Lift the emergency stop of this engine.",
        tag="engines",
        about=About.ENGINE,
    ),
    configuring(
        "engine_config",
        f"{ONE}/config",
        commands.configure_engine,
        "Store a configuration for its next start.",
        tag="engines",
        about=About.ENGINE,
    ),
    reading(
        "engine_logs",
        f"{ONE}/logs",
        reads.read_logs,
        "The last lines of its output, also after its container is gone.",
        tag="engines",
        about=About.ENGINE,
    ),
    observing(
        "engine_events",
        f"{ONE}/events",
        reads.read_events,
        "Its states, orders, fills, positions, accounts and alerts, from the record.",
        tag="engines",
        about=About.ENGINE,
    ),
    observing(
        "engine_metrics",
        f"{ONE}/metrics",
        reads.read_metrics,
        "Its latest figures.",
        tag="engines",
        about=About.ENGINE,
    ),
    observing(
        "engine_sessions",
        f"{ONE}/sessions",
        reads.list_sessions,
        "Its sessions, newest first.",
        tag="engines",
        about=About.ENGINE,
    ),
)


HOST_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "hosts",
        HOSTS,
        reads.list_hosts,
        "The hosts that were heard, with what they said of themselves.",
        tag="hosts",
        about=About.FLEET,
    ),
)


STRATEGY_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "engine_strategies",
        STRATEGIES,
        strategies.list_strategies,
        "The strategies that it runs; it has to be up.",
        tag="strategies",
        about=About.ENGINE,
        failures={409: Failure},
    ),
    changing(
        "strategy_add",
        STRATEGIES,
        strategies.add_strategy,
        "Add a strategy while it runs, until its session ends.",
        tag="strategies",
        about=About.ENGINE,
    ),
    changing(
        "engine_signal",
        f"{ONE}/signals",
        strategies.send_signal,
        "Send a signal to its strategies, if its configuration permits it.",
        tag="strategies",
        about=About.ENGINE,
    ),
    changing(
        "strategy_start",
        f"{STRATEGY}/start",
        strategies.start_strategy,
        "Start a strategy.",
        tag="strategies",
        about=About.ENGINE,
    ),
    changing(
        "strategy_stop",
        f"{STRATEGY}/stop",
        strategies.stop_strategy,
        "Stop a strategy by policy; the others trade on.",
        tag="strategies",
        about=About.ENGINE,
    ),
    changing(
        "strategy_remove",
        STRATEGY,
        strategies.remove_strategy,
        "Stop a strategy by policy and remove it.",
        tag="strategies",
        about=About.ENGINE,
        method="DELETE",
    ),
)
