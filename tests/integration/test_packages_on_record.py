"""Packages over the bus, on a real record, with a host that finds what the test says: uploaded, pushed, listed, fetched, removed."""

import asyncio
import random
import threading
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from flotilla.bus.packages import fetch_package, fetch_wheel
from flotilla.schemas import contract
from flotilla.schemas.audit import ReadAudit
from flotilla.schemas.catalog import ListTemplates, Parameter
from flotilla.schemas.config import EngineConfig, StrategyChoice
from flotilla.schemas.engine import ConfigureEngine, RestartEngine
from flotilla.schemas.fault import FaultCode, FaultError, FieldError
from flotilla.schemas.package import (
    CHUNK_BYTES,
    CheckPackage,
    ComponentKind,
    FetchPackage,
    FoundComponent,
    FoundStrategy,
    ListPackages,
    PackageFindings,
    PackageView,
    PushPackage,
    RemovePackage,
    UploadChunk,
    Wheel,
    WhichPackage,
)
from flotilla.schemas.package_archive import digest_of, pack, unpack
from flotilla.schemas.simulation import ComponentChoice
from flotilla.schemas.strategy import AddStrategy, AddToEngine
from flotilla.schemas.wheel import WHEELS_FILE, wheels_text
from flotilla.schemas.wheel_archive import OpenWheel
from flotilla.services.orchestrator.adapters.packages import PostgresPackages
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.engines.ports import Command
from flotilla.services.orchestrator.packages import checks as package_checks
from flotilla.services.orchestrator.packages.ports import VersionTaken
from tests.integration.conftest import ConnectAs
from tests.integration.orchestrator_bench import Actor, Bench, bench, idle, refused  # noqa: F401 - fixtures
from tests.wheels import wheel

MINE = pack({"mine.py": b"x = 1\n"})
CHANGED = pack({"mine.py": b"x = 2\n"})
OTHER = pack({"mine.py": b"x = 4\n"})
LARGE = pack({"mine.py": b"x = 3\n", "table.bin": bytes(range(256)) * 4096})


def found(name: str = "mine:Mine", description: str = "d") -> PackageFindings:
    parameters = {"period": Parameter(type="integer", help="h", default=5)}
    strategy = FoundStrategy(
        strategy_path=name, config_path=f"{name}Config", description=description, parameters=parameters
    )
    return PackageFindings(strategies=(strategy,), notes=("a note",))


