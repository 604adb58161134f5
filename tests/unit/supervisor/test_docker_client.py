"""What a thread brings that nobody waits for any more."""

import asyncio
import threading

import pytest

from services.supervisor.adapters.docker_client import _in_daemon_thread


async def test_a_call_that_nobody_waits_for_any_more_ends_in_peace(monkeypatch: pytest.MonkeyPatch) -> None:
    complaints: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", complaints.append)
    may_end, threads = threading.Event(), []

    def call() -> None:
        threads.append(threading.current_thread())
        may_end.wait(10)

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await _in_daemon_thread(call, "a-call")
    may_end.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
    assert complaints == []
