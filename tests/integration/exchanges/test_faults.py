"""Each fault does what it says: by the exchange's ledger, and by a client that speaks the protocol by itself."""

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.exchanges.running import Venue, exchange, exchange_here, until

ORDER = "/fapi/v1/order"
BUY = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.01", "positionSide": "BOTH"}


@pytest.fixture
async def venue() -> AsyncIterator[Venue]:
    async with exchange_here() as running:
        await running.control("touch", symbol="BTCUSDT", bid="50000.0", ask="50000.1", size="5")
        yield running


async def resting(venue: Venue, client_id: str, **params: object) -> Any:
    """An order that waits."""
    asked = {**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": "49000", "newClientOrderId": client_id}
    return await venue.ask("POST", ORDER, **{**asked, **params})


async def fills(venue: Venue) -> list[Any]:
    return (await venue.account())["fills"]


@pytest.mark.parametrize(
    ("kind", "done"),
    [("refuse", False), ("hang", False), ("lost", True), ("silent", True)],
)
async def test_a_request_without_an_answer_was_done_or_not_as_the_ledger_says(
    venue: Venue, kind: str, done: bool
) -> None:
    await venue.control("fault", on=f"POST {ORDER}", kind=kind, times=1, seconds=0.2)
    with pytest.raises(aiohttp.ClientError):
        await venue.request("POST", ORDER, **BUY)
    assert len(await fills(venue)) == int(done)
    record = (await venue.control("requests"))[-1]
    assert (record["fault"], record["status"]) == (kind, 200 if done else 0)
    await venue.ask("POST", ORDER, **BUY)
    assert len(await fills(venue)) == int(done) + 1


async def test_a_rejection_is_one_and_an_unknown_state_was_done(venue: Venue) -> None:
    refusal = {"status": 400, "code": -2010, "msg": "NEW_ORDER_REJECTED"}
    await venue.control("fault", on=f"POST {ORDER}", kind="reject", times=1, **refusal)
    assert await venue.request("POST", ORDER, **BUY) == (400, {"code": -2010, "msg": "NEW_ORDER_REJECTED"})
    assert await fills(venue) == []
    await venue.control("fault", on=f"POST {ORDER}", kind="unknown", times=1)
    status, body = await venue.request("POST", ORDER, **BUY)
    assert (status, body["code"], len(await fills(venue))) == (503, -1000, 1)


async def test_a_slow_answer_is_of_what_was_done_at_once_and_a_late_one_of_what_was_done_then(
    venue: Venue,
) -> None:
    for kind, done_late in (("slow", False), ("late", True)):
        await venue.control("fault", on=ORDER, kind=kind, times=1, seconds=0.5)
        asked_ms = time.time() * 1000
        assert (await venue.request("POST", ORDER, **BUY))[0] == 200
        answered_ms, done_ms = time.time() * 1000, (await fills(venue))[-1]["time"]
        assert (done_ms - asked_ms if done_late else answered_ms - done_ms) >= 490


async def test_the_stream_says_all_of_an_order_and_a_mute_one_nothing(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="A")
        assert (await heard.order("NEW", "A"))["X"] == "NEW"
        assert (await heard.order("TRADE", "A"))["n"] == "0.25000050"
        await venue.control("stream", mute=True)
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="B")
        await venue.control("stream", mute=False)
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="C")
        await heard.order("TRADE", "C")
        assert "B" not in {event["o"]["c"] for event in heard.events if "o" in event}
        assert len(await fills(venue)) == 3


async def test_events_come_twice_or_the_wrong_way_round(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.control("stream", duplicate=True)
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="A")
        first, second = await heard.order("TRADE", "A"), await heard.order("TRADE", "A")
        assert first == second
        await venue.control("stream", duplicate=False, swap=True)
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="B")
        await heard.order("NEW", "B")
        said = [event["o"]["x"] for event in heard.events if event.get("o", {}).get("c") == "B"]
        assert said == ["TRADE", "NEW"]
        assert len(await fills(venue)) == 2


