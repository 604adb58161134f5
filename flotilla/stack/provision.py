"""`python -m flotilla.stack.provision FOLDER`: writes what each part of a composed fleet must be given, one folder each.

Run before every start: what was made once is kept (keys, passwords, the administrator's token); configurations and credentials are
written anew, so that they have the permissions of this version.
"""

import argparse
import secrets
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from flotilla.bus.credentials import SUPERVISOR_FILES, FleetKeys
from flotilla.bus.files import write_whole
from flotilla.bus.secret_store import SecretStore
from flotilla.bus.tokens import add_token, read_tokens
from flotilla.schemas.access import Role
from flotilla.schemas.contract import SERVICES, Actor
from flotilla.schemas.environment import HTTP_PUSH
from flotilla.stack.servers.nats import ACCOUNTS, server_config

OWNER: Final = 65532
"""The uid and gid that every container of ours runs as."""
_SERVICES: Final = (*SERVICES, Actor.OPERATOR)
_REDIS: Final = """\
bind {host}
port {port}
requirepass {password}
dir /data
appendonly yes
appendfsync everysec
"""


def provision(folder: Path, *, host: str, nats_port: int, redis_port: int) -> None:
    """Fills `folder`/<part> for every part; `host` is the address at which the servers listen for engines."""
    keys = FleetKeys(folder / "keys")
    postgres = _once(folder / "postgres/password")
    redis = _once(folder / "supervisor/redis.password")
    # The superuser's is for what migrates the record; orchestrator and notifier have logins of their own.
    login = _once(folder / "record/login.password")
    notifier_login = _once(folder / "record/notifier-login.password")
    _write(folder / "record/postgres.password", postgres)
    _write(folder / "orchestrator/postgres.password", login)
    _write(folder / "notifier/postgres.password", notifier_login)
    accounts = Path("/data", ACCOUNTS)
    nats = server_config(keys, Path("/data/jetstream"), accounts, host, nats_port, monitor_port=8222)
    keys.write_accounts(folder / "nats-data" / ACCOUNTS, read_tokens(folder / "gateway/tokens.jsonl"))
    _write(folder / "nats/nats.conf", nats)
    _write(folder / "redis/redis.conf", _REDIS.format(host=host, port=redis_port, password=redis))
    for actor in _SERVICES:
        pushes = actor == Actor.GATEWAY and HTTP_PUSH.read()
        _write(folder / actor / "bus.creds", keys.actor_credentials(actor, pushes=pushes))
    keys.write_system_credentials()
    for key in SUPERVISOR_FILES:
        _write(folder / "supervisor" / key, keys.engine_key_file.with_name(key).read_text())
    _write(folder / "supervisor/account", keys.account)
    _write(folder / "supervisor/engines-account", keys.engines_account)
    encrypt_secrets(folder)


def encrypt_secrets(folder: Path) -> None:
    """Encrypts secrets of an earlier release, and says what is to be done about them: the supervisor only reads the store."""
    store = SecretStore(folder / "secrets", folder / "secret-keys/secrets.key")
    done, failed = store.encrypt_plain()
    for name in done:
        print(
            f"secret {name} is encrypted and needs a binding: flotilla secret bind {name} --adapter ADAPTER"
        )
    for problem in failed:
        print(problem, file=sys.stderr)


def ensure_token(folder: Path) -> None:
    """Makes the administrator's token once: its digest for the gateway, its text for whoever operates the fleet."""
    digests, file = folder / "gateway/tokens.jsonl", folder / "operator/admin.token"
    if not (digests.exists() and file.exists()):
        token, _ = add_token(digests, "admin", Role.ADMIN, now=datetime.now(UTC), replace=True)
        _write(file, token)


def hand_over(folder: Path) -> None:
    """Gives all of it to the containers' user. Raises OSError."""
    for path in _everything(folder):
        shutil.chown(path, OWNER, OWNER)


def _everything(folder: Path) -> Iterator[Path]:
    yield folder
    yield from folder.rglob("*")


def _once(path: Path) -> str:
    """The secret in the file, made at the first time."""
    if not path.exists():
        _write(path, secrets.token_urlsafe(32))
    return path.read_text()


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_whole(path, text.encode())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m flotilla.stack.provision", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", required=True, help="the address on the engines' network")
    parser.add_argument("--nats-port", type=int, default=4222)
    parser.add_argument("--redis-port", type=int, default=6379)
    given = parser.parse_args()
    provision(given.folder, host=given.host, nats_port=given.nats_port, redis_port=given.redis_port)
    ensure_token(given.folder)
    hand_over(given.folder)


if __name__ == "__main__":
    main()
