"""Two engines at once: each trades for itself."""

import asyncio

import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.states import ClientState
from flotilla.schemas.telemetry import EngineEvent, Fill
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import next_heartbeat, paced, record_is_complete, stopped, traded_more, trading


@pytest.fixture(scope="module")
def runtime() -> str:
    return best_runtime()


async def test_two_engines_trade_apart_and_one_trades_on_when_the_other_stops(fleet: Flotilla) -> None:
    spx, ixic = await asyncio.gather(
        trading(fleet, paced("spx", "SPX.SIM")), trading(fleet, paced("ixic", "IXIC.SIM"))
    )
    assert spx.session is not None
    assert ixic.session is not None
    assert spx.session.container_name != ixic.session.container_name
    assert {view.instance_id for view in (await fleet.status("spx")).active} == {"spx", "ixic"}
    for name in ("spx", "ixic"):
        events = await fleet.events(name, kind="fill", limit=1000)
        fills = [decoded(raw) for raw in events.events]
        assert {fill.instrument_id for fill in fills} == {f"{name.upper()}.SIM"}
    async with fleet.watch("ixic", kinds=("heartbeat",)) as updates:
        before = await next_heartbeat(updates)
        ended = await stopped(fleet, "spx")
        view = await fleet.engine("ixic")
        assert view.metrics is not None
        after = await traded_more(fleet, "ixic", view.metrics.fills_total)
        beat = await next_heartbeat(updates)
        assert beat.engine_pid == before.engine_pid
    assert after.state == ClientState.RUNNING
    assert after.session is not None
    assert after.session.session_id == ixic.session.session_id
    assert [view.instance_id for view in (await fleet.engines(active=True)).engines] == ["ixic"]
    end = await stopped(fleet, "ixic")
    for done in (ended, end):
        assert done.session is not None
        await record_is_complete(fleet, done.instance_id, done.session.session_id, done.session.last_seq)


def decoded(raw: msgspec.Raw) -> Fill:
    return msgspec.json.decode(raw, type=EngineEvent[Fill]).data
