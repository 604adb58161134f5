"""A falling market on an exchange of ours reaches the day's loss limit: flat at once, on record, and not lifted by any end of the engine."""

import asyncio
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import aiohttp
import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.engine import EngineView
from flotilla.schemas.loss_limits import KeptLosses, LossMeasure
from flotilla.schemas.states import Brake, RunState
from flotilla.schemas.trading_hours import Weekday
from tests.e2e.engines import engine_pids, eventually, paced, stopped
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.rest import ENGINE, Rest
from tests.e2e.stacks import RunningStack, parent_of
from tests.integration.exchanges.running import Venue, exchange

NAME: Final = "limited"
WITHIN_S: Final = 5.0
MODULE: Final = "tests.integration.exchanges.buyer"
INSTRUMENT: Final = "BTCUSDT-PERP.BINANCE"
CONFIG: Final = {
    "engine_type": "live",
    "trading_mode": "paper",
    "template": "live_engine",
    "restart": {"max_restarts": 3, "backoff_s": 0.2, "max_backoff_s": 1},
    "use_cache_database": False,
    "strategies": [
        {
            "strategy_path": f"{MODULE}:Buyer",
            "config_path": f"{MODULE}:BuyerConfig",
            "config": {"instrument_id": INSTRUMENT, "external_order_claims": [INSTRUMENT]},
        }
    ],
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the strategy; of one runtime, since the limits are watched by the same sidecar in both."""
    with stack_with_own_code("process", tmp_path_factory.mktemp("image")) as made:
        yield made


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange() as running:
        yield running


def start(stack: RunningStack, venue: Venue) -> None:
    keys = {"api_key": "test-key", "api_secret": "test-secret", "base_url_http": venue.http}
    keys |= {"base_url_ws": venue.ws, "base_url_ws_stream": venue.ws}
    options = ("--adapter", "binance", "--test-exchange")
    told = stack.cli("secret", "set", "rehearsal", *options, stdin=json.dumps(keys))
    assert told.returncode == 0, told.stderr
    file = stack.root / "limited.json"
    file.write_text(json.dumps(CONFIG))
    told = stack.cli(
        "engine", "start", NAME, "--config", str(file),
        "--venue", "BINANCE=binance,secret=rehearsal,account_type=USDT_FUTURES",
        "--loss-limit", "day=100,action=flatten", "--loss-limit", "drawdown=50%,action=stop",
        "--equity-currency", "USDT", "--timezone", "America/New_York", "--rollover", "17:00",
    )  # fmt: skip
    assert told.returncode == 0, told.stderr


async def seen(fleet: Flotilla, brake: Brake, not_session: str | None = None) -> EngineView:
    """The engine once a session that is heard obeys that brake and knows its equity."""

    async def look() -> EngineView | None:
        view = await fleet.engine(NAME)
        is_other = view.session is not None and view.session.session_id != not_session
        is_marked = view.losses is not None and view.losses.last is not None
        is_so = view.brake.brake == brake and view.is_brake_taken is True
        return view if is_other and is_marked and is_so else None

    return await eventually(look, 60, f"{NAME} {brake}")


async def positions(venue: Venue) -> list[Any]:
    return list((await venue.account())["positions"])


async def test_a_days_loss_makes_it_flat_at_once_and_no_restart_and_no_kill_lifts_that(
    stack: RunningStack, fleet: Flotilla, venue: Venue
) -> None:
    await venue.control("touch", symbol="BTCUSDT", bid="60000", ask="60001", size="10")
    await asyncio.to_thread(start, stack, venue)
    await eventually(lambda: positions(venue), 30, "a position")
    before = await seen(fleet, Brake.NONE)
    assert before.losses is not None
    assert before.losses.kept.counted_from is not None
    assert not before.losses.kept.tripped

    await venue.control("touch", symbol="BTCUSDT", bid="56000", ask="56001", size="10")
    fell = time.monotonic()

    async def is_flat() -> bool:
        return not await positions(venue)

    await eventually(is_flat, 30, "a flat account")
    took_s = time.monotonic() - fell
    assert took_s < WITHIN_S, took_s
    view = await seen(fleet, Brake.HALTED)
    assert (view.brake.text, view.session and view.session.state) == ("halted by limit", RunState.IMPAIRED)
    assert view.losses is not None
    (trip,) = view.losses.kept.tripped
    assert (trip.limit.measure, trip.brake) == (LossMeasure.DAY, view.brake.number)
    assert trip.lost >= Decimal(100)
    alerts = [each.data async for each in fleet.all_events(NAME, kind="alert")]
    (told,) = [each for each in alerts if each["code"] == "loss_limit"]
    assert told["severity"] == "critical"
    assert f"equity of {trip.equity:f} USDT" in told["message"]
    assert "flatten_confirmed" in [each["code"] for each in alerts]
    shown = (await asyncio.to_thread(stack.cli, "engine", "inspect", NAME)).stdout
    assert "day 100 (flatten) reached at" in shown, shown

    assert view.session is not None
    killed = (await engine_pids(fleet, {NAME}))[NAME]
    os.kill(killed, signal.SIGKILL)
    await _still(fleet, venue, view, view.session.session_id)
    again = await fleet.engine(NAME)
    assert again.session is not None
    restarted = await asyncio.to_thread(stack.cli, "engine", "restart", NAME)
    assert (restarted.returncode, "halted by limit" in restarted.stdout) == (0, True), restarted
    await _still(fleet, venue, view, again.session.session_id)
    third = await fleet.engine(NAME)
    assert third.session is not None
    sidecar = parent_of(parent_of((await engine_pids(fleet, {NAME}))[NAME]))
    os.kill(sidecar, signal.SIGKILL)
    await _still(fleet, venue, view, third.session.session_id)

    resumed = await asyncio.to_thread(stack.cli, "engine", "resume", NAME)
    assert resumed.returncode == 0, resumed.stderr
    await seen(fleet, Brake.NONE)

    async def counted() -> KeptLosses | None:
        losses = (await fleet.engine(NAME)).losses
        return losses.kept if losses is not None and losses.kept.counted_from is not None else None

    anew = await eventually(counted, 30, "a mark to count from")
    assert anew.tripped == ()
    assert anew.counted_from is not None
    assert anew.counted_from.at > trip.at
    await stopped(fleet, NAME)


async def _still(fleet: Flotilla, venue: Venue, of: EngineView, not_session: str) -> None:
    """The next session is halted by the same trip, and is flat; what its strategy sends is denied."""
    view = await seen(fleet, Brake.HALTED, not_session)
    assert view.brake == of.brake
    assert of.losses is not None
    assert view.losses is not None
    assert view.losses.kept.tripped == of.losses.kept.tripped
    assert view.losses.kept.counted_from == of.losses.kept.counted_from
    assert view.session is not None
    session_id = view.session.session_id

    async def is_denied() -> bool:
        events = [each async for each in fleet.all_events(NAME, session_id=session_id, kind="order")]
        return any(each.data["event"] == "OrderDenied" for each in events)

    await eventually(is_denied, 20, "an order that was denied")
    assert await positions(venue) == []


async def test_outside_of_its_hours_nothing_new_passes_and_a_wrong_limit_names_its_field(
    stack: RunningStack, fleet: Flotilla
) -> None:
    async with aiohttp.ClientSession() as session:
        rest = Rest(stack, session)
        far = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()
        config = msgspec.to_builtins(paced("closed"))
        wrong: tuple[tuple[dict[str, Any], str], ...] = (
            ({"trading_hours": {"windows": [{"days": ["mo"], "opens": "09:00", "closes": "10:00"}]}}, "days"),
            ({"trading_hours": {"timezone": "Mars/Base", "windows": [_window(far)]}}, "timezone"),
            ({"loss_limits": {"currency": "USD", "limits": [{"measure": "day", "at": "-1", "action": "stop"}]}}, "at"),
            ({"loss_limits": {"currency": "USD", "limits": []}}, "limits"),
        )  # fmt: skip
        for fields, named in wrong:
            status, refused = await rest.call("POST", f"{ENGINE}/start", {"config": config | fields})
            assert (status, named in json.dumps(refused)) == (422, True), (fields, refused)
        hours = {"trading_hours": {"windows": [_window(far)], "timezone": "America/New_York"}}
        await rest.done("POST", f"{ENGINE}/start", {"config": config | hours})

    async def is_denied() -> EngineView | None:
        view = await fleet.engine("closed")
        return view if view.metrics is not None and view.metrics.orders_total > 2 else None

    view = await eventually(is_denied, 60, "orders")
    assert view.metrics is not None
    assert view.metrics.fills_total == 0
    assert view.trading_hours is not None
    assert (view.trading_hours.is_open, view.session and view.session.state) == (False, RunState.TRADING)
    shown = (await asyncio.to_thread(stack.cli, "engine", "inspect", "closed")).stdout
    assert f"closed until {far.capitalize()}" in shown, shown
    events = [each.data async for each in fleet.all_events("closed", kind="order")]
    assert "outside of trading hours" in json.dumps(events)
    await stopped(fleet, "closed")


def _window(day: str) -> dict[str, Any]:
    return {"days": [str(Weekday(day))], "opens": "09:30", "closes": "16:00"}
