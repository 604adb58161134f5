"""Pipes and sockets that nobody reads, or that nobody writes: the sidecar waits for none of them."""

import asyncio
import os
import socket
import time

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import (
    Frames,
    FromEngine,
    GoOn,
    Reduce,
    Tick,
    ToEngine,
    frame,
)
from flotilla.engine_sidecar.link.messages import LinkClosed
from flotilla.engine_sidecar.process.echo import Echo
from flotilla.engine_sidecar.process.forked import Link, read_lines
from flotilla.engine_sidecar.sidecar import BadLaunchError, read_launch
from flotilla.schemas.session import BusAccess, Launch
from tests.unit.sidecar.samples import spec

MAX_BYTES = 4 * 1024 * 1024

LAUNCH = Launch(bus=BusAccess(url="nats://x", creds="s3cret"), spec=spec(), catalog_path="/data")


def written(data: bytes) -> int:
    read_fd, write_fd = os.pipe()
    os.write(write_fd, data)
    os.close(write_fd)
    return read_fd


def test_a_launch_line_is_read() -> None:
    fd = written(msgspec.json.encode(LAUNCH) + b"\nand more")
    assert read_launch(fd, 1.0) == LAUNCH
    os.close(fd)


def test_a_launch_line_that_does_not_come_is_not_waited_for_for_ever() -> None:
    read_fd, write_fd = os.pipe()
    started = time.monotonic()
    with pytest.raises(BadLaunchError, match="in time"):
        read_launch(read_fd, 0.1)
    assert 0.1 <= time.monotonic() - started < 10
    os.close(read_fd)
    os.close(write_fd)


def test_half_a_launch_line_is_refused_without_being_shown() -> None:
    fd = written(msgspec.json.encode(LAUNCH)[:-5])
    with pytest.raises(BadLaunchError) as refused:
        read_launch(fd, 1.0)
    assert "s3cret" not in str(refused.value)
    os.close(fd)


def test_an_endless_launch_line_is_refused() -> None:
    fd = os.open("/dev/zero", os.O_RDONLY)
    with pytest.raises(BadLaunchError, match=str(MAX_BYTES)):
        read_launch(fd, 10.0)
    os.close(fd)


async def test_lines_are_read_until_the_last_writer_is_gone() -> None:
    lines: list[str] = []
    await read_lines(written(b"one\ntwo\nthree"), lines.append)
    assert lines == ["one", "two", "three"]


async def test_an_echo_that_nobody_reads_blocks_nobody_and_goes_on_when_somebody_does() -> None:
    read_fd, write_fd = os.pipe()
    echo = Echo(write_fd)
    running = asyncio.get_running_loop().create_task(echo.run())
    for i in range(5_000):
        echo.add(f"line {i} {'x' * 100}")
    turns = 0
    while turns < 10:  # a write that waited for a reader would hold this loop for ever
        await asyncio.sleep(0.01)
        turns += 1
    lines: list[str] = []
    reading = asyncio.get_running_loop().create_task(read_lines(read_fd, lines.append))
    async with asyncio.timeout(10):
        while len(lines) < 5_000:
            await asyncio.sleep(0.01)
    assert [line.split()[1] for line in lines] == [str(i) for i in range(5_000)]
    running.cancel()
    os.close(write_fd)
    await reading


async def test_an_echo_whose_reader_is_gone_is_silent() -> None:
    read_fd, write_fd = os.pipe()
    os.close(read_fd)
    echo = Echo(write_fd)
    echo.add("line")
    echo.finish()
    os.close(write_fd)


async def test_an_echo_writes_long_lines_whole() -> None:
    read_fd, write_fd = os.pipe()
    echo = Echo(write_fd)
    echo.add("x" * 16_000)
    echo.add("y")
    echo.finish()
    os.close(write_fd)
    lines: list[str] = []
    await read_lines(read_fd, lines.append)
    assert lines == ["x" * 16_000, "y"]


async def test_frames_reach_an_engine_that_reads_and_wait_for_one_that_does_not() -> None:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    link.send(GoOn())
    for _ in range(200_000):
        link.send(Reduce())
    frames, got = Frames[ToEngine](ToEngine), 0
    theirs.setblocking(False)
    async with asyncio.timeout(20):
        while got < 200_001:
            got += len(list(frames.feed(await asyncio.get_running_loop().sock_recv(theirs, 1 << 16))))
    theirs.close()
    ours.close()


async def test_a_link_hands_on_frames_and_then_its_end() -> None:
    ours, theirs = socket.socketpair()
    link = Link(ours)
    theirs.sendall(frame(Tick(0.5)) + frame(Tick(0.6)))
    theirs.close()
    heard: list[object] = []
    await link.run(FromEngine, heard.append)
    assert heard == [Tick(0.5), Tick(0.6), LinkClosed()]
    link.send(GoOn())  # dropped
    ours.close()


@pytest.mark.parametrize(
    "rubbish", [b"\0\0\0\5hello", b"\xff\xff\xff\xff", frame(GoOn()), b"\0\0\0\1\xc1", b"\0\0\0\0"]
)
async def test_a_link_that_carries_rubbish_ends(rubbish: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.sendall(rubbish)
    heard: list[LinkClosed] = []
    await Link(ours).run(FromEngine, heard.append)  # type: ignore[arg-type]
    assert heard[-1].error
    theirs.close()
    ours.close()
