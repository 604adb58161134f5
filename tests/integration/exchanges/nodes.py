"""TradingNodes with stock adapters, as processes of their own that are told what to do."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.integration.exchanges.running import CHECKOUT, DEADLINE_S, Venue, until


class Node:
    """A TradingNode in a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.events: list[dict[str, Any]] = []
        self.log: list[str] = []

    async def read(self) -> None:
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            if line.startswith(b"{"):
                self.events.append(json.loads(line))
            else:
                self.log.append(line.decode().rstrip())

    def do(self, do: str, **told: object) -> None:
        """Tells it something."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **told}).encode() + b"\n")

    def found(self, kind: str, id: str | None = None) -> list[dict[str, Any]]:
        return [e for e in self.events if e["kind"] == kind and (id is None or e.get("id") == id)]

    def _found_or_ended(self, kind: str, id: str | None, count: int) -> list[dict[str, Any]]:
        found = self.found(kind, id)
        assert self.process.returncode is None or len(found) >= count, "the node has ended"
        return found if len(found) >= count else []

    async def event(self, kind: str, id: str | None = None, count: int = 1) -> dict[str, Any]:
        """The `count`-th event of a kind, of one order if `id` is given."""
        try:
            events = await until(lambda: self._found_or_ended(kind, id, count), f"{kind} {id or ''}")
        except AssertionError as error:
            raise AssertionError(f"{error}; heard {self.events}, log {self.log[-20:]}") from None
        return events[count - 1]

    async def end(self) -> None:
        self.do("end")
        await asyncio.wait_for(self.process.wait(), DEADLINE_S)


@asynccontextmanager
async def node_on(venue: Venue, module: str = "node") -> AsyncIterator[Node]:
    """A node that trades on `venue`, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"tests.integration.exchanges.{module}", str(venue.port),
        cwd=CHECKOUT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    node = Node(process)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(node.read(), name="output of the node")
        try:
            yield node
        finally:
            if process.returncode is None:
                process.kill()
