"""NautilusTrader's cache database, held on to: the kernel keeps the only reference, and after an outage it must be written anew.

It also steps around a trap. What a strategy saves goes through a serializer that takes every key that is part of the word
`expire_time_ns`, or begins with `ts_`, for a time, and a key `type` for the name of a class: the next start would fail on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from nautilus_trader.cache.database import CacheDatabaseAdapter
from nautilus_trader.serialization.base import Serializer
from nautilus_trader.system import kernel as kernel_module

_MARK: Final = "state:"


class CacheDatabase(CacheDatabaseAdapter):  # type: ignore[misc]
    """The adapter that NautilusTrader uses, with the states of strategies and actors kept as they are."""

    def __init__(self, *, serializer: Any, **parts: Any) -> None:
        self._states = _States(serializer)
        super().__init__(serializer=self._states, **parts)

    def update_strategy(self, strategy: Any) -> None:
        """Saves what the strategy's `on_save` gives."""
        with self._states.kept():
            super().update_strategy(strategy)

    def update_actor(self, actor: Any) -> None:
        """Saves what the actor's `on_save` gives."""
        with self._states.kept():
            super().update_actor(actor)


@contextmanager
def caught_database() -> Iterator[list[CacheDatabase]]:
    """Within the block a kernel makes a CacheDatabase, if its config asks for one at all, and puts it into the list."""
    caught: list[CacheDatabase] = []

    def make(**parts: Any) -> CacheDatabase:
        caught.append(CacheDatabase(**parts))
        return caught[-1]

    kernel_module.CacheDatabaseAdapter = make
    try:
        yield caught
    finally:
        kernel_module.CacheDatabaseAdapter = CacheDatabaseAdapter


class _States(Serializer):  # type: ignore[misc]
    """A serializer that marks the keys of states, so that none of them means anything to NautilusTrader."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self._inner = inner
        self._is_state = False

    @contextmanager
    def kept(self) -> Iterator[None]:
        self._is_state = True
        try:
            yield
        finally:
            self._is_state = False

    def serialize(self, obj: Any) -> bytes:
        marked = {f"{_MARK}{key}": value for key, value in obj.items()} if self._is_state else obj
        encoded: bytes = self._inner.serialize(marked)
        return encoded

    def deserialize(self, obj_bytes: bytes) -> Any:
        found = self._inner.deserialize(obj_bytes)
        if type(found) is dict and found and all(key.startswith(_MARK) for key in found):
            return {key.removeprefix(_MARK): value for key, value in found.items()}
        return found
