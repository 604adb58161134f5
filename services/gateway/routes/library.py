"""The routes of what belongs to no engine: the stream, templates, data, and the service itself."""

from typing import Final

from flotilla.schemas.access import Role
from flotilla.services.gateway.engines import strategy_replies
from flotilla.services.gateway.fleet import (
    audit,
    data,
    doctor,
    fleet_streams,
    packages,
    probes,
    reads,
    templates,
)
from flotilla.services.gateway.fleet import events as sse
from flotilla.services.gateway.fleet import sign_in as session
from flotilla.services.gateway.live.fleet_messages import FLEET_MESSAGES
from flotilla.services.gateway.routes.route import (
    API,
    ENGINE,
    FILE,
    TEMPLATES,
    Route,
    changing,
    deleting,
    observing,
    reading,
    unguarded,
)
from flotilla.services.gateway.web.failure import Failure
from flotilla.services.gateway.web.scope import About

_NOT_THERE: Final = {404: Failure}

STREAM_ROUTES: Final[tuple[Route, ...]] = (
    observing(
        "stream",
        f"{API}/stream",
        sse.stream_events,
        "What engines, the fleet and backtests do, as it happens, as server-sent events.",
        tag="stream",
        about=About.ENGINES,
        media="text/event-stream",
    ),
    observing(
        "fleet",
        f"{API}/fleet",
        fleet_streams.read_fleet,
        "All engines, hosts, services and recent backtests as they are now, from the gateway's memory, with the number to follow on from.",
        tag="stream",
        about=About.ENGINES,
    ),
    observing(
        "fleet_stream",
        f"{API}/fleet/stream",
        fleet_streams.stream_fleet,
        "The same and what changes, as server-sent events; `Last-Event-ID` goes on where a reader left off.",
        tag="stream",
        about=About.ENGINES,
        media="text/event-stream",
        messages=FLEET_MESSAGES,
    ),
    observing(
        "fleet_socket",
        f"{API}/fleet/ws",
        fleet_streams.socket_fleet,
        "The same over a WebSocket; `after` goes on where a reader left off.",
        tag="stream",
        about=About.ENGINES,
        messages=FLEET_MESSAGES,
        is_socket=True,
    ),
)


