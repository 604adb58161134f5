"""Engines that turn what they have of their sidecar against it: the link, the pipes, the heartbeat file beside them."""

import os
import struct
import time
from pathlib import Path
from typing import NoReturn

from flotilla.engine_sidecar.link.frames import Measured, Phase, Tick, frame
from flotilla.schemas.states import RunState
from tests.fakes.scripted_engine import Engine, start

DEEP = b"\x91" * 100_000 + b"\xc0"
"""A msgpack array in an array in an array …"""


def _enter(engine: Engine) -> None:
    """Without the thread that ticks, whose frames would come between."""
    engine.enter(RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING)


def _idle() -> NoReturn:
    while True:
        time.sleep(600)


def floods_link(engine: Engine) -> int:
    """Says without a pause that it lives."""
    _enter(engine)
    time.sleep(0.5)
    ticks = frame(Tick(0.0)) * 20_000
    while True:
        engine.socket.sendall(ticks)


def nests(engine: Engine) -> int:
    """A frame with a field that nobody asked for, nested too deeply to be read."""
    _enter(engine)
    time.sleep(0.5)
    body = b"\x83\xa4type\xa4Tick\xaaloop_age_s\x00\xa1x" + DEEP
    engine.socket.sendall(struct.pack(">I", len(body)) + body)
    _idle()


def nests_measure(engine: Engine) -> int:
    """The same within a measure, which is JSON."""
    _enter(engine)
    time.sleep(0.5)
    engine.send(Measured(b'{"x":' + b"[" * 100_000))
    _idle()


def boasts(engine: Engine) -> int:
    """States with more to say of them than a message of the bus can hold."""
    engine.start_link()
    for state in (RunState.CONNECTING, RunState.RECONCILING, RunState.TRADING):
        engine.send(Phase(state, "x" * (4 << 20)))
    engine.fill(1)
    _idle()


def names_many(engine: Engine) -> int:
    """Measures with more strategies that do not run than a heartbeat can name."""
    start(engine)
    names = {f"{number}-{'x' * 200}": "STOPPED" for number in range(10_000)}
    while True:
        engine.measure(0, strategies=names)
        time.sleep(0.5)


def dates_ahead(engine: Engine) -> int:
    """Says once that it will be alive for a long time to come, and then nothing."""
    _enter(engine)
    time.sleep(0.5)
    engine.send(Tick(-1e9))
    _idle()


def plants(engine: Engine, file: str, kind: str) -> int:
    """Puts something else in the place of the heartbeat file."""
    start(engine)
    time.sleep(0.5)
    path = Path(file)
    path.unlink()
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(path.with_name("victim"))
    while True:
        engine.turn()


ATTACKS = (floods_link, nests, nests_measure, boasts, names_many, dates_ahead, plants)
