"""Each fault of the OKX exchange does what it says: by its ledger, and by a client that speaks the protocol by itself."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.integration.exchanges.okx_running import SWAP, OkxVenue, exchange_here
from tests.integration.exchanges.running import exchange, until

REST_ORDER = {"instId": SWAP, "tdMode": "cross", "side": "buy", "ordType": "market", "sz": "1"}
RESTING = {"ordType": "limit", "px": "49000"}


@pytest.fixture
async def venue() -> AsyncIterator[OkxVenue]:
    async with exchange_here() as running:
        yield running


async def fills(venue: OkxVenue) -> list[Any]:
    return (await venue.account())["fills"]


async def test_rest_and_the_private_socket_take_orders_and_the_ledger_has_them(venue: OkxVenue) -> None:
    async with venue.trading() as socket:
        assert (await socket.place("A1", ordType="market"))["sCode"] == "0"
        filled = await socket.order("A1", "filled")
        assert (filled["fillSz"], filled["fillPx"], filled["fee"]) == ("1", "50000.1", "-0.2500005")
        (row,) = await venue.ask("POST", "/trade/order", **{**REST_ORDER, "clOrdId": "A2"})
        assert (await socket.order("A2", "filled"))["ordId"] == row["ordId"]
        assert (await socket.place("A3", **RESTING))["sCode"] == "0"
        changed = await socket.operate(
            "amend-order", {"instIdCode": 10459, "clOrdId": "A3", "newPx": "49100", "newSz": "2"}
        )
        assert changed["code"] == "0"
        await venue.control("fill", client_id="A3", qty="0.5")
        assert (await socket.order("A3", "partially_filled"))["accFillSz"] == "0.5"
        both = await socket.operate(
            "batch-cancel-orders",
            {"instIdCode": 10459, "clOrdId": "A3"},
            {"instIdCode": 10459, "clOrdId": "no"},
        )
        assert (both["code"], [row["sCode"] for row in both["data"]]) == ("2", ["0", "51400"])
    account = await venue.account()
    assert [(p["instrument"], p["amount"]) for p in account["positions"]] == [(SWAP, "2.5")]
    parts = [Decimal(account[name]) for name in ("deposits", "realized", "fees", "funding")]
    assert Decimal(account["wallet"]) == parts[0] + parts[1] - parts[2] + parts[3]
    assert [(p["pos"], p["posSide"]) for p in await venue.ask("GET", "/account/positions")] == [
        ("2.5", "net")
    ]
    assert {f["clOrdId"] for f in await venue.ask("GET", "/trade/fills")} == {"A1", "A2", "A3"}


@pytest.mark.parametrize(
    ("kind", "done"), [("refuse", False), ("hang", False), ("lost", True), ("silent", True)]
)
async def test_an_order_without_an_answer_was_done_or_not_as_the_ledger_says(
    venue: OkxVenue, kind: str, done: bool
) -> None:
    await venue.control("fault", on="POST /api/v5/trade/order", kind=kind, times=1, seconds=0.2)
    with pytest.raises(aiohttp.ClientError):
        await venue.request("POST", "/trade/order", **REST_ORDER)
    assert len(await fills(venue)) == int(done)
    async with venue.trading() as socket:
        await venue.control("fault", on="WS order", kind=kind, times=1, seconds=0.2)
        await socket.send(id="x", op="order", args=[{**REST_ORDER, "instIdCode": 10459, "clOrdId": "W1"}])
        assert await socket.ended()
        assert not [message for message in socket.heard if message.get("op") == "order"]
    assert len(await fills(venue)) == 2 * int(done)
    record = (await venue.control("requests"))[-1]
    assert (record["method"], record["path"], record["fault"]) == ("WS", "order", kind)


async def test_a_rejection_is_one_and_an_unknown_state_was_done(venue: OkxVenue) -> None:
    async with venue.trading() as socket:
        await venue.control("fault", on="WS order", kind="reject", times=1, code=51008, msg="No margin")
        row = await socket.place("R1", ordType="market")
        assert (row["sCode"], row["sMsg"], await fills(venue)) == ("51008", "No margin", [])
        await venue.control("fault", on="WS order", kind="unknown", times=1)
        assert (await socket.place("R2", ordType="market"))["sCode"] == "50001"
        await socket.order("R2", "filled")
    await venue.control("fault", on="/api/v5/trade/order", kind="unknown", times=1)
    status, body = await venue.request("POST", "/trade/order", **REST_ORDER)
    assert (status, body["code"], len(await fills(venue))) == (503, "50001", 2)


async def test_a_slow_answer_is_of_what_was_done_at_once_and_a_late_one_of_what_was_done_then(
    venue: OkxVenue,
) -> None:
    async with venue.trading() as socket:
        for kind, at_once in (("slow", 1), ("late", 0)):
            before = len(await fills(venue))
            await venue.control("fault", on="WS order", kind=kind, times=1, seconds=0.5)
            async with asyncio.TaskGroup() as tasks:
                asked, start = tasks.create_task(socket.place(kind, ordType="market")), time.monotonic()
                if at_once:
                    await until(lambda before=before: _more(venue, before), "the order")
                assert len(await fills(venue)) - before == at_once
            assert asked.result()["sCode"] == "0"
            assert time.monotonic() - start >= 0.5
            assert len(await fills(venue)) - before == 1


async def _more(venue: OkxVenue, before: int) -> bool:
    return len(await fills(venue)) > before


async def test_what_the_matching_engine_does_wrong_is_in_the_ledger(venue: OkxVenue) -> None:
    async with venue.trading() as socket:
        await venue.control("conduct", parts=3)
        await socket.place("P1", ordType="market")
        await socket.order("P1", "filled")
        assert [fill["fillSz"] for fill in await fills(venue)] == ["0.33", "0.33", "0.34"]
        await venue.control("conduct", hold_fills=True, parts=1)
        await socket.place("P2", ordType="market")
        await socket.order("P2", "live")
        assert ((await venue.order("P2")) or {})["state"] == "live"
        await venue.control("release")
        await socket.order("P2", "filled")
        await venue.control("conduct", fill_after_cancel=1)
        await socket.place("P3", **RESTING)
        await socket.send(id="c", op="cancel-order", args=[{"instIdCode": 10459, "clOrdId": "P3"}])
        await socket.order("P3", "canceled")
        await socket.order("P3", "filled")
        assert ((await venue.order("P3")) or {})["state"] == "filled"


async def test_private_events_are_lost_doubled_and_swapped(venue: OkxVenue) -> None:
    async with venue.trading() as socket:
        await venue.control("stream", mute=True)
        await socket.place("S1", ordType="market")
        await venue.control("stream", mute=False, duplicate=True)
        await socket.place("S2", **RESTING)
        assert (await socket.order("S2", "live")) == (await socket.order("S2", "live"))
        await venue.control("stream", duplicate=False, swap=True)
        await socket.place("S3", ordType="market")
        await socket.order("S3", "live")
        heard = [m["data"][0]["clOrdId"] + m["data"][0]["state"] for m in socket.heard if m.get("data")
                 and "arg" in m]  # fmt: skip
        assert heard[-2:] == ["S3filled", "S3live"]
        assert not [one for one in heard if one.startswith("S1")]
    assert [fill["clOrdId"] for fill in await fills(venue)] == ["S1", "S3"]


async def test_sockets_are_cut_or_stand_dead_and_others_are_not_touched(venue: OkxVenue) -> None:
    async with venue.socket("public") as public, venue.trading() as private:
        await venue.control("half_open", which="private")
        await venue.control("place", order={**REST_ORDER, "clOrdId": "D1"})
        await private.send(op="subscribe", args=[{"channel": "account"}])
        assert (await public.subscribe("trades", instId=SWAP))["event"] == "subscribe"
        await public.next(lambda m: m.get("data"))
        counts = await venue.control("connections")
        assert counts == {"public": 1, "private": 1, "business": 0, "channels": 2}
        assert await venue.control("cut", which="private") == {"cut": 1}
        assert await private.ended()
        assert [m for m in private.heard if m.get("data")] == []
        await public.next(lambda m: m.get("data"))


async def test_a_login_that_is_wrong_is_refused_and_ended_and_channels_have_their_sockets(
    venue: OkxVenue,
) -> None:
    for wrong, code in (({"secret": "no"}, "60007"), ({"passphrase": "no"}, "60024")):
        async with venue.socket("private") as socket:
            assert (await socket.login(**wrong))["code"] == code
            assert await socket.ended()
    async with venue.socket("private") as socket:
        assert (await socket.subscribe("orders", instType="SWAP"))["code"] == "60011"
        assert (await socket.ask(op="order", args=[REST_ORDER]))["code"] == "60011"
        assert (await socket.login())["code"] == "0"
        assert (await socket.subscribe("trades", instId=SWAP))["code"] == "60018"
        await socket.socket.send_str("ping")
        assert (await socket.socket.receive_str()) == "pong"
        assert (await socket.ask(op="dance"))["code"] == "60012"
        assert (await socket.subscribe("account"))["connId"]
        assert (await socket.next())["data"][0]["totalEq"] == "100000"


async def test_a_venue_that_is_down_in_maintenance_or_of_another_time_says_so(venue: OkxVenue) -> None:
    await venue.control("down", seconds=0.2)
    with pytest.raises(aiohttp.ClientError):
        await venue.request("GET", "/public/time")
    await until(lambda: _answers(venue), "the venue")
    async with venue.trading() as socket:
        await venue.control("maintenance")
        assert await socket.ended()
    assert (await venue.request("GET", "/account/balance"))[0] == 503
    await venue.control("clear")
    await venue.control("skew", ms=-3_600_000)
    status, body = await venue.request("GET", "/account/balance")
    assert (status, body["code"]) == (401, "50102")
    await venue.control("clear")
    await venue.control("limits", orders_two_seconds=1)
    codes = [(await venue.request("POST", "/trade/order", **REST_ORDER))[1]["code"] for _ in range(2)]
    assert codes == ["0", "50011"]
    assert len(await fills(venue)) == 1


async def _answers(venue: OkxVenue) -> bool:
    try:
        return (await venue.request("GET", "/public/time"))[0] == 200
    except aiohttp.ClientError:
        return False


async def test_what_others_do_to_the_account_is_said_or_kept_as_it_would_be(venue: OkxVenue) -> None:
    async with venue.trading() as socket:
        await socket.subscribe("positions", instType="SWAP")
        await venue.control("hand_position", instrument=SWAP, qty="-3", price="51000")
        push = await socket.next(lambda m: m.get("arg", {}).get("channel") == "positions" and "data" in m)
        assert (push["data"][0]["pos"], push["data"][0]["avgPx"]) == ("-3", "51000")
        await venue.control("funding")
        await venue.control("liquidate")
        closed = await socket.order("", "filled")
        while closed["category"] == "normal":
            closed = await socket.order("", "filled")
        assert closed["category"] == "full_liquidation"
    account = await venue.account()
    assert account["positions"] == []
    assert Decimal(account["funding"]) > 0  # those short are paid
    await venue.control("hand_position", instrument="ETH-USDT-SWAP", qty="5", price="3000", age_days=10)
    assert "ETH-USDT-SWAP" not in {f["instId"] for f in await venue.ask("GET", "/trade/fills")}
    assert [p["instId"] for p in await venue.ask("GET", "/account/positions")] == ["ETH-USDT-SWAP"]


async def test_a_market_ends_halts_and_gets_another_tick(venue: OkxVenue) -> None:
    async with venue.socket("public") as public, venue.trading() as socket:
        await public.subscribe("instruments", instType="SWAP")
        await venue.control("tick", instrument=SWAP, tick="0.5")
        told = await public.next(lambda m: m.get("arg", {}).get("channel") == "instruments" and "data" in m)
        assert told["data"][0]["tickSz"] == "0.5"
        assert (await socket.place("T1", ordType="limit", px="49000.1"))["sCode"] == "51000"
        await venue.control("status", instrument=SWAP)
        assert (await socket.place("T2", ordType="market"))["sCode"] == "51155"
        await venue.control("status", instrument=SWAP, status="live")
        await socket.place("T3", **RESTING)
        await venue.control("delist", instrument=SWAP)
        assert (await socket.order("T3", "canceled"))["cancelSource"] == "7"
        assert (await socket.place("T4", ordType="market"))["sCode"] == "51027"


async def test_a_killed_exchange_goes_on_from_its_file(tmp_path: Path) -> None:
    file = tmp_path / "okx.json"
    options = ("--state", str(file), "--interval", "0.05", "--quiet")
    async with exchange(*options, module="exchanges.okx", venue=OkxVenue) as venue:
        await venue.ask("POST", "/trade/order", **REST_ORDER)
        await venue.ask("POST", "/trade/order", **{**REST_ORDER, **RESTING, "px": "46000", "clOrdId": "K1"})
        before = await venue.account()
        assert venue.process is not None
        venue.process.kill()
    async with exchange(*options, module="exchanges.okx", venue=OkxVenue) as venue:
        after = await venue.account()
        for kept in ("positions", "orders", "fills", "wallet", "deposits"):
            assert after[kept] == before[kept]
        assert [o["clOrdId"] for o in await venue.ask("GET", "/trade/orders-pending")] == ["K1"]


async def test_a_schedule_is_done_when_it_is_due_and_checked_before(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text('[{"at": 0.1, "do": "skew", "body": {"ms": -3600000}}]')
    async with exchange("--faults", str(plan), module="exchanges.okx", venue=OkxVenue) as venue:

        async def skewed() -> bool:
            return (await venue.request("GET", "/account/balance"))[1]["code"] == "50102"

        await until(skewed, "the fault")
    plan.write_text('[{"at": 0, "do": "ban"}]')
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "exchanges.okx", "--port", "0", "--faults", str(plan),
        cwd=Path(__file__).parents[3], stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, error = await process.communicate()
    assert (process.returncode, b"line 1 of the schedule: no verb 'ban'" in error) == (2, True)


async def test_the_book_is_whole_by_its_checksums(venue: OkxVenue) -> None:
    async with venue.socket("public") as socket, venue.trading() as trading:
        await socket.subscribe("books", instId=SWAP)
        told = await socket.next(lambda m: m.get("action"))
        assert told["action"] == "snapshot"
        book = _Book(told["data"][0])
        await trading.place("X1", ordType="market")
        await trading.place("X2", **RESTING)
        for _ in range(2):
            book.update((await socket.next(lambda m: m.get("action")))["data"][0])
        assert ("49000.0", "1") in [tuple(row) for row in book.rows("bids")]


class _Book:
    """A book as a client keeps it, checked by sequence and checksum."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._sides: dict[str, dict[str, str]] = {"bids": {}, "asks": {}}
        self._sequence = -1
        self.update(data)

    def rows(self, side: str) -> list[list[str]]:
        rows = sorted(self._sides[side].items(), key=lambda row: Decimal(row[0]), reverse=side == "bids")
        return [list(row) for row in rows]

    def update(self, data: dict[str, Any]) -> None:
        assert data["prevSeqId"] == self._sequence
        self._sequence = data["seqId"]
        for name, side in self._sides.items():
            for price, size, *_ in data[name]:
                side[price] = size
                if size == "0":
                    del side[price]
        assert data["checksum"] == _crc(self.rows("bids"), self.rows("asks"))


