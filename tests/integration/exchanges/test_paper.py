"""Paper trading: live data of our exchanges, fills by NautilusTrader's sandbox; feeds that fall silent are named, and told when they are back."""

import re
from collections.abc import AsyncIterator, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.instruments import CryptoPerpetual
from nautilus_trader.persistence.catalog import ParquetDataCatalog
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from flotilla.engine_sidecar.link.frames import Run, Stop
from flotilla.engine_sidecar.session.core.trading import problems
from flotilla.schemas.session import EnginePlan
from flotilla.schemas.states import FailureReason, RunState, StopPolicy
from flotilla.schemas.telemetry import EventKind
from tests.engine_processes import ZygoteProcess, zygote_process
from tests.integration.exchanges import ib_running, okx_running, running
from tests.integration.exchanges.engines import Engine
from tests.venue_runs import venue

SANDBOX = "engine_sidecar.replay.sandbox"
FLATTEN = Stop(StopPolicy.FLATTEN, 10.0)
BINANCE_KINDS = ("quotes", "trades", "bars", "book", "mark")
OKX_KINDS = (*BINANCE_KINDS, "index", "funding")
IB_KINDS = ("quotes", "trades", "bars")
STALE_S = 3.0


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process() as process:
        yield process


@pytest.fixture
async def binance() -> AsyncIterator[running.Venue]:
    async with running.exchange_here() as made:
        yield made


def paper(
    name: str,
    config: dict[str, Any],
    instrument: str,
    keys: dict[str, str] | None = None,
    catalog: Path | None = None,
    client: str = "",
    currency: str = "USDT",
    **listener: Any,
) -> Run:
    """An engine on the data of a venue of templates/venues, whose orders are simulated."""
    client, data = client or name.upper(), venue(name)["data"]
    sandbox = {"venue": client, "account_type": "MARGIN", "oms_type": "NETTING", "base_currency": currency}
    module = "tests.integration.exchanges.listener"
    node: dict[str, Any] = {
        "environment": "sandbox",
        "timeout_connection": 20.0,
        "timeout_disconnection": 2.0,
        "timeout_post_stop": 0.1,
        "data_clients": {
            client: {"path": data["path"], "factory": {"path": data["factory"]}, "config": config}
        },
        "exec_clients": {
            client: {
                "path": f"{SANDBOX}:SandboxClientConfig",
                "config": {**sandbox, "starting_balances": ["100000"]},
            }
        },
    }
    strategy = {
        "strategy_path": f"{module}:Listener",
        "config_path": f"{module}:ListenerConfig",
        "config": {"instrument_id": instrument, "order_id_tag": "001", **listener},
    }
    plan = EnginePlan(
        trader_id="ENGINE-001",
        node=node,
        exec_factories={client: f"{SANDBOX}:SandboxLiveExecClientFactory"},
        secrets={client: "mine"} if keys else {},
        strategies=(strategy,),
    )
    return Run(
        instance_id="engine-1",
        session_id="session-1",
        plan=plan,
        catalog_path=str(catalog or "/nonexistent"),
        log_level="WARNING",
        stop_timeout_s=10.0,
        secrets={"mine": keys} if keys else {},
    )


def on_binance(exchange: running.Venue, instrument: str = "BTCUSDT-PERP.BINANCE", **given: Any) -> Run:
    """Without a key: its data are public."""
    config = {"account_type": "USDT_FUTURES", "base_url_http": exchange.http, "base_url_ws": exchange.ws}
    return paper("binance", config, instrument, **given)


def on_okx(exchange: okx_running.OkxVenue, **given: Any) -> Run:
    """With a key, which its data client cannot do without."""
    keys = {"api_key": "test-key", "api_secret": "test-secret", "api_passphrase": "test-phrase"}
    config = {
        "instrument_types": ["SWAP"],
        "base_url_http": exchange.http,
        "base_url_ws": f"{exchange.ws}/ws/v5/public",
    }
    return paper("okx", config, "BTC-USDT-SWAP.OKX", keys, **given)


def heard(engine: Engine) -> dict[str, str]:
    """What the strategy heard first of each kind."""
    found = (re.search(r"HEARD (\w+) (\S+)", line) for line in engine.process.log)
    return {match[1]: match[2].partition("\x1b")[0] for match in found if match}


async def all_heard(engine: Engine, kinds: tuple[str, ...]) -> dict[str, str]:
    """Waits until each kind was heard."""
    await engine.until(lambda _: set(kinds) <= heard(engine).keys() or None)
    return heard(engine)


