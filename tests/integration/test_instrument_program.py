"""`python -m flotilla.engine_sidecar.catalog instrument`: what it keeps, replaces and refuses, and that a refusal changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from nautilus_trader.model.data import TradeTick
from nautilus_trader.model.instruments import Equity
from nautilus_trader.persistence.catalog import ParquetDataCatalog

from flotilla.engine_sidecar.catalog.__main__ import main
from flotilla.engine_sidecar.replay.streams import DataSet, read

FUTURE = {
    "asset_class": "fx",
    "currency": "USD",
    "multiplier": "125000",
    "underlying": "6E",
    "expiration_ns": "2024-03-18",
}


class Program:
    """The program on one catalog, in this process."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys

    def __call__(self, command: str, order: Any = None) -> Any:
        """Its answer, or the message of its refusal."""
        text = order if isinstance(order, str) else json.dumps(order)
        code = main(["instrument", command, "--catalog", str(self.folder), *[text] * (order is not None)])
        said = json.loads(self._capsys.readouterr().out)
        assert (code == 2) == (said.get("event") == "error")
        return said["message"] if code else said

    def add(self, name: str, kind: str | None = None, **fields: Any) -> Any:
        """One change, or the message of its refusal."""
        said = self("add", {"name": name, "instrument_class": kind, "fields": fields})
        return said if isinstance(said, str) else said["changes"][0]

    def data(self, *arguments: str) -> dict[str, Any]:
        """The last word of an import of data."""
        main(["import", "--catalog", str(self.folder), "--json", *arguments])
        said: dict[str, Any] = json.loads(self._capsys.readouterr().out.splitlines()[-1])
        return said

    def stored(self) -> dict[str, Any]:
        """What NautilusTrader itself finds, by id; each once."""
        found = ParquetDataCatalog(str(self.folder)).instruments()
        assert len({one.id for one in found}) == len(found)
        return {one.id.value: type(one).to_dict(one) for one in found}


@pytest.fixture
def program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    (tmp_path / "catalog").mkdir()
    return Program(tmp_path / "catalog", capsys)


@pytest.fixture
def trades(tmp_path: Path) -> str:
    """Trades of 6E, as a vendor has them."""
    file = tmp_path / "6e.csv"
    file.write_text("time,price,size\n2024-01-02T10:00:00Z,1.09445,3\n2024-01-02T10:00:01Z,1.09450,2\n")
    return str(file)


def as_a_share(program: Program, trades: str) -> None:
    done = program.data(trades, "--type", "trades", "--instrument", "6EH4.CME", "--class", "equity")
    assert done["event"] == "imported"


def test_an_import_asks_where_a_name_is_of_a_future(program: Program, trades: str) -> None:
    said = program.data(trades, "--type", "trades", "--instrument", "6EH4.CME")
    assert "6EH4.CME looks like a future of the table" in said["message"]
    assert "first `flotilla instrument add 6EH4.CME --expiry …`" in said["message"]
    assert not list(program.folder.rglob("*.parquet"))
    program.add("6EH4.CME", expiration_ns="2024-03-18")
    done = program.data(trades, "--type", "trades", "--instrument", "6EH4.CME")
    assert (done["event"], done["assumed"]) == ("imported", [])


@pytest.mark.parametrize(
    ("name", "looks"),
    [
        ("BTC-PERPETUAL.DERIBIT", "what a crypto exchange lists"),
        ("FOOUSDT-PERP.X", "a perpetual"),
        ("XYZH4.SIM", "a future"),
        ("ES=F.YAHOO", "a continuous future"),
        ("^GSPC.YAHOO", "an index"),
        ("AAPL240621C00190000.OPRA", "an option"),
        ("BTC-28JUN24-70000-C.X", "an option"),
        ("LBS.CME", "what a futures exchange lists"),
        ("XBTUSD.BITMEX", "a pair, or a perpetual or future of its two currencies"),
        ("BTC-USD.HUOBI", "a pair, or a perpetual or future of its two currencies"),
        ("BTC_USD.X", "a pair, or a perpetual or future of its two currencies"),
        ("ABCDEF.BINANCE_FUTURES", "what a crypto exchange lists"),
    ],
)
def test_an_import_asks_where_a_name_is_of_no_share(
    program: Program, trades: str, name: str, looks: str
) -> None:
    said = program.data(trades, "--type", "trades", "--instrument", name)
    assert f"{name} looks like {looks}" in said["message"]
    assert not list(program.folder.rglob("*.parquet"))


