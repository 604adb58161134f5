"""Start, stop, restart, configure and remove: accepted by the orchestrator, and followed to their end for whoever asked to wait."""

from typing import Any, Final

import msgspec

from flotilla.schemas import contract
from flotilla.schemas.engine import (
    ConfigureEngine,
    EngineAccepted,
    RemoveEngine,
    RestartEngine,
    StartEngine,
    StopEngine,
)
from flotilla.services.gateway.engines.replies import CommandReply
from flotilla.services.gateway.engines.verdict import Goal
from flotilla.services.gateway.engines.views import command_reply
from flotilla.services.gateway.engines.waiting import Wait
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import (
    ConfigBody,
    NoQuery,
    RestartBody,
    StartBody,
    StopBody,
    StoredStartBody,
    WaitQuery,
)

CONFIG_UPDATED: Final = "config_updated"


async def start_engine(gateway: Gateway, ask: Ask[WaitQuery, StartBody]) -> CommandReply:
    """A new session of the engine `config.instance_id`."""
    request = StartEngine(
        config=ask.body.config,
        confirm_live_trading=ask.body.confirm_live_trading,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_START, request, Goal.TRADING)


async def start_named_engine(gateway: Gateway, ask: Ask[WaitQuery, StoredStartBody]) -> CommandReply:
    """A new session of the engine in the path: of the configuration sent, or of the one that is stored for it."""
    config = ask.body.config
    request = StartEngine(
        config=config,
        instance_id=ask.path["instance_id"] if config is None else None,
        confirm_live_trading=ask.body.confirm_live_trading,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_START, request, Goal.TRADING)


async def stop_engine(gateway: Gateway, ask: Ask[WaitQuery, StopBody]) -> CommandReply:
    """The end of an engine's session; a success when it has ended already."""
    body = ask.body
    request = StopEngine(
        instance_id=body.instance_id, force=body.force, policy=body.policy, request_id=ask.request_id
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_STOP, request, Goal.ENDED)


async def restart_engine(gateway: Gateway, ask: Ask[WaitQuery, RestartBody]) -> CommandReply:
    """A new session with the last configuration, also after a stop."""
    request = RestartEngine(
        instance_id=ask.body.instance_id,
        confirm_live_trading=ask.body.confirm_live_trading,
        request_id=ask.request_id,
    )
    return await _carry_out(gateway, ask.query, contract.ENGINE_RESTART, request, Goal.TRADING)


async def configure_engine(gateway: Gateway, ask: Ask[NoQuery, ConfigBody]) -> CommandReply:
    """A configuration that is stored; what runs goes on with its own until the next start."""
    request = ConfigureEngine(config=ask.body.config, request_id=ask.request_id)
    accepted = await gateway.bus.call(contract.ENGINE_CONFIGURE, request)
    return msgspec.structs.replace(command_reply(accepted), state=CONFIG_UPDATED)


async def remove_engine(gateway: Gateway, ask: Ask[NoQuery, None]) -> CommandReply:
    """An engine that is forgotten. Raises FaultError `conflict` while it is active, `not_found`."""
    request = RemoveEngine(instance_id=ask.path["instance_id"], request_id=ask.request_id)
    return command_reply(await gateway.bus.call(contract.ENGINE_REMOVE, request))


async def _carry_out(
    gateway: Gateway,
    query: WaitQuery,
    call: contract.Call[Any, EngineAccepted],
    request: Any,
    goal: Goal,
) -> CommandReply:
    with gateway.watch.sightings() as seen:
        accepted = await gateway.bus.call(call, request)
        if not query.wait or accepted.session_id is None:
            return command_reply(accepted)
        ends_another = call is contract.ENGINE_RESTART
        wait = Wait(gateway, accepted, accepted.session_id, goal, seen, ends_another=ends_another)
        return await wait.reply(query.timeout)