LIBRARY_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "strategy_templates",
        TEMPLATES,
        templates.list_strategy_templates,
        "Strategy templates, sorted by name.",
        tag="templates and data",
        about=About.SHARED,
        has_etag=True,
    ),
    reading(
        "strategy_template",
        f"{TEMPLATES}/{{name}}",
        templates.read_strategy_template,
        "One strategy template.",
        tag="templates and data",
        about=About.SHARED,
        has_etag=True,
    ),
    reading(
        "strategy_validate",
        f"{ENGINE}/strategies/validate",
        templates.validate_strategy,
        "Whether a strategy template takes these parameters; nothing is started.",
        tag="templates and data",
        about=About.SHARED,
        method="POST",
        failures={422: strategy_replies.StrategyVerdictFailure},
    ),
    reading(
        "templates",
        f"{API}/templates/{{kind}}",
        templates.list_templates,
        "Engine or strategy templates, sorted by name.",
        tag="templates and data",
        about=About.SHARED,
        has_etag=True,
    ),
    reading(
        "packages",
        f"{API}/packages",
        packages.list_packages,
        "Packages of people's own strategies, the newest version of each.",
        tag="templates and data",
        about=About.SHARED,
        has_etag=True,
    ),
    reading(
        "package_versions",
        f"{API}/packages/{{name}}",
        packages.list_versions,
        "All versions of a package, the newest first.",
        tag="templates and data",
        about=About.SHARED,
        has_etag=True,
    ),
    Route(
        "package_push",
        f"{API}/packages",
        packages.push_package,
        "Check a package and keep it under a name and a version; its packed archive is the body. Only with `FLOTILLA_HTTP_PUSH=1`.",
        tag="templates and data",
        about=About.FLEET,
        method="POST",
        role=Role.ADMIN,
        takes=FILE,
    ),
    deleting(
        "package_remove",
        f"{API}/packages/{{name}}@{{version}}",
        packages.remove_package,
        "Forget a version of a package; one that is in use is kept unless forced. Only with `FLOTILLA_HTTP_PUSH=1`.",
        tag="templates and data",
        about=About.FLEET,
    ),
    # The contract has it below /engine; it belongs to no engine, so it stands beside it too.
    *(
        reading(
            name,
            path,
            reads.read_catalog,
            "What the data catalog holds.",
            tag="templates and data",
            about=About.SHARED,
            has_etag=True,
        )
        for name, path in (("engine_catalog", f"{ENGINE}/catalog"), ("catalog", f"{API}/catalog"))
    ),
    reading(
        "catalog_bars",
        f"{API}/catalog/bars",
        data.read_chart,
        "Open, high, low and close of a data set, at most so many points: bars, or made of quotes or trades.",
        tag="templates and data",
        about=About.SHARED,
        failures=_NOT_THERE,
    ),
    reading(
        "catalog_gaps",
        f"{API}/catalog/gaps",
        data.read_gaps,
        "Where a data set has no events for long.",
        tag="templates and data",
        about=About.SHARED,
        failures=_NOT_THERE,
    ),
    reading(
        "catalog_rows",
        f"{API}/catalog/rows",
        data.read_rows,
        "The first events of a data set, as they are stored.",
        tag="templates and data",
        about=About.SHARED,
        failures=_NOT_THERE,
    ),
    changing(
        "catalog_import",
        f"{API}/catalog/imports",
        data.import_data,
        "Import the file that is the body; answered as soon as it is here whole and in the queue. `replace` needs an admin.",
        tag="templates and data",
        about=About.FLEET,
        takes=FILE,
    ),
    reading(
        "catalog_imports",
        f"{API}/catalog/imports",
        data.list_imports,
        "Imports over REST and bus, newest first.",
        tag="templates and data",
        about=About.FLEET,
    ),
    reading(
        "catalog_import_read",
        f"{API}/catalog/imports/{{import_id}}",
        data.read_import,
        "How far an import is, and how it ended: `success` is false for one that failed, which `message` says.",
        tag="templates and data",
        about=About.FLEET,
    ),
    deleting(
        "catalog_remove",
        f"{API}/catalog/data",
        data.remove_data,
        "Take a data set, or a time of it, out of the catalog; the definition of its instrument stays.",
        tag="templates and data",
        about=About.FLEET,
    ),
    deleting(
        "catalog_remove_instrument",
        f"{API}/catalog/instruments",
        data.remove_instrument,
        "Take the definition of an instrument out of the catalog; refused while there is data of it, unless with `force`.",
        tag="templates and data",
        about=About.FLEET,
    ),
)


AUDIT_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "audit",
        f"{API}/audit",
        audit.read_audit,
        "Every change that was asked for, newest first: by whom, from where, what was sent, and what was answered.",
        tag="audit",
        about=About.FLEET,
        role=Role.ADMIN,
    ),
)


DOCTOR_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "doctor",
        f"{API}/doctor",
        doctor.read_doctor,
        "What the gateway can tell of services, hosts, the record and open alerts: what was found, what it means and what to do, the gravest"
        " first.",
        tag="service",
        about=About.FLEET,
    ),
)


SESSION: Final = "/api/v1/session"
SESSION_ROUTES: Final[tuple[Route, ...]] = (
    unguarded(
        "sign_in",
        SESSION,
        session.sign_in,
        "Exchange a code of `flotilla access code` for the cookie of a browser's session.",
        method="POST",
        failures={401: Failure},
    ),
    observing(
        "session",
        SESSION,
        session.read_session,
        "Who asks, and what it may.",
        tag="service",
        about=About.SHARED,
    ),
    observing(
        "sign_out",
        SESSION,
        session.sign_out,
        "End a browser's session.",
        tag="service",
        about=About.SHARED,
        method="DELETE",
    ),
)


SERVICE_ROUTES: Final[tuple[Route, ...]] = (
    unguarded("healthz", "/healthz", probes.read_liveness, "Whether the gateway answers."),
    unguarded(
        "readyz", "/readyz", probes.read_readiness, "Whether commands can be carried out; 503 when not."
    ),
    observing(
        "metrics",
        "/metrics",
        probes.read_prometheus,
        "Figures for Prometheus, of the fleet and of each engine.",
        tag="service",
        about=About.FLEET,
        media="text/plain",
        may_be_open=True,
    ),
    unguarded("openapi", "/openapi.json", probes.read_document, "This document."),
    unguarded("docs", "/docs", probes.read_docs, "This document for people.", media="text/html"),
)