@pytest.mark.parametrize(
    ("name", "options", "told"),
    [
        ("ACME.XNAS", (), "equity in USD, prices by 0.00001, sizes by 1, multiplier 1, fees 0"),
        ("ACME.XETR", ("--currency", "EUR"), "equity in EUR, prices by 0.00001"),
        (
            "EUR/USD.SIM",
            (),
            "currency-pair EUR priced in USD, prices by 0.00001, sizes by 1, multiplier 1, fees 0",
        ),
        ("EURUSD.SIM", (), "from the table (QuantConnect Lean symbol properties (OANDA, FXCM), 2025-12-08)"),
        ("ADA/USDT.X", (), "currency-pair ADA priced in USDT, prices by 0.00001"),
        ("ADAUSDT.X", (), "currency-pair ADA priced in USDT, prices by 0.00001"),
        (
            "ADAUSDT.BINANCE",
            ("--price-precision", "4", "--size-precision", "0"),
            "fees 0.001; from the table",
        ),
        (
            "BTCUSDT-PERP.BINANCE",
            ("--price-precision", "1"),
            "perpetual BTC priced in USDT, prices by 0.1, sizes by 0.001",
        ),
        ("LBS.CME", ("--class", "index"), "index in USD"),
    ],
)
def test_an_import_says_what_it_took_a_new_instrument_for(
    program: Program, trades: str, name: str, options: tuple[str, ...], told: str
) -> None:
    done = program.data(trades, "--type", "trades", "--instrument", name, *options)
    assert done["event"] == "imported", done
    (assumed,) = done["assumed"]
    assert assumed.startswith(f"new instrument {name}: ")
    assert told in assumed
    assert program.data(trades, "--type", "trades", "--instrument", name)["event"] in ("unchanged", "error")


def test_data_finer_than_the_table_is_rounded_when_asked(program: Program, trades: str) -> None:
    said = program.data(trades, "--type", "trades", "--instrument", "BTCUSDT-PERP.BINANCE")
    assert "prices have 5 decimals, and BTCUSDT-PERP.BINANCE moves by 0.1 in the table" in said["message"]
    assert "give --price-precision 1 to round" in said["message"]


def test_data_that_a_contract_was_not_traded_at_is_told(program: Program, trades: str) -> None:
    program.add(
        "EUF.CME", "future", price_increment="0.00005", **FUTURE | {"expiration_ns": "2024-01-02T10:00"}
    )
    late = program.data(trades, "--type", "trades", "--instrument", "EUF.CME")
    assert late["assumed"] == [
        "data goes on after EUF.CME expires, at 2024-01-02T10:00:00Z: orders are rejected from then on"
    ]
    program.add("EUF.CME", activation_ns="2024-01-03", expiration_ns="2024-03-18", multiplier="125000")
    early = program.data(trades, "--type", "trades", "--instrument", "EUF.CME")
    assert early["assumed"] == [
        "data begins before EUF.CME trades, at 2024-01-03T00:00:00Z: orders are rejected until then"
    ]


def test_a_share_that_was_a_future_is_mended_with_its_data(program: Program, trades: str) -> None:
    as_a_share(program, trades)
    before = list(read(program.folder, DataSet(TradeTick, "6EH4.CME")))
    change = program.add("6EH4.CME", "future", price_increment="0.00005", **FUTURE)
    assert change["outcome"] == "replaced"
    assert "class equity → future" in change["changed"]
    assert "multiplier none → 125000" in change["changed"]
    assert change["data"] == ["trade tick 6EH4.CME"]
    assert program.stored()["6EH4.CME"]["type"] == "FuturesContract"
    assert list(read(program.folder, DataSet(TradeTick, "6EH4.CME"))) == before


def test_a_precision_that_data_does_not_have_is_refused_by_the_data_set(
    program: Program, trades: str
) -> None:
    as_a_share(program, trades)
    before = program.stored()
    said = program.add("6EH4.CME", "future", price_increment="0.0001", **FUTURE)
    assert said == (
        "6EH4.CME cannot be described so, because data depends on it: "
        "trade tick 6EH4.CME has a price_precision of 5, not 4"
    )
    assert program.stored() == before


