"""What docs/exchanges.md says of the exchange is so."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from nautilus_trader.adapters.binance.config import BinanceDataClientConfig, BinanceExecClientConfig

from exchanges.binance.__main__ import CHAOS, main
from exchanges.binance.core.exchange import new_state
from exchanges.binance.server import Server, machine_clock
from exchanges.binance.verbs import control_of
from exchanges.control import Control, Refused, read_schedule
from exchanges.core.faults import Kind, Planned
from tests.unit.exchanges.desk import NOW_MS, D

PAGE = (Path(__file__).parents[3] / "docs" / "exchanges.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture
def control() -> Control:
    return control_of(Server(new_state(1, machine_clock(), [("main", "key", "secret")], D(1))))


def rows(first: str) -> Iterator[tuple[list[str], str]]:
    """The names in the first cell of each row of a table, and its second cell."""
    table = PAGE.partition(f"| {first} |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        cells = line.split("|")
        yield re.findall(r"`(\w+)`", cells[1]), cells[2]


def test_the_page_has_every_verb_with_all_that_it_takes(control: Control) -> None:
    told = control.help()
    assert sorted(name for names, _ in rows("Verb") for name in names) == sorted(told)
    for names, body in rows("Verb"):
        fields = {field for name in names for field in told[name]["takes"]} - {"account"}
        if names != ["down", "up"] and names != ["cut", "half_open"]:
            assert set(re.findall(r"`(\w+)`", body)) == fields, names


def test_the_page_has_every_kind_of_fault() -> None:
    assert [names[0] for names, _ in rows("Kind")] == [kind.value for kind in Kind]


def test_the_configurations_of_the_page_are_the_adapters(control: Control) -> None:
    data, execution, schedule = BLOCKS
    assert BinanceDataClientConfig.parse(json.dumps(data)).base_url_http == "http://127.0.0.1:9100"
    assert BinanceExecClientConfig.parse(json.dumps(execution)).base_url_ws_stream == "ws://127.0.0.1:9100"
    assert len(control.check(msgspec.convert(schedule, list[Planned]))) == 4


def test_every_fault_of_chaos_can_be_done(control: Control) -> None:
    assert len(control.check(CHAOS)) == len(CHAOS) == 15


@pytest.mark.parametrize(
    ("verb", "body", "words"),
    [
        (
            "hand_position",
            {"symbol": "BTCUSDT", "qty": "1e400", "price": "1"},
            "qty: 1E+400 is not below 1e9",
        ),
        (
            "hand_position",
            {"symbol": "BTCUSDT", "qty": "1", "price": "1e15"},
            "price: 1E+15 is not below 1e9",
        ),
        ("hand_position", {"symbol": "BTCUSDT", "qty": "1e-13", "price": "1"}, "has more than 12 decimals"),
        ("hand_position", {"symbol": "BTCUSDT", "qty": "NaN", "price": "1"}, "NaN is not a number"),
        ("hand_position", {"symbol": "BTCUSDT", "qty": "1", "price": "1", "age_days": 1e9}, "age_days"),
        ("transfer", {"amount": "-1e999999"}, "amount: -1E+999999"),
        ("limits", {"weight": -1}, "weight"),
        ("conduct", {"parts": 0}, "parts"),
        ("conduct", {"fill_after_cancel": -1}, "fill_after_cancel"),
        ("skew", {"ms": 10**13}, "ms"),
    ],
)
async def test_numbers_that_cannot_be_are_refused_by_name_and_change_nothing(
    control: Control, verb: str, body: dict[str, object], words: str
) -> None:
    before = await control.do("ledger", b"")
    with pytest.raises(Refused, match=re.escape(words)):
        await control.do(verb, json.dumps(body).encode())
    assert await control.do("ledger", b"") == before


@pytest.mark.parametrize("qty", ["999999999.9", "0.000000000001"])
async def test_numbers_at_their_ends_can_be_shown(control: Control, qty: str) -> None:
    body = {"symbol": "BTCUSDT", "qty": qty, "price": "999999999"}
    await control.do("hand_position", json.dumps(body).encode())
    assert qty.rstrip("0") in json.dumps(await control.do("ledger", b""), default=str)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--account", "main:key"], "--account: NAME:KEY:SECRET"),
        (["--account", "main::secret"], "--account: NAME:KEY:SECRET"),
        (["--account", "a:k:s", "--account", "a:k2:s"], "--account: 'a' is there twice"),
        (["--account", "a:k:s", "--account", "b:k:s"], "--account: two accounts have one key"),
        (["--deposit", "much"], "--deposit: 'much' is not an amount"),
        (["--deposit", "-1"], "--deposit"),
        (["--interval", "0"], "--interval: 0.0"),
        (["--interval", "nan"], "--interval: nan"),
        (["--chaos", "0"], "positive number of seconds"),
        (["--faults", "/nowhere/plan.json"], "/nowhere/plan.json"),
        (["--port", "70000"], "--port: 70000"),
    ],
)
def test_options_that_cannot_be_are_refused_by_name(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--port", "0", *options]) == 2
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["--port", str(port)]) == 2
        assert str(port) in capsys.readouterr().err
        assert main(["--port", "0", "--control-port", str(port)]) == 2
        assert str(port) in capsys.readouterr().err


def test_a_file_that_is_no_state_or_no_schedule_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"seed": "one"}')
    assert main(["--port", "0", "--state", str(file)]) == 2
    assert f"{file}: " in (error := capsys.readouterr().err)
    assert "$.seed" in error
    assert main(["--port", "0", "--state", str(file), "--deposit", "5"]) == 2
    assert "has its accounts already" in capsys.readouterr().err
    file.write_text('[{"at": 1}]')
    with pytest.raises(Refused, match=r"state\.json: .*do"):
        read_schedule(file)


def test_a_new_exchange_keeps_its_first_ids_apart_from_those_of_before() -> None:
    earlier, later = (new_state(1, now_ms, [], D(1)).next_id for now_ms in (NOW_MS, NOW_MS + 60_000))
    assert later > earlier
