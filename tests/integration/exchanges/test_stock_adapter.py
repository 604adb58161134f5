"""NautilusTrader's own Binance adapters, unchanged, in a bare TradingNode, on the exchange."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.integration.exchanges.nodes import Node, node_on
from tests.integration.exchanges.running import Venue, exchange


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange("--seed", "7", "--interval", "0.1") as running:
        await running.control("touch", symbol="BTCUSDT", bid="50000.0", ask="50000.1", size="0.5")
        yield running


async def test_a_node_gets_all_data_and_trades_every_kind_of_order(venue: Venue) -> None:
    async with node_on(venue) as node:
        started = await node.event("started")
        assert (started["tick"], started["orders"], started["net"]) == ("0.1", [], "0")
        assert (await node.event("quote"))["ask"] == "50000.1"
        for kind in ("trade", "book", "mark", "history"):
            await node.event(kind)
        await venue.control("bar", symbol="BTCUSDT")
        await node.event("bar")

        node.do("market", side="BUY", qty="0.010", id="M1")
        filled = await node.event("OrderFilled", "M1")
        assert (filled["last_qty"], filled["last_px"], filled["commission"]) == (
            "0.010",
            "50000.1",
            "0.25000050 USDT",
        )

        node.do("limit", side="BUY", qty="0.004", id="L1", price="49000")
        await node.event("OrderAccepted", "L1")
        node.do("modify", id="L1", qty="0.006", price="49100")
        assert (await node.event("OrderUpdated", "L1"))["price"] == "49100.0"
        await venue.control("fill", client_id="L1", qty="0.002")
        await venue.control("fill", client_id="L1", qty="0.001")
        assert (await node.event("OrderFilled", "L1", 2))["last_qty"] == "0.001"
        node.do("cancel", id="L1")
        await node.event("OrderCanceled", "L1")

        node.do("limit", side="BUY", qty="0.010", id="P1", price="50010", post_only=True)
        assert "-5022" in (await node.event("OrderRejected", "P1"))["reason"]
        node.do("limit", side="BUY", qty="0.600", id="I1", price="50000.1", tif="IOC")
        assert (await node.event("OrderFilled", "I1"))["last_qty"] == "0.490"  # M1 took the rest
        await node.event("OrderExpired", "I1")
        node.do("limit", side="BUY", qty="90.000", id="F1", price="50000.5", tif="FOK")
        assert "-5021" in (await node.event("OrderRejected", "F1"))["reason"]
        node.do("market", side="BUY", qty="0.010", id="R1", reduce_only=True)
        assert "-2022" in (await node.event("OrderRejected", "R1"))["reason"]

        for id_ in ("B1", "B2"):
            node.do("limit", side="BUY", qty="0.010", id=id_, price="49000")
            await node.event("OrderAccepted", id_)
        node.do("cancel_several", ids=["B1", "B2"])
        for id_ in ("B1", "B2"):
            await node.event("OrderCanceled", id_)

        node.do("stop", side="SELL", qty="0.100", id="S1", trigger="49500")
        node.do("stop_limit", side="SELL", qty="0.050", id="S2", trigger="49500", price="49400")
        node.do("touched", side="SELL", qty="0.003", id="T1", trigger="50600")
        node.do("trail", side="SELL", qty="0.010", id="TS1", points=100)
        for id_ in ("S1", "S2", "T1", "TS1"):
            await node.event("OrderAccepted", id_)
        await venue.control("touch", symbol="BTCUSDT", bid="49450.0", ask="49450.1", size="5")
        for id_ in ("S1", "S2", "TS1"):
            await node.event("OrderFilled", id_)
        node.do("cancel_all")
        await node.event("OrderCanceled", "T1")

        ledger = await venue.account()
        (position,) = ledger["positions"]
        node.do("market", side="SELL", qty=position["amount"], id="C1", reduce_only=True)
        await node.event("OrderFilled", "C1")
        await node.event("PositionClosed")
        await _fills_are_equal(venue, node)
        await node.end()


async def test_the_faults_bring_out_what_the_stock_adapters_are_known_for(venue: Venue) -> None:
    """Both are NautilusTrader's: a position that nobody has after a reconnect, and a rejection of what was done."""
    async with node_on(venue) as node:
        await node.event("started")
        node.do("market", side="BUY", qty="0.010", id="G1")
        await node.event("OrderFilled", "G1")
        await venue.control("cut", which="private")
        await node.event("PositionOpened", count=2)
        assert Decimal((await venue.account())["positions"][0]["amount"]) == Decimal("0.01")

        await venue.control("fault", on="POST /fapi/v1/order", kind="unknown", times=1)
        node.do("market", side="BUY", qty="0.020", id="G2")
        assert "-1000" in (await node.event("OrderRejected", "G2"))["reason"]
        assert ((await venue.order("G2")) or {})["status"] == "FILLED"


async def _fills_are_equal(venue: Venue, node: Node) -> None:
    """The exchange's own ledger, trade by trade, against what the node was told."""
    account = await venue.account()
    ids = {order["orderId"]: order["clientOrderId"] for order in account["orders"]}
    want = {
        str(fill["id"]): (
            ids[fill["orderId"]],
            Decimal(fill["qty"]),
            Decimal(fill["price"]),
            Decimal(fill["commission"]),
        )
        for fill in account["fills"]
    }
    have = {
        event["trade_id"]: (
            event["id"],
            Decimal(event["last_qty"]),
            Decimal(event["last_px"]),
            Decimal(event["commission"].split()[0]),
        )
        for event in node.found("OrderFilled")
    }
    assert have == want
    assert account["positions"] == []


async def test_a_node_that_was_killed_finds_its_orders_and_its_position_again(venue: Venue) -> None:
    async with node_on(venue) as node:
        await node.event("started")
        node.do("market", side="BUY", qty="0.020", id="K1")
        node.do("limit", side="BUY", qty="0.030", id="K2", price="49000")
        node.do("stop", side="SELL", qty="0.020", id="K3", trigger="48000")
        await node.event("OrderFilled", "K1")
        for id_ in ("K2", "K3"):
            await node.event("OrderAccepted", id_)
        node.process.kill()
    await venue.control("fill", client_id="K2", qty="0.010")
    async with node_on(venue) as node:
        started = await node.event("started")
        open_orders = {row[0]: row[1:] for row in started["orders"]}
        assert open_orders["K2"] == ["PARTIALLY_FILLED", "0.010"]
        assert open_orders["K3"][0] == "ACCEPTED"
        assert started["net"] == "0.03"
        await venue.control("fill", client_id="K2")
        await node.event("OrderFilled", "K2")
        node.do("market", side="SELL", qty="0.050", id="K4", reduce_only=True)
        await node.event("OrderFilled", "K4")
        node.do("cancel_all")
        await node.event("OrderCanceled", "K3")
        account = await venue.account()
        assert account["positions"] == []
        assert [
            o["clientOrderId"] for o in account["orders"] if o["status"] in ("NEW", "PARTIALLY_FILLED")
        ] == []
        await node.end()
