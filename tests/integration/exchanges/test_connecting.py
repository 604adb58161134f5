"""What engines say while they connect and why they do not get further, on each exchange: keys, clocks, accounts, clients."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.engine.node_plan import first_client_id
from flotilla.engine_sidecar.link.frames import Phase, Run, Stop
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess, from_template, zygote_process
from tests.integration.exchanges.engines import INSTRUMENT, Engine, run_on
from tests.integration.exchanges.ib_running import gateway_here
from tests.integration.exchanges.okx_running import exchange_here as okx_here
from tests.integration.exchanges.running import Venue, exchange_here
from tests.unit.exchanges.interactive_brokers.desk import MAIN
from tests.venue_runs import run_of_venue


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


def run_on_okx(exchange: Venue, **secret: str) -> Run:
    run = run_of_venue("okx", "paper", base_url_http=exchange.http, instrument_types=["SWAP"])
    sides = (("data_clients", "public"), ("exec_clients", "private"))
    for side, socket in sides:
        run.plan.node[side]["OKX"]["config"]["base_url_ws"] = f"{exchange.ws}/ws/v5/{socket}"
    keys = {"api_key": "test-key", "api_secret": "test-secret", "api_passphrase": "test-phrase"} | secret
    return msgspec.structs.replace(run, secrets={"mine": keys})


def run_on_gateway(port: int, account: str = MAIN) -> Run:
    run = run_of_venue("interactive_brokers", "paper", ibg_port=port, connection_timeout=6)
    run.plan.node["exec_clients"]["INTERACTIVE_BROKERS"]["config"]["account_id"] = account
    return run


async def end_of(zygote: ZygoteProcess, run: Run) -> tuple[Engine, str]:
    """An engine that does not get as far as trading, and why."""
    engine = Engine(zygote, run)
    ended = await engine.ended()
    assert ended.reason is FailureReason.VENUE, ended
    assert RunState.TRADING not in engine.phases()
    return engine, ended.detail


def details(engine: Engine) -> list[str]:
    """What it said of its phases, in order."""
    return [said.detail for said in engine.process.heard if isinstance(said, Phase)]


async def test_a_clock_ahead_of_the_venue_ends_the_start_with_the_seconds(zygote: ZygoteProcess) -> None:
    async with exchange_here() as venue:
        await venue.control("skew", ms=-3_000)
        _, why = await end_of(zygote, run_on(venue))
    assert "clock 3.0 s ahead of the venue" in why


async def test_a_clock_that_the_venue_bears_with_is_told_and_alerted(zygote: ZygoteProcess) -> None:
    async with exchange_here() as venue:
        await venue.control("skew", ms=2_000)
        engine = Engine(zygote, run_on(venue))
        await engine.phase(RunState.TRADING)
        engine.process.send(Stop(StopPolicy.FLATTEN, 10.0))
        await engine.ended()
    told = [each for each in engine.process.events(EventKind.ALERT) if each["code"] == "clock_off"]
    assert [each["message"] for each in told] == ["BINANCE: clock 2.0 s behind the venue"]
    assert "BINANCE: clock 2.0 s behind the venue" in details(engine)


async def test_reports_that_fail_are_told_while_the_start_waits_for_them(zygote: ZygoteProcess) -> None:
    async with exchange_here() as venue:
        path = "/fapi/v1/openOrders"
        await venue.control("fault", on=path, kind="reject", status=503, code=-1000, msg="no", times=3)
        engine = Engine(zygote, run_on(venue))
        await engine.phase(RunState.TRADING)
        engine.process.send(Stop(StopPolicy.FLATTEN, 10.0))
        await engine.ended()
    assert any(path in said and "BINANCE" in said for said in details(engine)), details(engine)


@pytest.mark.parametrize("field", ["api_key", "api_secret", "api_passphrase"])
async def test_a_wrong_key_is_no_missing_network_on_okx(zygote: ZygoteProcess, field: str) -> None:
    async with okx_here() as venue:
        engine, why = await end_of(zygote, run_on_okx(venue, **{field: "somebody-elses"}))
    assert "401" in why or "5011" in why or "5010" in why, why
    assert "somebody-elses" not in str(engine.process.heard)


async def test_an_okx_that_refuses_connections_is_no_wrong_key(zygote: ZygoteProcess) -> None:
    async with okx_here() as venue:
        await venue.control("down")
        _, why = await end_of(zygote, run_on_okx(venue))
    assert "Connection refused" in why


async def test_a_gateway_that_has_the_client_already_is_told_while_the_engine_waits(
    zygote: ZygoteProcess,
) -> None:
    async with gateway_here() as gateway, gateway.client(first_client_id("engine-1") + 8):
        engine, why = await end_of(zygote, run_on_gateway(gateway.port))
    assert "326" in why
    assert any("326" in said for said in details(engine)[:-1]), details(engine)


async def test_an_account_that_the_gateway_does_not_have_ends_the_start(zygote: ZygoteProcess) -> None:
    async with gateway_here() as gateway:
        _, why = await end_of(zygote, run_on_gateway(gateway.port, "DU0000009"))
    assert "`DU0000009` not found" in why


async def test_a_gateway_that_is_not_there_is_told_with_its_address(zygote: ZygoteProcess) -> None:
    async with gateway_here() as gateway:
        await gateway.control("down")
        engine, why = await end_of(zygote, run_on_gateway(gateway.port))
    assert f"127.0.0.1:{gateway.port} refuses connections" in why
    waited: list[Any] = [said for said in details(engine) if "refuses connections" in said]
    assert waited[0].startswith("INTERACTIVE_BROKERS data and execution: ")


@pytest.mark.parametrize(
    ("verb", "body", "reason", "told"),
    [
        (
            "permission",
            {"can_trade": False},
            FailureReason.CONFIG,
            "the secret of venue BINANCE: its key has no permission to trade",
        ),
        (
            "status",
            {"symbol": "BTCUSDT", "status": "TRADING_HALT"},
            FailureReason.VENUE,
            f"instrument {INSTRUMENT} does not trade: the venue says TRADING_HALT",
        ),
    ],
)
async def test_what_only_the_venue_knows_ends_the_start_before_anything_trades(
    zygote: ZygoteProcess, verb: str, body: dict[str, Any], reason: FailureReason, told: str
) -> None:
    async with exchange_here() as venue:
        await venue.control(verb, **body)
        engine = Engine(zygote, run_on(venue))
        ended = await engine.ended()
        assert (ended.reason, ended.detail) == (reason, told)
        assert (await venue.account())["orders"] == []
    assert RunState.TRADING not in engine.phases()


async def test_a_size_that_the_instrument_does_not_take_ends_the_start_with_its_field(
    zygote: ZygoteProcess,
) -> None:
    async with exchange_here() as venue:
        run = run_on(venue)
        bars = f"{INSTRUMENT}-1-MINUTE-LAST-EXTERNAL"
        strategy = from_template("ema_cross", instrument_id=INSTRUMENT, bar_type=bars, trade_size="0.0001")
        plan = msgspec.structs.replace(run.plan, strategies=(strategy,))
        ended = await Engine(zygote, msgspec.structs.replace(run, plan=plan)).ended()
    assert ended.reason is FailureReason.CONFIG
    assert ended.detail.startswith("trade_size of EMACross-")
    assert ended.detail.endswith(f"is 0.0001: {INSTRUMENT} takes 3 decimals")


async def test_a_leverage_beyond_the_venues_ends_the_start(zygote: ZygoteProcess) -> None:
    async with exchange_here() as venue:
        run = run_on(venue)
        run.plan.node["exec_clients"]["BINANCE"]["config"]["futures_leverages"] = {"BTCUSDT": 500}
        ended = await Engine(zygote, run).ended()
    assert ended.reason in (FailureReason.VENUE, FailureReason.CONFIG)
    assert "leverage" in ended.detail.lower(), ended
