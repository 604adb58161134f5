"""What a service shows when it connects fits into the one line that our servers read."""

from pathlib import Path

import pytest

from flotilla.bus.credentials import FleetKeys
from flotilla.schemas.contract import Actor
from flotilla.stack.servers.nats import server_config

LINE_BYTES = 16 * 1024
REST_OF_THE_LINE = 1024
"""Signature, name, version and options of the client beside its credential."""


@pytest.mark.parametrize("actor", Actor)
def test_a_credential_fits_into_the_line_that_opens_a_connection(actor: Actor, tmp_path: Path) -> None:
    keys = FleetKeys(tmp_path)
    assert "max_control_line: 16KB\n" in server_config(keys, tmp_path, tmp_path, "h", 1, monitor_port=2)
    assert len(keys.actor_credentials(actor).split("\n")[1]) < (LINE_BYTES - REST_OF_THE_LINE) / 2
