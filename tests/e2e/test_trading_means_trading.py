"""What goes wrong while an engine trades is said wherever it is looked at, and so is its end: real NautilusTrader nodes on a venue's feed."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from flotilla.client.client import Flotilla
from flotilla.client.watch import Watch
from flotilla.schemas.config import EngineConfig, StrategyChoice, VenueChoice
from flotilla.schemas.engine import EngineView
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import Alert
from tests.e2e.engines import eventually, stopped
from tests.e2e.moody_venue import BAR_TYPE
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.rest import ENGINE, Rest
from tests.e2e.stacks import RunningStack

MOODY = {
    "name": "moody",
    "description": "A venue with a feed that does as a file says.",
    "data": {"path": "tests.e2e.moody_venue:MoodyConfig", "factory": "tests.e2e.moody_venue:MoodyFactory"},
}
LIMIT_S = 3.0
"""With the bars' second: silent for more than 4 s is too long."""
SILENT = f"no bars of {BAR_TYPE} for more than 4 s"
AWAY = "MOODY data is not connected"


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the venue and the strategies of this folder."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "venues").mkdir()
    (folder / "venues" / "moody.json").write_text(json.dumps(MOODY))
    image = tmp_path_factory.mktemp("image")
    with stack_with_own_code("process", image, "--templates", str(folder)) as made:
        yield made


@pytest.fixture
async def rest(stack: RunningStack) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


class Scene:
    """An engine that trades on the moody venue's bars, and the files that its venue and its strategy obey."""

    def __init__(self, fleet: Flotilla, name: str, folder: Path) -> None:
        self.name = name
        self._fleet = fleet
        self._venue, self._strategy = folder / "venue", folder / "strategy"

    async def trade(self) -> None:
        """Starts the engine and returns when it trades."""
        accepted = await self._fleet.start_engine(self.config)
        await self._fleet.wait_for(self.name, session_id=accepted.session_id, timeout_s=60)

    def venue(self, mood: str) -> None:
        """Has the venue be in this mood."""
        self._venue.write_text(mood)

    def strategy(self, order: str) -> None:
        """Has the strategy do so."""
        self._strategy.write_text(order)

    @property
    def config(self) -> EngineConfig:
        told = {"bar_type": BAR_TYPE, "how": str(self._strategy)}
        does = StrategyChoice(
            strategy_path="tests.e2e.moody_venue:DoesAsTold",
            config_path="tests.strategies_for_tests:BarsConfig",
            config=told,
        )
        venue = VenueChoice(name="MOODY", adapter="moody", config={"data": {"mood": str(self._venue)}})
        return EngineConfig(
            instance_id=self.name,
            engine_type="paper",
            parameters={"base_currency": "USD"},
            venues=(venue,),
            strategies=(does,),
            stale_feed_after_s=LIMIT_S,
            use_cache_database=False,
        )


async def seen(fleet: Flotilla, name: str, state: RunState) -> EngineView:
    async def look() -> EngineView | None:
        view = await fleet.engine(name)
        return view if view.session and view.session.state == state else None

    return await eventually(look, 30, f"{name} {state}")


async def alerted(updates: Watch, code: str) -> str:
    """The message of the next alert, which has to be of this code."""
    update = await updates.next(30)
    assert update is not None, f"no alert {code}"
    alert: Any = update.payload.data
    assert isinstance(alert, Alert)
    assert alert.code == code
    return alert.message


async def expect_impaired(stack: RunningStack, fleet: Flotilla, rest: Rest, name: str, why: str) -> None:
    """State, `engine ls`, REST and health say the same."""
    view = await seen(fleet, name, RunState.IMPAIRED)
    assert (view.state, view.problems) == ("error", (why,))
    status = (await rest.done("GET", f"{ENGINE}/status?instance_id={name}"))["status"]
    assert (status["state"], status["last_error"]) == ("error", f"impaired: {why}")
    assert view.session is not None
    health = status["health_check"].get(view.session.session_id, status["health_check"])
    assert (health["status"], health["problems"]) == ("unhealthy", [why])
    listed = " ".join(stack.cli("engine", "ls").stdout.split())
    assert f"{name}: {why}" in listed


async def expect_trading(fleet: Flotilla, rest: Rest, name: str) -> None:
    async def is_well() -> bool:
        view = await fleet.engine(name)
        # Problems are those of the last heartbeat, which may be a second older than the state.
        return bool(view.session and view.session.state == RunState.TRADING and not view.problems)

    await eventually(is_well, 30, f"{name} trading, without a problem")
    status = (await rest.done("GET", f"{ENGINE}/status?instance_id={name}"))["status"]
    assert (status["state"], status["last_error"]) == ("running", None)


