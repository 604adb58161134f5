"""`flotilla instrument import --venue`: what venues list is stored, through their own adapters; what goes wrong is told, and stores nothing.

One test goes the whole way by the command line; the others ask the venue and store in this process, which is faster.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.cli.commands.instrument_venue import list_venue
from flotilla.engine_sidecar.catalog.__main__ import main
from flotilla.engine_sidecar.catalog.described import to_dict
from flotilla.engine_sidecar.engine.instrument_listing import ListRefusedError, listed
from flotilla.schemas.fault import FaultError
from flotilla.schemas.instrument import ImportInstruments
from flotilla.schemas.secrets import SecretBinding
from flotilla.state.folder import StateFolder
from flotilla.state.secret_places import secret_store
from tests.engine_processes import ROOT
from tests.integration.exchanges import ib_running, okx_running, running

FUTURES = "binance,account_type=USDT_FUTURES"
BTC = "BTCUSDT-PERP.BINANCE"
ADAPTERS = "nautilus_trader.adapters"


class Fleet:
    """A state folder, with its secrets and its catalog."""

    def __init__(self, folder: StateFolder, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        folder.create()

    def secret(self, name: str, adapter: str, **values: str) -> None:
        """Stores a secret of a test exchange."""
        binding = SecretBinding(adapter=f"{ADAPTERS}.{adapter}", is_test_exchange=True)
        secret_store(self.folder).save(name, values, binding)

    async def cli(self, *arguments: str) -> str:
        """What `instrument import` printed."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flotilla", "--state", str(self.folder.root), "instrument", "import"),
            *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, errors = await process.communicate()
        assert process.returncode == 0, errors.decode()
        return out.decode()

    async def import_(
        self, venue: str, *match: str, secret: str | None = None, is_dry_run: bool = False
    ) -> dict[str, Any]:
        """The same without processes: what was answered."""
        order = list_venue(self.folder, venue, match, secret)
        found, last = await listed(order)
        file = self.folder.root / "listed.json"
        file.write_text("\n".join(json.dumps(to_dict(one)) for one in found))
        asked = ImportInstruments(
            source=str(file), new_currencies=last.currencies, is_venue_list=True, is_dry_run=is_dry_run
        )
        self.program(
            "instrument", "import", "--catalog", str(self.folder.catalog), msgspec.json.encode(asked).decode()
        )
        answer: dict[str, Any] = json.loads(self._capsys.readouterr().out)
        return answer

    def program(self, *arguments: str) -> None:
        """The catalog's program."""
        main([*arguments])

    async def refused(self, venue: str, *match: str, secret: str | None = None) -> str:
        """Why there is no list."""
        with pytest.raises((ListRefusedError, FaultError)) as caught:
            await self.import_(venue, *match, secret=secret)
        error = caught.value
        return error.fault.message if isinstance(error, FaultError) else str(error)

    def stored(self) -> dict[str, Any]:
        """What NautilusTrader finds in the catalog, by id."""
        if not self.folder.catalog.exists():
            return {}
        return {
            one.id.value: to_dict(one) for one in ParquetDataCatalog(str(self.folder.catalog)).instruments()
        }


@pytest.fixture
def fleet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Fleet:
    return Fleet(StateFolder(tmp_path), capsys)


@pytest.fixture
async def binance() -> AsyncIterator[running.Venue]:
    async with running.exchange_here() as venue:
        yield venue


def _keys(venue: running.Venue, key: str = "test-key") -> dict[str, str]:
    return {"api_key": key, "api_secret": "test-secret", "base_url_http": venue.http}


async def test_what_binance_lists_is_stored_and_what_changed_there_is_told(
    fleet: Fleet, binance: running.Venue
) -> None:
    fleet.secret("mine", "binance", **_keys(binance))
    dry = await fleet.import_(FUTURES, secret="mine", is_dry_run=True)
    assert [one["outcome"] for one in dry["changes"]] == ["added", "added"]
    assert fleet.stored() == {}
    said = await fleet.cli("--venue", FUTURES, "--secret", "mine", "--match", "BTC*")
    assert said.splitlines() == [
        f"{BTC}: perpetual, added",
        "1 of the venue's 2 instruments match: 1 added",
    ]
    kept = fleet.stored()[BTC]
    assert (kept["price_increment"], kept["size_increment"], kept["taker_fee"]) == (
        "0.1",
        "0.001",
        "0.000500",
    )

    await binance.control("tick", symbol="BTCUSDT", tick="0.5", step="0.01")
    changed = await fleet.import_(FUTURES, secret="mine")
    assert [(one["id"], one["outcome"]) for one in changed["changes"]] == [
        (BTC, "replaced"),
        ("ETHUSDT-PERP.BINANCE", "added"),
    ]
    assert "price_increment 0.1 → 0.5" in changed["changes"][0]["changed"]


