"""The Redis that keeps an engine's state, as NautilusTrader uses it, but for what strategies keep and how positions are read."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Any, Final

from nautilus_trader.cache.database import CacheDatabaseAdapter
from nautilus_trader.core import nautilus_pyo3
from nautilus_trader.serialization.base import Serializer
from nautilus_trader.system import kernel as kernel_module

from flotilla.engine_sidecar.engine.repairs.kept_positions import position_of

_MARK: Final = "state:"
TELLS_S: Final = 2.0
"""How often it says how far it got."""


type OnReading = Callable[[str], object]


class CacheDatabase(CacheDatabaseAdapter):  # type: ignore[misc]
    """The adapter that NautilusTrader uses, with the states of strategies and actors kept as they are.

    `on_reading` is told how far it got with what may take long: an engine has as many orders as it ever had.
    """

    def __init__(self, *, serializer: Any, on_reading: OnReading, **parts: Any) -> None:
        self._on_reading, self._told_s = on_reading, time.monotonic()
        self._orders = self._read = 0
        self._states = _States(serializer)
        with _caught(nautilus_pyo3, "RedisCacheDatabase") as backings:
            super().__init__(serializer=self._states, **parts)
        self._kept = backings[0]

    def load_orders(self) -> dict[Any, Any]:
        """All kept orders, by id."""
        self._orders, self._read = len(self._kept.keys("orders:*")), 0
        found: dict[Any, Any] = super().load_orders()
        return found

    def load_order(self, client_order_id: Any) -> Any:
        """One of them; None where there is none."""
        if (now := time.monotonic()) - self._told_s >= TELLS_S:
            self._told_s = now
            self._on_reading(f"has read {self._read:,} of {self._orders:,} orders of its kept state")
        self._read += 1
        return super().load_order(client_order_id)

    def load_position(self, position_id: Any) -> Any:
        """The kept position of that id; None where there is none, or nothing of its instrument. Raises RuntimeError for a fill that it has twice."""
        kept = [self._states.deserialize(each) for each in self._kept.read(f"positions:{position_id}")]
        instrument = self.load_instrument(kept[0].instrument_id) if kept else None
        # NautilusTrader has words for an instrument that is missing.
        return super().load_position(position_id) if instrument is None else position_of(instrument, kept)

    def update_strategy(self, strategy: Any) -> None:
        """Saves what the strategy's `on_save` gives."""
        with self._states.kept():
            super().update_strategy(strategy)

    def update_actor(self, actor: Any) -> None:
        """Saves what the actor's `on_save` gives."""
        with self._states.kept():
            super().update_actor(actor)


def caught_database(on_reading: OnReading) -> AbstractContextManager[list[CacheDatabase]]:
    """Within the block a kernel makes a CacheDatabase, if its config asks for one at all, and puts it into the list."""
    return _caught(kernel_module, "CacheDatabaseAdapter", partial(CacheDatabase, on_reading=on_reading))


@contextmanager
def _caught(module: Any, name: str, instead: Any = None) -> Iterator[list[Any]]:
    """Within the block, what is made by this name of the module, or `instead` of it, is put into the list."""
    usual, caught = getattr(module, name), list[Any]()

    def make(**parts: Any) -> Any:
        caught.append((instead or usual)(**parts))
        return caught[-1]

    setattr(module, name, make)
    try:
        yield caught
    finally:
        setattr(module, name, usual)


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
