"""The secret values of a run: which client takes which, and how they stay out of every text."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from flotilla.engine_sidecar.link.frames import Run

_SHORTEST: Final = 4
_HIDDEN: Final = "***"


class Secrets:
    """What the secret store gave for a run."""

    def __init__(self, run: Run) -> None:
        self._names = run.plan.secrets
        self._entries = run.secrets
        password = [] if run.cache is None else [run.cache.password]
        self.hidden: Final = hidden_in([*run.secrets.values(), *password])
        """A text with every secret value in it, of at least four characters, replaced by asterisks."""

    @property
    def clients(self) -> frozenset[str]:
        """The clients that the plan gives a secret."""
        return frozenset(self._names)

    def of_client(self, client: str) -> dict[str, Any]:
        """Config fields and values for a client; raises ValueError when its entry did not come with the run."""
        if (name := self._names.get(client)) is None:
            return {}
        if name not in self._entries:
            raise ValueError(
                f"the secret {name!r} of client {client} is not in the secret store of this host"
            )
        return self._entries[name]


def hidden_in(secrets: object) -> Callable[[str], str]:
    """What replaces every value in `secrets` that has at least four characters by asterisks in a text."""
    found = {text for text in _texts(secrets) if len(text) >= _SHORTEST}
    values = sorted(found, key=len, reverse=True)

    def hidden(text: str) -> str:
        for value in values:
            text = text.replace(value, _HIDDEN)
        return text

    return hidden


def _texts(value: object) -> Iterator[str]:
    match value:
        case dict():
            yield from _texts(list(value.values()))
        case list():
            for item in value:
                yield from _texts(item)
        case None | bool():
            return
        case _:
            # An error may show a text as it was written, in quotes, with escapes.
            yield from (str(value), repr(value)[1:-1] if isinstance(value, str) else str(value))
