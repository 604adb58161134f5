"""Every route, once: the router, the rights and the OpenAPI document are made from these rows."""

from typing import Final

from services.gateway.backtest_routes import BACKTEST_ROUTES, STUDY_ROUTES
from services.gateway.engine_routes import ENGINE_ROUTES
from services.gateway.engines_routes import ENGINES_ROUTES, STRATEGY_ROUTES
from services.gateway.library_routes import AUDIT_ROUTES, LIBRARY_ROUTES, SERVICE_ROUTES, STREAM_ROUTES
from services.gateway.route import Route

ROUTES: Final[tuple[Route, ...]] = (
    *ENGINE_ROUTES,
    *ENGINES_ROUTES,
    *STRATEGY_ROUTES,
    *BACKTEST_ROUTES,
    *STUDY_ROUTES,
    *STREAM_ROUTES,
    *LIBRARY_ROUTES,
    *AUDIT_ROUTES,
    *SERVICE_ROUTES,
)
