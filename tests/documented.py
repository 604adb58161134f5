"""Every answer that a test gets over REST has a status that the OpenAPI document has for its route."""

import re
from functools import cache
from types import SimpleNamespace
from typing import Any

import aiohttp

from flotilla.services.gateway.docs.openapi import document
from flotilla.services.gateway.routes.table import ROUTES


@cache
def _documented() -> list[tuple[str, re.Pattern[str], set[int]]]:
    paths = document(ROUTES, "1")["paths"]
    return [
        (
            route.method,
            re.compile(re.sub(r"{\w+}", "[^/]+", route.path) + r"\Z"),
            {int(status) for status in paths[route.path][route.method.lower()]["responses"]},
        )
        for route in ROUTES
    ]


def expect_documented(method: str, path: str, status: int) -> None:
    """Fails for a status that the document of the path's route lacks; a path of no route has none."""
    for wanted, pattern, statuses in _documented():
        if wanted == method and pattern.match(path):
            assert status in statuses, f"{method} {path} answered {status}, documented are {sorted(statuses)}"
            return


def comparing() -> aiohttp.TraceConfig:
    """For a session of aiohttp: compares each of its answers."""

    async def compare(_: Any, __: SimpleNamespace, end: aiohttp.TraceRequestEndParams) -> None:
        expect_documented(end.method, end.url.path, end.response.status)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(compare)
    return trace
