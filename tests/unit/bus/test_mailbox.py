"""Mailboxes: in order per key, in parallel across keys, and nothing stops them."""

import asyncio

from flotilla.bus.mailbox import Mailboxes


async def test_messages_of_one_key_are_handled_in_order_and_one_at_a_time() -> None:
    seen: list[int] = []
    running = 0

    async def handle(_: str, message: int) -> None:
        nonlocal running
        running += 1
        assert running == 1
        await asyncio.sleep(0)
        seen.append(message)
        running -= 1

    boxes = Mailboxes(handle, name="test")
    for number in range(50):
        boxes.post("a", number)
    assert await boxes.join(5)
    assert seen == list(range(50))


async def test_a_slow_key_does_not_hold_up_another() -> None:
    gate, done = asyncio.Event(), asyncio.Event()

    async def handle(key: str, _: int) -> None:
        await gate.wait() if key == "slow" else done.set()

    boxes = Mailboxes(handle, name="test")
    boxes.post("slow", 1)
    boxes.post("fast", 1)
    await asyncio.wait_for(done.wait(), 5)
    gate.set()
    assert await boxes.join(5)


async def test_a_poisoned_message_does_not_stop_those_behind_it() -> None:
    seen: list[int] = []

    async def handle(_: str, message: int) -> None:
        if message == 1:
            raise ValueError("poison")
        seen.append(message)

    boxes = Mailboxes(handle, name="test")
    for number in range(3):
        boxes.post("a", number)
    assert await boxes.join(5)
    assert seen == [0, 2]


async def test_a_message_posted_while_handling_is_handled_after_it() -> None:
    seen: list[str] = []

    async def handle(_: str, message: str) -> None:
        seen.append(message)
        if message == "first":
            boxes.post("a", "outcome")

    boxes: Mailboxes[str, str] = Mailboxes(handle, name="test")
    boxes.post("a", "first")
    boxes.post("a", "second")
    assert await boxes.join(5)
    assert seen == ["first", "second", "outcome"]
