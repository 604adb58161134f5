"""Every route with every kind of credential: made from the table of routes, so that a new one is in it by itself."""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from flotilla.bus.tokens import remove_token
from flotilla.schemas.access import Role
from flotilla.schemas.engine import EngineList, ListEngines
from flotilla.schemas.history import ReadDays
from flotilla.services.gateway.routes.route import Route, reading
from flotilla.services.gateway.routes.table import ROUTES
from flotilla.services.gateway.web.scope import About
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import Stage, concrete, engine, staged
from tests.integration.test_gateway_reads import BODIES, QUERIES

OWN_BODIES: Final[Mapping[str, Any]] = {**BODIES, "sign_in": {"code": "AAAAA-AAAAA"}}

type Headers = list[tuple[str, str]]


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        ready.orchestrator.answers["fleet.engine.list"] = by_labels
        yield ready


def by_labels(request: ListEngines) -> EngineList:
    """The one engine there is has no labels."""
    found = () if request.labels else (engine(),)
    return EngineList(engines=found, total_count=len(found))


def bearer(token: str) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def nobody(_: Path) -> Headers:
    return []


def garbage(_: Path) -> Headers:
    return bearer("garbage")


def non_ascii(_: Path) -> Headers:
    return bearer("é\u4e2d")


def expired(folder: Path) -> Headers:
    return bearer(
        create_token(folder / "tokens.jsonl", "old", Role.ADMIN, lifetime=timedelta(microseconds=1))
    )


def revoked(folder: Path) -> Headers:
    token = create_token(folder / "tokens.jsonl", "gone", Role.ADMIN)
    remove_token(folder / "tokens.jsonl", "gone")
    return bearer(token)


def twice(folder: Path) -> Headers:
    return bearer(create_token(folder / "tokens.jsonl", "two", Role.ADMIN)) * 2


async def asked(stage: Stage, route: Route, headers: Headers, **more: Any) -> tuple[int, Mapping[str, Any]]:
    url = stage.address + concrete(route) + QUERIES.get(route.name, "")
    async with (
        aiohttp.ClientSession() as http,
        http.request(route.method, url, headers=headers, json=OWN_BODIES.get(route.name), **more) as answer,
    ):
        body = await answer.json() if answer.status >= 400 else {}
        if answer.status < 400 and not route.is_stream:
            await answer.read()
        assert answer.status < 500, (route.name, body)
        if answer.status >= 400:
            assert body["success"] is False
            assert body["message"] == body["detail"] != ""
        return answer.status, body


@pytest.mark.parametrize("made", [nobody, garbage, non_ascii, expired, revoked, twice])
async def test_whom_it_does_not_know_no_route_answers(
    stage: Stage, tmp_path: Path, made: Callable[[Path], Headers]
) -> None:
    headers = made(tmp_path)
    for route in ROUTES:
        status, _ = await asked(stage, route, headers)
        is_open = route.role is None and route.name != "sign_in"  # whose code is no good one
        is_open = is_open or (route.is_open and made is nobody)
        assert (status == 200) if is_open else (status == 401), (route.name, status)
    assert stage.orchestrator.requests == []


@pytest.mark.parametrize("role", Role)
async def test_a_role_reaches_its_own_routes_and_no_others(stage: Stage, role: Role) -> None:
    headers = list(stage.bearer(role).items())
    for route in ROUTES:
        if route.role is None:
            continue
        before = len(_by_people(stage))
        if not role.includes(route.role):
            status, body = await asked(stage, route, headers)
            assert (status, body["code"]) == (403, "forbidden"), route.name
            assert len(_by_people(stage)) == before, route.name
        elif "emergency" not in route.name and "lift" not in route.name:  # there is no host to ask
            status, _ = await asked(stage, route, headers)
            assert status == _reached(route), route.name


def _by_people(stage: Stage) -> list[Any]:
    """Without what the gateway asks by itself while somebody follows the fleet."""
    return [one for one in stage.orchestrator.requests if not isinstance(one, ReadDays)]


def _reached(route: Route) -> int:
    """What who may come through is answered: a WebSocket asks for its upgrade."""
    return 400 if route.is_socket else 200


ELSEWHERE: Final[Mapping[About, int]] = {
    About.ENGINE: 404,
    About.ENGINE_OR_FLEET: 403,
    About.ENGINES: 200,
    About.FLEET: 403,
    About.SHARED: 200,
}
"""What an administrator of other labels is answered, by what a route is about."""


async def test_who_has_other_labels_sees_and_commands_nothing(stage: Stage, tmp_path: Path) -> None:
    headers = bearer(create_token(tmp_path / "tokens.jsonl", "far", Role.ADMIN, labels={"desk": "far"}))
    for route in ROUTES:
        before = len(stage.orchestrator.requests)
        status, body = await asked(stage, route, headers)
        wanted = 401 if route.name == "sign_in" else 400 if route.is_socket else ELSEWHERE[route.about]
        if route.about is About.ENGINE_OR_FLEET and "{instance_id}" in route.path:
            wanted = 404
        if route.name in ("start", "config", "engine_config"):
            wanted = 409  # they would make one, and the id is taken
        assert status == wanted, (route.name, status, body)
        sent = stage.orchestrator.requests[before:]
        commands = [one for one in sent if getattr(one, "request_id", None) is not None]
        # Whose alert it is the notifier knows: it is held against the labels there (test_notifier.py).
        assert commands == [] or route.name == "alert_ack", route.name
        if status == 404 and "{instance_id}" in route.path:
            assert body["message"] == "no engine e1 is known", route.name


def test_a_route_says_its_role_and_what_it_is_about_or_is_none() -> None:
    known = {"name": "x", "path": "/x", "handler": ROUTES[0].handler, "summary": "X.", "tag": "x"}
    for missing in ("role", "about"):
        given = {"role": Role.VIEWER, "about": About.FLEET}
        del given[missing]
        with pytest.raises(TypeError, match=missing):
            Route(**known, **given)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="about"):
        reading(*list(known.values())[:4], tag="x")
    Route(**known, role=Role.VIEWER, about=About.FLEET)  # type: ignore[arg-type]


def test_what_is_open_to_all_is_said_here_too() -> None:
    assert {route.name for route in ROUTES if route.role is None} == {
        "healthz",
        "readyz",
        "openapi",
        "docs",
        "sign_in",
    }


def test_a_route_of_one_engine_has_a_place_for_its_name() -> None:
    for route in ROUTES:
        takes = route.signature
        places = [
            "{instance_id}" in route.path,
            "instance_id" in takes.query.__struct_fields__,
            takes.body is not None and bool({"instance_id", "config"} & set(takes.body.__struct_fields__)),
        ]
        is_of_one = route.about in (About.ENGINE, About.ENGINE_OR_FLEET)
        if is_of_one:
            assert any(places), route.name
        elif any(places):
            # The stream and a search choose by it, a backtest's configuration is no engine's.
            assert route.name in ("stream", "log_search", "backtest_run", "study_run"), route.name
