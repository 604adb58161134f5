"""The process of one trial: what the zygote's child runs, from its one frame to its exit code.

Only a container keeps a strategy from writing into the catalog; elsewhere a file that was changed under a trial ends it as failed.
"""

import os
import random
import socket
import threading
import time
import traceback
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy
from nautilus_trader.backtest.engine import BacktestEngine

from flotilla.engine_sidecar.backtest.building import TrialRefusedError
from flotilla.engine_sidecar.backtest.manifest import catalog_file, manifest_of
from flotilla.engine_sidecar.backtest.report import tear_sheet
from flotilla.engine_sidecar.backtest.running import run_trial
from flotilla.engine_sidecar.link.frames import Frames, frame
from flotilla.engine_sidecar.link.trial import Produced, Progressed, Refused, RunTrial
from flotilla.engine_sidecar.replay.streams import WrongDataError
from flotilla.engine_sidecar.strategies.packages import OpenPackages, UnpackingError
from flotilla.schemas import code_changes
from flotilla.schemas.backtest import CatalogFile, Outcome, TrialFailure, TrialProgress
from flotilla.schemas.package_archive import ArchiveError

PIECE_BYTES: Final = 256 << 10
FIRST_FRAME_S: Final = 30.0
LEVEL: Final = 6
# NautilusTrader writes its log from a thread that nothing waits for.
_LOG_S: Final = 0.05


def run(sock: socket.socket) -> int:
    """Runs one trial over the link `sock`; returns the process's exit code: 0 with a result, else 1."""
    # What it forks is of its group, and killed at its end.
    os.setsid()
    code_changes.ignore_warnings()
    link = _Link(sock)
    trial = link.receive()
    random.seed(trial.job.seed)
    numpy.random.seed(trial.job.seed)
    packages = OpenPackages()
    try:
        labels = [package.label for package in trial.job.plan.packages]
        packages.add(trial.packages, labels, trial.wheels)
        outcome, engine = _run(trial, link)
    except (ArchiveError, UnpackingError, TrialRefusedError, WrongDataError) as error:
        link.send(Refused(TrialFailure.CONFIG, str(error)))
        return 1
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:  # noqa: BLE001 - whatever a strategy raises ends its trial, in words
        traceback.print_exc()
        time.sleep(_LOG_S)
        link.send(Refused(TrialFailure.STRATEGY, f"{type(error).__name__}: {error}"))
        return 1
    finally:
        packages.close()
    link.hand_over(msgspec.json.encode(outcome))
    if trial.job.wants_report:
        link.hand_over(tear_sheet(engine, trial.job.backtest_id, outcome.result).encode(), is_report=True)
    return 0


def _run(trial: RunTrial, link: "_Link") -> tuple[Outcome, BacktestEngine]:
    catalog = Path(trial.catalog_path)
    manifest = manifest_of(trial.job, catalog, host=trial.host, image=trial.image, wheels=trial.wheels)
    files = {file.path: file for file in manifest.files}
    stamps = _stamps(catalog, manifest.files)

    def read(paths: list[Path]) -> None:
        """What a request for the past is answered from is of the manifest too."""
        new = [path for path in paths if str(path.relative_to(catalog)) not in files]
        found = [catalog_file(catalog, path) for path in new]
        files.update({file.path: file for file in found})
        stamps.update(_stamps(catalog, found))

    ran = run_trial(trial.job.plan, catalog, link.progress, read, trial.job.seed)
    whole = tuple(files[path] for path in sorted(files))
    for path, stamp in _stamps(catalog, whole).items():
        if stamp != stamps[path]:
            raise WrongDataError(f"{path} was changed while the trial ran")
    return Outcome(result=ran.result, manifest=msgspec.structs.replace(manifest, files=whole)), ran.engine


def _stamps(catalog: Path, files: Iterable[CatalogFile]) -> dict[str, Any]:
    """What changes when somebody writes into a file. One that is gone has none."""
    found: dict[str, Any] = {}
    for file in files:
        try:
            stat = (catalog / file.path).stat()
            found[file.path] = (stat.st_ino, stat.st_size, stat.st_mtime_ns)
        except FileNotFoundError:
            found[file.path] = None
    return found


class _Link:
    """Blocking, and shared by the thread that tells of progress."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._turn = threading.Lock()

    def receive(self) -> RunTrial:
        """The one frame that comes. Raises TimeoutError, or EOFError when the worker is gone."""
        self._socket.settimeout(FIRST_FRAME_S)
        frames = Frames[RunTrial](RunTrial)
        while data := self._socket.recv(1 << 16):
            for trial in frames.feed(data):
                self._socket.settimeout(None)
                return trial
        raise EOFError("the worker is gone")

    def send(self, message: object) -> None:
        """Hands the frame over; waits while the worker does not read."""
        with self._turn:
            self._socket.sendall(frame(message))

    def hand_over(self, document: bytes, *, is_report: bool = False) -> None:
        """Sends a whole document, compressed, in pieces."""
        packed = zlib.compress(document, LEVEL)
        for start in range(0, len(packed), PIECE_BYTES):
            end = start + PIECE_BYTES
            self.send(Produced(packed[start:end], is_last=end >= len(packed), is_report=is_report))

    def progress(self, progress: TrialProgress) -> None:
        """The same for progress."""
        self.send(Progressed(msgspec.json.encode(progress)))
