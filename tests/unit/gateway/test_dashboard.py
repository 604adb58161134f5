"""The files of the dashboard as the gateway has them, and what it says when they were not built."""

import gzip
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from flotilla.services.gateway.web.dashboard import POLICY, Dashboard


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "index.html": "<p>page",
        "favicon.svg": "<svg/>",
        "assets/index-a1.js": "run()",
        "assets/x.map": "{}",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    (tmp_path / "assets/index-a1.js.gz").write_bytes(gzip.compress(b"run()"))
    return tmp_path


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    Dashboard.read(folder).add_to(app)
    async with TestClient(TestServer(app)) as client:
        yield client


async def test_the_page_is_asked_for_again_and_what_has_a_hash_in_its_name_is_not(folder: Path) -> None:
    async with served(folder) as client:
        page = await client.get("/")
        assert (await page.text(), page.content_type) == ("<p>page", "text/html")
        assert (page.headers["Cache-Control"], page.headers["Content-Security-Policy"]) == (
            "no-cache",
            POLICY,
        )
        script = await client.get("/assets/index-a1.js")
        assert (await script.text(), script.content_type) == ("run()", "text/javascript")
        assert "immutable" in script.headers["Cache-Control"]
        icon = await client.get("/favicon.svg")
        assert (icon.status, icon.content_type) == (200, "image/svg+xml")


async def test_what_was_packed_is_sent_packed_to_who_takes_it(folder: Path) -> None:
    async with served(folder) as client:
        for accepted, encoding in (("gzip, br", "gzip"), ("br", None)):
            answer = await client.get("/assets/index-a1.js", headers={"Accept-Encoding": accepted})
            assert answer.headers.get("Content-Encoding") == encoding
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert await answer.text() == "run()"


@pytest.mark.parametrize(
    "path", ["/assets/none.js", "/assets/x.map", "/assets/..%2findex.html", "/index.html"]
)
async def test_nothing_else_is_there(folder: Path, path: str) -> None:
    async with served(folder) as client:
        assert (await client.get(path)).status == 404


async def test_without_the_files_it_says_how_they_are_built(tmp_path: Path) -> None:
    async with served(tmp_path) as client:
        page = await client.get("/")
        assert page.status == 503
        assert "make web" in await page.text()
