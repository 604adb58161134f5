"""What a row of the table of routes says, and the kinds of rows there are."""

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import partial
from typing import Any, Final

from flotilla.schemas.access import Role
from flotilla.services.gateway.routes.signature import Handler, Signature, read_signature
from flotilla.services.gateway.web import links
from flotilla.services.gateway.web.scope import About

API: Final = links.API
ENGINE: Final = f"{API}/engine"
ENGINES: Final = f"{API}/engines"
HOSTS: Final = f"{API}/hosts"
ONE: Final = f"{ENGINES}/{{instance_id}}"
STRATEGIES: Final = f"{ONE}/strategies"
STRATEGY: Final = f"{STRATEGIES}/{{strategy_id}}"
TEMPLATES: Final = f"{ENGINE}/strategies/templates"
BACKTEST: Final = f"{ENGINE}/backtest"
BACKTESTS: Final = f"{API}/backtests"
RESULTS: Final = f"{API}/backtest/results"
FILE: Final = "application/octet-stream"
_OF_ENGINES: Final = ("engine", "engines", "strategies")
"""The tags of routes about engines."""
STUDIES: Final = f"{API}/studies"


@dataclass(frozen=True)
class Route:
    """One row; its handler's signature says the rest. `role` None is open to all, `about` says what is held against a token's
    labels, `is_urgent` counts towards no limit. `is_polled`: whoever looks on asks for it every second, or more often.

    `id_in_body` is where the body repeats the `instance_id` of the path or query; a body that says otherwise is refused.
    `takes` is the media type of a body that is no JSON and is read as it comes. `failures` are the bodies of failures that say more than the common one, by status.
    `is_open`: who shows no credential is answered too, without names; one that is shown must be good. `may_be_open`: so with the setting
    `metrics_open`, and with names. `has_etag`: what it answers seldom changes, and whoever has it already is told so (304).
    `messages` are those of a stream; `is_socket`: they come over a WebSocket.
    """

    name: str
    path: str
    handler: Handler
    summary: str
    _: KW_ONLY
    tag: str
    role: Role | None
    about: About
    method: str = "GET"
    is_urgent: bool = False
    is_polled: bool = False
    is_open: bool = False
    id_in_body: str = "instance_id"
    media: str = "application/json"
    takes: str | None = None
    failures: Mapping[int, Any] = field(default_factory=dict)
    messages: tuple[Any, ...] = ()
    is_socket: bool = False
    may_be_open: bool = False
    has_etag: bool = False
    signature: Signature = field(init=False)

    def __post_init__(self) -> None:
        """Raises TypeError for a handler whose signature does not say the types of query, body and reply."""
        object.__setattr__(self, "signature", read_signature(self.handler))

    @property
    def may_change_engines(self) -> bool:
        """True for one that changes engines, or what is told of them."""
        return self.method != "GET" and self.tag in _OF_ENGINES

    @property
    def is_stream(self) -> bool:
        """True for one that is answered for as long as its client stays."""
        return self.is_socket or self.media == "text/event-stream"


observing = partial(Route, role=Role.OBSERVER)
reading = partial(Route, role=Role.VIEWER)
changing = partial(Route, method="POST", role=Role.TRADER)
configuring = partial(changing, method="PUT", id_in_body="config.instance_id")
deleting = partial(Route, method="DELETE", role=Role.ADMIN)
unguarded = partial(Route, role=None, about=About.SHARED, tag="service")