def test_prices_below_zero_keep_the_class_that_has_them(program: Program, tmp_path: Path) -> None:
    program.add("CLK0.NYMEX", expiration_ns="2020-04-21")
    file = tmp_path / "oil.csv"
    file.write_text("time,price,size\n2020-04-20T18:00:00Z,-37.63,3\n")
    assert program.data(str(file), "--type", "trades", "--instrument", "CLK0.NYMEX")["event"] == "imported"
    said = program.add("CLK0.NYMEX", "equity", currency="USD", price_increment="0.01")
    assert "trade tick CLK0.NYMEX has prices of 0 or less, which no equity has" in said
    assert program.add("CLK0.NYMEX", taker_fee="0.0001")["outcome"] == "replaced"


def test_a_change_of_class_that_was_killed_half_way_is_done_by_the_next_add(
    program: Program, tmp_path: Path
) -> None:
    program.add("ABC.XNAS", "equity", currency="USD", price_increment="0.01")
    old = program.stored()
    (definition,) = program.folder.glob("data/equity/ABC.XNAS/*.parquet")
    killed = tmp_path / definition.name
    killed.write_bytes(definition.read_bytes())
    program.add("ABC.XNAS", "index", currency="USD", price_increment="0.01", size_increment="1")
    new = program.stored()
    assert (old["ABC.XNAS"]["type"], new["ABC.XNAS"]["type"]) == ("Equity", "IndexInstrument")
    definition.parent.mkdir(parents=True)
    definition.write_bytes(killed.read_bytes())  # as if it had not come to be deleted
    change = program.add("ABC.XNAS", "index", currency="USD", price_increment="0.01", size_increment="1")
    assert change["outcome"] == "unchanged"
    assert program.stored() == new


def test_what_is_not_given_stays_unless_all_is_described_anew(program: Program) -> None:
    program.add("ACME.XNAS", "equity", currency="USD", price_increment="0.01", taker_fee="0.0005")
    change = program.add("ACME.XNAS", maker_fee="-0.0001")
    assert change["changed"] == ["maker_fee 0 → -0.0001"]
    assert program.add("ACME.XNAS", maker_fee="-0.0001")["outcome"] == "unchanged"
    assert program.add("ACME.XNAS", price_increment="0.001")["changed"][0] == "price_precision 2 → 3"
    anew = program.add("ACME.XNAS", "equity", currency="USD", price_increment="0.001")
    assert anew["changed"] == ["maker_fee -0.0001 → 0", "taker_fee 0.0005 → 0"]
    assert (
        "maker_fee and taker_fee 0: trading costs nothing unless the run has a commission" in anew["assumed"]
    )


def test_what_data_depends_on_is_removed_only_by_force(program: Program, trades: str) -> None:
    as_a_share(program, trades)
    said = program("rm", {"name": "6EH4.CME"})
    assert "6EH4.CME stays, because data depends on it: trade tick 6EH4.CME" in said
    done = program("rm", {"name": "6EH4.CME", "force": True})
    assert (done["outcome"], done["data"]) == ("removed", ["trade tick 6EH4.CME"])
    assert program.stored() == {}
    assert len(list(read(program.folder, DataSet(TradeTick, "6EH4.CME")))) == 2
    assert "the catalog has no instrument 6EH4.CME" in program("rm", {"name": "6EH4.CME"})
    # Data that was left is still a word in what may be said of it.
    assert "price_precision of 5, not 4" in program.add(
        "6EH4.CME", "future", price_increment="0.0001", **FUTURE
    )


