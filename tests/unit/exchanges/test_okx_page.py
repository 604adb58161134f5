"""What docs/exchanges-okx.md says of the exchange is so."""

import json
import re
from pathlib import Path

import pytest
from nautilus_trader.adapters.okx.config import OKXDataClientConfig, OKXExecClientConfig

from exchanges.control import Control
from exchanges.okx.__main__ import CHAOS, main
from exchanges.okx.core.exchange import new_state
from exchanges.okx.server import Server, machine_clock
from exchanges.okx.verbs import control_of
from tests.unit.exchanges.okx_desk import D

PAGE = (Path(__file__).parents[3] / "docs" / "exchanges-okx.md").read_text()
BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.fixture
def control() -> Control:
    return control_of(Server(new_state(1, machine_clock(), [("main", "key", "secret", "phrase")], D(1))))


def test_the_page_has_every_verb_with_all_that_it_takes(control: Control) -> None:
    told, said = control.help(), set()
    table = PAGE.partition("| Verb |")[2].partition("\n\n")[0]
    for line in table.splitlines()[2:]:
        cells = line.split("|")
        names = re.findall(r"`(\w+)`", cells[1])
        said.update(names)
        fields = {field for name in names for field in told[name]["takes"]} - {"account"}  # type: ignore[attr-defined]
        assert set(re.findall(r"`(\w+)`", cells[2])) == fields, names
    assert said == set(told)


def test_the_configurations_of_the_page_are_the_adapters() -> None:
    data, execution = BLOCKS
    assert OKXDataClientConfig.parse(json.dumps(data)).base_url_http == "http://127.0.0.1:9200"
    assert OKXExecClientConfig.parse(json.dumps(execution)).base_url_ws == "ws://127.0.0.1:9200/ws/v5/private"


def test_every_fault_of_chaos_can_be_done(control: Control) -> None:
    assert len(control.check(CHAOS)) == len(CHAOS)


@pytest.mark.parametrize("account", ["main:key:secret", "main:key::phrase", "main:key:secret:phrase:more"])
def test_an_account_that_is_none_is_refused(account: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--port", "0", "--account", account]) == 2
    assert "--account: NAME:KEY:SECRET:PASSPHRASE" in capsys.readouterr().err


def test_a_file_that_is_no_state_is_refused_with_its_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "state.json"
    file.write_text('{"seed": "one"}')
    assert main(["--port", "0", "--state", str(file)]) == 2
    assert "$.seed" in capsys.readouterr().err
