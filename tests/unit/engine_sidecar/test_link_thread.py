"""The engine's end of the link, over a real socketpair."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable

import pytest

from flotilla.engine_sidecar.engine.link_thread import LinkThread
from flotilla.engine_sidecar.link.frames import (
    Ended,
    EndNow,
    Frames,
    FromEngine,
    GateShut,
    GoOn,
    Measured,
    Phase,
    Stop,
    Tick,
    frame,
)
from flotilla.schemas.states import RunState, StopPolicy


class Sidecar:
    """The other end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.socket = sock
        self.heard: list[FromEngine] = []
        self._frames: Frames[FromEngine] = Frames(FromEngine)

    async def until(self, done: Callable[[FromEngine], bool]) -> None:
        async with asyncio.timeout(5):
            while not (self.heard and done(self.heard[-1])):
                data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)
                assert data
                for message in self._frames.feed(data):
                    self.heard.append(message)
                    if done(message):
                        return

    def hold_up_until(self, done: Callable[[FromEngine], bool]) -> None:
        """The same, while the loop does not turn."""
        self.socket.settimeout(10)
        while not any(map(done, self._frames.feed(self.socket.recv(1 << 20)))):
            pass
        self.socket.setblocking(False)


@pytest.fixture
async def pair() -> AsyncIterator[tuple[LinkThread, Sidecar]]:
    ours, theirs = socket.socketpair()
    link = LinkThread(ours, asyncio.get_running_loop())
    link.start()
    yield link, Sidecar(theirs)
    link.close(5)
    theirs.close()


async def test_frames_arrive_in_order_in_both_directions(pair: tuple[LinkThread, Sidecar]) -> None:
    link, sidecar = pair
    for state in (RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING):
        link.send(Phase(state))
    await sidecar.until(lambda message: message == Phase(RunState.TRADING))
    states = [message.state for message in sidecar.heard if isinstance(message, Phase)]
    assert states == [RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING]
    stop = Stop(StopPolicy.CANCEL, 1.0)
    sidecar.socket.send(frame(GoOn()) + frame(stop))
    assert [await link.receive(), await link.receive()] == [GoOn(), stop]


async def test_ticks_go_on_while_the_loop_is_held_up_and_tell_for_how_long(
    pair: tuple[LinkThread, Sidecar],
) -> None:
    _, sidecar = pair
    await sidecar.until(lambda message: isinstance(message, Tick))
    sidecar.hold_up_until(lambda message: isinstance(message, Tick) and message.loop_age_s > 0.6)
    await sidecar.until(lambda message: isinstance(message, Tick) and message.loop_age_s < 0.5)

    def tells_the_lag(message: object) -> bool:
        return isinstance(message, Tick) and message.loop_lag_s > 0.5

    if not any(map(tells_the_lag, sidecar.heard)):  # the tick that told it may have been that one
        await sidecar.until(tells_the_lag)


@pytest.mark.parametrize("order", [Stop(StopPolicy.CANCEL, 1.0), EndNow(1.0)])
async def test_a_stop_before_the_engine_begins_is_taken_while_its_loop_is_held_up(
    pair: tuple[LinkThread, Sidecar], order: Stop | EndNow
) -> None:
    link, sidecar = pair
    sidecar.socket.send(frame(order))
    sidecar.hold_up_until(lambda message: message == GateShut())
    assert not link.begin()
    assert await link.receive() == order


async def test_a_stop_of_an_engine_that_has_begun_is_not_taken_by_its_link(
    pair: tuple[LinkThread, Sidecar],
) -> None:
    link, sidecar = pair
    assert link.begin()
    sidecar.socket.send(frame(Stop(StopPolicy.CANCEL, 1.0)))
    await link.receive()
    link.send(Ended(None))
    await sidecar.until(lambda message: isinstance(message, Ended))
    assert GateShut() not in sidecar.heard


async def test_the_end_of_the_link_is_told_again_and_again(pair: tuple[LinkThread, Sidecar]) -> None:
    link, sidecar = pair
    sidecar.socket.close()
    assert await link.receive() is None
    assert await link.receive() is None
    link.send(Phase(RunState.STOPPING))


async def test_a_sidecar_that_talks_nonsense_is_as_good_as_gone(pair: tuple[LinkThread, Sidecar]) -> None:
    link, sidecar = pair
    sidecar.socket.send(b"\xff" * 10)
    assert await link.receive() is None


async def test_what_is_sent_has_left_before_the_engine_goes_on(pair: tuple[LinkThread, Sidecar]) -> None:
    link, sidecar = pair
    for number in range(100):
        link.send(said := Phase(RunState.TRADING, str(number)))
        assert frame(said) in sidecar.socket.recv(1 << 16)


async def test_frames_of_several_threads_do_not_mix(pair: tuple[LinkThread, Sidecar]) -> None:
    link, sidecar = pair

    def talk(name: str) -> None:
        for number in range(50):
            link.send(Phase(RunState.TRADING, f"{name}{number} " + name * 20_000))

    async def talk_all() -> None:
        await asyncio.gather(*(asyncio.to_thread(talk, name) for name in "abc"))
        link.send(Ended(None))

    await asyncio.gather(talk_all(), sidecar.until(lambda message: isinstance(message, Ended)))
    said = [message.detail for message in sidecar.heard if isinstance(message, Phase)]
    assert sorted(said) == sorted(
        f"{name}{number} " + name * 20_000 for name in "abc" for number in range(50)
    )


async def test_a_sidecar_that_does_not_read_gets_its_events_but_not_every_measure(
    pair: tuple[LinkThread, Sidecar],
) -> None:
    link, sidecar = pair
    for number in range(300):
        link.send(Phase(RunState.TRADING, f"{number}" + "x" * 10_000))
    async with asyncio.timeout(5):
        while len(link._unsent) <= 1 << 20:
            await asyncio.sleep(0.01)
    link.send(Measured(b"{}"), is_lossy=True)
    link.send(Ended(None))
    await sidecar.until(lambda message: isinstance(message, Ended))
    assert sum(isinstance(message, Phase) for message in sidecar.heard) == 300
    assert not any(isinstance(message, Measured) for message in sidecar.heard)
