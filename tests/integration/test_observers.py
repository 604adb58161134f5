"""An observer with a stock NATS client: it hears what engines do, and can do nothing else (ADR 32)."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error, TimeoutError

from flotilla.bus.bus import Bus, connect
from flotilla.bus.credentials import REVOKING_KEY_FILE, SYSTEM_CREDS_FILE, FleetKeys
from flotilla.bus.jwt import ACCOUNT, Key
from flotilla.bus.observers import CONNECTIONS, new_observer
from flotilla.bus.server_accounts import ServerAccounts
from flotilla.bus.settings import BusSettings
from flotilla.bus.streams import ensure_streams
from flotilla.bus.tokens import add_token, remove_token
from flotilla.schemas import contract
from flotilla.schemas.access import Role
from flotilla.schemas.contract import Actor, Durability
from flotilla.schemas.subjects import subject, wildcard
from flotilla.services.supervisor.observers import Observers
from flotilla.stack.servers import nats
from flotilla.stack.servers.nats import NatsServer
from tests.integration.conftest import ConnectAs
from tests.integration.logins import engine_login
from tests.integration.test_accounts import TRICKS

IDS = {"instance_id": "e1", "host": "h1", "backtest_id": "b-20260131-142501-3f9c2a7b1d04"}
HEARD = {wildcard(feed.subject) for feed in contract.OBSERVED_FEEDS}
LAST = "$JS.API.DIRECT.GET.EVENTS"
ACTS = (
    "$JS.API.INFO",
    "$JS.API.STREAM.NAMES",
    "$JS.API.STREAM.LIST",
    "$JS.API.STREAM.INFO.EVENTS",
    "$JS.API.STREAM.CREATE.MINE",
    "$JS.API.STREAM.UPDATE.EVENTS",
    "$JS.API.STREAM.DELETE.EVENTS",
    "$JS.API.STREAM.PURGE.EVENTS",
    "$JS.API.STREAM.MSG.GET.EVENTS",
    "$JS.API.STREAM.MSG.DELETE.EVENTS",
    "$JS.API.STREAM.SNAPSHOT.EVENTS",
    "$JS.API.CONSUMER.CREATE.EVENTS",
    "$JS.API.CONSUMER.CREATE.EVENTS.mine.engine.*.fill",
    "$JS.API.CONSUMER.DURABLE.CREATE.EVENTS.mine",
    "$JS.API.CONSUMER.DELETE.EVENTS.orchestrator",
    "$JS.API.CONSUMER.MSG.NEXT.EVENTS.orchestrator",
    "$JS.API.CONSUMER.MSG.NEXT.TRIALS.workers",
    "$JS.ACK.EVENTS.orchestrator.1.1.1.1.1",
    f"{LAST}",
    f"{LAST}.engine.e1.fill",
    "$JS.API.DIRECT.GET.LOGS.engine.e1.log",
    "$JS.API.DIRECT.GET.EVENTS.gateway.refusal",
    "$JS.API.DIRECT.GET.EVENTS.host.h1.command",
    "$JS.API.DIRECT.GET.EVENTS.fleet.audit_entry",
    "$JS.API.DIRECT.GET.EVENTS.>",
    "$JS.API.DIRECT.GET.AUDIT.fleet.audit_head",
    "$SYS.REQ.SERVER.PING",
    "$SYS.REQ.CLAIMS.UPDATE",
    "$SYS.REQ.CLAIMS.LIST",
    "$SYS.REQ.USER.INFO",
    "$SRV.PING",
    "_INBOX_operator.x",
    "_INBOX.x",
    "anything",
)
ELSEWHERE = (
    ">",
    "*",
    "engine.>",
    "engine.*.*",
    "engine.e1.>",
    "fleet.>",
    "*.*.*",
    "_R_.>",
    "_INBOX.>",
    "_INBOX_operator.>",
    "_INBOX_engine_e1.>",
    "_INBOX_orchestrator.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.EVENT.ADVISORY.>",
    "$SYS.>",
    "$SYS.ACCOUNT.*.>",
    "$SRV.>",
    "anything",
)


class Third:
    """Somebody else's service: a stock client, and what the server refused it."""

    def __init__(self, client: Client, refused: list[str], cut: asyncio.Event) -> None:
        self.client = client
        self.refused = refused
        self.cut = cut

    async def refusals(self) -> list[str]:
        """What was refused since the last time."""
        await self.client.flush()
        # The server's answers come in order: those of before the flush are here, and nats-py tells of them in tasks of their own.
        await asyncio.sleep(0.05)
        found, self.refused[:] = list(self.refused), []
        return found