class Checks:
    """The host's answers to checks; what it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.findings = found()

    async def check(self, request: CheckPackage) -> PackageFindings:
        self.asked.append(request.digest)
        return self.findings


@pytest.fixture
async def checks(bench: Bench) -> Checks:  # noqa: F811 - the fixture
    made = Checks()
    await bench.host.bus.serve(contract.PACKAGE_CHECK, made.check, host=bench.host.host)
    return made


async def upload(bench: Bench, archive: bytes, digest: str = "") -> list[bool]:  # noqa: F811
    pieces = [archive[start : start + CHUNK_BYTES] for start in range(0, len(archive), CHUNK_BYTES)]
    kept = []
    for index, data in enumerate(pieces):
        chunk = UploadChunk(digest=digest or digest_of(archive), index=index, count=len(pieces), data=data)
        kept.append((await bench.call(contract.PACKAGE_UPLOAD, chunk)).is_known)
    return kept


async def push(bench: Bench, archive: bytes, **more: Any) -> PackageView:  # noqa: F811
    await upload(bench, archive)
    request = PushPackage(name=more.pop("name", "mine"), digest=digest_of(archive), **more)
    return await bench.call(contract.PACKAGE_PUSH, request)


async def names(bench: Bench) -> list[str]:  # noqa: F811
    return [one.name for one in (await bench.call(contract.TEMPLATE_LIST, ListTemplates())).templates]


async def test_what_is_pushed_is_checked_once_kept_and_served_as_a_template(
    bench: Bench,  # noqa: F811
    checks: Checks,
    connect_as: ConnectAs,
) -> None:
    view = await push(bench, LARGE)
    assert (view.version, view.is_newest, view.notes) == ("1", True, ("a note",))
    assert (view.files, view.size_bytes) == (("mine.py", "table.bin"), len(LARGE))
    assert await upload(bench, LARGE) == [True] * 9
    assert (await push(bench, LARGE)).pushed_at == view.pushed_at
    assert (await push(bench, CHANGED)).version == "2"
    assert checks.asked == [digest_of(LARGE), digest_of(CHANGED)]
    assert "mine" in await names(bench)
    older = await bench.call(contract.TEMPLATE_LIST, ListTemplates(name="mine@1"))
    assert [(one.name, one.package, one.is_checked) for one in older.templates] == [("mine", "mine@1", True)]
    supervisor = await connect_as(Actor.SUPERVISOR)
    assert await fetch_package(supervisor, digest_of(LARGE)) == LARGE
    listed = await bench.call(contract.PACKAGE_LIST, ListPackages(name="mine"))
    assert [(one.version, one.is_newest) for one in listed.packages] == [("2", True), ("1", False)]


async def test_an_orchestrator_that_comes_after_serves_what_was_pushed_before(
    idle: Bench,  # noqa: F811
    connect_as: ConnectAs,
) -> None:
    checks = Checks()
    await idle.host.bus.serve(contract.PACKAGE_CHECK, checks.check, host=idle.host.host)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        pushed = await push(idle, MINE)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert await idle.call(contract.PACKAGE_SHOW, WhichPackage(name="mine")) == pushed
        assert "mine" in await names(idle)


async def test_a_version_stays_what_it_is(bench: Bench, checks: Checks) -> None:  # noqa: F811
    await push(bench, MINE, version="1.0")
    await upload(bench, CHANGED)
    other = PushPackage(name="mine", digest=digest_of(CHANGED), version="1.0")
    fault = await refused(bench, contract.PACKAGE_PUSH, other)
    assert (fault.code, fault.errors[0].field) == (FaultCode.CONFLICT, "version")
    assert checks.asked == [digest_of(MINE)]


async def test_a_draft_is_run_by_its_digest_and_listed_nowhere(bench: Bench, checks: Checks) -> None:  # noqa: F811
    view = await push(bench, MINE, is_draft=True)
    assert view.version == f"sha256-{digest_of(MINE)}"
    assert "mine" not in await names(bench)
    assert (await bench.call(contract.PACKAGE_LIST, ListPackages())).packages == ()
    chosen = StrategyChoice(template=f"mine@{view.version}")
    config = EngineConfig(engine_type="sandbox", instance_id="e1", strategies=(chosen,))
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=config))
    assert (await push(bench, MINE)).version == "1"
    assert checks.asked == [digest_of(MINE)]


async def test_what_is_not_whole_or_not_sound_is_refused_and_nothing_is_kept(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    missing = PushPackage(name="mine", digest=digest_of(MINE))
    assert "1 of 1 pieces" in (await refused(bench, contract.PACKAGE_PUSH, missing)).message
    await upload(bench, CHANGED, digest_of(MINE))
    assert "is not the SHA-256" in (await refused(bench, contract.PACKAGE_PUSH, missing)).message
    fault = await refused(bench, contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(MINE)))
    assert fault.code == FaultCode.NOT_FOUND
    await upload(bench, b"no zip")
    bad = PushPackage(name="mine", digest=digest_of(b"no zip"))
    assert "cannot be read" in (await refused(bench, contract.PACKAGE_PUSH, bad)).message
    assert checks.asked == []
    checks.findings = PackageFindings(problems=(FieldError("mine:MineConfig.period", "no"),))
    await upload(bench, MINE)
    fault = await refused(bench, contract.PACKAGE_PUSH, missing)
    assert (fault.code, fault.errors[0].field) == (FaultCode.INVALID, "mine:MineConfig.period")
    checks.findings = found("os:system")
    assert "tampered with" in (await refused(bench, contract.PACKAGE_PUSH, missing)).message
    checks.findings = found(description="d" * 70_000)
    assert "68 KiB to describe" in (await refused(bench, contract.PACKAGE_PUSH, missing)).message
    checks.findings = found()
    taken = PushPackage(name="ema_cross", digest=digest_of(MINE))
    assert "there is a template ema_cross" in (await refused(bench, contract.PACKAGE_PUSH, taken)).message
    assert (await bench.call(contract.PACKAGE_LIST, ListPackages())).packages == ()


async def test_without_a_host_that_checks_nothing_is_pushed(bench: Bench) -> None:  # noqa: F811
    await upload(bench, MINE)
    request = PushPackage(name="mine", digest=digest_of(MINE))
    fault = await refused(bench, contract.PACKAGE_PUSH, request)
    assert (fault.code, "nobody could check" in fault.message) == (FaultCode.UNAVAILABLE, True)


async def test_an_engine_keeps_its_version_which_is_not_removed_silently(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    await push(bench, MINE)
    engine = await bench.trading("e1", strategies=(StrategyChoice(template="mine"),))
    await push(bench, CHANGED)
    view = await bench.view("e1")
    assert view.config.strategies is not None
    assert view.config.strategies[0].template == "mine@1"
    spec = bench.host.specs[engine.spec.session_id] if hasattr(bench.host, "specs") else engine.spec
    assert [each.digest for each in spec.plan.packages] == [digest_of(MINE)]
    remove = RemovePackage(name="mine", version="1")
    fault = await refused(bench, contract.PACKAGE_REMOVE, remove)
    assert (fault.code, "engine e1" in fault.message) == (FaultCode.CONFLICT, True)
    forced = RemovePackage(name="mine", version="1", force=True)
    gone = await bench.call(contract.PACKAGE_REMOVE, forced)
    assert gone.used_by == ("engine e1",)
    piece = await bench.call(contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(MINE)))
    assert piece.data == MINE
    assert (
        await refused(bench, contract.PACKAGE_SHOW, WhichPackage(name="mine", version="1"))
    ).code == "not_found"


async def test_an_actor_of_a_package_is_chosen_by_name_and_its_version_kept(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    watch = FoundComponent(
        kind=ComponentKind.ACTOR,
        path="mine:Watch",
        config_path="mine:WatchConfig",
        description="d",
        parameters={"every": Parameter(type="integer", help="h", default=5)},
    )
    checks.findings = PackageFindings(components=(watch,))
    pushed = await push(bench, MINE)
    assert [each.path for each in pushed.components] == ["mine@1:Watch"]
    actor = ComponentChoice(path="mine:Watch", config={"every": 7})
    engine = await bench.trading("e1", actors=(actor,))
    await push(bench, CHANGED)
    assert [each.path for each in (await bench.view("e1")).config.actors] == ["mine@1:Watch"]
    assert engine.spec.plan.node["actors"] == [
        {"actor_path": "mine:Watch", "config_path": "mine:WatchConfig", "config": {"every": 7}}
    ]
    assert [each.digest for each in engine.spec.plan.packages] == [digest_of(MINE)]
    wrong = EngineConfig(instance_id="e2", actors=(ComponentChoice(path="mine:Watch", config={"x": 1}),))
    fault = await refused(bench, contract.ENGINE_CONFIGURE, ConfigureEngine(config=wrong))
    assert [each.field for each in fault.errors] == ["config.actors[0].config.x"]
    later = EngineConfig(instance_id="e3", actors=(ComponentChoice(path="mine@2:Watch"),))
    await bench.call(contract.ENGINE_CONFIGURE, ConfigureEngine(config=later))
    fault = await refused(bench, contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="2"))
    assert (fault.code, "engine e3" in fault.message) == (FaultCode.CONFLICT, True)


async def test_a_removed_version_stays_taken_until_the_same_content_comes_back(
    idle: Bench,  # noqa: F811
    connect_as: ConnectAs,
) -> None:
    checks = Checks()
    await idle.host.bus.serve(contract.PACKAGE_CHECK, checks.check, host=idle.host.host)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await push(idle, MINE)
        await push(idle, CHANGED)
        await idle.call(contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="2", force=True))
        await stays_taken(idle, "3")
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await idle.call(contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="3"))
        await stays_taken(idle, "3")
        assert (await push(idle, CHANGED)).version == "2"
        assert (await push(idle, CHANGED)).is_newest
        assert (await push(idle, OTHER)).version == "4"


async def stays_taken(bench: Bench, number: str) -> None:  # noqa: F811
    """Other content than version 2 had gets `number`."""
    await upload(bench, LARGE)
    other = PushPackage(name="mine", digest=digest_of(LARGE), version="2")
    assert "mine@2 was removed" in (await refused(bench, contract.PACKAGE_PUSH, other)).message
    assert (await push(bench, LARGE)).version == number


async def test_a_draft_is_listed_when_it_is_asked_for_and_removed_by_the_beginning_of_its_digest(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    await push(bench, MINE, is_draft=True)
    asked = ListPackages(drafts=True)
    (draft,) = (await bench.call(contract.PACKAGE_LIST, asked)).packages
    assert (draft.is_draft, draft.digest) == (True, digest_of(MINE))
    remove = RemovePackage(name="mine", version=f"sha256-{digest_of(MINE)[:12]}")
    assert (await bench.call(contract.PACKAGE_REMOVE, remove)).version == draft.version
    assert (await bench.call(contract.PACKAGE_LIST, asked)).packages == ()
    assert (await push(bench, MINE, is_draft=True)).version == draft.version


async def test_whoever_starts_or_adds_is_told_which_version_it_is_and_the_audit_keeps_it(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    await push(bench, MINE)
    engine = await bench.trading("e1", strategies=(StrategyChoice(template="mine"),))
    add = AddStrategy(instance_id="e1", strategy=StrategyChoice(template="mine"))
    done = await bench.call(contract.STRATEGY_ADD, add)
    which = f"of mine@1 (digest {digest_of(MINE)})"
    assert done.message == f"added, {which}"
    assert [
        each.package.version for each in engine.asked if isinstance(each, AddToEngine) and each.package
    ] == ["1"]
    entries = (await bench.call(contract.AUDIT_LIST, ReadAudit(about="e1"))).entries
    assert [each.message for each in entries if each.subject == "fleet.strategy.add"] == [which]
    accepted = await bench.start("e2", strategies=(StrategyChoice(template="mine"),))
    assert accepted.message == "engine e2 is starting with mine@1"
    again = await bench.call(contract.ENGINE_RESTART, RestartEngine(instance_id="e1"))
    assert again.message == "engine e1 is restarting with mine@1"


async def test_an_unused_version_goes_with_its_content(bench: Bench, checks: Checks) -> None:  # noqa: F811
    await push(bench, MINE)
    removed = await bench.call(contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="1"))
    assert removed.used_by == ()
    assert "mine" not in await names(bench)
    fault = await refused(bench, contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(MINE)))
    assert fault.code == FaultCode.NOT_FOUND
    assert (await push(bench, MINE)).version == "1"
    assert len(checks.asked) == 2


def needing(*wheels: tuple[str, bytes], text: str = "") -> bytes:
    """A package that needs these wheels."""
    listed = [OpenWheel(data, name).as_listed for name, data in wheels]
    return pack({"mine.py": text.encode(), WHEELS_FILE: wheels_text(listed)})


ONE, TWO = wheel("fe-one"), wheel("fe-two", files={"fe_two/table.bin": random.Random(2).randbytes(300 << 10)})


async def test_wheels_are_kept_by_digest_once_for_all_packages_and_go_with_the_last(
    bench: Bench,  # noqa: F811
    checks: Checks,
    connect_as: ConnectAs,
) -> None:
    for _, data in (ONE, TWO):
        assert not any(await upload(bench, data))
    view = await push(bench, needing(ONE, TWO))
    assert [each.label for each in view.wheels] == ["fe-one 1.0", "fe-two 1.0"]
    assert await bench.call(contract.PACKAGE_SHOW, WhichPackage(name="mine")) == view
    assert (await bench.call(contract.PACKAGE_LIST, ListPackages())).packages[0].wheels == ()
    assert all(await upload(bench, TWO[1]))
    await push(bench, needing(TWO, text="x = 1"))
    supervisor = await connect_as(Actor.SUPERVISOR)
    assert await fetch_wheel(supervisor, view.wheels[1]) == TWO[1]

    await bench.call(contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="1"))
    gone = await refused(bench, contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(ONE[1])))
    assert gone.code == FaultCode.NOT_FOUND
    assert await fetch_wheel(supervisor, view.wheels[1]) == TWO[1]
    await bench.call(contract.PACKAGE_REMOVE, RemovePackage(name="mine", version="2"))
    gone = await refused(bench, contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(TWO[1])))
    assert gone.code == FaultCode.NOT_FOUND


async def test_an_orchestrator_that_comes_after_knows_the_wheels(
    idle: Bench,  # noqa: F811
    connect_as: ConnectAs,
) -> None:
    checks = Checks()
    await idle.host.bus.serve(contract.PACKAGE_CHECK, checks.check, host=idle.host.host)
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        await upload(idle, ONE[1])
        pushed = await push(idle, needing(ONE))
    async with idle.orchestrating(await connect_as(Actor.ORCHESTRATOR)):
        assert await idle.call(contract.PACKAGE_SHOW, WhichPackage(name="mine")) == pushed
        assert all(await upload(idle, ONE[1]))


async def test_wheels_that_are_not_whole_are_refused_and_nothing_is_kept(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    archive = needing(ONE, TWO)
    await upload(bench, archive)
    await upload(bench, ONE[1])
    request = PushPackage(name="mine", digest=digest_of(archive))
    missing = await refused(bench, contract.PACKAGE_PUSH, request)
    words = "the wheel of fe-two 1.0 was not uploaded: `flotilla package push` does that"
    assert (missing.code, words in missing.message) == ("conflict", True)
    await upload(bench, ONE[1], digest_of(TWO[1]))
    other = await refused(bench, contract.PACKAGE_PUSH, request)
    assert (other.errors[0].field, TWO[0] in other.message) == (WHEELS_FILE, True)
    listed = Wheel(
        name="fe-x",
        version="1",
        file="fe_x-1-py3-none-any.whl",
        digest="a" * 64,
        size_bytes=1,
        unpacked_bytes=1,
    )
    text = wheels_text([listed]).replace(b"fe-x", b"FE x")
    await upload(bench, lying := pack({"mine.py": b"", WHEELS_FILE: text}))
    request = PushPackage(name="mine", digest=digest_of(lying))
    assert WHEELS_FILE in (await refused(bench, contract.PACKAGE_PUSH, request)).message
    assert checks.asked == []
    assert (await bench.call(contract.PACKAGE_LIST, ListPackages())).packages == ()


@pytest.fixture
async def record(bench: Bench) -> AsyncIterator[PostgresPackages]:  # noqa: F811
    """The record as another orchestrator has it."""
    opened = await PostgresRecord.open(bench.settings.dsn, bench.settings.password())
    yield PostgresPackages(opened)
    await opened.close()


def command(request_id: str) -> Command:
    at = datetime.now(UTC)
    return Command(
        request_id=request_id, subject="s", body_hash=b"", instance_id="mine", reply=b"null", created_at=at
    )


async def test_the_same_content_pushed_many_times_at_once_is_checked_once_and_is_one_version(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    same = await asyncio.gather(*(push(bench, MINE, is_draft=True) for _ in range(5)))
    assert {view.digest for view in same} == {digest_of(MINE)}
    assert checks.asked == [digest_of(MINE)]
    views = await asyncio.gather(*(push(bench, each) for each in (MINE, CHANGED, LARGE, OTHER)))
    assert sorted(view.version for view in views) == ["1", "2", "3", "4"]


async def test_what_another_orchestrator_pushed_first_is_what_there_is(
    bench: Bench,  # noqa: F811
    checks: Checks,
    record: PostgresPackages,
) -> None:
    await push(bench, MINE)
    (first,) = await record.versions()
    await record.add(msgspec.structs.replace(first, name="other", pushed_by="somebody"), command("a"))
    assert (await push(bench, MINE, name="other")).pushed_by == "somebody"
    await upload(bench, CHANGED)
    again = msgspec.structs.replace(first, version="2")
    await record.add(again, command("b"))
    assert (await push(bench, CHANGED)).version == "3"


async def test_the_record_itself_gives_a_removed_version_to_the_same_content_only(
    bench: Bench,  # noqa: F811
    checks: Checks,
    record: PostgresPackages,
) -> None:
    for archive in (MINE, CHANGED):
        await push(bench, archive)
    first, second = await record.versions()
    await record.remove(first, with_content=False, command=command("a"))
    assert [each.digest for each in await record.removed()] == [digest_of(MINE)]
    with pytest.raises(VersionTaken):
        await record.add(msgspec.structs.replace(second, version="1"), command("b"))
    await record.add(first, command("c"))
    assert await record.versions() == [second, first]
    assert await record.removed() == []


async def test_no_version_is_kept_of_what_is_removed_while_it_is_pushed(
    bench: Bench,  # noqa: F811
    checks: Checks,
    record: PostgresPackages,
) -> None:
    await push(bench, MINE)
    (first,) = await record.versions()
    await record.remove(first, with_content=True, command=command("a"))
    request = PushPackage(name="other", digest=digest_of(MINE))
    fault = await refused(bench, contract.PACKAGE_PUSH, request)
    assert (fault.code, "push again" in fault.message) == (FaultCode.CONFLICT, True)
    assert await record.versions() == []
    assert (await push(bench, MINE, name="other")).version == "1"
    piece = await bench.call(contract.PACKAGE_FETCH, FetchPackage(digest=digest_of(MINE)))
    assert piece.data == MINE


async def test_a_stray_piece_of_another_count_is_in_no_pushs_way(
    bench: Bench,  # noqa: F811
    checks: Checks,
) -> None:
    stray = UploadChunk(digest=digest_of(MINE), index=5, count=6, data=b"x")
    await bench.call(contract.PACKAGE_UPLOAD, stray)
    assert (await push(bench, MINE)).version == "1"


async def test_an_archive_is_read_beside_the_loop(
    bench: Bench,  # noqa: F811
    checks: Checks,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    threads: list[int] = []

    def noting(archive: bytes) -> dict[str, bytes]:
        threads.append(threading.get_ident())
        return unpack(archive)

    monkeypatch.setattr(package_checks, "unpack", noting)
    await push(bench, MINE)
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_a_piece_of_the_wrong_size_or_place_is_refused(bench: Bench) -> None:  # noqa: F811
    small = UploadChunk(digest="a" * 64, index=0, count=2, data=b"x")
    assert (await refused(bench, contract.PACKAGE_UPLOAD, small)).errors[0].field == "data"
    beyond = UploadChunk(digest="a" * 64, index=2, count=2, data=b"x")
    assert (await refused(bench, contract.PACKAGE_UPLOAD, beyond)).errors[0].field == "index"


async def test_content_of_another_digest_is_not_believed(bench: Bench) -> None:  # noqa: F811
    await upload(bench, CHANGED, digest_of(MINE))
    with pytest.raises(FaultError, match="its SHA-256 differs"):
        await fetch_package(bench.operator, digest_of(MINE))
