"""Each fault of the Interactive Brokers gateway, by its ledger and by a client that speaks the protocol by itself."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from ibapi.execution import ExecutionFilter

from exchanges.interactive_brokers.core.wire import frame
from tests.integration.exchanges.ib_running import Client, Gateway, gateway_here, gateway_process
from tests.integration.exchanges.running import DEADLINE_S, until
from tests.unit.exchanges.interactive_brokers.desk import MAIN, contract


@pytest.fixture
async def gateway() -> AsyncIterator[Gateway]:
    async with gateway_here() as gateway:
        yield gateway


@pytest.fixture
async def client(gateway: Gateway) -> AsyncIterator[Client]:
    async with gateway.client(7) as client:
        await client.hears("nextValidId")
        yield client


async def fault(gateway: Gateway, on: str, kind: str, **more: object) -> None:
    await gateway.control("fault", on=on, kind=kind, times=1, **more)


async def status_of(gateway: Gateway, ref: str) -> str:
    return (await gateway.order(ref)).get("status", "")


async def test_an_order_that_is_accepted_silently_is_there_and_its_fill_is_told(
    gateway: Gateway, client: Client
) -> None:
    await fault(gateway, "placeOrder", "silent")
    client.place(1, "BUY", "10", 180.0)
    await client.in_step()
    assert client.count("openOrder") == client.count("orderStatus") == 0
    assert await status_of(gateway, "1") == "Submitted"
    await gateway.control("fill", ref="1")
    await client.hears("execDetails")
    assert (await gateway.control("requests"))[-2]["fault"] == "silent"


@pytest.mark.parametrize(("kind", "done"), [("hang", ""), ("refuse", ""), ("lost", "Submitted")])
async def test_no_answer_may_mean_done_and_not_done(
    gateway: Gateway, client: Client, kind: str, done: str
) -> None:
    await fault(gateway, "placeOrder", kind)
    client.place(1, "BUY", "10", 180.0)
    if kind == "hang":
        await client.in_step()
        assert client.count("orderStatus") == 0
    else:
        await until(lambda: client.ended, "the end of the connection")
    assert await status_of(gateway, "1") == done


@pytest.mark.parametrize(("kind", "done"), [("reject", ""), ("unknown", "Submitted")])
async def test_a_rejection_may_be_false(gateway: Gateway, client: Client, kind: str, done: str) -> None:
    await fault(gateway, "placeOrder", kind, code=201, msg="Order rejected - reason:none")
    client.place(1, "BUY", "10", 180.0)
    assert (await client.error(201))[0] == 1
    assert await status_of(gateway, "1") == done


async def test_a_slow_request_is_done_at_once_and_answered_later(gateway: Gateway, client: Client) -> None:
    await fault(gateway, "placeOrder", "slow", seconds=1.0)
    client.place(1, "BUY", "10", 180.0)
    await until(lambda: gateway.order("1"), "the order")
    assert client.count("orderStatus") == 0
    await client.status(1, "Submitted")


async def test_a_late_request_is_done_later(gateway: Gateway, client: Client) -> None:
    await fault(gateway, "placeOrder", "late", seconds=1.0)
    client.place(1, "BUY", "10", 180.0)
    await client.in_step()
    assert await status_of(gateway, "1") == ""
    await client.status(1, "Submitted")
    assert await status_of(gateway, "1") == "Submitted"


async def test_events_are_lost_doubled_and_swapped(gateway: Gateway, client: Client) -> None:
    await gateway.control("stream", duplicate=True)
    client.place(1, "BUY", "10")
    await client.hears("execDetails", count=2)
    await client.hears("commissionAndFeesReport", count=2)
    assert len((await gateway.account())["fills"]) == 1
    await gateway.control("stream", duplicate=False, swap=True)
    client.place(2, "BUY", "10", 180.0)
    await client.status(2, "Submitted")
    await client.hears("openOrder", lambda given: given[0] == 2)
    names = [name for name, given in client.heard.calls if given[:1] == (2,)]
    assert names == ["orderStatus", "openOrder"]
    await gateway.control("stream", swap=False, mute=True)
    client.place(3, "BUY", "10")
    await client.in_step()
    assert client.count("execDetails") == 2
    await gateway.control("clear")
    assert await gateway.held() == 20


async def test_the_nightly_restart_ends_connections_and_refuses_new_ones(
    gateway: Gateway, client: Client
) -> None:
    client.place(1, "BUY", "10", 180.0)
    await client.status(1, "Submitted")
    await gateway.control("down", seconds=0)
    await until(lambda: client.ended, "the end of the connection")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", gateway.port)).close()
    await gateway.control("fill", ref="1")  # while nobody is connected
    await gateway.control("up")
    async with gateway.client(7) as again:
        assert (await again.hears("nextValidId"))[0] == 2
        again.api.reqOpenOrders()
        await again.hears("openOrderEnd")
        assert again.count("openOrder") == 0
        asked = ExecutionFilter()
        asked.acctCode = MAIN
        again.api.reqExecutions(9, asked)
        await again.hears("execDetailsEnd")
        assert again.count("execDetails") == again.count("commissionAndFeesReport") == 1


async def test_a_restart_of_some_seconds_ends_by_itself(gateway: Gateway, client: Client) -> None:
    await gateway.control("down", seconds=0.3)
    await until(lambda: client.ended, "the end of the connection")

    async def connected() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
        except ConnectionRefusedError:
            return False
        writer.close()
        return True

    await until(connected, "the gateway")


async def test_a_second_client_of_the_same_id_is_refused_with_326(gateway: Gateway, client: Client) -> None:
    async with gateway.client(7) as second:
        assert (await second.error(326))[0] == -1
        await until(lambda: second.ended, "the end of the second connection")
    await client.in_step()
    await gateway.control("cut", client=7)
    await until(lambda: client.ended, "the end of the first connection")
    async with gateway.client(7) as third:
        await third.hears("managedAccounts")


@pytest.mark.parametrize(
    ("code", "data_lost", "back"), [(1100, False, 1102), (1100, True, 1101), (2110, False, 1102)]
)
async def test_a_lost_venue_fills_all_the_same_and_is_told_when_it_is_back(
    gateway: Gateway, client: Client, code: int, data_lost: bool, back: int
) -> None:
    client.api.reqMktData(31, contract("AAPL"), "", False, False, [])
    await client.hears("tickPrice", count=2)
    client.place(1, "BUY", "10", 180.0)
    await client.status(1, "Submitted")
    await gateway.control("lose", what="venue", code=code)
    assert (await client.error(code))[0] == -1
    client.place(2, "BUY", "10", 180.0)
    assert (await client.error(504))[0] == 2
    await gateway.control("touch", symbol="AAPL", bid="179.90", ask="180.00")
    assert await gateway.held() == 10
    await client.in_step()
    assert client.count("execDetails") == 0
    assert client.count("tickPrice") == 2
    await gateway.control("restore", what="venue", data_lost=data_lost)
    await client.error(back)
    await client.hears("execDetails")
    await gateway.control("touch", symbol="AAPL", bid="170.00", ask="170.10")
    if data_lost:
        client.api.cancelMktData(31)
        assert (await client.error(300))[0] == 31
    else:
        await client.hears("tickPrice", lambda given: given[2] == 170.0)


async def test_farms_are_lost_without_the_orders(gateway: Gateway, client: Client) -> None:
    client.api.reqMktData(31, contract("AAPL"), "", False, False, [])
    await client.hears("tickPrice", count=2)
    await gateway.control("lose", what="market")
    await client.error(2103)
    await gateway.control("lose", what="history", seconds=0.5)
    await client.error(2105)
    client.api.reqHistoricalData(51, contract("AAPL"), "", "600 S", "1 min", "TRADES", 0, 2, False, [])
    assert (await client.error(162))[0] == 51
    client.place(1, "BUY", "10")
    await client.hears("execDetails")
    assert client.count("tickPrice") == 2
    await client.hears("error", lambda given: given[2] == 2106, count=2)  # by itself
    await gateway.control("restore", what="market")
    await client.hears("error", lambda given: given[2] == 2104, count=2)
    await client.hears("tickPrice", count=4)


async def test_a_half_open_socket_stands_and_says_nothing(gateway: Gateway, client: Client) -> None:
    await gateway.control("half_open", client=7)
    client.place(1, "BUY", "10")
    async with gateway.client(8) as other:
        await other.in_step()
    async with gateway.client(7) as again:
        await again.error(326)  # the dead one has the id
    assert not client.ended
    assert client.count("openOrder") == 0
    assert (await gateway.account())["orders"] == []


async def test_fills_come_in_parts_late_and_after_a_cancel(gateway: Gateway, client: Client) -> None:
    await gateway.control("conduct", parts=3)
    client.place(1, "BUY", "9")
    await client.hears("execDetails", count=3)
    await gateway.control("conduct", parts=1, hold_fills=True)
    client.place(2, "BUY", "5")
    await client.status(2, "Submitted")
    assert await gateway.held() == 9
    await gateway.control("clear")
    await client.status(2, "Filled")
    await gateway.control("conduct", fill_after_cancel=1)
    client.place(3, "BUY", "7", 180.0)
    client.cancel(3)
    await client.status(3, "Cancelled")
    await client.status(3, "Filled")
    assert await gateway.held() == 21


async def test_what_is_made_by_hand_is_nobodys_and_an_old_position_is_in_no_execution(
    gateway: Gateway, client: Client
) -> None:
    client.api.reqPositions()
    await client.hears("positionEnd")
    await gateway.control("hand_position", symbol="AAPL", qty="-30", price="200.00", age_days=2)
    assert (await client.hears("position"))[2] == -30
    placed = await gateway.control("place", symbol="AAPL", side="BUY", qty="4", limit="180.00")
    client.api.reqOpenOrders()
    await client.hears("openOrderEnd")
    assert client.count("openOrder") == 0
    client.api.reqAllOpenOrders()
    _, _, order, _ = await client.hears("openOrder")
    assert (order.permId, order.clientId, order.orderRef) == (placed["perm_id"], 0, "")
    client.api.reqExecutions(9, ExecutionFilter())
    await client.hears("execDetailsEnd")
    assert client.count("execDetails") == 0
    await gateway.control("cancel", perm_id=placed["perm_id"])
    await gateway.control("transfer", amount="-1000")
    account = await gateway.account()
    assert (account["deposits"], account["positions"]["AAPL"]["amount"]) == ("999000", "-30")


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        ("nothing", {}, "no verb 'nothing'"),
        ("touch", {"symbol": "NOSUCH", "bid": "1", "ask": "2"}, "there is no 'NOSUCH'"),
        ("touch", {"symbol": "AAPL", "bid": "2", "ask": "1"}, "not below the ask"),
        ("touch", {"symbol": "AAPL", "bid": "1.001", "ask": "2"}, "bid: 1.001"),
        ("fault", {"on": "GET /", "kind": "hang"}, "on: no request 'GET /'"),
        ("fault", {"on": "*", "kind": "hang", "times": 0}, "times: 0"),
        ("conduct", {"parts": 0}, "parts"),
        ("fill", {"ref": "1", "qty": "1"}, "no open order 1"),
        ("fill", {}, "perm_id or ref"),
        ("cancel", {"perm_id": 5}, "there is no 5"),
        ("place", {"symbol": "AAPL", "side": "BUY", "qty": "1.5"}, "qty: 1.5"),
        ("place", {"symbol": "AAPL", "side": "BUY", "qty": "1", "limit": "1.001"}, "price: 1.001"),
        ("hand_position", {"symbol": "AAPL", "qty": "0", "price": "1"}, "qty: 0"),
        ("lose", {"what": "power"}, "what"),
        ("transfer", {"amount": "1", "account": "DU0"}, "there is no 'DU0'"),
    ],
)
async def test_what_the_control_cannot_do_is_refused_by_name(
    gateway: Gateway, verb: str, body: dict[str, object], words: str
) -> None:
    before = await gateway.account()
    assert words in await gateway.refused(verb, **body)
    assert await gateway.account() == before


async def test_who_speaks_another_protocol_is_cut_off_and_nobody_else(
    gateway: Gateway, client: Client
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), DEADLINE_S) == b""
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", gateway.port)
    writer.write(b"API\0" + frame(["v100..203"]) + frame(["61", "1"]) + frame(["8", "1", "-1"]))
    heard = await asyncio.wait_for(reader.readuntil(b"\x00504\x00"), DEADLINE_S)  # it has not said its id
    assert heard
    writer.close()
    await client.in_step()


async def test_a_killed_gateway_goes_on_from_its_state_file(tmp_path: Path) -> None:
    file = str(tmp_path / "state.json")
    async with gateway_process("--state", file) as gateway:
        await gateway.control("touch", symbol="AAPL", bid="189.90", ask="190.10")
        async with gateway.client(7) as client:
            client.place(1, "BUY", "10")
            client.place(2, "BUY", "10", 180.0)
            await client.status(2, "Submitted")
            assert gateway.process is not None
            gateway.process.kill()
            await gateway.process.wait()
            told = [given[2].execId for name, given in client.heard.calls if name == "execDetails"]
    async with gateway_process("--state", file) as gateway:
        account = await gateway.account()
        assert [fill["exec_id"] for fill in account["fills"]] == told
        async with gateway.client(7) as client:
            assert (await client.hears("nextValidId"))[0] == 3
            client.api.reqOpenOrders()
            assert (await client.hears("openOrder"))[0] == 2
            client.cancel(2)
            await client.status(2, "Cancelled")


async def test_a_schedule_is_done_when_it_is_due(tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    lines = [{"at": 0, "do": "touch", "body": {"symbol": "AAPL", "bid": "150.00", "ask": "150.10"}}]
    plan.write_text(json.dumps(lines))
    async with gateway_process("--faults", str(plan)) as gateway:

        async def touched() -> bool:
            return (await gateway.control("ledger"))["markets"]["AAPL"]["bid"] == "150.00"

        await until(touched, "the touch")
