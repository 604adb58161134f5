"""A bug in what listens must never end the engine that is listened to."""

from types import SimpleNamespace
from typing import Any

from engine_sidecar.adapters.tap import Tap
from engine_sidecar.link import Happened
from schemas.telemetry import EventKind


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def exception(self, text: str, error: BaseException) -> None:
        self.lines.append(text)


def test_what_a_handler_raises_is_logged_each_time_and_told_once() -> None:
    log, sent = Log(), list[Any]()
    tap = Tap(SimpleNamespace(logger=log), sent.append)

    def broken(message: Any) -> None:
        raise KeyError("oops")

    handle = tap.guarded(broken)
    handle("an event")
    handle("another")
    assert log.lines == ["str was not passed on: KeyError: 'oops'"] * 2
    (alert,) = sent
    assert isinstance(alert, Happened)
    assert alert.kind is EventKind.ALERT
    assert b'"code":"telemetry_lost"' in alert.data
