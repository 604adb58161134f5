"""Engines where there is no network at all: each adapter's start ends within a minute, with the reason.

`FLOTILLA_ALL_VENUES=1` has all of them, which takes the cores for half a minute; else one of each kind.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import Ended, Phase, Run
from flotilla.schemas.states import FailureReason, RunState
from tests.engine_processes import EngineProcess, ZygoteProcess, zygote_process
from tests.venue_runs import GIVEN, KEYS, NAMES, SECRETS, run_of_venue

IN_A_MINUTE = 60.0
# In Python, in Rust, a gateway beside the engine, and one that connects only to what is subscribed.
KINDS = ["binance", "okx", "interactive_brokers", "databento"]
CHOSEN = NAMES if os.environ.get("FLOTILLA_ALL_VENUES") else KINDS
INSTRUMENTS = {
    "architect_ax": "EURUSD-PERP.AX",
    "betfair": "1-179082386-123.BETFAIR",
    "binance": "BTCUSDT.BINANCE",
    "bitmex": "XBTUSD.BITMEX",
    "bybit": "BTCUSDT-LINEAR.BYBIT",
    "databento": "ESZ6.GLBX",
    "deribit": "BTC-PERPETUAL.DERIBIT",
    "dydx": "BTC-USD-PERP.DYDX",
    "hyperliquid": "BTC-USD-PERP.HYPERLIQUID",
    "interactive_brokers": "AAPL.NASDAQ",
    "kraken": "XBT/USD.KRAKEN",
    "okx": "BTC-USDT.OKX",
    "polymarket": "0xabc-123.POLYMARKET",
    "tardis": "BTCUSDT.BINANCE",
}
NO_NETWORK = ("dns error", "no DNS for", "failed to lookup", "Network is unreachable", "refuses connections")


def without_network() -> Sequence[str]:
    """What starts a program without network: as an ordinary user where those may, else as root."""
    for options in (("--user", "--map-root-user", "--net"), ("--net",)):
        program = ["unshare", *options, "--"]
        if (
            shutil.which("unshare")
            and not subprocess.run([*program, "true"], check=False, capture_output=True).returncode
        ):
            return program
    pytest.skip("neither namespaces of users nor the rights of root: no process without network here")


@pytest.fixture(scope="module")
def zygote() -> Iterator[ZygoteProcess]:
    with zygote_process(without_network()) as process:
        yield process


def run_on(name: str) -> Run:
    """The venue as live engines have it, and a strategy that needs its instrument."""
    run = run_of_venue(name, "live", **GIVEN.get(name, {}))
    module = "tests.strategies_for_tests"
    strategy: dict[str, Any] = {
        "strategy_path": f"{module}:OnBars",
        "config_path": f"{module}:BarsConfig",
        "config": {"bar_type": f"{INSTRUMENTS[name]}-1-MINUTE-LAST-EXTERNAL"},
    }
    return msgspec.structs.replace(run, plan=msgspec.structs.replace(run.plan, strategies=(strategy,)))


def end_of(engine: EngineProcess) -> Ended:
    return engine.until(lambda message: message if isinstance(message, Ended) else None, IN_A_MINUTE)


def test_every_adapters_start_ends_within_a_minute_and_says_that_there_is_no_network(
    zygote: ZygoteProcess,
) -> None:
    engines = {name: zygote.fork(run_on(name)) for name in CHOSEN}
    secrets = {*SECRETS.values(), *(key for keys in KEYS.values() for key in keys.values())}
    # All are heard at once: the last word of one that nobody listens to is lost.
    with ThreadPoolExecutor(len(engines)) as pool:
        ends = dict(zip(engines, pool.map(end_of, engines.values()), strict=True))
    for name, engine in engines.items():
        ended = ends[name]
        assert ended.reason is FailureReason.VENUE, (name, ended)
        assert name.upper() in ended.detail, ended
        assert any(words in ended.detail for words in NO_NETWORK), (name, ended)
        assert not any(secret in str(engine.heard) for secret in secrets), name
    # The client tries again in silence; the engine says what it waits for.
    said = [each.detail for each in engines["okx"].heard if isinstance(each, Phase) and each.detail]
    assert said[0] == "OKX data and execution: no answer yet"
    assert said[1].startswith("OKX data and execution: no DNS for www.okx.com")
    assert RunState.TRADING not in [
        each.state for engine in engines.values() for each in engine.heard if isinstance(each, Phase)
    ]
