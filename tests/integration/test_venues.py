"""The venue files: what they name exists in NautilusTrader, and a node with their clients is built, each in a process of its own."""

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.engine_sidecar.link.frames import Run
from tests.venue_runs import GIVEN, NAMES, run_of_venue, venue

type InProcess = Callable[..., Any]


@pytest.fixture(scope="module")
def in_process() -> Iterator[InProcess]:
    """Calls a function of this module in a fork of a process that has only imported: a node leaves its mark on a process."""
    context = multiprocessing.get_context("forkserver")
    adapters = [f"nautilus_trader.adapters.{name}.factories" for name in NAMES]
    context.set_forkserver_preload(["flotilla.engine_sidecar.engine.preload", *adapters])
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=1) as pool:
        yield lambda function, *arguments: pool.submit(function, *arguments).result(120)


def built(run: Run) -> tuple[list[str], list[str]]:
    """The data and execution clients of the node, or what refused it."""
    from flotilla.engine_sidecar.engine.node_building import build_node  # noqa: PLC0415 - in the fork only

    async def build() -> tuple[list[str], list[str]]:
        kernel = build_node(run, asyncio.get_running_loop(), print, print, print).kernel
        engines = (kernel.data_engine, kernel.exec_engine)
        data, execution = ([str(client) for client in engine._clients] for engine in engines)
        return data, execution

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop.run_until_complete(build())


def refusal(run: Run) -> str:
    """Why the node is not built."""
    try:
        built(run)
    except Exception as error:  # noqa: BLE001 - it is what is asked for
        return f"{type(error).__name__}: {error}"
    return ""


def misfits_of_all() -> dict[str, list[str]]:
    """By venue, what does not fit in its file."""
    return {name: misfits(name) for name in NAMES}


def misfits(name: str) -> list[str]:
    """What does not fit in a venue's file."""
    from nautilus_trader.common.config import resolve_path  # noqa: PLC0415 - in the fork only
    from nautilus_trader.live import config, factories  # noqa: PLC0415

    file, wrong = venue(name), []
    known: set[str] = set()
    for side, kind in (("data", "Data"), ("execution", "Exec")):
        if file[side] is None:
            continue
        config_class = resolve_path(file[side]["path"])
        factory = resolve_path(file[side]["factory"])
        if not issubclass(config_class, getattr(config, f"Live{kind}ClientConfig")):
            wrong.append(f"{config_class} is no config of {side}")
        if not issubclass(factory, getattr(factories, f"Live{kind}ClientFactory")):
            wrong.append(f"{factory} is no factory of {side}")
        fields = set(config_class.__struct_fields__)
        for mode in ("defaults", "paper", "live"):
            wrong += [
                f"{mode}.{side}.{field} is no field"
                for field in (file[mode] or {}).get(side, {})
                if field not in fields
            ]
        known |= fields
        if side == "execution" and file["account_field"] and file["account_field"] not in fields:
            wrong.append(f"account_field {file['account_field']} is no field")
    return wrong + [f"credential {field} is no field" for field in file["credentials"] if field not in known]


def test_every_adapter_that_has_live_clients_has_a_file() -> None:
    spec = find_spec("nautilus_trader.adapters")
    assert spec is not None
    folders = [Path(place) for place in spec.submodule_search_locations or ()]
    shipped = {file.parent.name for folder in folders for file in folder.glob("*/factories.py")}
    assert shipped == set(NAMES)


def test_each_file_names_classes_factories_and_fields_that_exist(in_process: InProcess) -> None:
    assert [venue(name)["name"] for name in NAMES] == NAMES
    assert in_process(misfits_of_all) == {name: [] for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_a_node_is_built_with_the_clients_of_a_venue(in_process: InProcess, name: str) -> None:
    data, execution = in_process(built, run_of_venue(name, "live", **GIVEN.get(name, {})))
    assert data == [name.upper()]
    assert execution == [name.upper() if venue(name)["execution"] else "SIM"]


@pytest.mark.parametrize("name", [name for name in NAMES if venue(name)["execution"]])
def test_data_beside_simulated_execution_needs_a_secret_where_the_file_says_so(
    in_process: InProcess, name: str
) -> None:
    run = run_of_venue(name, "live", **GIVEN.get(name, {}))
    simulated = run_of_venue("databento", "live").plan
    run.plan.node["exec_clients"] = simulated.node["exec_clients"]
    plan = msgspec.structs.replace(run.plan, exec_factories=simulated.exec_factories)
    assert in_process(refusal, msgspec.structs.replace(run, plan=plan)) == "", (
        "a secret for execution does no harm"
    )
    without = msgspec.structs.replace(run, plan=msgspec.structs.replace(plan, secrets={}))
    if not venue(name).get("data_needs_secret"):
        assert in_process(refusal, without) == ""


@pytest.mark.parametrize(("name", "field"), [("betfair", "account_currency"), ("tardis", "base_url")])
def test_what_must_be_given_is_asked_for(in_process: InProcess, name: str, field: str) -> None:
    assert field in in_process(refusal, run_of_venue(name, "live"))


def test_several_venues_share_an_engine(in_process: InProcess) -> None:
    one, other = run_of_venue("binance", "paper"), run_of_venue("bybit", "paper")
    for kind in ("data_clients", "exec_clients"):
        one.plan.node[kind].update(other.plan.node[kind])
    one.plan.exec_factories.update(other.plan.exec_factories)
    one.plan.secrets.update(other.plan.secrets)
    assert in_process(built, one) == (["BINANCE", "BYBIT"], ["BINANCE", "BYBIT"])
