"""The catalog of a running fleet over REST and bus: pictures, gaps and rows of what it holds, and data that go."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from flotilla.client.client import Flotilla
from flotilla.schemas.fault import FaultCode, FaultError
from tests.e2e.rest import API, Rest
from tests.e2e.stacks import RunningStack
from tests.integration.orchestrator_bench import until

SPX = "SPX.SIM-1-DAY-LAST-EXTERNAL"
IXIC = "IXIC.SIM-1-DAY-LAST-EXTERNAL"


@pytest.fixture
async def rest(stack: RunningStack, fleet: Flotilla) -> AsyncIterator[Rest]:
    await until(fleet.hosts, lambda found: any(host.is_in_sight for host in found.hosts))
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
