"""What is done off a running engine's loop, and what on it."""

import threading
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from flotilla.engine_sidecar.engine import running_strategies
from flotilla.engine_sidecar.engine.running_strategies import RunningStrategies
from flotilla.engine_sidecar.link.asking import AddStrategy
from flotilla.engine_sidecar.strategies.packages import UnpackingError
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, invalid
from flotilla.schemas.package_archive import ArchiveError

QUESTION = AddStrategy({"strategy_path": "mine:Mine"}, packages=(b"archive",), labels=("mine@1",))


class Packages:
    """Notes which thread unpacks what; `then` is done at the end of it."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.seen: list[tuple[tuple[bytes, ...], tuple[str, ...]]] = []
        self.threads: list[int] = []
        self.then = lambda: None

    def add(self, archives: Iterable[bytes], labels: Iterable[str] = (), wheels: str = "") -> None:
        self.threads.append(threading.get_ident())
        self.seen.append((tuple(archives), tuple(labels)))
        self.then()
        if self.error is not None:
            raise self.error


def strategies(packages: Packages) -> tuple[RunningStrategies, Any]:
    trader = SimpleNamespace(is_running=True, strategies=list)
    kernel: Any = SimpleNamespace(trader=trader, exec_engine=SimpleNamespace(_clients={}))
    nothing: Any = None
    own: Any = packages
    return RunningStrategies(kernel, nothing, lambda *_: None, lambda: 0.0, own), trader


async def test_packages_are_unpacked_off_the_loop_and_imported_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    imported: list[int] = []

    def build(*_: object) -> None:
        imported.append(threading.get_ident())
        raise invalid(FieldError("strategy", "enough"))

    monkeypatch.setattr(running_strategies, "build_strategy", build)
    packages = Packages()
    with pytest.raises(FaultError, match="enough"):
        await strategies(packages)[0].carry_out(QUESTION)
    assert packages.seen == [((b"archive",), ("mine@1",))]
    assert imported == [threading.get_ident()]
    assert packages.threads != imported


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (
            ArchiveError("utils: a and b"),
            FaultCode.INVALID,
            "cannot be taken into this engine: utils: a and b",
        ),
        (UnpackingError("mine@1: the disk is full"), FaultCode.UNAVAILABLE, "mine@1: the disk is full"),
    ],
)
async def test_a_package_that_cannot_be_unpacked_is_told_by_whose_fault_it_is(
    error: Exception, code: FaultCode, words: str
) -> None:
    with pytest.raises(FaultError, match=words) as refused:
        await strategies(Packages(error))[0].carry_out(QUESTION)
    assert refused.value.fault.code == code


async def test_an_engine_that_stopped_trading_meanwhile_takes_no_strategy() -> None:
    packages = Packages()
    running, trader = strategies(packages)
    packages.then = lambda: setattr(trader, "is_running", False)
    with pytest.raises(FaultError, match="does not trade"):
        await running.carry_out(QUESTION)
