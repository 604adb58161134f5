"""The catalog of a running fleet over REST and bus: pictures, gaps and rows of what it holds, and data that go."""

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.data import ImportView
from flotilla.schemas.fault import FaultCode, FaultError
from tests.e2e.engines import eventually
from tests.e2e.rest import API, Rest
from tests.e2e.stacks import RunningStack, run_flotilla

SPX = "SPX.SIM-1-DAY-LAST-EXTERNAL"
IXIC = "IXIC.SIM-1-DAY-LAST-EXTERNAL"


@pytest.fixture(scope="module")
def runtime() -> str:
    """Nothing here depends on it."""
    return "process"


@pytest.fixture
async def rest(stack: RunningStack) -> AsyncIterator[Rest]:
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


async def test_a_chart_gaps_and_rows_come_from_the_hosts_own_catalog(rest: Rest, fleet: Flotilla) -> None:
    chart = (await rest.done("GET", f"{API}/catalog/bars?identifier={SPX}&points=4"))["chart"]
    assert (chart["events"], chart["is_down_sampled"], len(chart["points"])) == (5031, True, 4)
    assert sum(point["events"] for point in chart["points"]) == 5031
    assert (await fleet.chart(SPX, first="2001-01-02", last="2001-01-04")).is_down_sampled is False
    gaps = (await rest.done("GET", f"{API}/catalog/gaps?identifier={SPX}"))["gaps"]
    assert [(one["first"][:10], one["last"][:10]) for one in gaps["gaps"]] == [("2001-09-11", "2001-09-18")]
    assert (await fleet.gaps(SPX)).gap_count == 1
    rows = (await rest.done("GET", f"{API}/catalog/rows?identifier={SPX}&limit=1"))["rows"]
    assert rows["rows"][0]["close"] == "1228.10"
    status, told = await rest.call("GET", f"{API}/catalog/bars?identifier=ABC.SIM")
    assert (status, told["message"]) == (404, "the catalog has no data of ABC.SIM")
    with pytest.raises(FaultError) as refused:
        await fleet.rows("ABC.SIM")
    assert refused.value.fault.code == FaultCode.NOT_FOUND


async def test_data_that_are_removed_are_gone_once_and_on_the_audit(rest: Rest, fleet: Flotilla) -> None:
    days = await fleet.remove_data(IXIC, first="2018-01-02", last="2018-12-31", request_id="days")
    assert (days.rows, days.is_whole) == (250, False)
    assert await fleet.remove_data(IXIC, first="2018-01-02", last="2018-12-31", request_id="days") == days
    with pytest.raises(FaultError) as other:
        await fleet.remove_data(IXIC, request_id="days")
    assert other.value.fault.code == FaultCode.CONFLICT
    done = await rest.done("DELETE", f"{API}/catalog/data?identifier={IXIC}&type=bars")
    assert (done["data"]["rows"], done["data"]["is_whole"]) == (5031 - 250, True)
    ranges = (await rest.done("GET", f"{API}/catalog"))["catalog"]["ranges"]["bars"]
    assert list(ranges) == [SPX]
    status, _ = await rest.call("DELETE", f"{API}/catalog/data?identifier={IXIC}&type=bars")
    assert status == 404
    entries = (await rest.done("GET", f"{API}/audit?about={IXIC}"))["entries"]
    removals = [one for one in entries if one["subject"] == "fleet.catalog.remove"]
    assert [one["outcome"] for one in removals] == ["accepted", "accepted"]
    assert removals[0]["is_vouched_for"]


async def test_an_instrument_is_removed_once_nothing_depends_on_it(rest: Rest, fleet: Flotilla) -> None:
    path = f"{API}/catalog/instruments?name={SPX.partition('-')[0]}"
    status, told = await rest.call("DELETE", path)
    assert (status, told["code"]) == (409, "conflict")
    assert "stays, because data depends on it: bar SPX.SIM-1-DAY-LAST-EXTERNAL" in told["message"]
    with pytest.raises(FaultError) as refused:
        await fleet.remove_instrument("SPX.SIM")
    assert refused.value.fault.code == FaultCode.CONFLICT
    # What the data of before were removed of has nothing that depends on it any more.
    done = await rest.done("DELETE", f"{API}/catalog/instruments?name=IXIC.SIM")
    assert (done["message"], done["data"]["outcome"]) == ("IXIC.SIM removed", "removed")
    with pytest.raises(FaultError) as gone:
        await fleet.remove_instrument("IXIC.SIM")
    assert gone.value.fault.code == FaultCode.NOT_FOUND
    entries = (await rest.done("GET", f"{API}/audit?about=IXIC.SIM"))["entries"]
    assert [one["subject"] for one in entries] == ["fleet.catalog.remove_instrument"]