class Place:
    """A server with a file of tokens, as a stack has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tokens = folder / "tokens.jsonl"
        self.keys = FleetKeys(folder / "keys")
        self.server = NatsServer(folder / "nats", self.keys, tokens=self.tokens)

    def admit(self, name: str = "feed", *, lifetime: timedelta | None = None, replace: bool = False) -> Path:
        """As `flotilla access add` does it."""
        now, file = datetime.now(UTC), self.folder / f"{name}.creds"
        made = new_observer(name, now, now + lifetime if lifetime else None)
        add_token(
            self.tokens, name, Role.OBSERVER, now=now, lifetime=lifetime, bus=made.keys, replace=replace
        )
        file.write_text(made.creds)
        return file

    async def third(self, creds: Path) -> Third:
        refused: list[str] = []
        cut = asyncio.Event()

        async def on_error(error: Exception) -> None:
            refused.append(str(error))

        async def on_cut() -> None:
            cut.set()

        client = Client()
        try:
            await client.connect(
                self.server.url,
                user_credentials=str(creds),
                error_cb=on_error,
                disconnected_cb=on_cut,
                connect_timeout=2,
                allow_reconnect=False,
            )
        except Error:
            await client.close()
            raise
        return Third(client, refused, cut)

    async def is_let_in(self, creds: Path) -> bool:
        try:
            third = await self.third(creds)
        except (Error, TimeoutError):
            return False
        await third.client.close()
        return True

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """While the supervisor follows the file."""
        self.keys.write_system_credentials()
        file = self.keys.engine_key_file
        creds, key = (file.with_name(one).read_text() for one in (SYSTEM_CREDS_FILE, REVOKING_KEY_FILE))
        system = BusSettings(url=self.server.url, name=Actor.SUPERVISOR, creds=creds)
        observers = Observers(
            self.tokens,
            ServerAccounts(system, Key(key.encode())),
            fleet=self.keys.account,
            engines=self.keys.engines_account,
        )
        async with asyncio.TaskGroup() as group:
            task = group.create_task(observers.run(), name="observers")
            yield
            task.cancel()
        await observers.close()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    made.admit()
    made.server.start()
    yield made
    made.server.stop()


@pytest.fixture(name="nats")
def server_of_place(place: Place) -> NatsServer:
    """That server, for connections of the fleet's own."""
    return place.server


@pytest.fixture
async def third(place: Place) -> AsyncIterator[Third]:
    made = await place.third(place.folder / "feed.creds")
    yield made
    await made.client.close()


async def said(engine: Bus, orchestrator: Bus) -> None:
    """One message on each feed that is heard."""
    for feed in contract.OBSERVED_FEEDS:
        bus = engine if feed.owner == Actor.SIDECAR else orchestrator
        if feed.durability == Durability.LOSSY:
            await bus.client.publish(subject(feed.subject, **IDS), b"{}")
        else:
            await bus.publish_durable(feed, b"{}", message_id=feed.subject, **IDS)
    await engine.flush()
    await orchestrator.flush()


async def test_it_hears_what_engines_and_the_fleet_say_once_each(
    place: Place, third: Third, connect_as: ConnectAs
) -> None:
    orchestrator = await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(await connect_as(Actor.OPERATOR))
    engine = await connect(engine_login(place.server, "e1"))
    heard: Counter[str] = Counter()

    async def hear(message: Msg) -> None:
        heard[message.subject] += 1

    for pattern in HEARD:
        await third.client.subscribe(pattern, cb=hear)
    assert await third.refusals() == []
    await said(engine, orchestrator)
    wanted = {subject(feed.subject, **IDS): 1 for feed in contract.OBSERVED_FEEDS}
    await until(lambda: heard.keys() == wanted.keys())
    await third.client.flush()
    assert heard == wanted
    await engine.close()


async def test_it_hears_nothing_else(third: Third) -> None:
    others = {wildcard(row.subject) for row in (*contract.CALLS, *contract.FEEDS)} - HEARD
    refused = {*others, *ELSEWHERE}
    for pattern in refused:
        await third.client.subscribe(pattern)
        (told,) = await third.refusals()
        assert "permissions violation for subscription" in told.lower(), pattern
    assert len(refused) > 80, "so many rows has the contract"


