"""The wheels that pip finds for a package, from an index on loopback and from a folder; and what is told where there are none."""

import asyncio
import os
import socket
import sys
import threading
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.client import pip
from flotilla.client.pip import download
from flotilla.client.wheel_sets import wheel_set
from flotilla.engine_sidecar.checking.requirements import python_here
from flotilla.schemas import wheel as limits
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.requirement import requirements_of
from tests.wheels import index, put, wheel

PYTHON = python_here()
WHEELS = (
    wheel("fe-a", requires=["fe-b>=1", "numpy>=1", 'fe-c; python_version < "3"']),
    wheel("fe-b", "2.0"),
    wheel("fe-b", "3.0", requires=["numpy<1"]),
    wheel("fe-c"),
    wheel("fe-old", requires=["numpy<1"]),
    wheel("fe-win", tag="cp313-cp313-win_amd64"),
)


@pytest.fixture(autouse=True)
def user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody whose pip knows no index but the one that a test names."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")


@pytest.fixture
def online(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with index(tmp_path / "index", *WHEELS) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        yield


async def resolved(text: str, folder: Path | None = None, patience_s: float = 60.0) -> list[str]:
    asked, _ = requirements_of({"requirements.txt": text.encode()})
    return [each.label for each in await wheel_set(asked, PYTHON, folder, patience_s)]


async def refused(text: str, folder: Path | None = None, patience_s: float = 60.0) -> FaultError:
    with pytest.raises(FaultError) as caught:
        await resolved(text, folder, patience_s)
    return caught.value


@pytest.mark.usefixtures("online")
async def test_the_newest_wheels_that_agree_with_what_engines_have_are_found_and_no_more() -> None:
    assert await resolved("fe-a\nnumpy") == ["fe-a 1.0", "fe-b 2.0"]
    assert await resolved("fe-a; sys_platform == 'darwin'\npandas>=2") == []


@pytest.mark.usefixtures("online")
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("fe-old", ["fe-old 1.0 depends on numpy<1", f"engines have numpy {PYTHON.installed['numpy']}"]),
        ("numpy<1", ["numpy<1 is asked for", f"engines have numpy {PYTHON.installed['numpy']}"]),
        ("fe-b==2\nfe-b>=3", ["fe-b==2", "fe-b>=3"]),
        ("fe-win", ["no wheel of fe-win", PYTHON.label, "not built"]),
        ("fe-none>=5", ["no wheel of fe-none>=5"]),
    ],
)
async def test_what_cannot_be_had_is_named(text: str, words: list[str]) -> None:
    error = await refused(text)
    assert error.fault.code == FaultCode.INVALID
    assert [each for each in words if each not in error.fault.message] == [], error.fault.message
    assert "flotilla-wheels" not in error.fault.message


async def test_wheels_and_what_they_need_are_those_of_the_engines_machine_and_not_of_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = PYTHON.environment["platform_machine"]
    there = "aarch64" if here == "x86_64" else "x86_64"
    engines = msgspec.structs.replace(
        PYTHON,
        environment={**PYTHON.environment, "platform_machine": there},
        tags=tuple(tag.replace(here, there) for tag in PYTHON.tags),
    )
    needs = [f'fe-{each}; platform_machine == "{each}"' for each in ("x86_64", "aarch64")]
    natives = [
        wheel("fe-n", requires=needs, tag=f"cp313-cp313-manylinux_2_17_{each}")
        for each in ("x86_64", "aarch64")
    ]
    folder = put(tmp_path / "wheels", *natives, wheel("fe-x86-64"), wheel("fe-aarch64"))
    asked, _ = requirements_of({"requirements.txt": b"fe-n"})
    ends: list[float] = []

    async def noting(*arguments: Any) -> list[Path]:
        ends.append(arguments[-1])
        return await download(*arguments)

    monkeypatch.setattr(pip, "download", noting)
    found = await wheel_set(asked, engines, folder, 60.0)
    # Of another machine pip knows after the first round only; they have their time together.
    assert len(ends) == 2
    assert len(set(ends)) == 1
    assert 0 < ends[0] - asyncio.get_running_loop().time() < 60
    other = "fe_aarch64" if there == "aarch64" else "fe_x86_64"
    assert [each.file for each in found] == sorted(
        [f"{other}-1.0-py3-none-any.whl", f"fe_n-1.0-cp313-cp313-manylinux_2_17_{there}.whl"]
    )


async def test_an_index_out_of_reach_is_told_with_the_way_without_one_and_no_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:9/simple")
    error = await refused("fe-a")
    assert error.fault.code == FaultCode.UNAVAILABLE
    assert error.fault.message.startswith("fe-a: the package index is out of reach: ")
    assert "--wheels FOLDER" in error.fault.message
    assert "hunter2" not in error.fault.message


@contextmanager
def answering(answer: Callable[[BaseHTTPRequestHandler], None]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        do_GET = answer  # noqa: N815 - the server's name for it

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/simple"
        finally:
            server.shutdown()


def nonsense(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "text/html")
    request.end_headers()
    request.wfile.write(b"\x00\xff<a href='fe_a-1.0-py3-none-any.whl'>" * 3)


async def test_an_index_that_answers_nonsense_gives_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(nonsense) as url:
        monkeypatch.setenv("PIP_INDEX_URL", url)
        assert "fe-a" in (await refused("fe-a")).fault.message


async def test_an_index_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{silent.getsockname()[1]}/simple")
        error = await refused("fe-a", patience_s=4.0)
    assert (error.fault.code, "did not answer all within 4 s" in error.fault.message) == ("unavailable", True)


async def test_a_folder_of_wheels_does_without_an_index(tmp_path: Path) -> None:
    folder = put(tmp_path / "wheels", *WHEELS)
    assert await resolved("fe-a", folder) == ["fe-a 1.0", "fe-b 2.0"]
    error = await refused("fe-none", folder)
    assert f"no wheel of fe-none for {PYTHON.label} in {folder}" in error.fault.message
    (folder / "fe_sdist-1.0.tar.gz").write_bytes(b"")
    assert "no wheel of fe-sdist" in (await refused("fe-sdist", folder)).fault.message
    assert "is no folder" in (await refused("fe-a", tmp_path / "gone")).fault.message
    assert "has no wheel in it" in (await refused("fe-a", tmp_path)).fault.message


async def test_a_folder_is_named_from_where_one_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "wheels", *WHEELS)
    monkeypatch.chdir(tmp_path)
    assert await resolved("fe-a", Path("wheels")) == ["fe-a 1.0", "fe-b 2.0"]


async def test_a_wheel_of_the_folder_that_lies_or_was_cut_is_refused_by_its_name(tmp_path: Path) -> None:
    name, data = wheel("fe-pth", files={"fe.pth": "import os"})
    folder = put(tmp_path / "wheels", (name, data))
    assert f"{name}: fe.pth" in (await refused("fe-pth", folder)).fault.message
    name, data = wheel("fe-cut", files={"fe_cut.py": "x = 1\n" * 999})
    put(folder, (name, data[:-40]))
    assert "fe" in (await refused("fe-cut", folder)).fault.message


async def test_more_than_a_package_may_have_is_refused_and_the_largest_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_WHEELS", 1)
    folder = put(tmp_path / "wheels", *WHEELS)
    assert "need 2 wheels, and a package has 1 at most" in (await refused("fe-a", folder)).fault.message


async def test_without_pip_it_is_told_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bare/bin/python"))
    error = await refused("fe-a")
    assert (error.fault.code, "install flotilla[wheels]" in error.fault.message) == ("unavailable", True)