def minutes(folder: Path, count: int, *, name: str = "abc.csv", bad: int | None = None) -> Path:
    """Bars of a made-up share, one a minute; the close of row `bad` is no number."""
    lines = ["close_time,open,high,low,close,volume"]
    for index in range(count):
        at = datetime(2024, 1, 2, tzinfo=UTC) + timedelta(minutes=index)
        lines.append(f"{at.isoformat()},10,11,9.5,{'x' if index == bad else '10.5'},100")
    file = folder / name
    file.write_text("\n".join(lines) + "\n")
    return file


def kill(stack: RunningStack, service: str) -> None:
    pid = stack.pid_of(service)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


ABC = "ABC.XNAS-1-MINUTE-LAST-EXTERNAL"
OPTIONS = {"type": "bars", "instrument": "ABC.XNAS", "bar_type": ABC}
QUERY = f"type=bars&instrument=ABC.XNAS&barType={ABC}"


async def ended(rest: Rest, import_id: str) -> dict[str, Any]:
    """An import once it has ended, however."""

    async def look() -> dict[str, Any] | None:
        _, told = await rest.call("GET", f"{API}/catalog/imports/{import_id}")
        return told if told["state"] not in ("waiting", "running") else None

    return await eventually(look, timeout_s=60, what="the end of the import")


