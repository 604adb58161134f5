"""Stops of engines that hold a position and have orders at rest, partly filled and in flight, against what the venue's own book says.

FLOTILLA_STOP_ROUNDS says how often each combination is run: 100 is what is shown now and then, 2 is what every build can afford.
"""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import Ended, EndNow, Stop
from flotilla.schemas.states import RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind, StopReport
from tests.engine_processes import ROOT, EngineProcess, ZygoteProcess, run_of, sandbox_node, zygote_process
from tests.integration.engine_plans import strategy, until_event

ROUNDS = int(os.environ.get("FLOTILLA_STOP_ROUNDS", "2"))
MOODS = ("acknowledges", "rejects", "is silent")
STOP_S = {"acknowledges": 30.0, "rejects": 2.0, "is silent": 2.0}
"""A venue that does as it is told is given all the time that a busy machine may need."""
ALL_OPEN = 3


class Book(msgspec.Struct):
    """The venue's own truth: what is open there, what it holds for us, and what it told us that it did."""

    open: dict[str, str]
    net: float
    told: dict[str, int]


class Stand:
    """One engine that trades with a stubborn venue."""

    def __init__(
        self,
        zygote: ZygoteProcess,
        catalog: Path,
        folder: Path,
        mood: str,
        seed: int,
        found: int = 0,
        **exec_engine: Any,
    ) -> None:
        self.file = folder / "book.json"
        node = sandbox_node(on_end="idle")
        node["data_clients"]["SIM"] = {
            "path": "tests.venues_for_tests:PlaysBarsConfig",
            "factory": {"path": "tests.venues_for_tests:PlaysBarsFactory"},
            "config": {"catalog_path": str(catalog)},
        }
        node["exec_clients"]["SIM"] = {
            "path": "tests.stubborn_venue:StubbornConfig",
            "config": {"mood": mood, "book": str(self.file), "seed": seed, "found": found},
        }
        node["exec_engine"] = node.get("exec_engine", {}) | exec_engine
        run = run_of(catalog, node, strategy("OrdersOfEveryKind"))
        run.plan.exec_factories["SIM"] = "tests.stubborn_venue:StubbornFactory"
        self.engine: EngineProcess = zygote.fork(run)

    @property
    def book(self) -> Book:
        return msgspec.convert(json.loads(self.file.read_text()), Book, strict=False)

    def until_all_is_open(self, net: int = 140) -> None:
        self.engine.until_state(RunState.TRADING, 30.0)
        deadline = time.monotonic() + 30
        while (book := self.book).net < net or len(book.open) < ALL_OPEN:
            assert time.monotonic() < deadline, f"{book}; the log ends with {self.engine.log[-20:]}"
            time.sleep(0.005)

    def end(self) -> Ended:
        ended, code = self.engine.until_ended(60.0)
        assert code == 0, self.engine.log[-20:]
        return ended


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    command = [
        sys.executable,
        "-m",
        "flotilla.engine_sidecar.catalog",
        "import",
        "--catalog",
        folder,
        "--sample",
    ]
    subprocess.run(command, cwd=ROOT, check=True)
    return folder


def lies(policy: StopPolicy, ended: Ended, book: Book) -> Iterator[str]:
    """Every claim of the engine that the venue's book does not bear out."""
    report = ended.stop
    assert report is not None
    is_in_market = bool(book.open) or book.net != 0
    if report.is_flat and is_in_market:
        yield "flat"
    if report.orders_cancelled > book.told["cancelled"] or report.positions_closed > book.told["closed"]:
        yield "more done than the venue said"
    if report.orders_left < len(book.open) or (book.net != 0) > report.positions_left:
        yield "less left than there is"
    said = " ".join(ended.not_confirmed)
    if policy is not StopPolicy.LEAVE:
        yield from (f"{name} cancelled" for name in book.open if f"order {name} " not in said)
    if policy is StopPolicy.FLATTEN and book.net != 0 and "position " not in said:
        yield "the position closed"


