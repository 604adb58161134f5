"""Imports of a fleet whose hosts have a catalog each: one that has none, or does not answer, keeps nobody from another one's."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from flotilla.schemas.contract import IMPORT_LIST, Actor
from flotilla.schemas.data import ImportData, ListImports, UploadData
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.telemetry import HostHeartbeat
from flotilla.services.orchestrator.catalog.data_sets import DataSets
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.supervisor.adapters.import_files import ImportFiles
from flotilla.services.supervisor.imports import Imports
from tests.integration.conftest import ConnectAs

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ORDER = ImportData(type="quotes", instrument="EUR/USD.SIM", file="a.csv", import_id="i1")


def beat(host: str) -> HostHeartbeat:
    return HostHeartbeat(
        host=host, runtime="process", at_ns=1, cpus=1, memory_bytes=1, sessions=0, version="1"
    )


async def fleet_of(connect_as: ConnectAs, tmp_path: Path, *hosts: str) -> DataSets:
    """`has` keeps imports, `none` has no catalog, any other is in sight and does not answer."""
    stores = {"has": ImportFiles(tmp_path), "none": None}
    sightings = FleetSightings(NOW)
    for host in hosts:
        sightings.heard_host(beat(host), NOW)
        if host in stores:
            made = Imports(cast("Any", None), stores[host], "", host, lambda: NOW)
            await (await connect_as(Actor.SUPERVISOR)).serve(IMPORT_LIST, made.list, host=host)
            if host == "has":
                await made.upload(UploadData(import_id="i1", file="a.csv", offset=0, data=b"x"))
                await made.begin(ORDER)
    bus = await connect_as(Actor.ORCHESTRATOR)
    return DataSets(bus, sightings, lambda: NOW, ledger=cast("Any", None))


async def refused(fleet: DataSets, import_id: str, host: str | None = None) -> FaultCode:
    with pytest.raises(FaultError) as caught:
        await fleet.imports(ListImports(import_id=import_id, host=host))
    return caught.value.fault.code


async def test_a_host_without_a_catalog_knows_of_no_import(connect_as: ConnectAs, tmp_path: Path) -> None:
    fleet = await fleet_of(connect_as, tmp_path, "has", "none")
    assert await refused(fleet, "i2") == FaultCode.NOT_FOUND
    assert await refused(fleet, "i1", "none") == FaultCode.NOT_FOUND
    assert [one.host for one in (await fleet.imports(ListImports(import_id="i1"))).imports] == ["has"]


async def test_of_a_host_that_is_named_no_other_one_is_asked(connect_as: ConnectAs, tmp_path: Path) -> None:
    fleet = await fleet_of(connect_as, tmp_path, "has", "silent")
    assert await refused(fleet, "i2") == FaultCode.UNAVAILABLE
    assert await refused(fleet, "i2", "has") == FaultCode.NOT_FOUND
    assert await refused(fleet, "i1", "strange") == FaultCode.NOT_FOUND
    assert [one.host for one in (await fleet.imports(ListImports(host="has"))).imports] == ["has"]
