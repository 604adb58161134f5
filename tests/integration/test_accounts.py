"""Engines live in an account of their own: what comes out of it, who is known to have said it, and what a reply field can do."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from nats.aio.msg import Msg

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import EngineMint, FleetKeys
from flotilla.bus.crossing import HEADER
from flotilla.bus.endpoint import Witnessed, asked
from flotilla.bus.jwt import USER, Key, credentials, encode
from flotilla.bus.settings import BusSettings, engine_name
from flotilla.bus.streams import ensure_streams
from flotilla.schemas import contract
from flotilla.schemas.audit import Caller
from flotilla.schemas.backtest import ClaimTrial, TrialClaimed
from flotilla.schemas.contract import Actor
from flotilla.schemas.engine import EngineAccepted, StopEngine
from flotilla.schemas.fault import FaultCode, FaultError, fault
from flotilla.schemas.session import CommandAccepted, EngineCommand
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.logins import SESSION, engine_login

OF_E2 = EngineCommand(session_id=SESSION, request_id="0123456789abcdef")
TRICKS = (
    "fleet.engine.stop",
    "fleet.engine.emergency_stop",
    "fleet.engine.list",
    "fleet.trial.claim",
    "engine.kill",
    "engine.e2.command.stop",
    "engine.e2.command.renew_lease",
    "engine.e2.heartbeat",
    "engine.e2.fill",
    "engine.e2.state",
    "fleet.alert",
    "host.h1.heartbeat",
    "trial.queue",
    "$JS.API.STREAM.DELETE.RESULTS",
    "$JS.API.STREAM.PURGE.LOGS",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.CONSUMER.DELETE.EVENTS.orchestrator",
    "$SRV.PING",
)


async def taken(request: EngineCommand) -> CommandAccepted:
    return CommandAccepted(
        instance_id="e2", session_id=SESSION, request_id=request.request_id or "", message="accepted"
    )


async def test_an_engine_knows_who_commands_it_by_what_the_server_says(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    engine, operator = await connect(engine_login(nats, "e2")), await connect_as(Actor.OPERATOR)
    callers: list[Caller] = []

    async def stop(request: EngineCommand) -> CommandAccepted:
        callers.append(asked().caller)
        return await taken(request)

    await engine.serve(contract.COMMAND_STOP, stop, instance_id="e2")
    answer = await operator.call(contract.COMMAND_STOP, OF_E2, instance_id="e2")
    assert answer.session_id == SESSION
    forged = {HEADER: '{"acc":"x","kind":"Client","name_tag":"orchestrator"}'}
    await operator.client.request(
        "engine.e2.command.stop", msgspec.json.encode(OF_E2), timeout=2, headers=forged
    )
    assert [caller.credential for caller in callers] == ["operator", "operator"]
    await engine.close()


async def test_nobody_answers_for_an_engine_that_is_not_there(connect_as: ConnectAs) -> None:
    """Through the other account too, the server says at once that there is nobody."""
    operator = await connect_as(Actor.OPERATOR)
    with pytest.raises(FaultError) as refused:
        await operator.call(contract.COMMAND_STOP, OF_E2, instance_id="e2", timeout_s=1.0)
    assert refused.value.fault.code == FaultCode.UNAVAILABLE


async def test_every_connection_of_an_engine_hears_its_commands(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    """Whoever stole a credential hears what the sidecar hears, and takes nothing away from it."""
    sidecar, operator = await connect(engine_login(nats, "e2")), await connect_as(Actor.OPERATOR)
    thief = await connect(engine_login(nats, "e2"))
    heard: list[str] = []

    async def stop(request: EngineCommand) -> CommandAccepted:
        heard.append(request.request_id or "")
        return await taken(request)

    await sidecar.serve(contract.COMMAND_STOP, stop, instance_id="e2")
    for _ in range(30):
        await thief.client.subscribe("engine.e2.command.*", queue="sidecar", cb=_silent)
    await thief.flush()
    for number in range(10):
        request = msgspec.structs.replace(OF_E2, request_id=f"0123456789abcde{number}")
        await operator.call(contract.COMMAND_STOP, request, instance_id="e2")
    assert len(heard) == 10
    await sidecar.close()
    await thief.close()


async def _silent(_: Msg) -> None:
    """Answers nothing."""


async def test_a_reply_field_acts_for_nobody(nats: NatsServer, connect_as: ConnectAs) -> None:
    orchestrator, operator = await connect_as(Actor.ORCHESTRATOR), await connect_as(Actor.OPERATOR)
    await ensure_streams(operator)
    eve, victim = await connect(engine_login(nats, "eve")), await connect(engine_login(nats, "e2"))
    acted: list[str] = []
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        if not message.subject.startswith(
            ("_INBOX", "_R_", "engine.eve.", "$JS.API.STREAM.INFO", "$JS.EVENT.")
        ):
            heard.append(message.subject)

    await _serve_all(orchestrator, victim, acted)
    kept = await _messages(operator)
    await operator.client.subscribe(">", cb=hear)
    await operator.flush()
    for number, reply in enumerate(TRICKS, 1):
        heard.clear()
        # Both what a stream acknowledges and what a listener could answer.
        await eve.client.publish("engine.eve.fill", b'{"junk":1}', reply=reply)
        await eve.client.publish("engine.eve.heartbeat", b'{"junk":1}', reply=reply)
        await eve.flush()
        await victim.flush()
        await operator.flush()
        await asyncio.sleep(0.2)
        assert acted == [], reply
        # An acknowledgement may arrive where engines' account says something to the fleet: as what it is, which decodes as nothing.
        assert set(heard) <= {"engine.e2.heartbeat", "fleet.trial.claim"} & {reply}, reply
        assert await _messages(operator) == kept + number, (
            f"{reply}: the junk under its own subject, and nothing else"
        )
    await eve.close()
    await victim.close()


async def _serve_all(orchestrator: Bus, victim: Bus, acted: list[str]) -> None:
    async def act(request: Any) -> Any:
        acted.append(type(request).__name__)
        raise fault(FaultCode.CONFLICT, "not now")

    for call in contract.CALLS:
        if call.owner == Actor.ORCHESTRATOR:
            await orchestrator.serve(call, act)
    for call in (contract.COMMAND_STOP, contract.COMMAND_RENEW_LEASE, contract.COMMAND_DESCRIBE):
        await victim.serve(call, act, instance_id="e2")


async def _messages(operator: Bus) -> int:
    js = operator.client.jetstream()
    return sum([(await js.stream_info(stream.name)).state.messages for stream in contract.STREAMS])


async def test_what_no_client_sent_is_told_of_as_an_attempt(nats: NatsServer, connect_as: ConnectAs) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(await connect_as(Actor.OPERATOR))
    attempts: list[Witnessed] = []
    claims: list[ClaimTrial] = []

    async def claim(request: ClaimTrial) -> TrialClaimed:
        claims.append(request)
        raise fault(FaultCode.CONFLICT, "not now")

    orchestrator.witness = attempts.append
    await orchestrator.serve(contract.TRIAL_CLAIM, claim)
    eve = await connect(engine_login(nats, "eve"))
    for _ in range(20):
        await eve.client.publish("engine.eve.fill", b"{}", reply="fleet.trial.claim")
    await eve.flush()
    await asyncio.sleep(0.3)
    (told,) = attempts
    assert told.problem is not None
    assert (told.problem.code, told.call) == (FaultCode.FORBIDDEN, contract.TRIAL_CLAIM)
    assert claims == []
    await eve.close()


async def test_a_worker_is_known_by_its_credential_whatever_it_says(
    nats: NatsServer, connect_as: ConnectAs
) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    callers: list[str] = []

    async def claim(request: ClaimTrial) -> TrialClaimed:
        callers.append(asked().caller.credential)
        return TrialClaimed(is_wanted=False)

    await orchestrator.serve(contract.TRIAL_CLAIM, claim)
    worker = await connect(engine_login(nats, "w1", is_worker=True))
    worker.introduction = lambda: Caller(credential="orchestrator", name="ann", via="rest")
    await worker.call(contract.TRIAL_CLAIM, _claim_of("w1"))
    assert callers == ["engine_w1"]
    await worker.close()


def _claim_of(instance_id: str) -> ClaimTrial:
    return ClaimTrial(backtest_id="b-1", worker=instance_id, session_id=SESSION, attempt=1)


async def test_a_credential_is_good_for_the_inbox_of_its_session_only(nats: NatsServer) -> None:
    engine = await connect(engine_login(nats, "e1"))
    for inbox in ("_INBOX_engine_e1.>", f"_INBOX_{engine_name('e1', 'other')}.>", "_INBOX_operator.>"):
        await engine.client.subscribe(inbox)
    await engine.flush()
    assert engine.client.denied == 3
    await engine.close()


async def test_engines_of_a_release_with_one_account_trade_on_until_they_are_retired(tmp_path: Path) -> None:
    keys = FleetKeys(tmp_path / "keys")
    (tmp_path / "keys/engines.nk").unlink()
    keys = FleetKeys(tmp_path / "keys")
    older = BusSettings(url="", name="engine_e1", creds=_older_credential(keys))
    for is_admitted in (True, False):
        server = NatsServer(tmp_path / "nats", keys)
        server.start()
        try:
            assert await _is_admitted(msgspec.structs.replace(older, url=server.url), server) == is_admitted
        finally:
            server.stop()
        keys.retire_older()


def _older_credential(keys: FleetKeys) -> str:
    """As a release with one account minted it."""
    key, user = Key(keys.engine_key_file.read_bytes()), Key.new(USER)
    claims = {"type": "user", "issuer_account": keys.account}
    return credentials(encode(key, user.public, "e1", claims, issued_at=1_700_000_000), user)


async def _is_admitted(older: BusSettings, server: NatsServer) -> bool:
    try:
        engine = await connect(older, wait_s=2)
    except FaultError:
        return False
    operator = await connect(server.settings(Actor.OPERATOR))
    await engine.serve(contract.COMMAND_STOP, taken, instance_id="e1")
    answer = await operator.call(contract.COMMAND_STOP, OF_E2, instance_id="e1")
    await engine.close()
    await operator.close()
    return answer.session_id == SESSION


async def test_a_call_of_people_is_out_of_an_engines_reach(nats: NatsServer, connect_as: ConnectAs) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    stopped: list[str] = []

    async def stop(request: StopEngine) -> EngineAccepted:
        stopped.append(request.instance_id)
        raise fault(FaultCode.CONFLICT, "not now")

    await orchestrator.serve(contract.ENGINE_STOP, stop)
    engine = await connect(engine_login(nats, "eve"))
    with pytest.raises(FaultError):
        await engine.call(contract.ENGINE_STOP, StopEngine(instance_id="e2"), timeout_s=0.5)
    assert stopped == []
    assert engine.client.denied
    await engine.close()


def test_a_mint_takes_ids_only(tmp_path: Path) -> None:
    mint: EngineMint = FleetKeys(tmp_path).mint()
    for instance_id, session_id in (("*", SESSION), ("e1", "s.*"), ("e1", ""), ("E1", SESSION)):
        with pytest.raises(ValueError, match="is no id"):
            mint.mint(instance_id, session_id)