async def test_fills_in_parts_and_after_a_cancel(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.control("conduct", parts=2, fill_after_cancel=1)
        await venue.ask("POST", ORDER, **BUY, newClientOrderId="A")
        assert [(await heard.order("TRADE", "A"))["X"] for _ in range(2)] == ["PARTIALLY_FILLED", "FILLED"]
        await resting(venue, "B")
        cancelled = await venue.ask("DELETE", ORDER, symbol="BTCUSDT", origClientOrderId="B")
        await heard.order("CANCELED", "B")
        assert (await heard.order("TRADE", "B"))["X"] == "FILLED"
        assert cancelled["executedQty"] == "0.010"
        assert Decimal((await venue.account())["positions"][0]["amount"]) == Decimal("0.02")


async def test_fills_are_held_back_until_they_are_released(venue: Venue) -> None:
    await venue.control("conduct", hold_fills=True)
    assert (await venue.ask("POST", ORDER, **BUY))["status"] == "NEW"
    await venue.control("release")
    assert len(await fills(venue)) == 1
    for verb, body in (("clear", {}), ("conduct", {"hold_fills": False})):
        await venue.control("conduct", hold_fills=True)
        held = await venue.ask("POST", ORDER, **BUY)
        await venue.control(verb, **body)
        assert (await venue.ask("GET", ORDER, symbol="BTCUSDT", orderId=held["orderId"]))[
            "status"
        ] == "FILLED"


async def test_a_stream_that_is_cut_misses_what_happens_meanwhile(venue: Venue) -> None:
    async with venue.private() as heard, venue.market("btcusdt@bookTicker") as market:
        await resting(venue, "A")
        await heard.order("NEW", "A")
        assert await venue.control("cut", which="private") == {"cut": 1}
        assert await heard.ended()
        await venue.control("fill", client_id="A", qty="0.004")
        await market.next()  # the other sort of socket lives on
    async with venue.private() as heard:
        await venue.control("fill", client_id="A")
        assert (await heard.order("TRADE", "A"))["z"] == "0.010"
        assert [fill["qty"] for fill in await fills(venue)] == ["0.004", "0.006"]


async def test_a_half_open_socket_answers_no_ping_and_says_nothing(venue: Venue) -> None:
    async with venue.private() as heard:
        await heard.socket.ping()
        await venue.control("half_open", which="private")
        await venue.ask("POST", ORDER, **BUY)
        await heard.socket.ping()
        with pytest.raises(TimeoutError):
            await heard.socket.receive(0.5)
        assert not heard.socket.closed
        assert await venue.control("connections") == {"market": 0, "private": 1}


async def test_a_listen_key_that_expires_is_said_and_the_stream_ends(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.control("expire_listen_key")
        await heard.next(lambda event: event["e"] == "listenKeyExpired")
        assert await heard.ended()
    with pytest.raises(aiohttp.WSServerHandshakeError):
        await venue.session.ws_connect(f"{venue.ws}/ws?listenKey=old")


async def test_while_it_is_down_connections_are_refused_and_the_control_goes_on(venue: Venue) -> None:
    async with venue.private() as heard:
        await resting(venue, "A")
        await venue.control("down")
        assert await heard.ended()
        with pytest.raises(aiohttp.ClientConnectorError):
            await venue.request("GET", "/fapi/v1/ping")
        await venue.control("fill", client_id="A")
        await venue.control("up")
        assert (await venue.ask("GET", ORDER, symbol="BTCUSDT", origClientOrderId="A"))["status"] == "FILLED"
    await venue.control("down", seconds=0.2)
    await until(lambda: _answers(venue), "up again")


async def _answers(venue: Venue) -> bool:
    try:
        return (await venue.request("GET", "/fapi/v1/ping"))[0] == 200
    except aiohttp.ClientError:
        return False


async def test_maintenance_refuses_requests_and_ends(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.control("maintenance")
        assert await heard.ended()
    assert await venue.request("POST", ORDER, **BUY) == (
        503,
        {"code": -1016, "msg": "This service is no longer available."},
    )
    await venue.control("clear")
    await venue.control("maintenance", seconds=0.2)
    await until(lambda: _answers(venue), "the end of the maintenance")
    await venue.control("maintenance", seconds=0.1)
    await venue.control("maintenance")  # the end of the one before does not count any more
    with pytest.raises(AssertionError, match="not within"):
        await until(lambda: _answers(venue), "an end", deadline_s=0.3)
    assert await fills(venue) == []


async def test_a_ban_and_limits_are_answered_with_when_to_come_back(venue: Venue) -> None:
    await venue.control("ban", seconds=30)
    async with venue.session.get(f"{venue.http}/fapi/v1/ping") as response:
        assert response.status == 418
        assert 20 < int(response.headers["Retry-After"]) <= 30
    await venue.control("clear")
    await venue.control("limits", weight=0)
    async with venue.session.get(f"{venue.http}/fapi/v1/ping") as response:
        assert (response.status, (await response.json())["code"]) == (429, -1003)
        assert 0 < int(response.headers["Retry-After"]) <= 60


async def test_a_clock_that_is_wrong_refuses_signed_requests(venue: Venue) -> None:
    await venue.control("skew", ms=60_000)
    assert await venue.code("GET", "/fapi/v2/account") == -1021
    assert (await venue.ask("GET", "/fapi/v1/time"))["serverTime"] > time.time() * 1000 + 50_000
    await venue.control("skew", ms=-60_000)
    assert await venue.code("GET", "/fapi/v2/account") == -1021
    assert (await venue.ask("GET", "/fapi/v1/time"))["serverTime"] < time.time() * 1000 - 50_000
    await venue.control("clear")
    await venue.ask("GET", "/fapi/v2/account")


async def test_a_halt_a_delisting_and_another_tick(venue: Venue) -> None:
    await venue.control("status", symbol="BTCUSDT", status="TRADING_HALT")
    assert await venue.code("POST", ORDER, **BUY) == -4140
    await venue.control("status", symbol="BTCUSDT", status="TRADING")
    await resting(venue, "before", price="48999.5")
    await venue.control("tick", symbol="BTCUSDT", tick="1")
    assert ((await venue.order("before")) or {})["price"] == "48999.5"
    info = await venue.ask("GET", "/fapi/v1/exchangeInfo")
    assert info["symbols"][0]["filters"][0]["tickSize"] == "1"
    assert (
        await venue.code("POST", ORDER, **{**BUY, "type": "LIMIT", "timeInForce": "GTC", "price": "49000.5"})
        == -4014
    )
    await venue.ask("POST", ORDER, **BUY)
    await resting(venue, "A")
    await venue.control("delist", symbol="BTCUSDT")
    assert (await venue.account())["positions"] == []
    assert ((await venue.order("A")) or {})["status"] == "CANCELED"
    assert await venue.code("POST", ORDER, **BUY) == -4141


async def test_orders_and_positions_by_hand_are_the_accounts(venue: Venue) -> None:
    async with venue.private() as heard:
        await venue.control(
            "place", order={"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.5"}
        )
        by_hand = await heard.next(
            lambda event: event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "TRADE"
        )
        assert by_hand["o"]["c"].startswith("web_")
        await venue.control("hand_position", symbol="BTCUSDT", qty="0.7", price="40000", age_days=30)
        (row,) = await venue.ask("GET", "/fapi/v3/positionRisk")
        assert row["positionAmt"] == "0.200"
        trades = await venue.ask("GET", "/fapi/v1/userTrades", symbol="BTCUSDT")
        assert [trade["qty"] for trade in trades] == ["0.500"]
        await venue.control("transfer", amount="-100")
        await heard.next(lambda event: event["e"] == "ACCOUNT_UPDATE" and event["a"]["m"] == "WITHDRAW")
        await venue.control("liquidate")
        await heard.next(lambda event: event["e"] == "ORDER_TRADE_UPDATE" and event["o"]["x"] == "CALCULATED")
        assert (await venue.account())["positions"] == []


async def test_the_control_refuses_what_it_cannot_do_by_name(venue: Venue) -> None:
    assert "no verb 'burn'" in await venue.refused("burn")
    assert "unknown field `colour`" in await venue.refused("clear", colour="red")
    assert "$.kind" in await venue.refused("fault", on="*", kind="sneeze")
    assert "'NOSUCH'" in await venue.refused("touch", symbol="NOSUCH", bid="1", ask="2")
    assert "not below" in await venue.refused("touch", symbol="BTCUSDT", bid="2", ask="1")
    assert "which" in await venue.refused("cut", which="some")
    assert "price: NaN" in await venue.refused("hand_position", symbol="BTCUSDT", qty="1", price="NaN")
    assert "above 0" in await venue.refused("touch", symbol="BTCUSDT", bid="1", ask="2", size="0")
    assert "'2s'" in await venue.refused("bar", symbol="BTCUSDT", interval="2s")
    assert "$.status" in await venue.refused("status", symbol="BTCUSDT", status="ASLEEP")
    assert "$.status" in await venue.refused("fault", on="*", kind="reject", status=200)
    assert "'nobody'" in await venue.refused("transfer", amount="1", account="nobody")
    assert "'A'" in await venue.refused("fill", client_id="A")
    await resting(venue, "A")
    assert "left to fill" in await venue.refused("fill", client_id="A", qty="7")
    assert "-2022" in await venue.refused("place", order={**BUY, "reduceOnly": "true"})


async def test_all_market_streams_are_heard(venue: Venue) -> None:
    streams = [
        f"btcusdt@{name}"
        for name in (
            "aggTrade",
            "trade",
            "bookTicker",
            "depth@0ms",
            "depth5@100ms",
            "kline_1m",
            "markPrice@1s",
        )
    ]
    async with venue.market(streams[0]) as heard:
        await heard.socket.send_json({"method": "SUBSCRIBE", "params": streams[1:], "id": 1})
        await heard.next(lambda message: message.get("id") == 1)
        await venue.control("follow", symbol="BTCUSDT")
        missing = set(streams)
        while missing:
            missing.discard((await heard.next()).get("stream"))
        await heard.socket.send_str("{")
        await heard.next(lambda message: "error" in message)
        await heard.socket.send_json({"method": "DANCE", "id": 2})
        assert "DANCE" in (await heard.next(lambda message: message.get("id") == 2))["error"]["msg"]


async def test_a_schedule_is_done_in_its_time_and_one_that_cannot_be_is_refused(tmp_path: Path) -> None:
    plan = [
        {
            "at": 0.3,
            "do": "fault",
            "body": {"on": "GET /fapi/v1/ping", "kind": "reject", "status": 418, "times": 1},
        },
        {"at": 0.0, "do": "touch", "body": {"symbol": "ETHUSDT", "bid": "2000", "ask": "2001"}},
    ]
    file = tmp_path / "plan.json"
    file.write_text(json.dumps(plan))
    async with exchange("--faults", str(file)) as venue:
        await until(lambda: _is_at(venue, "2000.00"), "the touch")
        await until(lambda: _status_is(venue, 418), "the fault")
    file.write_text('[{"at": 0, "do": "sneeze"}]')
    bad = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "exchanges.binance",
        "--port",
        "0",
        "--faults",
        str(file),
        stderr=asyncio.subprocess.PIPE,
    )
    _, error = await asyncio.wait_for(bad.communicate(), 30)
    assert (bad.returncode, b"line 1 of the schedule: no verb 'sneeze'" in error) == (2, True), error


async def _is_at(venue: Venue, bid: str) -> bool:
    return (await venue.ask("GET", "/fapi/v1/ticker/bookTicker", symbol="ETHUSDT"))["bidPrice"] == bid


async def _status_is(venue: Venue, status: int) -> bool:
    return (await venue.request("GET", "/fapi/v1/ping"))[0] == status


async def test_an_exchange_that_is_killed_and_started_again_is_where_it_was(tmp_path: Path) -> None:
    file = tmp_path / "state.json"
    async with exchange("--state", str(file), "--interval", "0.05") as venue:
        await venue.ask("POST", ORDER, **BUY)
        await resting(venue, "A", price="47600")
        await venue.ask("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED")
        before = await venue.account()
        assert venue.process is not None
        venue.process.kill()
    async with exchange("--state", str(file), "--interval", "0.05") as venue:
        after = await venue.account()
        assert {name: after[name] for name in ("orders", "fills", "wallet", "deposits")} == {
            name: before[name] for name in ("orders", "fills", "wallet", "deposits")
        }
        assert (
            await venue.code("POST", "/fapi/v1/marginType", symbol="ETHUSDT", marginType="ISOLATED") == -4046
        )
        await venue.control("touch", symbol="BTCUSDT", bid="47500", ask="47500.1")
        assert ((await venue.order("A")) or {})["status"] == "FILLED"
        assert len({fill["id"] for fill in await fills(venue)}) == 2
    assert file.stat().st_mode & 0o777 == 0o600
