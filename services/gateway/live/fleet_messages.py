"""What is told of the fleet in memory: all of it once, then what changes; the same bytes over server-sent events and WebSocket."""

from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.alerting import AlertView
from flotilla.schemas.labels import matches, text_of
from flotilla.services.gateway.live.numbered import FleetChange, NumberedRows
from flotilla.services.gateway.live.place import Place
from flotilla.services.gateway.live.rows import (
    AccountLine,
    BacktestRow,
    EngineRow,
    HostRow,
    OrderLine,
    PositionLine,
    Row,
    ServiceRow,
    Topic,
)


class FleetSnapshot(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="snapshot"):
    """Every row that its reader sees and asked for, by topic and id: orders and positions that are open, alerts that are; changes after `number` follow on the streams.

    `boot` names this run of the gateway: numbers of another say nothing. `at` is the gateway's time, from which the ages of rows count.
    `is_complete` is false while something may be missing, because the gateway has just started or the bus was away.
    """

    success: bool = True
    boot: str
    number: int
    at: datetime
    is_complete: bool
    engines: dict[str, EngineRow] = {}
    orders: dict[str, OrderLine] = {}
    positions: dict[str, PositionLine] = {}
    accounts: dict[str, AccountLine] = {}
    alerts: dict[str, AlertView] = {}
    hosts: dict[str, HostRow] = {}
    services: dict[str, ServiceRow] = {}
    backtests: dict[str, BacktestRow] = {}


class FleetChanges(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="changes"):
    """What changed up to `number`, since the message before."""

    number: int
    at: datetime
    is_complete: bool
    changes: list[FleetChange]


class FleetBeat(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="beat"):
    """Nothing changed for a second, and the stream lives."""

    number: int
    at: datetime
    is_complete: bool


class FleetEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="end"):
    """The last message of a stream, with the reason: the gateway stops, or the token is no longer good."""

    reason: str


type FleetMessage = FleetSnapshot | FleetChanges | FleetBeat | FleetEnd
FLEET_MESSAGES: Final = (FleetSnapshot, FleetChanges, FleetBeat, FleetEnd)


class Encoded(msgspec.Struct, frozen=True):
    """A message as it goes to everybody who sees the same. `place` is where its reader is then; null where it stays where it was."""

    kind: str
    data: bytes
    place: Place | None = None


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks on, and at which topics. With labels it sees engines that carry them; an observer sees engines only."""

    token: TokenRecord
    topics: frozenset[Topic]

    @property
    def key(self) -> tuple[frozenset[Topic], str]:
        """Two with the same are told the same."""
        return self.topics, text_of(self.token.labels)

    def sees(self, topic: Topic, row: Row) -> bool:
        """True for a row that it may see, and asked for."""
        if topic not in self.topics:
            return False
        scope = self.token.labels
        return not scope or (isinstance(row, EngineRow) and matches(row.labels, scope))


def visible_topics(token: TokenRecord) -> frozenset[Topic]:
    """What a token sees at all."""
    sees_all = token.role.includes(Role.VIEWER) and not token.labels
    return frozenset(Topic) if sees_all else _OF_ENGINES if not token.labels else frozenset({Topic.ENGINES})


_OF_ENGINES: Final = frozenset({Topic.ENGINES, Topic.ORDERS, Topic.POSITIONS, Topic.ACCOUNTS})


def snapshot_of(
    rows: NumberedRows, viewer: Viewer, *, boot: str, at: datetime, is_complete: bool
) -> FleetSnapshot:
    """All rows that somebody sees."""
    by_topic: dict[str, dict[str, Row]] = {topic: {} for topic in viewer.topics}
    for topic, row_id, row in rows.rows(viewer.sees):
        by_topic[topic][row_id] = row
    return FleetSnapshot(
        boot=boot,
        number=rows.number,
        at=at,
        is_complete=is_complete,
        **by_topic,  # type: ignore[arg-type]
    )
