"""Structured logs: one JSON object per line on stderr, carrying the service and whatever ids are bound to the task."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

_bound: ContextVar[dict[str, Any] | None] = ContextVar("bound", default=None)


class _JsonLines(logging.Formatter):
    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "event": record.getMessage(),
            **(_bound.get() or {}),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode(errors="replace")


class Logger:
    """`log.info("session started", session_id=…)`: the event is a constant text, everything else a field."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    @property
    def is_debugging(self) -> bool:
        """True while `debug` says anything: for who would have to find out first what to say."""
        return self._logger.isEnabledFor(logging.DEBUG)

    def debug(self, event: str, **fields: Any) -> None:
        """For developers."""
        self._log(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """For operators: what happened."""
        self._log(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Something is off and is being dealt with."""
        self._log(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Something failed."""
        self._log(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Something failed; called while the exception is being handled, its traceback is added."""
        self._log(logging.ERROR, event, fields, exc_info=True)

    def _log(self, level: int, event: str, fields: dict[str, Any], *, exc_info: bool = False) -> None:
        self._logger.log(level, "%s", event, extra={"fields": fields}, exc_info=exc_info)


def get_logger(name: str) -> Logger:
    """The logger of a module."""
    return Logger(name)


def configure(service: str, level: str = "INFO", stream: TextIO | None = None) -> None:
    """Sends every log line of this process to `stream` (stderr) as JSON. Called once, by the entry point."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonLines(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # nats-py logs every error that our error callback counts and logs already.
    logging.getLogger("nats").setLevel(logging.CRITICAL)


@contextmanager
def bind(**fields: Any) -> Iterator[None]:
    """Adds `fields` to every line that is logged within, in this task and those it starts."""
    token = _bound.set({**(_bound.get() or {}), **fields})
    try:
        yield
    finally:
        _bound.reset(token)
