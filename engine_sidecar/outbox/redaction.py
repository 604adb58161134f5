"""Takes the values of secrets out of whatever an engine says, before it leaves the sidecar."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from flotilla.engine_sidecar.link.asking import Answer
from flotilla.schemas.session import Launch
from flotilla.schemas.telemetry import Alert, OrderUpdate, StateChange

HIDDEN: Final = "***"
MIN_LENGTH: Final = 4
"""Shorter values stand in too many other words."""

type Said = StateChange | Alert | OrderUpdate | Answer


class Redaction:
    """Knows some secrets by heart, as they are and as they are quoted in JSON or by Python."""

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret) if len(form) >= MIN_LENGTH}
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def text(self, text: str) -> str:
        """The text with `***` for every secret in it."""
        return text if self._pattern is None else self._pattern.sub(HIDDEN, text)

    def said[T: Said](self, said: T) -> T:
        """The same message with its free texts redacted; names, ids and states stay as they are."""
        if self._pattern is None:
            return said
        changed: Any
        match said:
            case StateChange():
                changed = msgspec.structs.replace(
                    said,
                    detail=self.text(said.detail),
                    log_tail=self._texts(said.log_tail),
                    not_confirmed=self._texts(said.not_confirmed),
                )
            case Alert():
                changed = msgspec.structs.replace(said, message=self.text(said.message))
            case OrderUpdate():
                changed = msgspec.structs.replace(said, reason=said.reason and self.text(said.reason))
            case Answer():
                changed = self._answer(said)
        redacted: T = changed
        return redacted

    def data(self, data: bytes, kind: type[Said]) -> bytes:
        """The JSON of a message of that kind, redacted. Raises ValueError when it is none."""
        if self._pattern is None or not self._pattern.search(data.decode(errors="replace")):
            return data
        return msgspec.json.encode(self.said(msgspec.json.decode(data, type=kind)))

    def _texts(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(self.text, texts))

    def _answer(self, answer: Answer) -> Answer:
        fault = answer.fault and msgspec.structs.replace(
            answer.fault,
            message=self.text(answer.fault.message),
            errors=tuple(
                msgspec.structs.replace(error, message=self.text(error.message))
                for error in answer.fault.errors
            ),
        )
        return msgspec.structs.replace(
            answer,
            message=self.text(answer.message),
            not_confirmed=self._texts(answer.not_confirmed),
            fault=fault,
        )


def secrets_of(launch: Launch) -> Iterator[str]:
    """Every value that a launch line hands over in confidence."""
    yield from _strings(launch.secrets)
    if launch.cache is not None:
        yield launch.cache.password


def _strings(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for one in value.values():
                yield from _strings(one)
        case list() | tuple():
            for one in value:
                yield from _strings(one)


def _forms(secret: str) -> Iterator[str]:
    quote: Callable[[str], str]
    for part in (secret, *secret.splitlines()):  # a key of several lines is printed line by line
        yield part.strip()
        for quote in (json.dumps, repr):
            yield quote(part)[1:-1]