async def test_it_can_say_nothing(place: Place, third: Third, connect_as: ConnectAs) -> None:
    operator = await connect_as(Actor.OPERATOR)
    await ensure_streams(operator)
    heard = await everything(operator)
    kept = await messages(operator)
    said = {subject(row.subject, **IDS) for row in (*contract.CALLS, *contract.FEEDS)} | set(ACTS)
    for one in sorted(said):
        await third.client.publish(one, b'{"instance_id":"e1"}', reply="_INBOX.x")
        (told,) = await third.refusals()
        assert "permissions violation for publish" in told.lower(), one
    await operator.flush()
    assert heard == []
    assert await messages(operator) == kept


async def test_a_reply_field_and_a_trace_act_for_nobody(
    place: Place, third: Third, connect_as: ConnectAs
) -> None:
    operator, orchestrator = await connect_as(Actor.OPERATOR), await connect_as(Actor.ORCHESTRATOR)
    await ensure_streams(operator)
    engine = await connect(engine_login(place.server, "e1"))
    await said(engine, orchestrator)
    heard, kept = await everything(operator), await messages(operator)
    subjects = ("engine.e1.fill", "fleet.alert", f"{LAST}.engine.e1.fill")
    replies = (*TRICKS, "engine.e1.fill", "engine.e1.command.stop")
    for one in subjects:
        for reply in replies:
            await third.client.publish(one, b"", reply=reply)
            await third.client.publish(one, b"", headers={"Nats-Trace-Dest": reply})
    refused = await third.refusals()
    assert len(refused) == 2 * len(subjects) * len(replies)
    await engine.flush()
    await operator.flush()
    assert heard == []
    assert await messages(operator) == kept
    await engine.close()


async def test_it_joins_no_queue_group_and_takes_nothing_from_one(
    place: Place, third: Third, connect_as: ConnectAs
) -> None:
    """The server lets a group reach over accounts: a member in another one would take its share."""
    operator, orchestrator = await connect_as(Actor.OPERATOR), await connect_as(Actor.ORCHESTRATOR)
    got: list[str] = []

    async def take(message: Msg) -> None:
        got.append(message.subject)

    await operator.client.subscribe("fleet.alert", queue="orchestrator", cb=take)
    await operator.flush()
    for pattern in HEARD:
        for group in ("orchestrator", "observer_feed", "a.b", "feed"):
            await third.client.subscribe(pattern, queue=group)
            (told,) = await third.refusals()
            assert "permissions violation for subscription" in told.lower(), (pattern, group)
    for _ in range(50):
        await orchestrator.client.publish("fleet.alert", b"{}")
    await orchestrator.flush()
    await until(lambda: len(got) == 50)


async def test_its_refusals_fill_no_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nats, "_LOGGING", nats._LOGGING.replace(str(nats.LOG_BYTES), "10000"))
    place = Place(tmp_path)
    creds = place.admit()
    place.server.start()
    third = await place.third(creds)
    for _ in range(1000):
        await third.client.publish("fleet.engine.stop", b"")
    assert len(await third.refusals()) == 1000
    await third.client.close()
    place.server.stop()
    kept = [file.stat().st_size for file in (tmp_path / "nats").glob(f"{nats.LOG}*")]
    assert len(kept) == nats.LOG_FILES
    assert sum(kept) < (nats.LOG_FILES + 1) * 10_000
    assert "Publish Violation" in (tmp_path / "nats" / nats.LOG).read_text()


async def test_it_has_a_few_connections_and_no_more(place: Place, third: Third) -> None:
    more = [await place.third(place.folder / "feed.creds") for _ in range(CONNECTIONS - 1)]
    assert not await place.is_let_in(place.folder / "feed.creds")
    for one in more:
        await one.client.close()


async def test_one_that_is_taken_away_is_cut_within_a_second_and_stays_out(
    place: Place, third: Third, connect_as: ConnectAs
) -> None:
    await ensure_streams(await connect_as(Actor.OPERATOR))
    feed, other = place.folder / "feed.creds", place.admit("other")
    async with place.supervised():
        neighbour = await let_in(place, other)
        remove_token(place.tokens, "feed")
        async with asyncio.timeout(1.0):
            await third.cut.wait()
        assert not await place.is_let_in(feed)
        assert not neighbour.cut.is_set()
        await neighbour.client.close()
    # As when the server alone falls over: it reads what it was told.
    prepare = place.server.prepare
    for starts in (lambda: None, prepare):
        place.server.kill()
        starts()
        place.server.child.start()
        place.server.wait_ready()
        assert not await place.is_let_in(feed)
        assert await place.is_let_in(other)