async def bought_and_sold(engine: Engine, prices: tuple[str, ...], fee: Decimal) -> None:
    """It bought, simulated, for `fee` per unit of price, and is flat after its stop.

    NautilusTrader's sandbox fills at the quote, or at the price of a trade that came after it.
    """
    await engine.until(lambda _: engine.process.events(EventKind.FILL) or None)
    (fill,) = engine.process.events(EventKind.FILL)
    assert fill["last_px"] in prices
    assert Decimal(fill["commission"]) == Decimal(fill["last_px"]) * fee
    engine.process.send(FLATTEN)
    ended = await engine.ended()
    assert (ended.reason, ended.not_confirmed, ended.stop and ended.stop.is_flat) == (None, (), True)
    assert [each["side"] for each in engine.process.events(EventKind.FILL)] == ["BUY", "SELL"]


async def test_every_kind_of_binances_data_comes_and_fills_are_simulated(
    zygote: ZygoteProcess, binance: running.Venue
) -> None:
    await binance.control("touch", symbol="BTCUSDT", bid="50000.0", ask="50000.1", size="50")
    engine = Engine(zygote, on_binance(binance, kinds=BINANCE_KINDS, quantity="0.030"))
    await engine.phase(RunState.TRADING)
    await all_heard(engine, tuple(kind for kind in BINANCE_KINDS if kind != "bars"))
    await binance.control("bar", symbol="BTCUSDT")
    said = await all_heard(engine, BINANCE_KINDS)
    assert (said["quotes"], said["book"]) == ("50000.1", "50000.1")
    await bought_and_sold(engine, ("50000.0", "50000.1"), Decimal("0.000015"))
    assert (await binance.account())["orders"] == []


async def test_every_kind_of_okxs_data_comes_and_fills_are_simulated(zygote: ZygoteProcess) -> None:
    async with okx_running.exchange_here() as exchange:
        engine = Engine(zygote, on_okx(exchange, kinds=OKX_KINDS, quantity="3"))
        await engine.phase(RunState.TRADING)
        await all_heard(engine, tuple(kind for kind in OKX_KINDS if kind != "bars"))
        await exchange.control("bar", instrument=okx_running.SWAP)
        said = await all_heard(engine, OKX_KINDS)
        assert (said["quotes"], said["book"]) == ("50000.1", "50000.1")
        await bought_and_sold(engine, ("50000.0", "50000.1"), Decimal("0.000015"))
        assert (await exchange.account())["orders"] == []


async def test_every_kind_of_interactive_brokers_data_comes_and_fills_are_simulated(
    zygote: ZygoteProcess,
) -> None:
    async with ib_running.gateway_here() as gateway:
        config = {
            "ibg_host": "127.0.0.1",
            "ibg_port": gateway.port,
            "use_regular_trading_hours": False,
            "routing": {"default": True},
        }
        run = paper(
            "interactive_brokers",
            config,
            "AAPL.NASDAQ",
            client="NASDAQ",
            currency="USD",
            kinds=IB_KINDS,
            quantity="30",
        )
        engine = Engine(zygote, run)
        await engine.phase(RunState.TRADING)
        said = await all_heard(engine, tuple(kind for kind in IB_KINDS if kind != "trades"))
        assert said["quotes"] == "190.10"
        await gateway.control("follow", symbol="AAPL")
        await all_heard(engine, IB_KINDS)
        await bought_and_sold(engine, ("190.10",), Decimal(0))
        assert (await gateway.account())["orders"] == []


FALLS_SILENT = pytest.mark.parametrize(("verb", "back"), [("down", "up"), ("half_open", "cut")])


@FALLS_SILENT
async def test_a_feed_that_falls_silent_is_named_and_told_when_it_is_back(
    zygote: ZygoteProcess, binance: running.Venue, verb: str, back: str
) -> None:
    engine = Engine(zygote, on_binance(binance, kinds=("quotes", "book", "mark")))
    await falls_silent(engine, binance, verb, back, "BTCUSDT-PERP.BINANCE")


@FALLS_SILENT
async def test_so_is_one_of_okx(zygote: ZygoteProcess, verb: str, back: str) -> None:
    async with okx_running.exchange_here() as exchange:
        engine = Engine(zygote, on_okx(exchange, kinds=("quotes", "book", "mark")))
        await falls_silent(engine, exchange, verb, back, "BTC-USDT-SWAP.OKX")


