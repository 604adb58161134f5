"""NautilusTrader's own Interactive Brokers adapters, unchanged, with the stock ibapi, in a bare TradingNode, on the gateway."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal

from tests.integration.exchanges.ib_node import CLIENTS
from tests.integration.exchanges.ib_running import Gateway, gateway_process
from tests.integration.exchanges.running import CHECKOUT, DEADLINE_S, until
from tests.integration.exchanges.test_stock_adapter import Node


@asynccontextmanager
async def node_on(gateway: Gateway) -> AsyncIterator[Node]:
    """A node that trades on `gateway`, killed at the end if it still runs."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.integration.exchanges.ib_node", str(gateway.port),
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


async def pinned(gateway: Gateway) -> None:
    await gateway.control("touch", symbol="AAPL", bid="189.90", ask="190.10")


async def accepted(gateway: Gateway, node: Node, id: str) -> None:
    """Waits until an order is accepted, by the node's word and the ledger's."""
    await node.event("OrderAccepted", id)
    assert (await gateway.order(id))["status"] in ("Submitted", "PreSubmitted")


async def test_data_orders_and_fills_are_what_the_ledger_says() -> None:
    async with gateway_process() as gateway:
        await pinned(gateway)
        async with node_on(gateway) as node:
            started = await node.event("started")
            assert started["instruments"] == ["AAPL.NASDAQ", "EUR/USD.IDEALPRO"]
            quote = await node.event("quote AAPL")
            assert (quote["bid"], quote["ask"]) == ("189.90", "190.10")
            await node.event("quote EUR/USD")
            await node.event("history")
            node.do("market", side="BUY", qty="10", id="M-1")
            await node.event("OrderFilled", "M-1")
            await node.event("trade")
            await node.event("bar")
            await _trade_each_kind(gateway, node)
            await _compare(gateway, node)
            await node.end()
        assert (await gateway.control("connections"))["clients"] == []


async def _trade_each_kind(gateway: Gateway, node: Node) -> None:
    """A limit order that is modified, filled in parts and cancelled; a stop, a trailing stop, a bracket, a currency."""
    node.do("limit", side="BUY", qty="10", id="L-1", price="180.00")
    await accepted(gateway, node, "L-1")
    node.do("modify", id="L-1", qty="20", price="181.00")
    await node.event("OrderUpdated", "L-1", 2)
    for count in (1, 2):
        await gateway.control("fill", ref="L-1", qty="3")
        await node.event("OrderFilled", "L-1", count)
    node.do("cancel", id="L-1")
    await node.event("OrderCanceled", "L-1")
    node.do("stop", side="SELL", qty="4", id="S-1", trigger="185.00")
    node.do("trail", side="SELL", qty="2", id="T-1", offset="6.00")
    await accepted(gateway, node, "S-1")
    await accepted(gateway, node, "T-1")
    await gateway.control("touch", symbol="AAPL", bid="184.90", ask="185.10")
    await node.event("OrderFilled", "S-1")
    await gateway.control("touch", symbol="AAPL", bid="183.90", ask="184.10")
    await node.event("OrderFilled", "T-1")
    node.do("bracket", side="BUY", qty="5", price="184.10", stop="180.00", target="190.00")
    entry, stop, target = (await node.event("bracket"))["ids"]
    await node.event("OrderFilled", entry)
    await gateway.control("touch", symbol="AAPL", bid="190.00", ask="190.10")
    await node.event("OrderFilled", target)
    await node.event("OrderCanceled", stop)
    node.do("market", side="BUY", qty="25000", id="F-1", instrument="EUR/USD.IDEALPRO")
    await node.event("OrderFilled", "F-1")


async def _compare(gateway: Gateway, node: Node) -> None:
    """Fill by fill, and the net position."""
    told = {e["trade_id"]: (e["last_qty"], Decimal(e["last_px"])) for e in node.found("OrderFilled")}
    account = await gateway.account()
    assert told == {f["exec_id"]: (f["qty"], Decimal(f["price"])) for f in account["fills"]}
    fees = sum(Decimal(e["commission"].split()[0]) for e in node.found("OrderFilled"))
    assert fees == round(Decimal(account["fees"]), 2)
    node.do("tell")
    assert Decimal((await node.event("told"))["net"]) == await gateway.held() == 10


async def test_a_node_that_is_killed_finds_order_and_position_again() -> None:
    async with gateway_process() as gateway:
        await pinned(gateway)
        async with node_on(gateway) as node:
            await node.event("started")
            node.do("market", side="BUY", qty="10", id="M-1")
            await node.event("OrderFilled", "M-1")
            node.do("limit", side="BUY", qty="10", id="L-1", price="180.00")
            await accepted(gateway, node, "L-1")
            node.process.kill()
        await until(lambda: _alone(gateway), "the sockets of the dead node")
        await gateway.control("fill", ref="L-1", qty="4")  # while nobody is connected
        async with node_on(gateway) as node:
            started = await node.event("started")
            assert Decimal(started["net"]) == await gateway.held() == 14
            assert ["L-1", "PARTIALLY_FILLED", "4"] in started["orders"]
            # An order that never was, for the position: repairs/ib_made_up_orders.py
            assert ["AAPL.NASDAQ", "FILLED", "10"] in started["orders"]
            node.do("cancel", id="L-1")
            await node.event("OrderCanceled", "L-1")
            node.do("market", side="SELL", qty="14", id="M-2")
            await node.event("OrderFilled", "M-2")
            assert await gateway.held() == 0
            await node.end()


async def _alone(gateway: Gateway) -> bool:
    return not (await gateway.control("connections"))["clients"]


async def test_a_rejection_is_told_with_the_venues_reason_and_may_be_false() -> None:
    async with gateway_process() as gateway, node_on(gateway) as node:
        await pinned(gateway)
        await node.event("started")
        node.do("limit", side="BUY", qty="90000", id="L-1", price="189.00")
        rejected = await node.event("OrderRejected", "L-1")
        assert "MUST EXCEED THE INITIAL MARGIN" in rejected["reason"]
        assert (await gateway.order("L-1"))["status"] == "Inactive"
        await gateway.control("fault", on="placeOrder", kind="unknown", times=1)
        node.do("limit", side="BUY", qty="10", id="L-2", price="180.00")
        await node.event("OrderRejected", "L-2")
        assert (await gateway.order("L-2"))["status"] == "Submitted"
        node.process.kill()
        await asyncio.wait_for(node.process.wait(), DEADLINE_S)


async def test_a_node_comes_back_after_the_nightly_restart_and_does_not_know_what_filled_meanwhile() -> None:
    """The adapter asks for nothing when it is connected again: what filled while it was away it learns at its next start."""
    async with gateway_process() as gateway, node_on(gateway) as node:
        await pinned(gateway)
        await node.event("started")
        node.do("limit", side="BUY", qty="10", id="L-1", price="180.00")
        await accepted(gateway, node, "L-1")
        await gateway.control("down", seconds=0)
        await gateway.control("fill", ref="L-1")
        await gateway.control("up")
        await until(lambda: _both_back(gateway), "both clients")
        node.do("market", side="BUY", qty="5", id="M-1")
        await node.event("OrderFilled", "M-1")
        assert await gateway.held() == 15
        node.do("tell")
        told = await node.event("told")
        assert Decimal(told["net"]) == 5
        assert ["L-1", "ACCEPTED", "0"] in told["orders"]
        node.process.kill()


async def _both_back(gateway: Gateway) -> bool:
    clients = (await gateway.control("connections"))["clients"]
    return set(clients) == set(CLIENTS)  # one that has not said its id yet is none of them