async def test_a_file_that_is_sent_is_imported_once_and_in_the_catalog(
    rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    file = minutes(tmp_path, 30_000)
    dry = await rest.send(f"{API}/catalog/imports?{QUERY}&file=abc.csv&dryRun=true", file.read_bytes())
    told = await ended(rest, dry["data"]["import_id"])
    assert (told["state"], told["data"]["reports"][0]["event"]) == ("completed", "preview")
    assert all(entry.instrument_id != "ABC.XNAS" for entry in (await fleet.catalog()).entries)

    begun = await rest.send(f"{API}/catalog/imports?{QUERY}&file=abc.csv", file.read_bytes(), key="abc-1")
    assert begun["data"]["import_id"] == "abc-1"
    told = await ended(rest, "abc-1")
    (report,) = told["data"]["reports"]
    assert (told["success"], report["event"], report["new_rows"]) == (True, "imported", 30_000)
    again = await rest.send(f"{API}/catalog/imports?{QUERY}&file=abc.csv", file.read_bytes(), key="abc-1")
    assert again == begun
    other = minutes(tmp_path, 40, name="other.csv")
    path = f"{API}/catalog/imports?{QUERY}&file=abc.csv"
    told = await rest.send(path, other.read_bytes(), key="abc-1", status=409)
    assert told["code"] == "conflict"
    chart = await fleet.chart(ABC, points=10)
    assert (chart.events, len(chart.points)) == (30_000, 10)
    listed = (await rest.done("GET", f"{API}/catalog/imports"))["imports"]
    assert [one["import_id"] for one in listed] == ["abc-1", dry["data"]["import_id"]]
    entries = (await rest.done("GET", f"{API}/audit?about=ABC.XNAS"))["entries"]
    assert [one["request_id"] for one in entries] == ["abc-1", dry["data"]["import_id"]]

    same = await fleet.import_data(file, **OPTIONS, request_id="abc-2")
    assert await fleet.import_data(file, **OPTIONS, request_id="abc-2") == same
    (tmp_path / "elsewhere").mkdir()
    other = other.rename(tmp_path / "elsewhere" / file.name)
    with pytest.raises(FaultError) as refused:
        await fleet.import_data(other, **OPTIONS, request_id="abc-2")
    assert refused.value.fault.code == FaultCode.CONFLICT
    done = await fleet.imported(same.import_id, wait_s=60)
    assert (done.state, done.reports[0]["event"]) == ("completed", "unchanged")


async def test_a_file_that_is_refused_names_line_and_column_and_changes_nothing(
    rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    before = (await fleet.catalog()).entries
    file = minutes(tmp_path, 50, name="bad.csv", bad=41)
    begun = await fleet.import_data(file, **OPTIONS)
    told = await ended(rest, begun.import_id)
    assert (told["success"], told["state"]) == (False, "refused")
    assert told["message"].startswith("bad.csv, line 43, column 'close': ")
    assert (await fleet.catalog()).entries == before
    with pytest.raises(FaultError) as wrong:
        await fleet.import_data(file, type="bars", instrument="ABC.XNAS", boots="yes")
    assert wrong.value.fault.code == FaultCode.INVALID
    status, told = await rest.call("GET", f"{API}/catalog/imports/no-such")
    assert (status, told["code"]) == (404, "not_found")


async def test_the_command_line_imports_into_a_fleet_elsewhere_and_removes_from_it(
    stack: RunningStack, rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    there = {
        "FLOTILLA_NATS_URL": stack.connection.nats_url,
        "FLOTILLA_NATS_CREDS": stack.connection.nats_creds,
        "FLOTILLA_STATE": str(tmp_path / "nothing"),
    }
    bars = ABC.replace("ABC", "CLI")
    options = ("--type", "bars", "--instrument", "CLI.XNAS", "--bar-type", bars)
    good, bad = minutes(tmp_path, 50, name="good.csv"), minutes(tmp_path, 50, name="bad.csv", bad=41)

    async def cli(*arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(run_flotilla, "data", *arguments, env=there)

    (host,) = [one.host for one in (await fleet.hosts()).hosts]
    strange = await cli("import", str(good), *options, "--host", "strange")
    assert "no host strange is in sight" in strange.stderr
    done = await cli("import", str(good), *options, "--host", host)
    assert done.returncode == 0, done.stderr
    assert f"{bars}: 50 bars, 2024-01-02 to 2024-01-02, imported" in done.stdout
    wrong = await cli("import", str(bad), *options)
    assert (wrong.returncode, "bad.csv, line 43, column 'close'" in wrong.stderr) == (3, True), wrong
    assert (await cli("import", str(tmp_path), *options)).returncode == 2
    strange = await cli("rm", bars, "--host", "strange")
    assert "no host strange is in sight" in strange.stderr
    gone = await cli("rm", bars, "--host", host)
    assert "50 bars removed, nothing of it is left" in gone.stdout
    assert all(entry.identifier != bars for entry in (await fleet.catalog()).entries)
    assert not (tmp_path / "nothing").exists()


async def test_an_import_goes_on_while_the_orchestrator_is_killed(
    stack: RunningStack, rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    file = minutes(tmp_path, 120_000, name="long.csv")
    begun = await fleet.import_data(
        file, **{**OPTIONS, "instrument": "LONG.XNAS", "bar_type": ABC.replace("ABC", "LONG")}
    )
    kill(stack, "orchestrator")

    async def look() -> ImportView | None:
        try:
            found = await fleet.imported(begun.import_id)
        except FaultError:
            return None
        return found if found.ended_at else None

    done = await eventually(look, timeout_s=90, what="the end of the import")
    assert (done.state, done.reports[0]["new_rows"]) == ("completed", 120_000)


async def test_an_import_whose_supervisor_is_killed_ends_whole_or_not_at_all(
    stack: RunningStack, rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    file = minutes(tmp_path, 120_000, name="cut.csv")
    options = {**OPTIONS, "instrument": "CUT.XNAS", "bar_type": ABC.replace("ABC", "CUT")}
    first = await fleet.import_data(file, **options)
    second = await fleet.import_data(minutes(tmp_path, 10, name="next.csv"), **options)

    async def running() -> bool:
        return (await fleet.imported(first.import_id)).state == "running"

    await eventually(running, timeout_s=60, what="the import")
    kill(stack, "supervisor")

    async def both_ended() -> list[ImportView] | None:
        try:
            found = [await fleet.imported(one.import_id) for one in (first, second)]
        except FaultError:
            return None
        return found if all(one.ended_at for one in found) else None

    cut, after = await eventually(both_ended, timeout_s=120, what="the end of both")
    rows = [entry for entry in (await fleet.catalog()).entries if entry.instrument_id == "CUT.XNAS"]
    events = (await fleet.chart(options["bar_type"])).events if rows else 0
    if cut.state == "completed":
        assert events == 120_000
        assert (after.state, after.reports[0]["event"]) == ("completed", "unchanged")
    else:
        assert (cut.state, "all of it or nothing" in cut.error) == ("interrupted", True)
        assert after.state == "completed"
        assert events in (10, 120_000)
    assert not list((stack.folder.catalog / ".import").glob("*"))
