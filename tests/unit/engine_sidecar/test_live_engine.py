"""What an engine makes of a stop and of a fault that come at an awkward moment. Everything around it is scripted."""

import asyncio
from types import SimpleNamespace
from typing import Any

from flotilla.engine_sidecar.engine.live_engine import LiveEngine
from flotilla.schemas.states import RunState


async def connected(*, is_stopped: bool) -> tuple[bool, list[RunState]]:
    """What `_on_connected` answers and says where a stop comes, or does not, while venues are asked for their time."""
    begun: list[RunState] = []
    ending = asyncio.get_running_loop().create_future()

    async def clocks() -> str:
        if is_stopped:
            ending.set_result("a stop")
        return ""

    engine: Any = SimpleNamespace(
        _asked=(),
        _hidden=str,
        _kernel=SimpleNamespace(
            data_engine=SimpleNamespace(_clients={}),
            exec_engine=SimpleNamespace(_clients={}),
            trader=SimpleNamespace(strategies=list),
        ),
        _of_catalog=(),
        _conversions=SimpleNamespace(why_not=str),
        _clocks=clocks,
        _ending=ending,
        _waiting=SimpleNamespace(begin=lambda state, _: begun.append(state)),
    )
    return await LiveEngine._on_connected(engine), begun


async def test_a_stop_while_venues_are_asked_is_the_last_that_is_said() -> None:
    assert await connected(is_stopped=True) == (False, [])
    assert await connected(is_stopped=False) == (True, [RunState.RECONCILING])


async def test_a_comparison_that_breaks_ends_the_run_in_order() -> None:
    said: list[str] = []
    engine: Any = SimpleNamespace(
        _kernel=SimpleNamespace(logger=SimpleNamespace(exception=lambda what, _: said.append(what))),
        _on_crash=lambda what, error: said.append(f"{what}: {error}"),
    )

    async def breaks() -> None:
        raise RuntimeError("a handler of a fill")

    await LiveEngine._looking(engine, "comparing with venues", breaks())
    assert said == ["comparing with venues", "comparing with venues: a handler of a fill"]