def check_what_is_true(mood: str, policy: StopPolicy, ended: Ended, report: StopReport) -> None:
    """What must be said, so that saying nothing is no way to be honest."""
    assert report.policy is policy
    if mood != "acknowledges" or policy is not StopPolicy.FLATTEN:
        assert not report.is_flat
    if policy is StopPolicy.LEAVE:
        assert (ended.not_confirmed, report.orders_cancelled, report.positions_closed) == ((), 0, 0)
    elif mood == "acknowledges":
        assert (ended.not_confirmed, report.orders_left, report.orders_cancelled) == ((), 0, ALL_OPEN)
        assert report.is_flat == (policy is StopPolicy.FLATTEN) == bool(report.positions_closed)
    else:
        assert ended.not_confirmed
    assert (report.cancel_ms is not None) == (policy is not StopPolicy.LEAVE)
    assert (report.close_ms is not None) == (policy is StopPolicy.FLATTEN)
    assert 0 < (report.stop_ms or 0) < (STOP_S[mood] + 15) * 1000


@pytest.mark.parametrize("number", range(ROUNDS))
def test_a_stop_never_claims_what_the_venue_does_not_bear_out(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path, number: int
) -> None:
    stands: dict[tuple[str, StopPolicy], Stand] = {}
    for mood in MOODS:
        for policy in StopPolicy:
            folder = tmp_path / f"{mood}-{policy}"
            folder.mkdir()
            stands[mood, policy] = Stand(zygote, catalog, folder, mood, seed=number * 9 + len(stands))
    chance = random.Random(number)
    for (mood, policy), stand in stands.items():
        stand.until_all_is_open()
        time.sleep(
            chance.uniform(0, 0.05)
        )  # a stop comes when it comes: the orders may be anywhere on their way
        stand.engine.send(Stop(policy, STOP_S[mood]))
    for (mood, policy), stand in stands.items():
        ended = stand.end()
        assert list(lies(policy, ended, stand.book)) == [], (mood, policy, ended, stand.book)
        assert ended.stop is not None
        check_what_is_true(mood, policy, ended, ended.stop)


def test_an_order_that_nautilus_trader_gave_up_on_is_no_order_that_is_gone(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path
) -> None:
    quick = {
        "inflight_check_interval_ms": 50,
        "inflight_check_threshold_ms": 100,
        "inflight_check_retries": 1,
    }
    stand = Stand(zygote, catalog, tmp_path, "is silent", 0, **quick)
    stand.until_all_is_open()
    until_event(stand.engine, EventKind.ORDER, "OrderRejected")
    (silent,) = (event for event in stand.engine.events(EventKind.ORDER) if event["event"] == "OrderRejected")
    stand.engine.send(Stop(StopPolicy.CANCEL, 2.0))
    ended = stand.end()
    name = silent["client_order_id"]
    assert f"order {name} taken for rejected: the venue never said so" in ended.not_confirmed
    assert list(lies(StopPolicy.CANCEL, ended, stand.book)) == []


def test_a_stop_in_a_hurry_flattens_what_the_first_would_have_left(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path
) -> None:
    stand = Stand(zygote, catalog, tmp_path, "acknowledges", 1)
    stand.until_all_is_open()
    stand.engine.send(Stop(StopPolicy.CANCEL, 30.0))
    stand.engine.send(EndNow(30.0))
    ended = stand.end()
    assert ended.stop is not None
    assert (ended.stop.policy, ended.stop.is_flat, ended.not_confirmed) == (StopPolicy.FLATTEN, True, ())
    assert (stand.book.open, stand.book.net) == ({}, 0)


def test_a_stop_in_a_hurry_cuts_the_time_of_one_that_waits_for_the_venue(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path
) -> None:
    stand = Stand(zygote, catalog, tmp_path, "is silent", 1)
    stand.until_all_is_open()
    stand.engine.send(Stop(StopPolicy.CANCEL, 60.0))
    stand.engine.until_state(RunState.STOPPING)
    began = time.monotonic()
    stand.engine.send(EndNow(2.0))
    ended = stand.end()
    assert time.monotonic() - began < 30
    assert ended.stop is not None
    assert (ended.stop.policy, ended.stop.is_flat) == (StopPolicy.FLATTEN, False)
    assert any(text.startswith("position ") for text in ended.not_confirmed)
    assert list(lies(StopPolicy.FLATTEN, ended, stand.book)) == []


def test_a_position_that_was_found_at_the_venue_is_closed_too(
    zygote: ZygoteProcess, catalog: Path, tmp_path: Path
) -> None:
    stand = Stand(zygote, catalog, tmp_path, "acknowledges", 3, found=50)
    stand.until_all_is_open(net=190)
    stand.engine.send(EndNow(30.0))
    ended = stand.end()
    assert ended.stop is not None
    assert (ended.stop.is_flat, ended.not_confirmed) == (True, ())
    assert (stand.book.open, stand.book.net) == ({}, 0)