async def test_one_that_is_taken_away_while_nothing_runs_is_out(place: Place) -> None:
    feed, other = place.folder / "feed.creds", place.admit("other")
    place.server.stop()
    remove_token(place.tokens, "feed")
    place.server.start()
    assert not await place.is_let_in(feed)
    assert await place.is_let_in(other), "from the server's start on, before any supervisor is there"


async def test_one_that_is_replaced_is_out_and_the_new_one_in(place: Place, third: Third) -> None:
    old = place.folder / "old.creds"
    (place.folder / "feed.creds").rename(old)
    async with place.supervised():
        new = place.admit(replace=True)
        async with asyncio.timeout(1.0):
            await third.cut.wait()
        await (await let_in(place, new)).client.close()
        assert not await place.is_let_in(old)


@pytest.mark.parametrize("is_supervised", [True, False])
async def test_it_ends_when_it_was_said_to(place: Place, is_supervised: bool) -> None:
    """By itself too, should the supervisor be away."""
    place.server.stop()
    creds = place.admit("brief", lifetime=timedelta(seconds=4))
    ends = time.monotonic() + 4
    place.server.start()
    async with place.supervised() if is_supervised else nullcontext():
        brief = await place.third(creds)
        async with asyncio.timeout(10):
            await brief.cut.wait()
        assert ends - 1.5 < time.monotonic() < ends + 1.5
        await asyncio.sleep(max(0.0, ends + 1.1 - time.monotonic()))
        assert not await place.is_let_in(creds)


async def test_a_file_that_cannot_be_read_lets_nobody_in(place: Place, third: Third) -> None:
    async with place.supervised():
        place.tokens.unlink()
        place.tokens.mkdir()
        async with asyncio.timeout(2.0):
            await third.cut.wait()
        assert not await place.is_let_in(place.folder / "feed.creds")


async def test_claims_that_cannot_be_read_hold_nothing_up(place: Place) -> None:
    """As a loss of power may leave them: the server does not sync what it is told."""
    place.server.stop()
    (place.folder / "nats/accounts" / f"{Key.new(ACCOUNT).public}.jwt").write_text("")
    place.server.start()
    async with place.supervised():
        await (await let_in(place, place.admit("other"))).client.close()


async def test_who_follows_the_file_leaves_all_other_accounts_alone(
    place: Place, connect_as: ConnectAs
) -> None:
    operator = await connect_as(Actor.OPERATOR)
    engine = await connect(engine_login(place.server, "e1"))
    async with place.supervised():
        remove_token(place.tokens, "feed")
        await until_async(lambda: is_out(place, place.folder / "feed.creds"))
    for bus in (operator, engine):
        assert (bus.is_connected, bus.stats.reconnects) == (True, 0)
    await engine.close()


async def is_out(place: Place, creds: Path) -> bool:
    return not await place.is_let_in(creds)


async def let_in(place: Place, creds: Path) -> Third:
    """Connected, once the supervisor has told the server."""
    await until_async(lambda: place.is_let_in(creds))
    return await place.third(creds)


async def everything(operator: Bus) -> list[str]:
    """The subjects that are heard in the fleet's account from now on, but those of answers and of the server."""
    heard: list[str] = []

    async def hear(message: Msg) -> None:
        if not message.subject.startswith(("_INBOX", "_R_", "$JS.API.STREAM.INFO", "$JS.EVENT.", "$SYS.")):
            heard.append(message.subject)

    await operator.client.subscribe(">", cb=hear)
    await operator.flush()
    return heard


async def messages(operator: Bus) -> dict[str, int]:
    js = operator.client.jetstream()
    return {one.name: (await js.stream_info(one.name)).state.messages for one in contract.STREAMS}


async def until(is_so: Callable[[], bool], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not is_so():
            await asyncio.sleep(0.01)


async def until_async(is_so: Callable[[], Awaitable[bool]], within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not await is_so():
            await asyncio.sleep(0.05)
