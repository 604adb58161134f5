"""The stock package still has what our repairs mend. A version that mends it itself fails here: then the repair goes."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.integration.exchanges.running import Venue, exchange
from tests.integration.exchanges.test_stock_adapter import node_on


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange("--seed", "7", "--interval", "0.1") as running:
        yield running


async def test_a_reconnect_invents_a_position_of_the_opposite_sign_on_the_stock_adapter(venue: Venue) -> None:
    """repairs/binance_symbols.py"""
    async with node_on(venue) as node:
        await node.event("quote")
        node.do("market", side="BUY", qty="0.010", id="M1")
        await node.event("OrderFilled", "M1")
        await venue.control("cut", which="private")
        async with asyncio.timeout(30):
            while not any(each.get("net") == "0" for each in node.found("PositionOpened")):
                await asyncio.sleep(0.05)
        (position,) = (await venue.account())["positions"]
        assert position["amount"] == "0.010"
        await node.end()
