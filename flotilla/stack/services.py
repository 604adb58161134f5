"""The services as child processes: what each is told by its environment. Secrets stand in files, never here."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from flotilla.bus.credentials import FleetKeys
from flotilla.schemas.contract import Actor
from flotilla.schemas.environment import HTTP_PUSH, ORPHAN_POLICY
from flotilla.schemas.states import OrphanPolicy
from flotilla.stack.runtime import Runtime
from flotilla.stack.servers.child import Child
from flotilla.stack.servers.redis import RedisServer
from flotilla.state.environment import of_program
from flotilla.state.errors import ProgramFailedError, StackError
from flotilla.state.folder import StateFolder, owner_of
from flotilla.state.programs import output, python
from flotilla.state.secret_places import secret_folder, secret_key_file

_MIGRATIONS: Final = ("flotilla.services.orchestrator.migrate", "flotilla.services.notifier.migrate")


@dataclass(frozen=True)
class Surroundings:
    """What the services of one stack have in common; `orphan_policy` "" leaves it to the user's environment."""

    folder: StateFolder
    keys: FleetKeys
    nats_url: str
    postgres_dsn: str
    notifier_dsn: str
    redis: RedisServer
    http_host: str
    http_port: int
    runtime: Runtime
    templates: tuple[Path, ...] = ()
    orphan_policy: str = ""


async def bring_up_record(superuser_dsn: str) -> None:
    """Has the record and the alerts' schema migrated by their owner, which the services' own logins cannot do. Raises StackError."""
    env = {**of_program(), "FLOTILLA_POSTGRES_DSN": superuser_dsn, "FLOTILLA_POSTGRES_PASSWORD_FILE": ""}
    try:
        for module in _MIGRATIONS:
            await output(python("-m", module), env=env)
    except ProgramFailedError as error:
        raise StackError(
            f"the record could not be brought up to date: {error}", "see `flotilla doctor`"
        ) from None


def service_child(actor: Actor, given: Surroundings, *, lock_fd: int) -> Child:
    """A service, not started yet; it shares the stack's lock."""
    return Child(
        str(actor),
        python("-m", f"flotilla.services.{actor}"),
        given.folder.logs / f"{actor}.log",
        env=environment(actor, given),
        keeps=(lock_fd,),
        # What it starts is not to find modules where the user happens to be.
        folder=given.folder.root,
    )


def environment(actor: Actor, given: Surroundings) -> dict[str, str]:
    """The variables of a service: those of our programs, and above them what this stack decides."""
    own: Mapping[Actor, dict[str, str]] = {
        Actor.ORCHESTRATOR: _orchestrator(given),
        Actor.SUPERVISOR: _supervisor(given),
        Actor.NOTIFIER: _notifier(given),
        Actor.GATEWAY: {"FLOTILLA_HTTP_HOST": given.http_host, "FLOTILLA_HTTP_PORT": str(given.http_port)},
    }
    pushes = actor == Actor.GATEWAY and _pushes()
    return {
        **of_program(),
        "FLOTILLA_STATE": str(given.folder.root),
        "FLOTILLA_NATS_URL": given.nats_url,
        "FLOTILLA_NATS_CREDS": str(given.keys.write_credentials(actor, pushes=pushes)),
        **own[actor],
    }


def _pushes() -> bool:
    try:
        return HTTP_PUSH.read()
    except ValueError as error:
        raise StackError(str(error), "give it one of these, or unset it") from None


def _orchestrator(given: Surroundings) -> dict[str, str]:
    # After a restore what runs is more likely to be ours than a stray, whatever the record knows of it.
    is_restored = given.folder.restored_file.exists() and ORPHAN_POLICY.given() is None
    chosen = {
        "FLOTILLA_TEMPLATES": os.pathsep.join(map(str, given.templates)),
        "FLOTILLA_ORPHAN_POLICY": given.orphan_policy or (str(OrphanPolicy.ADOPT) if is_restored else ""),
    }
    return {
        "FLOTILLA_POSTGRES_DSN": given.postgres_dsn,
        "FLOTILLA_POSTGRES_PASSWORD_FILE": "",
        "FLOTILLA_CATALOG": str(given.folder.catalog),
        "FLOTILLA_NATS_STORE": str(given.folder.nats),
        "FLOTILLA_POSTGRES_STORE": str(given.folder.postgres),
        **{name: value for name, value in chosen.items() if value},
    }


def _notifier(given: Surroundings) -> dict[str, str]:
    return {
        "FLOTILLA_POSTGRES_DSN": given.notifier_dsn,
        "FLOTILLA_POSTGRES_PASSWORD_FILE": "",
        "FLOTILLA_SECRETS": str(secret_folder(given.folder)),
        "FLOTILLA_SECRETS_KEY_FILE": str(secret_key_file(given.folder)),
    }


def _supervisor(given: Surroundings) -> dict[str, str]:
    given.keys.write_system_credentials()
    return {
        "FLOTILLA_OWNER": owner_of(given.folder.root),
        "FLOTILLA_RUNTIME": given.runtime.kind,
        "FLOTILLA_ENGINE_NATS_URL": given.nats_url,
        **given.runtime.networks,
        "FLOTILLA_CATALOG": str(given.folder.catalog),
        "FLOTILLA_SIGNING_KEY": str(given.keys.engine_key_file),
        "FLOTILLA_ACCOUNT": given.keys.account,
        "FLOTILLA_ENGINES_ACCOUNT": given.keys.engines_account,
        "FLOTILLA_TOKENS_FILE": str(given.folder.tokens_in_use),
        "FLOTILLA_SECRETS": str(secret_folder(given.folder)),
        "FLOTILLA_SECRETS_KEY_FILE": str(secret_key_file(given.folder)),
        "FLOTILLA_REDIS_URL": given.redis.url,
        "FLOTILLA_REDIS_PASSWORD_FILE": str(given.redis.password_file),
        "FLOTILLA_ENGINE_REDIS_HOST": given.redis.host,
        "FLOTILLA_ENGINE_REDIS_PORT": str(given.redis.port),
    }