def test_instruments_go_from_catalog_to_catalog_and_through_json(program: Program, tmp_path: Path) -> None:
    for name, fields in (
        ("BTCUSD-PERP.BINANCE", {}),
        ("EUR/USD.SIM", {"size_increment": "1"}),
        ("ESH4.CME", {"expiration_ns": "2024-03"}),
    ):
        assert program.add(name, **fields)["outcome"] == "added"
    whole = tmp_path / "all.json"
    whole.write_text(json.dumps(program("ls")))
    lines = tmp_path / "lines.json"
    lines.write_text("\n".join(json.dumps(one) for one in program.stored().values()))
    for source in (program.folder, whole, lines):
        other = Program(tmp_path / f"to-{source.name}", program._capsys)
        done = other("import", {"source": str(source)})
        assert [change["outcome"] for change in done["changes"]] == ["added"] * 3
        assert other.stored() == program.stored()
        assert {one["outcome"] for one in other("import", {"source": str(source)})["changes"]} == {
            "unchanged"
        }
    one = Program(tmp_path / "one", program._capsys)
    one("import", {"source": str(whole), "only": ["EUR/USD.SIM"]})
    assert list(one.stored()) == ["EUR/USD.SIM"]
    # The slash that NautilusTrader leaves out of the folder's name is remembered.
    assert "has EUR/USD.SIM in the folder that EURUSD.SIM would take" in one.add(
        "EURUSD.SIM", size_increment="1"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ("[]", "holds no instrument"),
        ("1", "an instrument is a JSON object, not int"),
        ('{"id": "A.B", "type": "Fish"}', "A.B: type 'Fish' is none of CurrencyPair, Equity"),
        ('{"id": "A", "type": "Equity"}', "id 'A' is no SYMBOL.VENUE"),
        ('{"id": "../x.Y", "type": "Equity"}', "is no SYMBOL.VENUE"),
        ('{"id": "A.B", "type": "Equity", "currency": "USD"}', "price_increment must be given"),
        (
            '{"id": "A.B", "type": "Equity", "currency": "USD", "price_increment": 0.01}',
            "price_increment must be text",
        ),
        (
            '{"id": "A.B", "type": "Equity", "currency": "USD", "price_increment": "0.01", "max_price": "9"}',
            "max_price is no field of class equity, and would be lost",
        ),
    ],
)
def test_json_that_is_no_instrument_is_refused_and_nothing_comes_in(
    program: Program, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "wrong.json"
    sound = {"id": "S.X", "type": "Equity", "currency": "USD", "price_increment": "0.01"}
    file.write_text(text if text[-1] in "{[" or text == "[]" else f"{json.dumps(sound)}\n{text}")
    assert said in program("import", {"source": str(file)})
    assert not list(program.folder.rglob("*.parquet"))


def test_of_what_a_catalog_has_again_and_again_the_last_comes_in(program: Program, tmp_path: Path) -> None:
    older = Equity.from_dict(
        {
            "id": "S.X",
            "raw_symbol": "S",
            "currency": "USD",
            "price_precision": 2,
            "price_increment": "0.01",
            "lot_size": "1",
            "ts_event": 1,
            "ts_init": 1,
            "info": None,
        }
    )
    newer = Equity.from_dict(Equity.to_dict(older) | {"taker_fee": "0.001", "ts_event": 2, "ts_init": 2})
    for one in (newer, older):
        ParquetDataCatalog(str(tmp_path / "theirs")).write_data([one])
    assert program("import", {"source": str(tmp_path / "theirs")})["changes"][0]["outcome"] == "added"
    assert program.stored()["S.X"]["taker_fee"] == "0.001"
    twice = tmp_path / "twice.json"
    twice.write_text(json.dumps([Equity.to_dict(older), Equity.to_dict(newer)]))
    assert "has S.X and S.X, of which a catalog holds one" in program("import", {"source": str(twice)})


def test_a_row_may_be_taken_for_another_name(program: Program) -> None:
    said = program(
        "add", {"name": "MINE.SIM", "like": "BTCUSDT-PERP.BINANCE", "fields": {"taker_fee": "0.001"}}
    )
    assert said["changes"][0]["outcome"] == "added"
    stored = program.stored()["MINE.SIM"]
    assert (stored["type"], stored["price_increment"], stored["taker_fee"]) == (
        "CryptoPerpetual",
        "0.1",
        "0.001",
    )
    program("add", {"name": "MINE.X", "like": "ES", "fields": {"expiration_ns": "2024-03"}})
    assert program.stored()["MINE.X"]["expiration_ns"] == 1_710_509_400 * 10**9
    assert "like: the table has no NOPE" in program("add", {"name": "MINE.SIM", "like": "NOPE"})


def test_every_field_is_shown_with_its_unit(program: Program) -> None:
    program.add("BTCUSD-PERP.BINANCE")
    fields = {
        one["name"]: (one["shown"], one["unit"]) for one in program("show", "BTCUSD-PERP.BINANCE")["fields"]
    }
    assert fields["multiplier"] == ("100", "USD per contract")
    assert fields["taker_fee"] == ("0.0005 (0.05 %)", "of notional")
    assert fields["price_increment"] == ("0.1", "USD")
    assert fields["is_inverse"] == ("yes", "")
    program.add("ESH4.CME", expiration_ns="2024-03")
    fields = {one["name"]: (one["shown"], one["unit"]) for one in program("show", "ESH4.CME")["fields"]}
    assert fields["multiplier"] == ("50", "USD per point and contract")
    assert fields["expiration_ns"] == ("1710509400000000000 (2024-03-15T13:30:00Z)", "UNIX ns")
    assert fields["max_quantity"] == ("none", "")
