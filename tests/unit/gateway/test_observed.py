"""What an observer's stream brings is what an observer hears on the bus."""

from flotilla.schemas.access import Role, TokenRecord
from flotilla.schemas.contract import OBSERVED_FEEDS
from flotilla.services.gateway.fleet.events import kinds_for
from flotilla.services.gateway.live import streams

FEED_OF = {**streams._EVENTS, **streams._TELEMETRY}


def test_the_stream_and_the_bus_tell_an_observer_the_same() -> None:
    token = TokenRecord(name="feed", role=Role.OBSERVER, sha256="0" * 64)
    assert {FEED_OF[kind].subject for kind in kinds_for(token)} == {feed.subject for feed in OBSERVED_FEEDS}
