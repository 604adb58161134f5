"""NautilusTrader's own OKX adapters, unchanged, in a bare TradingNode, on the exchange."""

from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.integration.exchanges.nodes import Node, node_on
from tests.integration.exchanges.okx_running import SWAP, OkxVenue
from tests.integration.exchanges.running import exchange, until


@pytest.fixture
async def venue() -> AsyncIterator[OkxVenue]:
    async with exchange(
        "--seed", "7", "--interval", "0.1", module="exchanges.okx", venue=OkxVenue
    ) as running:
        await running.control("touch", instrument=SWAP, bid="50000.0", ask="50000.1", size="50")
        yield running


async def test_a_node_gets_all_data_and_trades_every_kind_of_order(venue: OkxVenue) -> None:
    async with node_on(venue, "okx_node") as node:
        started = await node.event("started")
        assert (started["tick"], started["orders"], started["net"]) == ("0.1", [], "0")
        assert (await node.event("quote"))["ask"] == "50000.1"
        for kind in ("trade", "book", "mark", "index", "funding", "history"):
            await node.event(kind)
        await venue.control("bar", instrument=SWAP)
        await node.event("bar")

        node.do("market", side="BUY", qty="1", id="M1")
        filled = await node.event("OrderFilled", "M1")
        assert (filled["last_qty"], filled["last_px"], filled["commission"]) == (
            "1.00",
            "50000.1",
            "0.25000050 USDT",
        )

        node.do("limit", side="BUY", qty="4", id="L1", price="49000")
        await node.event("OrderAccepted", "L1")
        node.do("modify", id="L1", qty="6", price="49100")
        assert (await node.event("OrderUpdated", "L1"))["price"] == "49100.0"
        await venue.control("fill", client_id="L1", qty="2")
        await venue.control("fill", client_id="L1", qty="1")
        assert (await node.event("OrderFilled", "L1", 2))["last_qty"] == "1.00"
        node.do("cancel", id="L1")
        await node.event("OrderCanceled", "L1")

        node.do("limit", side="BUY", qty="1", id="P1", price="50010", post_only=True)
        await until(lambda: node.found("OrderCanceled", "P1") or node.found("OrderRejected", "P1"), "P1")
        assert ((await venue.order("P1")) or {})["cancelSource"] == "31"
        node.do("limit", side="BUY", qty="60", id="I1", price="50000.1", tif="IOC")
        assert (await node.event("OrderFilled", "I1"))["last_qty"] == "49.00"  # M1 took the rest
        await node.event("OrderCanceled", "I1")
        node.do("limit", side="BUY", qty="1500", id="F1", price="50000.5", tif="FOK")
        await node.event("OrderCanceled", "F1")
        node.do("limit", side="BUY", qty="2500", id="O1", price="50000.5")
        assert "Insufficient USDT margin" in (await node.event("OrderRejected", "O1"))["reason"]

        for id_ in ("B1", "B2"):
            node.do("limit", side="BUY", qty="1", id=id_, price="49000")
            await node.event("OrderAccepted", id_)
        node.do("cancel_several", ids=["B1", "B2"])
        for id_ in ("B1", "B2"):
            await node.event("OrderCanceled", id_)

        node.do("stop", side="SELL", qty="10", id="S1", trigger="49500")
        node.do("stop_limit", side="SELL", qty="5", id="S2", trigger="49500", price="49400")
        node.do("touched", side="SELL", qty="0.3", id="T1", trigger="50600")
        node.do("trail", side="SELL", qty="1", id="TS1", points=100)
        for id_ in ("S1", "S2", "T1", "TS1"):
            await node.event("OrderAccepted", id_)
        await venue.control("touch", instrument=SWAP, bid="49450.0", ask="49450.1", size="500")
        for id_ in ("S1", "S2", "TS1"):
            await node.event("OrderFilled", id_)
        node.do("cancel_all")
        await node.event("OrderCanceled", "T1")

        (position,) = (await venue.account())["positions"]
        node.do("market", side="SELL", qty=position["amount"], id="C1", reduce_only=True)
        await node.event("OrderFilled", "C1")
        await node.event("PositionClosed")
        await _fills_are_equal(venue, node)
        await node.end()


