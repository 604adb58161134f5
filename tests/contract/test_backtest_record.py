"""What every record of backtests must do, shown on a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from flotilla.schemas.backtest import BacktestStatus, StudyConfig, TrialJob
from flotilla.services.orchestrator.adapters.backtests import PostgresBacktests
from flotilla.services.orchestrator.adapters.postgres import PostgresRecord
from flotilla.services.orchestrator.backtests.core import lifecycle
from flotilla.services.orchestrator.backtests.core.model import Backtest, NewBacktest, Study
from flotilla.services.orchestrator.backtests.ports import TakenError
from flotilla.services.orchestrator.engines.ports import Command, RepeatedCommand, StaleChange
from tests.contract.test_record import command
from tests.integration.conftest import admin_dsn, postgres, postgres_dsn  # noqa: F401 - fixtures
from tests.unit.orchestrator.makers import NOW, after
from tests.unit.orchestrator.test_backtest_turns import CONFIG, backtest, claimed, outcome


@pytest.fixture
async def shared(postgres_dsn: str) -> AsyncIterator[PostgresRecord]:  # noqa: F811
    opened = await PostgresRecord.open(postgres_dsn)
    await opened.migrate()
    yield opened
    await opened.close()


@pytest.fixture
def record(shared: PostgresRecord) -> PostgresBacktests:
    return PostgresBacktests(shared)


def new(backtest_id: str = "b", **facts: Any) -> NewBacktest:
    order = TrialJob(backtest_id=backtest_id, plan=outcome().manifest.plan)
    return NewBacktest(backtest=backtest(backtest_id=backtest_id, **facts), order=order)


def study(study_id: str = "s") -> Study:
    axes = {"fast": {"values": [1, 2]}}
    config = msgspec.convert({"base": msgspec.to_builtins(CONFIG), "axes": axes}, StudyConfig)
    return Study(study_id=study_id, config=config, created_at=NOW, choices=({"fast": 1}, {"fast": 2}))


def of_study(number: int) -> NewBacktest:
    return new(f"s-{number}", study_id="s", number=number)


async def one(record: PostgresBacktests, backtest_id: str = "b") -> Backtest:
    return (await record.backtests([backtest_id]))[backtest_id]


async def test_a_backtest_comes_back_as_it_was_recorded(record: PostgresBacktests) -> None:
    await record.add([new()], command())
    assert await one(record) == backtest()
    running, _ = claimed(backtest())
    await record.change(running)
    assert await one(record) == running


async def test_an_id_is_taken_once_and_a_command_too(
    record: PostgresBacktests, shared: PostgresRecord
) -> None:
    await record.add([new()], command("r1"))
    with pytest.raises(TakenError):
        await record.add([new("a"), new()], command("r2"))
    with pytest.raises(RepeatedCommand):
        await record.add([new("c")], command("r1"))
    assert set(await record.backtests(["a", "b", "c"])) == {"b"}
    assert await shared.command("r2") is None


async def test_of_two_changes_of_one_version_the_second_is_stale_and_leaves_no_result(
    record: PostgresBacktests,
) -> None:
    await record.add([new()])
    await record.change(lifecycle.cancelled(backtest(), NOW))
    done = lifecycle.completed(backtest(), outcome(), NOW)
    assert done is not None
    with pytest.raises(StaleChange):
        await record.change(done, result=b"whole")
    assert await record.result("b") is None
    assert (await one(record)).status is BacktestStatus.CANCELLED


async def test_a_result_comes_with_the_change_that_completes_and_its_pieces_go(
    record: PostgresBacktests,
) -> None:
    await record.add([new()])
    assert await record.add_part("b", "x", 0, b"who") == 1
    assert await record.add_part("b", "x", 0, b"who") == 1
    assert await record.add_part("b", "other", 1, b"??") == 1
    assert await record.add_part("b", "x", 1, b"le") == 2
    assert await record.parts("b", "x") == {0: b"who", 1: b"le"}
    done = lifecycle.completed(backtest(), outcome(), NOW)
    assert done is not None
    noted = Command(**msgspec.structs.asdict(command("r9")))
    await record.change(done, result=b"whole", command=noted)
    assert await record.result("b") == b"whole"
    assert await record.parts("b", "x") == {}


async def test_pages_follow_each_other_newest_first(record: PostgresBacktests) -> None:
    await record.add([new(f"b{n}", created_at=after(n // 2)) for n in range(5)])
    first = await record.page(None, None, None, 2)
    last = first[-1]
    rest = await record.page(None, None, (last.created_at, last.number, last.backtest_id), 9)
    assert [each.backtest_id for each in (*first, *rest)] == ["b4", "b3", "b2", "b1", "b0"]
    assert await record.count(None, None) == 5
    assert await record.page(None, BacktestStatus.FAILED, None, 9) == []


async def test_what_never_was_queued_is_found_and_what_was_is_found_when_it_is_lost(
    record: PostgresBacktests,
) -> None:
    await record.add_study(study(), [of_study(1), of_study(2)])
    await record.add([new()])
    assert [work.backtest_id for work in await record.unqueued(of_studies=False, limit=9)] == ["b"]
    assert [work.backtest_id for work in await record.unqueued(of_studies=True, limit=1)] == ["s-1"]
    await record.queued(["b", "s-1"], after(5))
    backlog = await record.backlog()
    assert (backlog.open, backlog.ahead, backlog.newest) == (3, 1, NOW)
    assert await record.lost(after(4), 9) == []
    lost = await record.lost(after(6), 9)
    assert {(work.backtest_id, work.queued) for work in lost} == {("b", 1), ("s-1", 1)}
    assert msgspec.json.decode(lost[0].order, type=TrialJob).backtest_id in ("b", "s-1")
    assert [work.queued for work in await record.works(["b"])] == [1]


async def test_a_study_is_recorded_with_all_its_backtests_or_not_at_all(record: PostgresBacktests) -> None:
    await record.add([new("s-2")])
    with pytest.raises(TakenError):
        await record.add_study(study(), [of_study(1), of_study(2)], command())
    assert await record.studies() == []
    await record.add_study(study("t"), [])
    assert await record.studies(study_id="t") == [study("t")]
    with pytest.raises(TakenError):
        await record.add_study(study("t"), [])


async def test_the_end_of_a_study_cancels_what_is_pending_and_names_what_still_runs(
    record: PostgresBacktests,
) -> None:
    await record.add_study(study(), [of_study(1), of_study(2)])
    running, _ = claimed(of_study(1).backtest)
    await record.change(running)
    assert await record.running() == [running]
    assert await record.strays() == []
    ended = msgspec.structs.replace(
        study(), status=BacktestStatus.CANCELLED, version=2, ended_at=NOW, why_ended="cancelled"
    )
    assert await record.change_study(ended, NOW) == ["s-2"]
    with pytest.raises(StaleChange):
        await record.change_study(ended, NOW)
    assert await record.strays("s") == ["s-1"]
    assert await record.studies(only_open=True) == []
    found = {number: point.status for number, point in (await record.points(study())).items()}
    assert found == {1: BacktestStatus.RUNNING, 2: BacktestStatus.CANCELLED}


async def test_what_is_there_already_is_not_added_again(record: PostgresBacktests) -> None:
    await record.add_study(study(), [of_study(1)])
    assert await record.add_missing([of_study(1), of_study(2)]) == ["s-2"]


async def test_runs_again_and_late_changes_are_found(record: PostgresBacktests) -> None:
    await record.add([new(), new("b-verify-1", verifies="b")])
    assert await record.verifying("b") == [("b-verify-1", BacktestStatus.PENDING)]
    assert [each.backtest_id for each in await record.changed_since(NOW - timedelta(seconds=1))] != []
    assert await record.changed_since(NOW) == []


async def test_of_many_claims_at_once_one_is_recorded(record: PostgresBacktests) -> None:
    await record.add([new()])
    claims = [claimed(backtest(), f"w{n}")[0] for n in range(5)]
    answers = await asyncio.gather(*(record.change(each) for each in claims), return_exceptions=True)
    assert sum(isinstance(answer, StaleChange) for answer in answers) == 4
