"""One served subject, on a client that only notes what is published: bodies, faults, headers, counts, bounds."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from nats import errors

from flotilla.bus.endpoint import FAILED, Endpoint, Witnessed, asked
from flotilla.schemas import contract
from flotilla.schemas.audit import Caller
from flotilla.schemas.engine import EngineAccepted, EngineList, ListEngines, StopEngine
from flotilla.schemas.fault import Fault, FaultCode, FaultError, FieldError, fault

INBOX = "_INBOX.abc.1"


class Message:
    def __init__(
        self, data: bytes = b"{}", reply: str = INBOX, headers: dict[str, str] | None = None
    ) -> None:
        self.data, self.reply, self.headers = data, reply, headers


class Subscription:
    def __init__(self) -> None:
        self.is_drained = False

    async def drain(self) -> None:
        self.is_drained = True


class Client:
    """Notes what is published; `trouble` is raised instead."""

    def __init__(self) -> None:
        self.published: list[tuple[str, bytes, dict[str, str] | None]] = []
        self.trouble: Exception | None = None
        self.is_connected = True
        self.is_flushed = False
        self.subscription = Subscription()
        self.subscribed: list[tuple[str, str]] = []
        self.receive: Callable[[Any], Awaitable[None]] | None = None

    async def subscribe(self, subject: str, *, queue: str, cb: Any) -> Subscription:
        self.subscribed.append((subject, queue))
        self.receive = cb
        return self.subscription

    async def flush(self, timeout: int) -> None:
        assert self.subscribed
        self.is_flushed = True

    async def publish(self, subject: str, body: bytes, *, headers: dict[str, str] | None) -> None:
        if self.trouble:
            raise self.trouble
        self.published.append((subject, body, headers))


async def nothing(_: Any) -> EngineList:
    return EngineList(engines=(), total_count=0)


class Served:
    """An endpoint with its client."""

    def __init__(
        self,
        handler: Callable[[Any], Awaitable[Any]] = nothing,
        call: contract.Call[Any, Any] = contract.ENGINE_LIST,
        concurrency: int = 4,
        obeys: str = "",
    ) -> None:
        self.client = Client()
        self.endpoint = Endpoint(
            call,
            call.subject,
            handler,
            self.client,  # type: ignore[arg-type]
            concurrency=concurrency,
            obeys=obeys,
        )

    async def told(
        self, data: bytes = b"{}", reply: str = INBOX, headers: dict[str, str] | None = None
    ) -> None:
        await self.endpoint._receive(Message(data, reply, headers))  # type: ignore[arg-type]
        await self.endpoint.drain(2)

    def fault(self) -> tuple[Fault, dict[str, str]]:
        ((to, body, headers),) = self.client.published
        assert to == INBOX
        assert headers is not None
        return msgspec.json.decode(body, type=Fault), headers


async def test_an_answer_goes_to_the_inbox_without_headers_and_is_counted() -> None:
    served = Served()
    assert msgspec.structs.astuple(served.endpoint.stats) == (0, 0, "", 0)
    await served.told(b'{"limit":3}')
    assert served.client.published == [(INBOX, b'{"engines":[],"total_count":0,"next":null}', None)]
    stats = served.endpoint.stats
    assert (stats.num_requests, stats.num_errors, stats.last_error) == (1, 0, "")
    assert stats.processing_time > 0


async def test_the_handler_gets_the_typed_request() -> None:
    seen: list[Any] = []

    async def note(request: Any) -> EngineList:
        seen.append(request)
        return await nothing(request)

    served = Served(note)
    await served.told(b'{"limit":3}')
    assert seen == [ListEngines(limit=3)]


async def test_an_empty_body_asks_a_question_and_is_no_command() -> None:
    served = Served()
    await served.told(b"")
    assert served.client.published[0][2] is None

    async def stop(request: StopEngine) -> EngineAccepted:
        raise AssertionError("a command that nobody spelt out was carried out")

    command = Served(stop, contract.ENGINE_STOP)
    await command.told(b"")
    assert command.fault()[0].code == FaultCode.MALFORMED


@pytest.mark.parametrize(
    ("data", "status", "field"),
    [
        (b"nonsense", "400", None),
        (b"\xff", "400", None),
        (b" " * (256 * 1024 + 1), "413", None),
        (b"[]", "422", "body"),
        (b'{"limit":0}', "422", "limit"),
        (b'{"limit":' + b"9" * 5000 + b"}", "422", "limit"),
        (b'{"bogus":1}', "422", "bogus"),
    ],
)
async def test_a_body_that_is_no_request_never_reaches_the_handler(
    data: bytes, status: str, field: str | None
) -> None:
    async def handler(_: Any) -> None:
        raise AssertionError("it was handled")

    served = Served(handler)
    await served.told(data)
    problem, headers = served.fault()
    assert headers["Nats-Service-Error-Code"] == status
    assert headers["Nats-Service-Error"] == problem.message[:500]
    assert [error.field for error in problem.errors] == ([field] if field else [])
    assert problem.error_id
    assert (served.endpoint.stats.num_requests, served.endpoint.stats.num_errors) == (1, 1)


async def test_a_fault_keeps_its_code_its_fields_and_its_error_id() -> None:
    async def handler(_: Any) -> None:
        raise FaultError(
            Fault(code=FaultCode.CONFLICT, message="no", errors=(FieldError("a", "b"),), error_id="known")
        )

    served = Served(handler)
    await served.told()
    problem, headers = served.fault()
    assert (problem.code, problem.errors, problem.error_id) == (
        FaultCode.CONFLICT,
        (FieldError("a", "b"),),
        "known",
    )
    assert headers == {"Nats-Service-Error-Code": "409", "Nats-Service-Error": "no"}
    assert served.endpoint.stats.last_error == "conflict: no"


async def test_two_faults_without_an_id_get_one_each() -> None:
    async def handler(_: Any) -> None:
        raise fault(FaultCode.NOT_FOUND, "no such thing")

    served = Served(handler)
    await served.told()
    await served.told()
    first, second = (msgspec.json.decode(body, type=Fault) for _, body, _ in served.client.published)
    assert first.error_id
    assert second.error_id
    assert first.error_id != second.error_id


async def test_what_nobody_foresaw_is_internal_and_its_text_is_not_told() -> None:
    async def handler(_: Any) -> None:
        raise KeyError("the password is 1234")

    served = Served(handler)
    await served.told()
    problem, headers = served.fault()
    assert (problem.code, problem.message) == (FaultCode.INTERNAL, FAILED)
    assert headers == {"Nats-Service-Error-Code": "500", "Nats-Service-Error": FAILED}
    assert b"1234" not in served.client.published[0][1]
    assert served.endpoint.stats.num_errors == 1


async def test_a_header_has_one_line_of_at_most_500_characters() -> None:
    async def handler(_: Any) -> None:
        raise fault(FaultCode.CONFLICT, "a\r\nNats-Evil: 1\n" + "x" * 1000)

    served = Served(handler)
    await served.told()
    text = served.fault()[1]["Nats-Service-Error"]
    assert len(text) == 500
    assert text.startswith("a  Nats-Evil: 1 x")


@pytest.mark.parametrize("reply", ["", "engine.e1.command.stop", "INBOX.1", " _INBOX.1"])
async def test_nothing_is_said_on_a_subject_that_is_no_inbox(reply: str) -> None:
    served = Served()
    await served.told(reply=reply)
    assert served.client.published == []
    assert served.endpoint.stats.num_requests == 1


async def test_an_answer_that_cannot_be_sent_is_no_failure_of_the_endpoint() -> None:
    served = Served()
    served.client.trouble = errors.ConnectionClosedError()
    await served.told()
    served.client.trouble = None
    await served.told()
    assert len(served.client.published) == 1


async def test_no_more_run_at_once_than_there_are_slots() -> None:
    gate, running, most = asyncio.Event(), 0, 0

    async def handler(request: Any) -> EngineList:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await gate.wait()
        running -= 1
        return await nothing(request)

    served = Served(handler, concurrency=2)
    receive = served.endpoint._receive
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        for _ in range(5):
            group.create_task(receive(Message()))  # type: ignore[arg-type]
        for _ in range(20):
            await asyncio.sleep(0)
        assert (running, most) == (2, 2)
        gate.set()
    await served.endpoint.drain(2)
    assert (len(served.client.published), most) == (5, 2)


async def test_it_is_served_in_the_queue_group_of_its_owner() -> None:
    served = Served()
    await served.endpoint.start()
    assert served.client.subscribed == [("fleet.engine.list", "orchestrator")]
    assert served.client.is_flushed, "the server knows of it once this returns"
    assert served.client.receive is not None
    await served.client.receive(Message())
    await served.endpoint.drain(2)
    assert served.client.subscription.is_drained
    assert len(served.client.published) == 1


async def test_a_drain_ends_with_its_grace_and_lets_go_of_what_hangs() -> None:
    is_let_go = asyncio.Event()

    async def hang(_: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            is_let_go.set()

    served = Served(hang)
    await served.endpoint._receive(Message())  # type: ignore[arg-type]
    async with asyncio.timeout(5):
        await served.endpoint.drain(0.01)
    assert is_let_go.is_set()
    assert served.client.published == []


async def test_a_command_is_witnessed_with_who_asked_and_what_came_of_it_and_a_question_is_not() -> None:
    seen: list[Witnessed] = []
    callers: list[str] = []

    async def stop(_: StopEngine) -> EngineList:
        callers.append(asked().caller.credential)
        raise fault(FaultCode.CONFLICT, "not now")

    for call in (contract.ENGINE_STOP, contract.ENGINE_LIST):
        client: Any = Client()
        served = Endpoint(
            call,
            call.subject,
            stop if call is contract.ENGINE_STOP else nothing,
            client,
            concurrency=1,
            witness=seen.append,
        )
        message: Any = Message(b'{"request_id":"r1"}' if call is contract.ENGINE_STOP else b"{}")
        message.reply = "_INBOX_operator.abc.1"
        message.headers = {"Flotilla-Caller": "ann"}
        await served._receive(message)
        await served.drain(2)
    (one,) = seen
    assert (one.call, one.caller) == (
        contract.ENGINE_STOP,
        Caller(credential="operator", name="ann"),
    )
    assert one.problem is not None
    assert one.problem.code == FaultCode.CONFLICT
    assert one.body == b'{"request_id":"r1"}'
    assert callers == ["operator"], "the handler knows who asks"


CLIENT = '{"acc":"FLEET","kind":"Client","name_tag":"orchestrator"}'
ACKNOWLEDGEMENT = '{"acc":"FLEET"}'


@pytest.mark.parametrize(
    ("obeys", "said", "is_heard"),
    [
        ("", None, True),
        ("", CLIENT, True),
        ("", ACKNOWLEDGEMENT, False),
        ("", "nonsense", False),
        ("FLEET", CLIENT, True),
        ("FLEET", ACKNOWLEDGEMENT, False),
        ("FLEET", None, False),
        ("OTHER", CLIENT, False),
    ],
)
async def test_what_no_client_of_the_account_obeyed_has_sent_is_not_heard(
    obeys: str, said: str | None, is_heard: bool
) -> None:
    served = Served(obeys=obeys)
    # The server replaces the reply of what comes out of another account.
    reply = INBOX if said is None else "_R_.abc"
    await served.told(reply=reply, headers=None if said is None else {"Nats-Request-Info": said})
    assert [to for to, _, _ in served.client.published] == ([reply] if is_heard else [])


async def test_an_answer_to_another_account_goes_where_the_server_has_put_its_reply_only() -> None:
    served = Served()
    await served.told(reply=INBOX, headers={"Nats-Request-Info": CLIENT})
    await served.told(reply="engine.kill", headers={"Nats-Request-Info": CLIENT})
    assert served.client.published == []
