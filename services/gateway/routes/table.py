"""Every route, once: the router, the rights and the OpenAPI document are made from these rows."""

from typing import Final

from flotilla.services.gateway.routes.alerts import ALERT_ROUTES
from flotilla.services.gateway.routes.backtests import BACKTEST_ROUTES, STUDY_ROUTES
from flotilla.services.gateway.routes.engine import ENGINE_ROUTES
from flotilla.services.gateway.routes.engines import ENGINES_ROUTES, HOST_ROUTES, STRATEGY_ROUTES
from flotilla.services.gateway.routes.ledger import LEDGER_ROUTES
from flotilla.services.gateway.routes.library import (
    AUDIT_ROUTES,
    DOCTOR_ROUTES,
    LIBRARY_ROUTES,
    SERVICE_ROUTES,
    SESSION_ROUTES,
    STREAM_ROUTES,
)
from flotilla.services.gateway.routes.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *ENGINE_ROUTES,
    *ENGINES_ROUTES,
    *HOST_ROUTES,
    *STRATEGY_ROUTES,
    *LEDGER_ROUTES,
    *BACKTEST_ROUTES,
    *STUDY_ROUTES,
    *STREAM_ROUTES,
    *LIBRARY_ROUTES,
    *ALERT_ROUTES,
    *AUDIT_ROUTES,
    *DOCTOR_ROUTES,
    *SESSION_ROUTES,
    *SERVICE_ROUTES,
)