async def test_who_a_start_waits_for_is_said_while_it_waits_and_no_longer(
    stack: RunningStack, fleet: Flotilla, rest: Rest, tmp_path: Path
) -> None:
    config = Scene(fleet, "slow", tmp_path).config
    told = {**config.venues[0].config["data"], "connects_after_s": 16.0}
    venue = msgspec.structs.replace(config.venues[0], config={"data": told})
    accepted = await fleet.start_engine(msgspec.structs.replace(config, venues=(venue,)))

    async def waits() -> EngineView | None:
        view = await fleet.engine("slow")
        return view if view.session and view.session.detail else None

    view = await eventually(waits, 60, "what the start waits for")
    why = "MOODY data: no answer yet"
    assert view.session is not None
    assert (view.session.state, view.session.detail) == (RunState.CONNECTING, why)
    status = (await rest.done("GET", f"{ENGINE}/status?instance_id=slow"))["status"]
    health = status["health_check"].get(view.session.session_id, status["health_check"])
    assert (status["state"], health["status"]) == ("starting", "starting")
    assert health["problems"] == [f"connecting: {why}"]
    for command in (("ls",), ("inspect", "slow")):
        assert why in " ".join(stack.cli("engine", *command).stdout.split()), command
    await fleet.wait_for("slow", session_id=accepted.session_id, timeout_s=60)
    await expect_trading(fleet, rest, "slow")
    await stopped(fleet, "slow")


@pytest.mark.parametrize(("mood", "why"), [("away", AWAY), ("silent", SILENT)])
async def test_a_feed_that_is_away_or_silent_impairs_until_it_is_back(
    stack: RunningStack, fleet: Flotilla, rest: Rest, tmp_path: Path, mood: str, why: str
) -> None:
    scene = Scene(fleet, f"feed-{mood}", tmp_path)
    await scene.trade()
    await expect_trading(fleet, rest, scene.name)
    async with fleet.watch(scene.name, kinds=("alert",)) as alerts:
        scene.venue(mood)
        assert await alerted(alerts, "impaired") == why
        await expect_impaired(stack, fleet, rest, scene.name, why)
        scene.venue("plays")
        assert await alerted(alerts, "trading_again") == f"no longer so: {why}"
    await expect_trading(fleet, rest, scene.name)
    await stopped(fleet, scene.name)


async def test_a_feed_that_is_silent_while_its_market_is_closed_is_none(
    stack: RunningStack, fleet: Flotilla, rest: Rest, tmp_path: Path
) -> None:
    scene = Scene(fleet, "night", tmp_path)
    await scene.trade()
    async with fleet.watch(scene.name, kinds=("alert",)) as alerts:
        scene.venue("closed")

        async def is_quiet_for_long() -> bool:
            view = await fleet.engine(scene.name)
            feeds = view.metrics.feeds if view.metrics else ()
            return any(quiet.age_s > 2 * (LIMIT_S + 1) for feed in feeds for quiet in feed.quiet)

        await eventually(is_quiet_for_long, 40, "silence for twice the limit")
        await expect_trading(fleet, rest, scene.name)
        # Open again, and nothing comes: now it is missed.
        scene.venue("plays")
        await eventually(lambda: _is_heard(fleet, scene.name), 20, "bars again")
        scene.venue("silent")
        assert await alerted(alerts, "impaired") == SILENT
    await stopped(fleet, scene.name)


async def _is_heard(fleet: Flotilla, name: str) -> bool:
    view = await fleet.engine(name)
    return view.metrics is not None and not any(feed.quiet for feed in view.metrics.feeds)


@pytest.mark.parametrize(("order", "state"), [("stop", "STOPPED"), ("fault", "FAULTED")])
async def test_a_strategy_that_ends_itself_while_it_trades_impairs(
    stack: RunningStack, fleet: Flotilla, rest: Rest, tmp_path: Path, order: str, state: str
) -> None:
    scene = Scene(fleet, f"will-{order}", tmp_path)
    await scene.trade()
    await expect_trading(fleet, rest, scene.name)
    why = f"strategy DoesAsTold-001 is {state}"
    async with fleet.watch(scene.name, kinds=("alert", "fleet_alert")) as alerts:
        scene.strategy(order)
        assert await alerted(alerts, "impaired") == why
        await expect_impaired(stack, fleet, rest, scene.name, why)
        await stopped(fleet, scene.name)
        update = await alerts.next(10)
        assert update is not None, "the alert of an engine that is gone stays open"
        assert update.payload.code == "impaired_over"