async def falls_silent(engine: Engine, exchange: running.Venue, verb: str, back: str, name: str) -> None:
    await engine.phase(RunState.TRADING)
    await all_heard(engine, ("quotes", "book", "mark"))
    assert _problems(engine) == ()
    which = {} if verb == "down" else {"which": "all"}
    await exchange.control(verb, **which)
    silent = {f"no {what} of {name} for more than 3 s" for what in ("quotes", "book", "mark prices")}
    await engine.until(lambda _: silent <= set(_problems(engine)) or None)
    await exchange.control(back, **which)
    await engine.until(lambda _: _problems(engine) == () or None, 60.0)
    engine.process.send(FLATTEN)
    assert (await engine.ended()).reason is None


async def test_a_book_that_lacks_a_change_is_named_and_taken_anew(
    zygote: ZygoteProcess, binance: running.Venue
) -> None:
    engine = Engine(zygote, on_binance(binance, kinds=("book",)))
    await engine.phase(RunState.TRADING)
    await all_heard(engine, ("book",))
    await binance.control("lose_book", symbol="BTCUSDT")
    await binance.control("touch", symbol="BTCUSDT", bid="60000.0", ask="60000.1")
    await binance.control("touch", symbol="BTCUSDT", bid="61000.0", ask="61000.1")
    await engine.until(lambda _: _is_last(engine, "ASK 61000.1 by the book") or None)
    assert engine.alerts().count("book_gap") == 1
    asked = [each["path"] for each in await binance.control("requests") if each["path"].endswith("/depth")]
    assert len(asked) == 2
    engine.process.send(FLATTEN)
    assert (await engine.ended()).reason is None


def _is_last(engine: Engine, said: str) -> bool:
    return said in [line for line in engine.process.log if " by the book" in line][-1]


def _problems(engine: Engine) -> tuple[str, ...]:
    measured = engine.process.metrics()
    return problems(measured[-1], stale_feed_after_s=STALE_S) if measured else ()


@pytest.fixture
def catalog(tmp_path: Path) -> Path:
    """Has an instrument of Binance that the exchange does not list."""
    found = CryptoPerpetual.to_dict(TestInstrumentProvider.ethusdt_perp_binance())
    renamed = found | {"id": "XRPUSDT-PERP.BINANCE", "raw_symbol": "XRPUSDT"}
    ParquetDataCatalog(str(tmp_path)).write_data([CryptoPerpetual.from_dict(renamed)])
    return tmp_path


@pytest.mark.parametrize("kind", ["venue", "venue that lists all", "client without instruments"])
async def test_what_a_venue_does_not_give_is_taken_from_the_catalog(
    zygote: ZygoteProcess, binance: running.Venue, catalog: Path, kind: str
) -> None:
    is_bare = kind == "client without instruments"
    order = {"resting": "0.010", "price": "1000.00"}
    run = on_binance(binance, instrument="XRPUSDT-PERP.BINANCE", catalog=catalog, **order)
    if kind == "venue that lists all":
        config = run.plan.node["data_clients"]["BINANCE"]["config"]
        config["instrument_provider"] = {"load_all": True}
    if is_bare:
        module = "tests.integration.exchanges.bare_data"
        client = {
            "path": f"{module}:BareDataClientConfig",
            "factory": {"path": f"{module}:BareDataClientFactory"},
        }
        run.plan.node["data_clients"]["BINANCE"] = client
    engine = Engine(zygote, run)
    await engine.phase(RunState.TRADING)
    await engine.until(lambda _: _open_orders(engine) == 1 or None)
    is_told = any("does not give XRPUSDT-PERP.BINANCE" in line for line in engine.process.log)
    assert is_told is not is_bare
    engine.process.send(FLATTEN)
    assert (await engine.ended()).not_confirmed == ()


def _open_orders(engine: Engine) -> int:
    measured = engine.process.metrics()
    return measured[-1].orders_open if measured else 0


async def test_without_one_in_the_catalog_the_start_ends_with_the_nearest_names(
    zygote: ZygoteProcess, binance: running.Venue, catalog: Path
) -> None:
    run = on_binance(binance, instrument="ADAUSDT-PERP.BINANCE", catalog=catalog)
    ended = await Engine(zygote, run).ended()
    assert ended.reason is FailureReason.CONFIG
    assert "BINANCE has no instrument ADAUSDT-PERP.BINANCE; the nearest are" in ended.detail
