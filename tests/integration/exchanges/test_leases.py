"""Engines of ours on the exchange with a lease on their account: what the venue sees once it has run out, and two accounts side by side.

A live session as a whole cannot be had here: a secret of a test exchange is refused for live trading. These are its engines.
"""

from collections.abc import AsyncIterator, Iterator

import msgspec
import pytest

from flotilla.bus.alive import since_boot
from flotilla.engine_sidecar.link.asking import Answer, Ask, Intervene
from flotilla.engine_sidecar.link.frames import BrakeTaken, HoldLease, PutBrake, Stop
from flotilla.schemas.brakes import EngineBrake
from flotilla.schemas.states import Brake, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess, zygote_process
from tests.integration.exchanges.engines import Engine, fills, fills_at, run_on
from tests.integration.exchanges.running import Venue, exchange_here

OTHER_KEYS = {"api_key": "other-key", "api_secret": "other-secret"}
FLATTEN = Stop(StopPolicy.FLATTEN, 10.0)


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here(("other", *OTHER_KEYS.values())) as made:
        yield made


async def test_two_engines_trade_two_accounts_of_one_venue_side_by_side(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    first = Engine(zygote, run_on(venue))
    second = Engine(zygote, run_on(venue, keys=OTHER_KEYS, session="session-2", quantity="0.020"))
    await first.net("0.030")
    await second.net("0.020")
    first.process.send(FLATTEN)
    assert (await first.ended()).not_confirmed == ()
    assert (await venue.account("other"))["positions"] != [], "the other's is not touched"
    second.process.send(FLATTEN)
    assert (await second.ended()).not_confirmed == ()
    for engine, account in ((first, "main"), (second, "other")):
        assert (await venue.account(account))["positions"] == []
        assert len(fills(engine)) >= 2
        assert fills(engine) == await fills_at(venue, account)


async def test_an_engine_whose_lease_has_run_out_sends_its_venue_nothing(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    run = msgspec.structs.replace(run_on(venue), lease_until_s=since_boot() - 1)
    engine = Engine(zygote, run)
    await engine.phase(RunState.TRADING)
    await engine.until(lambda _: [each for each in orders(engine) if each == "OrderDenied"] or None)
    assert (await venue.account())["orders"] == []
    engine.process.send(FLATTEN)
    assert (await engine.ended()).not_confirmed == ()
    assert (await venue.account())["orders"] == []


def orders(engine: Engine) -> list[str]:
    """The names of the events of its orders."""
    return [each["event"] for each in engine.process.events(EventKind.ORDER)]


async def test_beyond_its_lease_an_engine_is_flattened_by_its_dead_man_all_the_same(
    zygote: ZygoteProcess, venue: Venue
) -> None:
    """The frames that a sidecar sends whose dead man flattens: halted, then out of the market. The venue's ledger has the last word."""
    engine = Engine(zygote, run_on(venue, resting="0.010"))
    await engine.net("0.030")
    engine.process.send(HoldLease(since_boot() - 1))
    brake = EngineBrake(brake=Brake.HALTED, number=1, by="dead man")
    engine.process.send(PutBrake(brake))
    engine.process.send(Ask(1, Intervene(StopPolicy.FLATTEN, 10.0)))
    await engine.until(lambda said: said if isinstance(said, BrakeTaken) else None)
    answer = await engine.until(lambda said: said if isinstance(said, Answer) else None)
    assert (answer.orders_cancelled, answer.positions_closed, answer.not_confirmed) == (1, 1, ())
    account = await venue.account()
    assert account["positions"] == []
    assert [each for each in account["orders"] if each["status"] == "NEW"] == []
    engine.process.send(FLATTEN)
    assert (await engine.ended()).not_confirmed == ()
    assert fills(engine) == await fills_at(venue)
