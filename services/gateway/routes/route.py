"""What a row of the table of routes says, and the kinds of rows there are."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Final

from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web import links, queries
from flotilla.services.gateway.web.auth import Role
from flotilla.services.gateway.web.inputs import Ask

API: Final = links.API
ENGINE: Final = f"{API}/engine"
ENGINES: Final = f"{API}/engines"
ONE: Final = f"{ENGINES}/{{instance_id}}"
STRATEGIES: Final = f"{ONE}/strategies"
STRATEGY: Final = f"{STRATEGIES}/{{strategy_id}}"
TEMPLATES: Final = f"{ENGINE}/strategies/templates"
BACKTEST: Final = f"{ENGINE}/backtest"
BACKTESTS: Final = f"{API}/backtests"
STUDIES: Final = f"{API}/studies"

type Handler = Callable[[Gateway, Ask[Any, Any]], Awaitable[Any]]


@dataclass(frozen=True)
class Route:
    """One row. `role` None is open to all; `reply` None is an answer that has no schema, such as a page or a stream.

    `id_in_body` is where the body repeats the `instance_id` of the path or query; a body that says otherwise is refused.
    `failures` are the bodies of failures that say more than the common one, by status.
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
    failures: Mapping[int, Any] = field(default_factory=dict)


reading = partial(Route, role=Role.VIEWER)
changing = partial(Route, method="POST", role=Role.TRADER)
commanding = partial(changing, query=queries.WaitQuery)
configuring = partial(
    changing,
    method="PUT",
    body=queries.ConfigBody,
    is_body_optional=False,
    id_in_body="config.instance_id",
)
deleting = partial(Route, method="DELETE", role=Role.ADMIN)
unguarded = partial(Route, tag="service")
