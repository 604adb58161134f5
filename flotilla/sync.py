"""The client for code without an event loop, such as a notebook: the same verbs, on a loop in a thread of its own."""

import asyncio
import threading
from collections.abc import Collection, Coroutine, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Self

from flotilla.client import Flotilla
from flotilla.settings import Connection
from flotilla.watch import FEEDS, Update
from schemas.catalog import CatalogView, TemplateList
from schemas.config import EngineConfig
from schemas.engine import (
    EngineAccepted,
    EngineList,
    EngineLogs,
    EngineView,
    EventList,
    FleetStatus,
    SessionList,
)
from schemas.states import RunState, StopPolicy

_END_S: Final = 15.0


class SyncFlotilla:
    """A fleet, for blocking code. Close it, or use it as a context manager; errors are those of Flotilla."""

    def __init__(self, to: Connection | str | Path | None = None, *, wait_s: float = 5.0) -> None:
        ready: Future[tuple[Flotilla, asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(_hold(to, wait_s, ready)), name="flotilla-client", daemon=True
        )
        self._thread.start()
        self._fleet, self._loop, self._done = ready.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the connection; closing twice is fine."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._done.set)
            self._thread.join(_END_S)

    def start_engine(
        self,
        config: EngineConfig | None = None,
        *,
        confirm_live_trading: bool = False,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """See Flotilla.start_engine."""
        return self._run(
            self._fleet.start_engine(config, confirm_live_trading=confirm_live_trading, request_id=request_id)
        )

    def stop_engine(
        self,
        instance_id: str | None = None,
        *,
        force: bool = False,
        policy: StopPolicy | None = None,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """See Flotilla.stop_engine."""
        return self._run(
            self._fleet.stop_engine(instance_id, force=force, policy=policy, request_id=request_id)
        )

    def restart_engine(
        self,
        instance_id: str | None = None,
        *,
        confirm_live_trading: bool = False,
        request_id: str | None = None,
    ) -> EngineAccepted:
        """See Flotilla.restart_engine."""
        return self._run(
            self._fleet.restart_engine(
                instance_id, confirm_live_trading=confirm_live_trading, request_id=request_id
            )
        )

    def status(self, instance_id: str | None = None) -> FleetStatus:
        """See Flotilla.status."""
        return self._run(self._fleet.status(instance_id))

    def engine(self, instance_id: str) -> EngineView:
        """See Flotilla.engine."""
        return self._run(self._fleet.engine(instance_id))

    def engines(self, *, active: bool = False, limit: int = 100) -> EngineList:
        """See Flotilla.engines."""
        return self._run(self._fleet.engines(active=active, limit=limit))

    def sessions(self, instance_id: str, *, limit: int = 20) -> SessionList:
        """See Flotilla.sessions."""
        return self._run(self._fleet.sessions(instance_id, limit=limit))

    def logs(
        self,
        instance_id: str | None = None,
        *,
        lines: int = 100,
        level: str | None = None,
        since: datetime | None = None,
    ) -> EngineLogs:
        """See Flotilla.logs."""
        return self._run(self._fleet.logs(instance_id, lines=lines, level=level, since=since))

    def events(
        self,
        instance_id: str,
        *,
        session_id: str | None = None,
        after_seq: int = 0,
        kind: str | None = None,
        limit: int = 100,
    ) -> EventList:
        """See Flotilla.events."""
        return self._run(
            self._fleet.events(
                instance_id, session_id=session_id, after_seq=after_seq, kind=kind, limit=limit
            )
        )

    @contextmanager
    def watch(
        self, instance_id: str | None = None, *, kinds: Iterable[str] = tuple(FEEDS)
    ) -> Iterator[Iterator[Update]]:
        """`with fleet.watch("my-engine", kinds=("fill",)) as updates: for update in updates: …`."""
        watch = self._fleet.watch(instance_id, kinds=kinds)
        self._run(watch.__aenter__())
        try:
            yield iter(lambda: self._run(watch.__anext__()), None)
        finally:
            self._run(watch.__aexit__())

    def wait_for(
        self,
        instance_id: str,
        states: Collection[RunState] = (RunState.TRADING,),
        *,
        session_id: str | None = None,
        timeout_s: float = 60.0,
    ) -> EngineView:
        """See Flotilla.wait_for."""
        return self._run(
            self._fleet.wait_for(instance_id, states, session_id=session_id, timeout_s=timeout_s)
        )

    def templates(self, kind: str = "strategy") -> TemplateList:
        """See Flotilla.templates."""
        return self._run(self._fleet.templates(kind))

    def catalog(self) -> CatalogView:
        """See Flotilla.catalog."""
        return self._run(self._fleet.catalog())

    def _run[T](self, coroutine: Coroutine[Any, Any, T]) -> T:
        if not self._thread.is_alive():
            coroutine.close()
            raise RuntimeError("this client is closed")
        future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        try:
            return future.result()
        except KeyboardInterrupt:
            future.cancel()
            raise


async def _hold(
    to: Connection | str | Path | None,
    wait_s: float,
    ready: Future[tuple[Flotilla, asyncio.AbstractEventLoop, asyncio.Event]],
) -> None:
    done = asyncio.Event()
    try:
        async with Flotilla.connect(to, wait_s=wait_s) as fleet:
            ready.set_result((fleet, asyncio.get_running_loop(), done))
            await done.wait()
    except Exception as error:
        if ready.done():
            raise
        ready.set_exception(error)
