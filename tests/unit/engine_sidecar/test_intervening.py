"""Who flattens an engine, and what becomes of what others closed: scripted, since only the order of calls is at stake."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine.exit.intervening import Intervening
from flotilla.engine_sidecar.link.asking import Intervene
from flotilla.engine_sidecar.link.frames import CutLosses
from flotilla.schemas.states import StopPolicy


class Venues:
    """A venue that confirms all."""

    told = ()

    def __init__(self) -> None:
        self.forgotten = 0

    async def not_agreed(self, *_: object) -> tuple[str, ...]:
        return ()

    def forget_closed(self) -> None:
        self.forgotten += 1


def intervening(venues: Any) -> Intervening:
    async def withdraw(*_: object) -> None:
        return None

    wind_down = SimpleNamespace(not_confirmed=lambda _: ())
    withdrawing: Any = SimpleNamespace(
        wind_down_of=lambda **_: wind_down, withdraw=withdraw, go_on=lambda: None
    )
    tap: Any = SimpleNamespace(cancelled=0, closed=0, cancelled_since=lambda _: 0, alert=lambda _: None)
    kernel = SimpleNamespace(trader=SimpleNamespace(is_running=True))
    return Intervening(kernel, tap, withdrawing, venues=venues, now=asyncio.get_running_loop().time)


@pytest.mark.parametrize(
    ("policy", "is_by_person", "forgotten"),
    [(StopPolicy.FLATTEN, True, 1), (StopPolicy.FLATTEN, False, 0), (StopPolicy.CANCEL, True, 0)],
)
async def test_only_a_person_who_flattens_ends_what_others_closed(
    policy: StopPolicy, is_by_person: bool, forgotten: int
) -> None:
    venues = Venues()
    await intervening(venues).intervene(Intervene(policy, 1.0, is_by_person=is_by_person))
    assert venues.forgotten == forgotten


async def test_a_loss_limit_that_a_liquidation_reached_leaves_it_to_a_person() -> None:
    venues = Venues()
    await intervening(venues).cut(CutLosses(StopPolicy.FLATTEN, 1.0))
    assert venues.forgotten == 0
