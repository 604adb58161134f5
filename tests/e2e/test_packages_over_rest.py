"""Packages over REST, in a fleet whose owner wants that: what is pushed is checked, listed, on the audit, and goes again."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from flotilla.bus.jwt import claims_of
from flotilla.cli.new_package import project_files
from flotilla.client.client import Flotilla
from flotilla.client.packing import packed
from flotilla.schemas.wheel_archive import OpenWheel
from tests.e2e.engines import eventually
from tests.e2e.rest import API, ENGINE, Rest
from tests.e2e.stacks import RunningStack
from tests.wheels import wheel

PUSH = "fleet.package.push"


@pytest.fixture(scope="module")
def stack() -> Iterator[RunningStack]:
    made = RunningStack("process", env={"FLOTILLA_HTTP_PUSH": "1"})
    made.start()
    yield made
    made.remove()


@pytest.fixture
async def rest(stack: RunningStack, fleet: Flotilla) -> AsyncIterator[Rest]:
    async def in_sight() -> bool:
        return any(host.is_in_sight for host in (await fleet.hosts()).hosts)

    await eventually(in_sight, what="a host")
    async with aiohttp.ClientSession() as session:
        yield Rest(stack, session)


async def test_a_package_is_pushed_by_an_admin_and_removed(
    stack: RunningStack, rest: Rest, fleet: Flotilla, tmp_path: Path
) -> None:
    for path, text in project_files("mine", str(tmp_path)).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    package = packed(tmp_path, "mine")
    done = await rest.send(f"{API}/packages?name=mine", package.archive, key="push-1")
    assert (done["message"], done["data"]["digest"]) == ("mine@1 is there", package.digest)
    assert await rest.send(f"{API}/packages?name=mine", package.archive, key="push-1") == done
    assert (await fleet.package("mine")).pushed_by == "admin"
    listed = await rest.done("GET", f"{ENGINE}/strategies/templates")
    assert "mine" in [one["name"] for one in listed["strategies"]]
    status, told = await rest.call("POST", f"{API}/packages?name=other", raw=b"no archive")
    assert (status, told["errors"][0]["field"]) == (422, "digest"), told
    await rest.done("DELETE", f"{API}/packages/mine@1")
    status, _ = await rest.call("DELETE", f"{API}/packages/mine@1")
    assert status == 404

    async def recorded() -> list[dict[str, Any]] | None:
        entries = (await rest.done("GET", f"{API}/audit"))["entries"]
        found = [one for one in reversed(entries) if one["subject"].startswith("fleet.package.")]
        return found if len(found) == 4 else None

    of_packages = await eventually(recorded, what="the audit of all four")
    assert {(one["who"], one["via"], one["is_vouched_for"]) for one in of_packages} == {
        ("admin", "rest", True)
    }
    assert [(one["subject"], one["outcome"]) for one in of_packages] == [
        (PUSH, "accepted"),
        (PUSH, "invalid"),
        ("fleet.package.remove", "accepted"),
        ("fleet.package.remove", "not_found"),
    ]


async def test_what_needs_wheels_is_refused_with_the_way_that_brings_them(rest: Rest, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("")
    (tmp_path / "requirements.txt").write_text("fe-absent>=1")
    raw = packed(tmp_path, "needing").archive
    status, told = await rest.call("POST", f"{API}/packages?name=needing", raw=raw)
    assert (status, told["errors"][0]["field"]) == (422, "requirements.txt"), told
    assert "`flotilla package push` brings those" in told["errors"][0]["message"]
    file, data = wheel("fe-absent")
    raw = packed(tmp_path, "needing", wheels=[OpenWheel(data, file).as_listed]).archive
    status, told = await rest.call("POST", f"{API}/packages?name=needing", raw=raw)
    assert (status, "`flotilla package push` does that" in told["message"]) == (409, True), told


def may_say(stack: RunningStack) -> list[str]:
    """What the gateway's credential lets it say on the bus."""
    (creds,) = stack.folder.root.rglob("gateway.creds")
    allowed: list[str] = claims_of(creds.read_text().split("\n")[1])["nats"]["pub"]["allow"]
    return allowed


def test_the_gateways_credential_has_the_right_only_as_long_as_the_owner_wants_that(
    stack: RunningStack,
) -> None:
    assert PUSH in may_say(stack)
    stack.stop()
    stack.env["FLOTILLA_HTTP_PUSH"] = "0"
    stack.start()
    assert PUSH not in may_say(stack)
    assert "fleet.package.list" in may_say(stack)
