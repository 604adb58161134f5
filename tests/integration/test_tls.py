"""A bus at tls://: nothing is said before the connection is encrypted and the server has shown a certificate that is good."""

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from flotilla.bus.bus import connect
from flotilla.bus.credentials import FleetKeys
from flotilla.bus.settings import BusSettings
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.contract import COMMAND_STOP, Actor
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.session import EngineCommand
from flotilla.schemas.states import RunState
from flotilla.stack.servers.nats import NatsServer
from tests.integration.sidecars import Heard, Sidecar, until


class TlsServer(NatsServer):
    """A nats-server that speaks to nobody in plain text."""

    authority: Path
    """The certificate of who signed the server's."""

    @property
    def url(self) -> str:
        return super().url.replace("nats://", "tls://")

    def settings(self, actor: Actor) -> BusSettings:
        return msgspec.structs.replace(super().settings(actor), ca=self.authority.read_text())

    def _write_config(self) -> None:
        super()._write_config()
        with (self.folder / "nats.conf").open("a") as config:
            config.write('tls {\n  cert_file: "server.pem"\n  key_file: "server.key"\n}\n')


def made_certificate(folder: Path, name: str, *more: str) -> Path:
    """A certificate for this machine's loopback, and its key beside it."""
    made = folder / f"{name}.pem"
    kind = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    files = ["-out", str(made), "-keyout", str(made.with_suffix(".key"))]
    command = ["openssl", "req", *kind, "-subj", f"/CN={name}", *files, *more]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture
def tls(tmp_path: Path, fleet_keys: FleetKeys) -> Iterator[TlsServer]:
    server = TlsServer(tmp_path / "nats", fleet_keys)
    server.authority = made_certificate(tmp_path, "authority", "-addext", "keyUsage=keyCertSign")
    signed_by = ["-CA", str(server.authority), "-CAkey", str(tmp_path / "authority.key")]
    made_certificate(
        server.folder,
        "server",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "basicConstraints=CA:FALSE",
        *signed_by,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def sidecar(tls: TlsServer, tmp_path: Path) -> Iterator[Sidecar]:
    made = Sidecar(tls, tmp_path)
    yield made
    made.end()


def without_authority(settings: BusSettings, ca: str = "") -> BusSettings:
    return msgspec.structs.replace(settings, ca=ca)


async def test_services_speak_encrypted_also_after_the_server_was_killed(tls: TlsServer) -> None:
    bus = await connect(tls.settings(Actor.OPERATOR))
    await ensure_streams(bus)
    tls.kill()
    await until(lambda: not bus.is_connected)
    tls.start()
    await until(lambda: bus.is_connected)
    assert (await bus.client.jetstream().stream_info("EVENTS")).state.messages == 0
    assert bus.certificate_ends is not None
    left = bus.certificate_ends - datetime.now(UTC)
    assert timedelta(days=1, hours=23) < left <= timedelta(days=2)
    await bus.close()


async def test_an_engine_trades_and_is_stopped_over_it(tls: TlsServer, sidecar: Sidecar) -> None:
    orchestrator = await connect(tls.settings(Actor.ORCHESTRATOR))
    heard = Heard()
    await heard.listen(orchestrator)
    await ensure_streams(orchestrator)
    sidecar.start(ca=tls.authority.read_text())
    await heard.trading()
    await orchestrator.call(COMMAND_STOP, EngineCommand(), instance_id="e1")
    assert await sidecar.wait() == 0
    await heard.state(RunState.STOPPED)
    await orchestrator.close()


@pytest.mark.parametrize("whose", ["this machine", "somebody else"])
async def test_a_server_whose_certificate_nobody_vouches_for_is_no_bus(
    tls: TlsServer, tmp_path: Path, whose: str
) -> None:
    ca = (
        ""
        if whose == "this machine"
        else made_certificate(tmp_path, "other", "-addext", "keyUsage=keyCertSign").read_text()
    )
    with pytest.raises(FaultError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        await connect(without_authority(tls.settings(Actor.OPERATOR), ca), wait_s=0.5)
    assert caught.value.fault.code == FaultCode.UNAVAILABLE


async def test_who_says_that_nothing_is_encrypted_is_told_nothing(nats: NatsServer) -> None:
    """Such as somebody in between: whether a connection is encrypted is said in plain text."""
    said: list[bytes] = []

    async def in_between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b'INFO {"server_id":"S","version":"2.15.1","headers":true,"auth_required":true,"nonce":"n","max_payload":9}\r\n'
        )
        said.append(await reader.read(9_999))
        writer.close()

    async with await asyncio.start_server(in_between, "127.0.0.1", 0) as server:
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        settings = nats.settings(Actor.OPERATOR)
        with pytest.raises(FaultError, match="does not encrypt"):
            await connect(msgspec.structs.replace(settings, url=f"tls://{address}"), wait_s=0.5)
        assert set(said) == {b""}
        # It is told the credential by whoever asks for plain text.
        said.clear()
        with pytest.raises(FaultError):
            await connect(msgspec.structs.replace(settings, url=f"nats://{address}"), wait_s=0.5)
        assert any(b'"jwt"' in text for text in said)


async def test_a_file_without_a_certificate_is_refused_by_name(nats: NatsServer) -> None:
    settings = without_authority(nats.settings(Actor.OPERATOR), "no certificate")
    with pytest.raises(FaultError) as caught:
        await connect(msgspec.structs.replace(settings, url="tls://127.0.0.1:1"), wait_s=0.5)
    assert [one.field for one in caught.value.fault.errors] == ["nats_ca"]