def _crc(bids: list[list[str]], asks: list[list[str]]) -> int:
    """By the venue's documentation, written once more: not with the exchange's own function."""
    text = ":".join(
        f"{level[0]}:{level[1]}"
        for place in range(25)
        for side in (bids, asks)
        for level in side[place : place + 1]
    )
    value = 0xFFFFFFFF
    for byte in text.encode():
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


async def test_logins_and_subscriptions_meet_faults_too(venue: OkxVenue) -> None:
    async with venue.socket("private") as socket:
        await venue.control("fault", on="WS login", kind="reject", times=1, code=60009, msg="Login failed.")
        assert (await socket.login())["code"] == "60009"
        assert (await socket.login())["event"] == "login"
        await venue.control("fault", on="WS subscribe", kind="hang", times=1, seconds=0.1)
        await socket.send(op="subscribe", args=[{"channel": "account"}])
        assert await socket.ended()
        assert [message.get("event") for message in socket.heard] == ["error", "login"]


async def test_public_and_business_channels_say_what_the_market_does(venue: OkxVenue) -> None:
    async with venue.socket("public") as socket:
        for channel in ("bbo-tbt", "books5", "tickers", "mark-price", "funding-rate", "price-limit"):
            await socket.subscribe(channel, instId=SWAP)
            told = await socket.next(lambda m, c=channel: m["arg"]["channel"] == c and "data" in m)
            assert told["arg"] == {"channel": channel, "instId": SWAP}
        await socket.subscribe("index-tickers", instId="BTC-USDT")
        index = await socket.next(lambda m: m["arg"]["channel"] == "index-tickers" and "data" in m)
        assert index["data"][0]["idxPx"] == "50000.0"
    async with venue.socket("business") as socket:
        await socket.login()
        await socket.subscribe("candle1m", instId=SWAP)
        (bar,) = (await socket.next(lambda m: m.get("data")))["data"]
        assert len(bar) == 9
        for channel, order in (
            ("orders-algo", {"ordType": "trigger", "triggerPx": "48000", "orderPx": "-1"}),
            ("algo-advance", {"ordType": "move_order_stop", "callbackRatio": "0.1"}),
        ):
            await socket.subscribe(channel, instType="SWAP")
            common = {"instId": SWAP, "tdMode": "cross", "side": "sell", "sz": "1"}
            (row,) = await venue.ask("POST", "/trade/order-algo", **common, **order)
            told = await socket.next(lambda m, c=channel: m["arg"]["channel"] == c and "data" in m)
            assert (told["data"][0]["algoId"], told["data"][0]["state"]) == (row["algoId"], "live")
