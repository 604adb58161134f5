"""What docs/exchanges-interactive-brokers.md says of the gateway is so."""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from nautilus_trader.adapters.interactive_brokers.config import (
    InteractiveBrokersDataClientConfig,
    InteractiveBrokersExecClientConfig,
    InteractiveBrokersInstrumentProviderConfig,
)
from nautilus_trader.config import RoutingConfig

from exchanges.control import Control
from exchanges.core.faults import Kind
from exchanges.interactive_brokers.__main__ import CHAOS, main
from exchanges.interactive_brokers.core.asked import TIFS, TYPES
from exchanges.interactive_brokers.core.errors import MESSAGES
from exchanges.interactive_brokers.core.gateway import new_state
from exchanges.interactive_brokers.server import Server, machine_clock
from exchanges.interactive_brokers.verbs import control_of
from tests.unit.exchanges.interactive_brokers.desk import D

PAGE = (Path(__file__).parents[4] / "docs" / "exchanges-interactive-brokers.md").read_text()


@pytest.fixture
def control() -> Control:
    return control_of(Server(new_state(1, machine_clock(), ["DU1234567"], D(1))))


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
        assert set(re.findall(r"`(\w+)`", body)) == fields, names


def test_the_page_has_every_kind_of_fault_of_order_and_of_time_in_force() -> None:
    assert [names[0] for names, _ in rows("Kind")] == [kind.value for kind in Kind]
    orders = PAGE.partition("**Orders**: ")[2].partition("\n")[0]
    assert all(name in orders for name in (*TYPES, *TIFS))


def test_every_code_of_the_page_has_its_words() -> None:
    codes = re.findall(r"\d{3,5}", PAGE.partition("**Refusals**: ")[2].partition(";")[0])
    assert len(codes) > 15
    assert {int(code) for code in codes} <= MESSAGES.keys()


def test_the_configurations_of_the_page_are_the_adapters() -> None:
    data, execution = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL))
    for config in (data, execution):
        load_ids = frozenset(config["instrument_provider"]["load_ids"])
        config["instrument_provider"] = InteractiveBrokersInstrumentProviderConfig(load_ids=load_ids)
    execution["routing"] = RoutingConfig(**execution["routing"])
    assert InteractiveBrokersDataClientConfig(**data).ibg_port == 9300
    assert InteractiveBrokersExecClientConfig(**execution).account_id == "DU1234567"


def test_every_fault_of_chaos_can_be_done(control: Control) -> None:
    assert len(control.check(CHAOS)) == len(CHAOS)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--account", "du 1"], "--account: 'du 1'"),
        (["--account", "DU1", "--account", "DU1"], "--account: 'DU1'"),
        (["--deposit", "much"], "--deposit: 'much' is not an amount"),
        (["--interval", "0"], "--interval: 0.0"),
        (["--chaos", "0"], "positive number of seconds"),
        (["--faults", "/nowhere/plan.json"], "/nowhere/plan.json"),
        (["--control-port", "70000"], "--control-port: 70000"),
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


def test_a_file_that_is_no_state_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"seed": "one"}')
    assert main(["--port", "0", "--state", str(file)]) == 2
    error = capsys.readouterr().err
    assert f"{file}: " in error
    assert "$.seed" in error
    assert main(["--port", "0", "--state", str(file), "--deposit", "5"]) == 2
    assert "has its accounts already" in capsys.readouterr().err