async def test_a_venue_that_changed_what_data_depends_on_is_refused_by_the_data(
    fleet: Fleet, binance: running.Venue, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    public = f"{FUTURES},base_url_http={binance.http}"
    await fleet.import_(public, BTC)
    trades = tmp_path / "trades.csv"
    trades.write_text("time,price,size\n2024-01-02T10:00:00Z,50000.1,0.003\n")
    catalog = str(fleet.folder.catalog)
    fleet.program("import", "--catalog", catalog, str(trades), "--type", "trades", "--instrument", BTC)
    capsys.readouterr()
    before = fleet.stored()
    await binance.control("tick", symbol="BTCUSDT", tick="0.01", step="0.001")
    said = await fleet.import_(public)
    assert f"{BTC} cannot be described so, because data depends on it" in said["message"]
    assert fleet.stored() == before


async def test_what_is_wrong_is_told_and_nothing_is_stored(fleet: Fleet, binance: running.Venue) -> None:
    fleet.secret("wrong", "binance", **_keys(binance, key="somebody-else"))
    said = await fleet.refused(FUTURES, secret="wrong")
    assert "Invalid API-key" in said
    assert "somebody-else" not in said
    public = f"{FUTURES},base_url_http={binance.http}"
    said = await fleet.refused(public, "BTCUSD-PERP.BINANCE")
    assert said == (
        "match: binance has no instrument BTCUSD-PERP.BINANCE; the nearest are BTCUSDT-PERP.BINANCE, ETHUSDT-PERP.BINANCE"
    )
    assert "must be one of architect_ax, betfair, binance" in await fleet.refused("binanse")
    assert "is bound to another adapter" in await fleet.refused("okx", secret="wrong")
    assert "okx gives nothing without a key" in await fleet.refused("okx")
    elsewhere = f"{FUTURES},base_url_http=http://127.0.0.1:1"
    assert "base_url_http may say where wrong is sent" in await fleet.refused(elsewhere, secret="wrong")
    assert "`instument_types`" in await fleet.refused(f"{FUTURES},instument_types=1")
    assert "may only come from a secret" in await fleet.refused(f"{FUTURES},api_key=mine")
    await binance.control("down")
    assert "binance gives no instruments: HttpError" in await fleet.refused(public)
    assert fleet.stored() == {}


async def test_what_cannot_be_described_is_left_out_and_named_and_the_rest_is_stored(
    fleet: Fleet, binance: running.Venue, capsys: pytest.CaptureFixture[str]
) -> None:
    order = list_venue(fleet.folder, f"{FUTURES},base_url_http={binance.http}", (), None)
    found, _ = await listed(order)
    documents = [to_dict(one) for one in found]
    documents[1]["quote_currency"] = "NOSUCHCOIN"
    file = fleet.folder.root / "listed.json"
    file.write_text("\n".join(map(json.dumps, documents)))
    asked = msgspec.json.encode(ImportInstruments(source=str(file), is_venue_list=True)).decode()
    fleet.program("instrument", "import", "--catalog", str(fleet.folder.catalog), asked)
    said = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in said["changes"]] == [BTC]
    (why,) = said["left_out"]
    assert why.startswith("ETHUSDT-PERP.BINANCE: quote_currency 'NOSUCHCOIN' is no currency")
    assert fleet.stored().keys() == {BTC}


async def test_what_okx_lists_is_stored(fleet: Fleet) -> None:
    async with okx_running.exchange_here() as venue:
        keys = {"api_key": "test-key", "api_secret": "test-secret", "api_passphrase": "test-phrase"}
        fleet.secret("mine", "okx", base_url_http=venue.http, **keys)
        said = await fleet.import_('okx,instrument_types=["SWAP"]', "*-SWAP.OKX", secret="mine")
    assert [one["outcome"] for one in said["changes"]] == ["added", "added"]
    kept = fleet.stored()["BTC-USDT-SWAP.OKX"]
    assert (kept["multiplier"], kept["taker_fee"]) == ("0.01", "0.0005")


async def test_interactive_brokers_is_asked_by_id_and_names_what_it_does_not_have(fleet: Fleet) -> None:
    async with ib_running.gateway_here() as gateway:
        venue = f"interactive_brokers,ibg_port={gateway.port}"
        both = ("AAPL.NASDAQ", "EUR/USD.IDEALPRO")
        said = await fleet.import_(venue, *both)
        assert [(one["id"], one["instrument_class"]) for one in said["changes"]] == [
            ("AAPL.NASDAQ", "equity"),
            ("EUR/USD.IDEALPRO", "currency-pair"),
        ]
        refusal = await fleet.refused(venue, *both, "NOPE.NASDAQ")
        assert refusal == "match: interactive_brokers has no instrument NOPE.NASDAQ; it has no list of others"
        refusal = await fleet.refused(venue, "AA*")
        assert "has no list: name each instrument, such as AAPL.NASDAQ" in refusal
