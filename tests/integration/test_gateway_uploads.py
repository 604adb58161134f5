"""Bodies that are files: handed on piece by piece, within bounds, by whom may send them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from flotilla.client.packing import packed
from flotilla.schemas.access import Role
from flotilla.schemas.data import PIECE_BYTES, ImportData, ImportList, ListImports, UploadData
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.package import CHUNK_BYTES, MOST_BYTES, PushPackage, RemovePackage, UploadChunk
from flotilla.services.gateway.fleet import data
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import API, IMPORT, Stage, staged

IMPORTS = f"{API}/catalog/imports?type=quotes&instrument=EUR/USD.SIM&file=eurusd.csv"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path, request_s=1.0) as ready:
        ready.orchestrator.answers["fleet.catalog.imports"] = fault(
            FaultCode.NOT_FOUND, "no such import is known"
        )
        yield ready


async def in_parts(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def uploads(stage: Stage) -> list[UploadData]:
    return [one for one in stage.orchestrator.requests if isinstance(one, UploadData)]


async def test_a_file_goes_on_in_pieces_and_is_imported_under_the_id_of_the_request(stage: Stage) -> None:
    body = bytes(range(256)) * 1_200
    path = f"{IMPORTS}&timezone=UTC&noHeader=true&class=currency-pair&skip=2"
    parts = in_parts(body[:10], body[10:200_000], body[200_000:])
    async with stage.http.post(path, data=parts, headers={"Idempotency-Key": "one"}) as answer:
        assert answer.status == 200, await answer.text()
        told = await answer.json()
    assert (told["success"], told["data"]["import_id"]) == (True, IMPORT.import_id)
    pieces = uploads(stage)
    assert [len(one.data) for one in pieces] == [PIECE_BYTES, PIECE_BYTES, len(body) - 2 * PIECE_BYTES]
    assert [one.offset for one in pieces] == [0, PIECE_BYTES, 2 * PIECE_BYTES]
    assert b"".join(one.data for one in pieces) == body
    assert {(one.import_id, one.file) for one in pieces} == {("one", "eurusd.csv")}
    assert stage.orchestrator.requests[-1] == ImportData(
        type="quotes",
        instrument="EUR/USD.SIM",
        timezone="UTC",
        no_header=True,
        instrument_class="currency-pair",
        skip=2,
        import_id="one",
        file="eurusd.csv",
        digest=hashlib.sha256(body).hexdigest(),
        request_id="one",
    )


async def test_a_request_that_was_carried_out_before_uploads_nothing_again(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.catalog.imports"] = ImportList(imports=(IMPORT,))
    async with stage.http.post(IMPORTS, data=b"x", headers={"Idempotency-Key": "one"}) as answer:
        assert answer.status == 200
    assert uploads(stage) == []
    # What tells a repeat from another file under the same id.
    (asked,) = [one for one in stage.orchestrator.requests if isinstance(one, ImportData)]
    assert asked.digest == hashlib.sha256(b"x").hexdigest()


async def test_whether_it_was_carried_out_before_is_asked_of_the_host_that_is_meant(stage: Stage) -> None:
    async with stage.http.post(f"{IMPORTS}&host=h2", data=b"x", headers={"Idempotency-Key": "one"}) as answer:
        assert answer.status == 200
    assert stage.orchestrator.requests[0] == ListImports(import_id="one", host="h2")
    stage.orchestrator.answers["fleet.catalog.imports"] = ImportList(imports=(IMPORT,))
    async with stage.http.get(f"{API}/catalog/imports?host=h2&limit=3") as answer:
        assert answer.status == 200
    assert stage.orchestrator.requests[-1] == ListImports(limit=3, host="h2")


async def test_a_body_that_is_too_large_or_ends_early_or_is_none_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(data, "MOST_UPLOADED_BYTES", 3 * PIECE_BYTES)
    for body in (bytes(3 * PIECE_BYTES + 1), in_parts(bytes(2 * PIECE_BYTES), bytes(2 * PIECE_BYTES))):
        async with stage.http.post(IMPORTS, data=body) as answer:
            told = await answer.json()
        assert (answer.status, told["code"]) == (413, "too_large")
    async with stage.http.post(IMPORTS, data=b"") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, "malformed")
    assert not any(isinstance(one, ImportData) for one in stage.orchestrator.requests)


async def test_a_body_that_stops_coming_is_given_up(stage: Stage) -> None:
    host, port = stage.address.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    head = f"POST {IMPORTS} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n"
    head += f"Authorization: {stage.bearer(Role.ADMIN)['Authorization']}\r\n\r\n"
    writer.write(head.encode() + b"half")
    await writer.drain()
    async with asyncio.timeout(20):
        assert b"400" in await reader.readline()
    writer.close()
    assert not any(isinstance(one, ImportData) for one in stage.orchestrator.requests)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("type=quotes&instrument=EUR/USD.SIM", "file"),
        ("type=quotes&instrument=EUR/USD.SIM&file=../x.csv", "file"),
        ("type=quotes&instrument=EUR/USD.SIM&file=.x", "file"),
        ("type=quotes&instrument=nothing&file=x.csv", "instrument"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&decimal=x", "decimal"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&boots=1", "boots"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&class=horse", "class"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&delimiter=ab", "delimiter"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&delimiter=%22", "delimiter"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&defaultSize=-1", "default_size"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&defaultSize=much", "default_size"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&timezone=Europe/Atlantis", "timezone"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&timezone=../UTC", "timezone"),
        ("type=quotes&instrument=EUR/USD.SIM&file=x.csv&timezone=Europe", "timezone"),
        ("type=bars&instrument=EUR/USD.SIM&file=x.csv&stamp=middle", "stamp"),
        ("instrument=EUR/USD.SIM&file=x.csv", "type"),
        ("type=instrument_status&instrument=EUR/USD.SIM&file=x.csv", "type"),
    ],
)
async def test_options_that_make_no_sense_are_refused_before_the_body_is_read(
    stage: Stage, query: str, field: str
) -> None:
    async with stage.http.post(f"{API}/catalog/imports?{query}", data=b"x") as answer:
        told = await answer.json()
    assert (answer.status, [error["field"] for error in told["errors"]]) == (422, [field])
    assert stage.orchestrator.requests == []


async def test_what_may_be_chosen_is_listed(stage: Stage) -> None:
    for name, wrong, choices in (("stamp", "middle", "close, open"), ("prices", "x", "adjusted, raw")):
        async with stage.http.post(f"{IMPORTS}&{name}={wrong}", data=b"x") as answer:
            (error,) = (await answer.json())["errors"]
        assert error["message"] == f"Invalid enum value '{wrong}'; choose from {choices}"


async def test_a_time_that_ends_before_it_begins_is_refused_by_its_field(stage: Stage) -> None:
    path = f"{API}/catalog/data?identifier=SPX.SIM&from=2020-01-02&to=2020-01-01T23:59:59"
    async with stage.http.delete(path) as answer:
        told = await answer.json()
    assert (answer.status, [error["field"] for error in told["errors"]]) == (422, ["to"])
    assert stage.orchestrator.requests == []


async def test_a_trader_imports_and_only_an_admin_replaces(stage: Stage) -> None:
    headers = stage.bearer(Role.TRADER)
    async with stage.http.post(IMPORTS, data=b"x", headers=headers) as answer:
        assert answer.status == 200
    before = len(stage.orchestrator.requests)
    async with stage.http.post(f"{IMPORTS}&replace=true", data=b"x", headers=headers) as answer:
        assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
    assert len(stage.orchestrator.requests) == before
    async with stage.http.post(f"{IMPORTS}&replace=true", data=b"x") as answer:
        assert answer.status == 200


async def test_a_package_is_uploaded_and_pushed_and_removed(stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("x = 1\n" * 40_000)
    package = packed(tmp_path / "mine.py")
    path = f"{API}/packages?name=mine&version=2"
    async with stage.http.post(path, data=package.archive, headers={"Idempotency-Key": "p1"}) as answer:
        told = await answer.json()
    assert (answer.status, told["message"], told["data"]["version"]) == (200, "mine@2 is there", "2")
    *chunks, push = stage.orchestrator.requests
    assert b"".join(one.data for one in chunks if isinstance(one, UploadChunk)) == package.archive
    assert len(chunks) == -(-len(package.archive) // CHUNK_BYTES)
    assert push == PushPackage(name="mine", digest=package.digest, version="2", request_id="p1")
    async with stage.http.delete(f"{API}/packages/mine@2?force=true") as answer:
        told = await answer.json()
    assert (answer.status, told["message"]) == (200, "mine@2 is forgotten")
    gone = stage.orchestrator.requests[-1]
    assert isinstance(gone, RemovePackage)
    assert (gone.name, gone.version, gone.force) == ("mine", "2", True)


async def test_an_archive_is_bounded(stage: Stage) -> None:
    async with stage.http.post(f"{API}/packages?name=mine", data=in_parts(bytes(MOST_BYTES), b"x")) as answer:
        assert (answer.status, (await answer.json())["code"]) == (413, "too_large")
    assert stage.orchestrator.requests == []


async def test_without_the_owners_consent_no_role_pushes_or_removes(
    connect_as: ConnectAs, tmp_path: Path
) -> None:
    async with staged(connect_as, tmp_path, pushes=False) as stage:
        http: aiohttp.ClientSession = stage.http
        async with http.post(f"{API}/packages?name=mine", data=b"x") as answer:
            told = await answer.json()
        assert (answer.status, told["code"]) == (403, "forbidden")
        assert "FLOTILLA_HTTP_PUSH=1" in told["message"]
        async with http.delete(f"{API}/packages/mine@2") as answer:
            assert answer.status == 403
        assert stage.orchestrator.requests == []
