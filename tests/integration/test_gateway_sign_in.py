"""A browser signs in with a code, and its cookie is worth what the token is worth."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flotilla.bus.tokens import add_code, remove_token
from flotilla.schemas.access import Role
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import ENGINE, Stage, staged

SESSION = "/api/v1/session"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path, failures=30) as ready:
        create_token(tmp_path / "tokens.jsonl", "ann", Role.TRADER)
        yield ready


@pytest.fixture
async def browser(stage: Stage) -> AsyncIterator[aiohttp.ClientSession]:
    """Keeps cookies, and has no token."""
    jar = aiohttp.CookieJar(unsafe=True)  # of an address, too
    async with aiohttp.ClientSession(stage.address, cookie_jar=jar) as http:
        yield http


async def signed_in(browser: aiohttp.ClientSession, folder: Path) -> dict[str, Any]:
    code, _ = add_code(folder / "tokens.jsonl", "ann", now=datetime.now(UTC))
    async with browser.post(SESSION, json={"code": code}) as answer:
        known: dict[str, Any] = await answer.json()
        assert answer.status == 200, known
        cookie = answer.headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        assert "Path=/api" in cookie
        assert "Secure" not in cookie
        assert known["csrf_token"] not in cookie
    return known


async def test_a_code_is_exchanged_for_a_cookie_that_reads_and_with_its_word_changes(
    stage: Stage, browser: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with browser.get(f"{ENGINE}/status") as answer:
        assert answer.status == 401
    known = await signed_in(browser, tmp_path)
    assert (known["name"], known["role"], known["labels"]) == ("ann", "trader", {})
    async with browser.get(SESSION) as answer:
        assert await answer.json() == known
    async with browser.get(f"{ENGINE}/status") as answer:
        assert answer.status == 200
    for headers in ({}, {"X-CSRF-Token": "x"}, {"X-CSRF-Token": "é"}):
        async with browser.post(f"{ENGINE}/stop", headers=headers) as answer:
            assert (answer.status, (await answer.json())["code"]) == (403, "forbidden")
    word = {"X-CSRF-Token": known["csrf_token"]}
    async with browser.post(f"{ENGINE}/stop", headers=word) as answer:
        assert answer.status == 200
    async with browser.delete(f"{ENGINE}/containers/cleanup", headers=word) as answer:
        assert answer.status == 403, "the role is the token's"
    async with browser.post(f"{ENGINE}/stop", headers={**word, "Origin": "https://evil.example"}) as answer:
        assert answer.status == 403
    async with browser.delete(SESSION, headers=word) as answer:
        assert answer.status == 200
        assert "Max-Age=0" in answer.headers["Set-Cookie"]
    async with browser.get(f"{ENGINE}/status") as answer:
        assert answer.status == 401


async def test_a_cookie_whose_browser_signed_out_or_whose_token_ended_is_worth_nothing(
    stage: Stage, browser: aiohttp.ClientSession, tmp_path: Path
) -> None:
    known = await signed_in(browser, tmp_path)
    (cookie,) = browser.cookie_jar
    kept = {"Cookie": f"{cookie.key}={cookie.value}"}
    async with browser.delete(SESSION, headers={"X-CSRF-Token": known["csrf_token"]}):
        pass
    async with (
        aiohttp.ClientSession(stage.address, headers=kept) as thief,
        thief.get(f"{ENGINE}/status") as answer,
    ):
        assert answer.status == 401
    await signed_in(browser, tmp_path)
    remove_token(tmp_path / "tokens.jsonl", "ann")
    async with browser.get(f"{ENGINE}/status") as answer:
        assert answer.status == 401
        assert "token_removed" in (await answer.json())["message"]


async def test_codes_that_are_not_good_are_soon_looked_at_no_more(
    stage: Stage, browser: aiohttp.ClientSession, tmp_path: Path
) -> None:
    statuses = []
    for number in range(40):
        async with browser.post(SESSION, json={"code": f"AAAAA-{number:05}"}) as answer:
            statuses.append(answer.status)
    assert statuses == [401] * 30 + [429] * 10
    for bad, status in ((b"", 400), (b"{}", 422), (b'{"code":""}', 422), (b'{"code":1}', 422)):
        headers = {"Content-Type": "application/json"}
        async with browser.post(SESSION, data=bad, headers=headers) as answer:
            assert answer.status == status
    await signed_in(browser, tmp_path)


async def test_who_has_a_token_is_told_what_it_may(stage: Stage) -> None:
    async with stage.http.get(SESSION) as answer:
        known = await answer.json()
        assert (known["name"], known["role"], known["csrf_token"]) == ("admin", "admin", None)
