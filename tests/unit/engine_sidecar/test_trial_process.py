"""What a trial's process says last when there is nothing to run."""

import os
import random
import socket

import numpy
import pytest

from flotilla.engine_sidecar.backtest import process
from flotilla.engine_sidecar.link.frames import Frames, frame
from flotilla.engine_sidecar.link.trial import FromTrial, Refused, RunTrial
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas.backtest import TrialFailure, TrialJob
from flotilla.schemas.package_archive import ArchiveError
from tests.unit.orchestrator.test_backtest_turns import outcome


@pytest.mark.parametrize(
    "error", [UnpackingError("mine@1 cannot be unpacked on this host: No space"), ArchiveError("x")]
)
def test_packages_that_cannot_be_unpacked_are_not_put_down_to_the_strategy(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(OpenPackages, "add", refuse)
    monkeypatch.setattr(os, "setsid", lambda: None)
    monkeypatch.setattr(random, "seed", lambda _: None)
    monkeypatch.setattr(numpy.random, "seed", lambda _: None)
    ours, theirs = socket.socketpair()
    job = TrialJob(backtest_id="b", plan=outcome().manifest.plan)
    with ours, theirs:
        ours.sendall(frame(RunTrial(job=job, catalog_path="/nowhere", host="h", image="", packages=(b"x",))))
        assert process.run(theirs) == 1
        (said,) = Frames[FromTrial](FromTrial).feed(ours.recv(1 << 16))
    assert said == Refused(TrialFailure.CONFIG, str(error))
