"""Code of one's own that needs what engines have not: its wheels come with it from an index, and stay what they are; in
containers where there are any, else in local processes.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from flotilla.cli.new_package import project_files
from flotilla.client.client import Flotilla
from tests.e2e.conftest import best_runtime
from tests.e2e.engines import traded_more
from tests.e2e.stacks import RunningStack
from tests.e2e.test_own_packages import DATES, manifest, ok
from tests.wheels import index, native_wheel, put, wheel


def lag(version: str, bars: int) -> tuple[str, bytes]:
    """A wheel that changes what the strategy does, and needs another with compiled code."""
    source = f"import fe_core\nassert fe_core.VERSION\nBARS = {bars}\n"
    return wheel("fe-lag", version, {"fe_lag.py": source}, requires=["fe-core", "numpy"])


CORE = native_wheel("fe-core")


@pytest.fixture(scope="module")
def runtime() -> str:
    return best_runtime()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the index."""
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def stack(runtime: str, folder: Path) -> Iterator[RunningStack]:
    """A stack whose user has an index of his own."""
    with index(folder / runtime, lag("1.0", 0), CORE) as url:
        made = RunningStack(
            runtime, env={"PIP_CONFIG_FILE": os.devnull, "PIP_INDEX_URL": url, "PIP_NO_CACHE_DIR": "1"}
        )
        made.start()
        yield made
        made.remove()


def written(folder: Path, name: str, requirement: str = "fe-lag>=1") -> Path:
    """A package that averages over as many bars more as the wheel says."""
    (folder / name).mkdir(parents=True, exist_ok=True)
    source = project_files(name, name)[f"{name}.py"].replace("] = 50\n", "] = 10\n")
    source = f"import fe_lag\n{source}".replace("(config.period)", "(config.period + fe_lag.BARS)")
    (folder / name / f"{name}.py").write_text(source)
    (folder / name / "requirements.txt").write_text(f"{requirement}\nnumpy\n")
    return folder / name


async def test_wheels_come_with_a_package_and_stay_what_they_are_whatever_the_index_has_later(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path, folder: Path
) -> None:
    mine = written(tmp_path, "mine")
    pushed = await ok(stack, "package", "push", str(mine))
    assert "mine@1 is there" in pushed
    shown = await ok(stack, "package", "show", "mine")
    view = await fleet.package("mine")
    assert [each.label for each in view.wheels] == ["fe-core 1.0", "fe-lag 1.0"]
    assert all(each.digest in shown.replace("\n", "").replace(" ", "") for each in view.wheels)
    await ok(stack, "backtest", "run", "first", "--strategy", "mine", *DATES)
    await ok(stack, "study", "run", "sweep", "--strategy", "mine", "--axis", "period=10,20", *DATES)
    assert (await fleet.study("sweep")).counts["completed"] == 2
    await ok(stack, "engine", "start", "own", "--strategy", "mine", "--param", "speed=864000")
    await traded_more(fleet, "own", 0)

    # The same content with other wheels is other content; what ran before runs with its own.
    name, data = lag("2.0", 40)
    put(folder / stack.runtime / "fe-lag", (name, data))
    assert "mine@2 is there" in await ok(stack, "package", "push", str(mine))
    await ok(stack, "backtest", "run", "second", "--strategy", "mine", *DATES)
    first, second = await fleet.backtest("first"), await fleet.backtest("second")
    assert first.summary is not None
    assert second.summary is not None
    assert first.summary.orders.filled != second.summary.orders.filled
    assert "is equal" in await ok(stack, "backtest", "verify", "first")
    assert [each.split(".")[0] for each in (await manifest(fleet, "first")).strategy_sources] == ["mine"]

    # An engine has one version of a wheel.
    other = written(tmp_path, "other", "fe-lag==2.0")
    await ok(stack, "package", "push", str(other))
    refused = await asyncio.to_thread(stack.cli, "strategy", "add", "own", "other")
    assert refused.returncode != 0
    assert "other@1 needs fe-lag 2.0, and mine@1 needs fe-lag 1.0" in " ".join(refused.stderr.split())
    third = written(tmp_path, "third", "fe-lag==1.0")
    await ok(stack, "package", "push", str(third))
    assert "added Third-" in await ok(stack, "strategy", "add", "own", "third", "--set", "period=5")
    await ok(stack, "engine", "stop", "own")


async def test_without_an_index_wheels_come_from_a_folder(
    stack: RunningStack, fleet: Flotilla, tmp_path: Path
) -> None:
    alone = written(tmp_path, "alone")
    stack.env["PIP_INDEX_URL"], online = "http://127.0.0.1:9/simple", stack.env["PIP_INDEX_URL"]
    try:
        refused = await asyncio.to_thread(stack.cli, "package", "push", str(alone))
        assert refused.returncode != 0
        assert "index is out of reach" in refused.stderr
        assert "--wheels FOLDER" in refused.stderr
        wheels = str(put(tmp_path / "wheels", lag("1.0", 0), CORE))
        done = await ok(stack, "backtest", "run", "offline", "--file", str(alone), "--wheels", wheels, *DATES)
        assert "UNPUSHED CODE" in done
        assert "alone@1 is there" in await ok(stack, "package", "push", str(alone), "--wheels", wheels)
    finally:
        stack.env["PIP_INDEX_URL"] = online
    (draft,) = (await manifest(fleet, "offline")).plan.packages
    assert draft.digest == (await fleet.package("alone")).digest
