"""The REST API of a running stack, as the tests of this folder speak to it."""

from io import BytesIO
from typing import Any

import aiohttp

from tests.documented import expect_documented
from tests.e2e.stacks import RunningStack

API = "/api/v1/nautilus"
ENGINE = f"{API}/engine"
ENGINES = f"{API}/engines"


class Rest:
    """Speaks as the administrator."""

    def __init__(self, stack: RunningStack, session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._session = session

    async def call(
        self, method: str, path: str, body: Any = None, *, raw: bytes | None = None
    ) -> tuple[int, Any]:
        """Status and answer of one request; what is no success has one text, in both places, and an id."""
        headers = {"Authorization": f"Bearer {self._stack.token}", "Content-Type": "application/json"}
        url = self._stack.connection.http_url + path
        content = {"data": raw} if raw is not None else {"json": body} if body is not None else {}
        async with self._session.request(method, url, headers=headers, **content) as answer:
            told = await answer.json()
            expect_documented(method, answer.url.path, answer.status)
        if answer.status >= 400:
            assert told["success"] is False
            assert told["detail"] == told["message"] != ""
            assert told["code"]
            assert told["error_id"]
        return answer.status, told

    async def send(self, path: str, file: bytes, *, key: str | None = None, status: int = 200) -> Any:
        """The answer to a file that is the body, under a request id of ones own; it has to have that status."""
        headers = {"Authorization": f"Bearer {self._stack.token}", "Content-Type": "application/octet-stream"}
        headers |= {"Idempotency-Key": key} if key else {}
        url = self._stack.connection.http_url + path
        async with self._session.post(url, headers=headers, data=BytesIO(file)) as answer:
            told = await answer.json()
            expect_documented("POST", answer.url.path, answer.status)
        assert (answer.status, told["success"]) == (status, status == 200), told
        return told

    async def page(self, path: str) -> tuple[str, str]:
        """The text of what is no JSON, and its media type."""
        headers = {"Authorization": f"Bearer {self._stack.token}"}
        async with self._session.get(self._stack.connection.http_url + path, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.text(), answer.content_type

    async def done(self, method: str, path: str, body: Any = None) -> Any:
        """The answer of a request that has to succeed."""
        status, told = await self.call(method, path, body)
        assert (status, told["success"]) == (200, True), told
        return told
