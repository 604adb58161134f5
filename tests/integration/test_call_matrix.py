"""Every call and every feed with every kind of credential: made from the contract, so that a new row is in it by itself.

A stock client does it, and the server says what it refused.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from nats import connect as stock_connect
from nats.aio.client import Client

from flotilla.bus.bus import connect
from flotilla.bus.credentials import FleetKeys, Minted
from flotilla.bus.settings import BusSettings
from flotilla.bus.streams import ensure_streams
from flotilla.schemas.contract import (
    CALLS,
    FEEDS,
    FLEET_STOP_ORDER,
    PACKAGE_FETCH,
    RENEW_CREDENTIAL,
    SERVICES,
    TRIAL_CLAIM,
    Actor,
    Call,
    on_host,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.logins import SESSION, revoker_of

OWN: Final = "e1"
OTHER: Final = "e2"
HOST: Final = "h1"


def concrete(template: str, instance_id: str) -> str:
    """A subject of the contract, about one engine, host, backtest or worker."""
    named = template.replace("<instance_id>", instance_id).replace("<host>", HOST)
    return re.sub(r"<[a-z_]+>", "x1", named)


def asked(call: Call[Any, Any]) -> list[str]:
    """Where a call is asked."""
    of_host = call.owner == Actor.SUPERVISOR and not call.subject.startswith("service.")
    templates = [call.subject, on_host(call)] if of_host else [call.subject]
    return [concrete(one, OTHER) for one in templates]


EVERYTHING: Final = frozenset(
    {subject for call in CALLS for subject in asked(call)}
    | {concrete(feed.subject, OTHER) for feed in FEEDS}
    | {"$SRV.PING", "$SYS.REQ.SERVER.PING"}
    | {
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.PURGE.EVENTS",
        "$JS.API.CONSUMER.CREATE.EVENTS",
        "_INBOX_operator.x",
    }
)


def of_actor(actor: Actor) -> set[str]:
    """What the contract lets it say of `EVERYTHING`."""
    said = {subject for call in CALLS if actor in call.callers for subject in asked(call)}
    said |= {concrete(feed.subject, OTHER) for feed in FEEDS if feed.owner == actor}
    if actor == Actor.ORCHESTRATOR:
        said |= {subject for subject in EVERYTHING if subject.startswith("$JS.API.")}
    return said


@asynccontextmanager
async def stock(
    nats: NatsServer, folder: Path, creds: str, name: str
) -> AsyncIterator[tuple[Client, set[str]]]:
    """A client, and the subjects that the server refused it to publish."""
    file = folder / f"{name}.creds"
    file.write_text(creds)
    refused: set[str] = set()

    async def note(error: Exception) -> None:
        if found := re.search(r'permissions violation for publish to "([^"]+)"', str(error), re.IGNORECASE):
            refused.update(one for one in EVERYTHING if one.lower() == found[1].lower())

    client = await stock_connect(
        nats.url,
        user_credentials=str(file),
        allow_reconnect=False,
        error_cb=note,
        inbox_prefix=f"_INBOX_{name}",
    )
    try:
        yield client, refused
    finally:
        await client.close()


async def refused_of(nats: NatsServer, folder: Path, creds: str, name: str) -> set[str]:
    async with stock(nats, folder, creds, name) as (client, refused):
        for subject in EVERYTHING:
            await client.publish(subject, b"{}", reply=f"_INBOX_{name}.x")
        await client.flush()
        await client.flush()
        return refused


@pytest.mark.parametrize("actor", SERVICES)
async def test_a_service_says_what_the_contract_lets_it_say_and_nothing_else(
    nats: NatsServer, tmp_path: Path, actor: Actor
) -> None:
    refused = await refused_of(nats, tmp_path, nats.keys.actor_credentials(actor), actor)
    assert EVERYTHING - refused == of_actor(actor) & EVERYTHING | more_of(actor)


async def test_a_gateway_says_what_changes_packages_only_where_the_owner_wants_that(
    nats: NatsServer, tmp_path: Path
) -> None:
    creds = nats.keys.actor_credentials(Actor.GATEWAY, pushes=True)
    refused = await refused_of(nats, tmp_path, creds, Actor.GATEWAY)
    packages = {"fleet.package.upload", "fleet.package.push", "fleet.package.remove"}
    assert packages <= EVERYTHING
    assert EVERYTHING - refused == of_actor(Actor.GATEWAY) & EVERYTHING | more_of(Actor.GATEWAY) | packages
    assert not packages & of_actor(Actor.GATEWAY)


def more_of(actor: Actor) -> set[str]:
    """What it says that is no call of its own: the gateway hands an emergency stop to every host at once."""
    return {FLEET_STOP_ORDER.subject} if actor == Actor.GATEWAY else set()


@pytest.mark.parametrize("kind", ["engine", "worker", "renewal"])
async def test_a_session_says_what_is_its_own_and_nothing_of_anybody_else(
    nats: NatsServer, tmp_path: Path, kind: str
) -> None:
    minted = nats.keys.mint().mint(OWN, SESSION, is_worker=kind == "worker")
    creds = minted.renewal if kind == "renewal" else minted.creds
    refused = await refused_of(nats, tmp_path, creds, f"{kind}_{OWN}_{SESSION}")
    allowed = {
        "engine": {PACKAGE_FETCH.subject},
        "worker": {PACKAGE_FETCH.subject, TRIAL_CLAIM.subject},
        "renewal": {concrete(on_host(RENEW_CREDENTIAL), OTHER)},
    }[kind]
    assert EVERYTHING - refused == allowed


def garbage(nats: NatsServer, minted: Minted) -> str:
    return minted.creds.replace("eyJ", "eyK", 1)


def of_another_fleet(nats: NatsServer, minted: Minted) -> str:
    other = FleetKeys(nats.folder / "other")
    return other.actor_credentials(Actor.ORCHESTRATOR)


def non_ascii(nats: NatsServer, minted: Minted) -> str:
    return minted.creds.replace("eyJ", "é\u4e2d", 1)


def claims_of_one_key_of_another(nats: NatsServer, minted: Minted) -> str:
    """Somebody's claims, which are no secret, without their key."""
    claims, key = nats.keys.actor_credentials(Actor.ORCHESTRATOR), minted.creds
    return (
        claims.partition("-----BEGIN USER NKEY SEED")[0]
        + "-----BEGIN USER NKEY SEED"
        + key.rpartition("-----BEGIN USER NKEY SEED")[2]
    )


