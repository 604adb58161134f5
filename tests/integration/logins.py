"""How those connect whom a supervisor lets in."""

from typing import Final

from flotilla.bus.credentials import REVOKING_KEY_FILE, SYSTEM_CREDS_FILE
from flotilla.bus.jwt import Key
from flotilla.bus.revoking import Revoker
from flotilla.bus.server_accounts import ServerAccounts
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.schemas.contract import Actor
from flotilla.stack.servers.nats import NatsServer

SESSION: Final = "20260131-142501-3f9c2a7b1d04"


def engine_login(
    nats: NatsServer, instance_id: str, session_id: str = SESSION, *, is_worker: bool = False
) -> BusSettings:
    """How the sidecar of an engine connects, or that of a worker."""
    creds = nats.keys.mint().mint(instance_id, session_id, is_worker=is_worker).creds
    name = engine_name(instance_id, session_id)
    return BusSettings(url=nats.url, name=name, creds=creds, obeys=nats.keys.account)


def revoker_of(nats: NatsServer) -> Revoker:
    """What a supervisor takes credentials of engines back with."""
    nats.keys.write_system_credentials()
    files = nats.keys.engine_key_file
    creds = files.with_name(SYSTEM_CREDS_FILE).read_text()
    key = Key(files.with_name(REVOKING_KEY_FILE).read_bytes())
    system = BusSettings(url=nats.url, name=Actor.SUPERVISOR, creds=creds)
    return Revoker(ServerAccounts(system, key), nats.keys.engines_account)
