"""`--host` of `flotilla data`: whose catalog is meant, where a fleet elsewhere has several."""

import pytest
from click.testing import CliRunner

from flotilla.cli.main import cli


@pytest.mark.parametrize(
    "arguments",
    [
        ("import", "a.csv", "--type", "quotes", "--instrument", "EUR/USD.SIM"),
        ("rm", "EUR/USD.SIM"),
    ],
)
def test_the_catalog_of_a_state_folder_has_no_host(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.delenv("FLOTILLA_NATS_URL", raising=False)
    done = CliRunner().invoke(cli, ["data", *arguments, "--host", "h1"])
    assert done.exit_code == 2
    assert "--host is for the fleet that FLOTILLA_NATS_URL names" in done.output