async def _fills_are_equal(venue: OkxVenue, node: Node) -> None:
    """The exchange's own ledger, trade by trade, against what the node was told. A triggered order has its conditional one's id."""
    account = await venue.account()
    ids = {order["ordId"]: order["clOrdId"] or order["algoClOrdId"] for order in account["orders"]}
    want = {
        fill["tradeId"]: (
            ids[fill["ordId"]],
            Decimal(fill["fillSz"]),
            Decimal(fill["fillPx"]),
            -Decimal(fill["fee"]),
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


async def test_a_node_that_was_killed_finds_its_orders_and_its_position_again(venue: OkxVenue) -> None:
    async with node_on(venue, "okx_node") as node:
        await node.event("started")
        node.do("market", side="BUY", qty="2", id="K1")
        node.do("limit", side="BUY", qty="3", id="K2", price="49000")
        node.do("stop", side="SELL", qty="2", id="K3", trigger="48000")
        await node.event("OrderFilled", "K1")
        for id_ in ("K2", "K3"):
            await node.event("OrderAccepted", id_)
        node.process.kill()
    await venue.control("fill", client_id="K2", qty="1")
    async with node_on(venue, "okx_node") as node:
        started = await node.event("started")
        open_orders = {row[0]: row[1:] for row in started["orders"]}
        assert open_orders["K2"] == ["PARTIALLY_FILLED", "1.00"]
        assert started["net"] == "3"
        await venue.control("fill", client_id="K2")
        # The fee of both fills: repairs/okx_fees.py. The one of this fill would be 0.196.
        assert (await node.event("OrderFilled", "K2"))["commission"] == "0.29400000 USDT"
        node.do("market", side="SELL", qty="5", id="K4", reduce_only=True)
        await node.event("OrderFilled", "K4")
        account = await venue.account()
        assert account["positions"] == []
        assert [o["algoClOrdId"] for o in account["algo_orders"] if o["state"] == "live"] == ["K3"]
        await node.end()


async def test_the_faults_bring_out_what_the_stock_adapter_is_known_for(venue: OkxVenue) -> None:
    """All are NautilusTrader's: conditional orders that it does not ask for, fills of a gap that it never hears of, a rejection of what was done, a flag that it does not send, ids that the venue refuses."""
    async with node_on(venue, "okx_node") as node:
        await node.event("started")
        asked = {record["path"] for record in await venue.control("requests")}
        assert "/trade/orders-pending" in asked
        assert "/trade/orders-algo-pending" not in asked

        node.do("market", side="BUY", qty="1", id="G1", reduce_only=True)
        assert (await node.event("OrderFilled", "G1"))["net"] == "0"
        assert ((await venue.order("G1")) or {})["reduceOnly"] == "false"
        assert [p["amount"] for p in (await venue.account())["positions"]] == ["1"]

        node.do("limit", side="BUY", qty="1", id="H-1", price="49000")
        assert "clOrdId" in (await node.event("OrderRejected", "H-1"))["reason"]

        await venue.control("fault", on="WS order", kind="unknown", times=1)
        node.do("market", side="BUY", qty="1", id="G2")
        await node.event("OrderRejected", "G2")
        assert ((await venue.order("G2")) or {})["state"] == "filled"

        node.do("limit", side="BUY", qty="1", id="G3", price="49000")
        await node.event("OrderAccepted", "G3")
        before = await venue.control("connections")
        await venue.control("down")
        await venue.control("fill", client_id="G3")
        await venue.control("up")
        await until(lambda: _connected_as(venue, before), "the sockets")
        node.do("market", side="BUY", qty="1", id="G4")
        await node.event("OrderFilled", "G4")
        assert not node.found("OrderFilled", "G3")
        assert ((await venue.order("G3")) or {})["state"] == "filled"


async def _connected_as(venue: OkxVenue, before: dict[str, int]) -> bool:
    return bool(await venue.control("connections") == before)
