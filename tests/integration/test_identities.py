"""A session's credential: it ends by itself, is renewed while the session runs, and is good for nothing once it has ended."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import SYSTEM_CREDS_FILE, EngineMint, Minted
from flotilla.bus.jwt import claims_of, with_claims
from flotilla.bus.revoking import LONGEST_LIFE_S, Revoker, revoked
from flotilla.bus.settings import BusSettings, engine_name, renewal_name
from flotilla.bus.streams import ensure_streams
from flotilla.schemas import contract
from flotilla.schemas.contract import Actor
from flotilla.schemas.fault import FaultError
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.logins import SESSION, revoker_of

LIFE_S = 3


@pytest.fixture
def mint(nats: NatsServer) -> EngineMint:
    """Of credentials that end soon."""
    return nats.keys.mint(LIFE_S)


@pytest.fixture
async def revoker(nats: NatsServer) -> AsyncIterator[Revoker]:
    made = revoker_of(nats)
    yield made
    await made.close()


def settings_of(nats: NatsServer, creds: str, instance_id: str = "e1") -> BusSettings:
    name = engine_name(instance_id, SESSION)
    return BusSettings(url=nats.url, name=name, creds=creds, obeys=nats.keys.account)


async def published(engine: Bus, count: int) -> None:
    """Events one after the other, each until it is acknowledged."""
    for number in range(count):
        while True:
            try:
                await engine.publish_durable(contract.FILL, b"{}", message_id=f"{number}", instance_id="e1")
                break
            except FaultError:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.01)


async def test_a_credential_that_is_renewed_in_time_loses_no_event(
    nats: NatsServer, mint: EngineMint, connect_as: ConnectAs
) -> None:
    operator = await connect_as(Actor.OPERATOR)
    await ensure_streams(operator)
    minted = mint.mint("e1", SESSION)
    engine = await connect(settings_of(nats, minted.creds))
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        work = group.create_task(published(engine, 300))
        while not work.done():
            engine.renew(mint.renew(minted.users, "e1", SESSION).jwt)
            await asyncio.sleep(LIFE_S / 4)
    assert time.monotonic() - started > LIFE_S, "it went on through at least one end"
    assert engine.stats.reconnects >= 1
    kept = (await operator.client.jetstream().stream_info("EVENTS")).state.messages
    assert kept == 300
    await engine.close()


async def test_a_credential_that_nobody_renews_ends_and_one_that_comes_late_lets_the_session_in_again(
    nats: NatsServer, mint: EngineMint
) -> None:
    minted = mint.mint("e1", SESSION)
    engine = await connect(settings_of(nats, minted.creds))
    await until(lambda: not engine.is_connected, LIFE_S + 5)
    # The server counts in whole seconds: until the one is over in which it ends, it lets the client in and cuts it again.
    await asyncio.sleep(1.5)
    assert not engine.is_connected
    with pytest.raises(FaultError):
        await connect(settings_of(nats, minted.creds), wait_s=0.5)
    engine.renew(mint.renew(minted.users, "e1", SESSION).jwt)
    await until(lambda: engine.is_connected, 10)
    await engine.close()


async def test_what_is_revoked_is_cut_at_once_and_stays_out_also_after_the_server_was_started_again(
    nats: NatsServer, revoker: Revoker, connect_as: ConnectAs
) -> None:
    # As in every fleet. Without, the server listens before it has read its accounts.
    await ensure_streams(await connect_as(Actor.OPERATOR))
    keys = nats.keys.mint()
    gone, other = keys.mint("e1", SESSION), keys.mint("e2", SESSION)
    engine, neighbour = (
        await connect(settings_of(nats, gone.creds)),
        await connect(settings_of(nats, other.creds, "e2")),
    )
    await revoker.revoke([gone.users.engine, gone.users.renewal])
    await until(lambda: not engine.is_connected, 1.0)
    assert neighbour.stats.reconnects == 0
    for kill in (False, True):
        with pytest.raises(FaultError):
            await connect(settings_of(nats, gone.creds), wait_s=0.5)
        with pytest.raises(FaultError):
            await connect(renewal_settings(nats, gone), wait_s=0.5)
        nats.kill() if kill else nats.stop()
        nats.start()
    await until(lambda: neighbour.is_connected, 5)
    assert not engine.is_connected
    await insisted(revoker, other.users.engine)
    await until(lambda: not neighbour.is_connected, 1.0)
    with pytest.raises(FaultError):
        await connect(settings_of(nats, gone.creds), wait_s=0.5)
    await engine.close()
    await neighbour.close()


async def insisted(revoker: Revoker, user: str) -> None:
    """As a supervisor does: its connection may be on its way back."""
    async with asyncio.timeout(5):
        while True:
            with suppress(FaultError):
                return await revoker.revoke([user])
            await asyncio.sleep(0.05)


def renewal_settings(nats: NatsServer, minted: Minted) -> BusSettings:
    return BusSettings(url=nats.url, name=renewal_name("e1", SESSION), creds=minted.renewal)


async def test_the_second_credential_asks_for_renewals_and_can_do_nothing_else(nats: NatsServer) -> None:
    minted = nats.keys.mint().mint("e1", SESSION)
    bus = await connect(renewal_settings(nats, minted))
    for subject in ("engine.e1.state", "engine.e1.heartbeat", "fleet.trial.claim", "engine.renew_credential"):
        await bus.client.publish(subject, b"{}")
    for subject in ("engine.e1.command.*", "_INBOX_engine_e1_x.>", ">"):
        await bus.client.subscribe(subject)
    await bus.flush()
    assert bus.client.denied == 7
    await bus.close()


async def test_the_supervisors_system_credential_can_revoke_and_nothing_else(nats: NatsServer) -> None:
    nats.keys.write_system_credentials()
    creds = nats.keys.engine_key_file.with_name(SYSTEM_CREDS_FILE).read_text()
    bus = await connect(BusSettings(url=nats.url, name=Actor.SUPERVISOR, creds=creds))
    for subject in ("$SYS.REQ.SERVER.PING", "$SYS.REQ.CLAIMS.DELETE", "$SYS.REQ.SERVER.x.KICK"):
        await bus.client.publish(subject, b"{}")
    await bus.client.subscribe("$SYS.>")
    await bus.flush()
    assert bus.client.denied == 4
    await bus.close()


def test_revocations_are_forgotten_once_no_credential_can_be_so_old() -> None:
    claims = {"nats": {"type": "account", "version": 2, "revocations": {"old": 1_000, "new": 2_000_000}}}
    changed = revoked(claims, ["now"], 2_000_000 + 10)
    assert changed == {"type": "account", "revocations": {"new": 2_000_000, "now": 2_000_010}}
    assert LONGEST_LIFE_S < 2_000_000 - 1_000


def test_claims_can_be_exchanged_and_the_key_stays(nats: NatsServer) -> None:
    mint = nats.keys.mint()
    minted = mint.mint("e1", SESSION)
    renewed = with_claims(minted.creds, mint.renew(minted.users, "e1", SESSION).jwt)
    assert claims_of(renewed.splitlines()[1])["sub"] == minted.users.engine
    assert renewed.split("SEED")[1] == minted.creds.split("SEED")[1]
    with pytest.raises(ValueError, match="not a JWT"):
        claims_of("x")


async def until(is_so: object, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():  # type: ignore[operator]
            await asyncio.sleep(0.01)