@pytest.mark.parametrize("spoilt", [garbage, of_another_fleet, non_ascii, claims_of_one_key_of_another])
async def test_whoever_has_no_credential_of_this_fleet_does_not_get_in(
    nats: NatsServer, spoilt: Callable[[NatsServer, Minted], str]
) -> None:
    minted = nats.keys.mint().mint(OWN, SESSION)
    for creds in (spoilt(nats, minted), ""):
        await gets_not_in(nats, creds)


async def test_neither_does_one_whose_credential_has_ended_or_was_revoked(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    await ensure_streams(await connect_as(Actor.OPERATOR))
    ended = nats.keys.mint(1).mint(OWN, SESSION)
    revoked = nats.keys.mint().mint(OTHER, SESSION)
    revoker = revoker_of(nats)
    await revoker.revoke([revoked.users.engine, revoked.users.renewal])
    await revoker.close()
    await asyncio.sleep(2.1)
    for creds in (ended.creds, revoked.creds, revoked.renewal):
        await gets_not_in(nats, creds)


async def gets_not_in(nats: NatsServer, creds: str) -> None:
    with pytest.raises(FaultError) as caught:
        await connect(BusSettings(url=nats.url, name="x", creds=creds), wait_s=0.5)
    assert caught.value.fault.code in (FaultCode.UNAVAILABLE, FaultCode.INVALID)
