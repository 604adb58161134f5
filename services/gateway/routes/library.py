"""The routes of what belongs to no engine: the stream, templates, data, and the service itself."""

from typing import Final

from flotilla.services.gateway.engines import strategy_replies
from flotilla.services.gateway.fleet import audit, probes, reads, templates
from flotilla.services.gateway.fleet import events as sse
from flotilla.services.gateway.routes.route import API, ENGINE, TEMPLATES, Route, reading, unguarded
from flotilla.services.gateway.web.auth import Role

STREAM_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "stream",
        f"{API}/stream",
        sse.stream_events,
        "What engines, the fleet and backtests do, as it happens, as server-sent events.",
        tag="stream",
        media="text/event-stream",
    ),
)


LIBRARY_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "strategy_templates",
        TEMPLATES,
        templates.list_strategy_templates,
        "Strategy templates, sorted by name.",
        tag="templates and data",
    ),
    reading(
        "strategy_template",
        f"{TEMPLATES}/{{name}}",
        templates.read_strategy_template,
        "One strategy template.",
        tag="templates and data",
    ),
    reading(
        "strategy_validate",
        f"{ENGINE}/strategies/validate",
        templates.validate_strategy,
        "Whether a strategy template takes these parameters; nothing is started.",
        tag="templates and data",
        method="POST",
        failures={422: strategy_replies.StrategyVerdictFailure},
    ),
    reading(
        "templates",
        f"{API}/templates/{{kind}}",
        templates.list_templates,
        "Engine or strategy templates, sorted by name.",
        tag="templates and data",
    ),
    # The contract has it below /engine; it belongs to no engine, so it stands beside it too.
    *(
        reading(name, path, reads.read_catalog, "What the data catalog holds.", tag="templates and data")
        for name, path in (("engine_catalog", f"{ENGINE}/catalog"), ("catalog", f"{API}/catalog"))
    ),
)


AUDIT_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "audit",
        f"{API}/audit",
        audit.read_audit,
        "Every change that was asked for, newest first: by whom, from where, what was sent, and what was answered.",
        tag="audit",
        role=Role.ADMIN,
    ),
)


SERVICE_ROUTES: Final[tuple[Route, ...]] = (
    unguarded("healthz", "/healthz", probes.read_liveness, "Whether the gateway answers."),
    unguarded(
        "readyz", "/readyz", probes.read_readiness, "Whether commands can be carried out; 503 when not."
    ),
    unguarded(
        "metrics",
        "/metrics",
        probes.read_prometheus,
        "Figures for Prometheus; they name no engine.",
        media="text/plain",
    ),
    unguarded("openapi", "/openapi.json", probes.read_document, "This document."),
    unguarded("docs", "/docs", probes.read_docs, "This document for people.", media="text/html"),
)
