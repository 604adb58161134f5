"""Log lines on their way to the bus: in batches, until nothing more is to come."""

import asyncio
from typing import Any

from flotilla.engine_sidecar.outbox import publisher as module
from flotilla.engine_sidecar.outbox.log_book import LogBook
from flotilla.engine_sidecar.outbox.publisher import LogPublisher
from flotilla.schemas.telemetry import LogLines
from tests.unit.sidecar.samples import spec


class Bus:
    def __init__(self) -> None:
        self.published: list[tuple[str, ...]] = []

    async def publish_durable(self, feed: Any, lines: LogLines, **_: object) -> None:
        self.published.append(tuple(lines.lines))


async def test_at_the_end_no_line_waits_for_others(monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "BATCH_S", 60.0)
    book, bus = LogBook(max_lines=10, max_bytes=1000), Bus()
    made: Any = bus
    publisher = LogPublisher(spec(), book, lambda: 1)
    running = asyncio.get_running_loop().create_task(publisher.run(made))

    async def say(line: str) -> None:
        book.add(line)
        publisher.wake()
        async with asyncio.timeout(5):
            while publisher.unpublished:
                await asyncio.sleep(0.001)

    first = asyncio.get_running_loop().create_task(say("one"))
    await asyncio.sleep(0.05)
    assert bus.published == [], "it waits for more"
    publisher.hurry()
    await first
    await say("two")
    running.cancel()
    assert bus.published == [("one",), ("two",)]
