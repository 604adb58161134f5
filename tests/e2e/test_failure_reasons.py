"""Four ways in which a strategy can end its engine: each reported as what it was, by REST and CLI, with its last words kept."""

import json
import re
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from flotilla.schemas.states import RunState
from tests.e2e.conftest import best_runtime
from tests.e2e.own_code import stack_with_own_code
from tests.e2e.stacks import RunningStack, until

API = "/api/v1/nautilus/engines"
WAYS = {
    "raises": ("RaisesOnABar", "strategy", "boom"),
    "exits": ("ExitsOnABar", "crash", None),
    "eats": ("EatsMemory", "oom", None),
    "loops": ("LoopsOnABar", "frozen", "silent"),
}


@pytest.fixture(scope="module", params=["best"])
def runtime(request: pytest.FixtureRequest) -> str:
    """The best that there is, unless a test says which: either shows the same."""
    return best_runtime() if request.param == "best" else str(request.param)


@pytest.fixture(scope="module")
def stack(runtime: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One whose engines can import the strategies of this folder."""
    with stack_with_own_code(runtime, tmp_path_factory.mktemp("image")) as made:
        for name, (strategy, _, _) in WAYS.items():
            start(made, name, strategy)
        yield made


def start(stack: RunningStack, name: str, strategy: str) -> None:
    config = {
        "max_memory": "512m",
        "parameters": {"speed": 86_400 * 20},
        "strategies": [
            {
                "strategy_path": f"tests.e2e.faulty_strategies:{strategy}",
                "config_path": "tests.strategies_for_tests:BarsConfig",
                "config": {"bar_type": "SPX.SIM-1-DAY-LAST-EXTERNAL"},
            }
        ],
    }
    stack.json("engine", "start", name, "--no-wait", "--config", "-", stdin=json.dumps(config))


def rest(stack: RunningStack, path: str) -> Any:
    request = urllib.request.Request(
        f"{stack.connection.http_url}{API}/{path}", headers={"Authorization": f"Bearer {stack.token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


@pytest.mark.parametrize("name", WAYS)
def test_each_failure_has_its_own_reason_and_keeps_its_log(stack: RunningStack, name: str) -> None:
    _, reason, detail = WAYS[name]
    until(
        lambda: rest(stack, name)["engine"]["session"]["state"] == RunState.FAILED, 90, f"the end of {name}"
    )
    session = rest(stack, name)["engine"]["session"]
    assert session["reason"] == reason, session
    assert detail is None or detail in session["detail"]
    assert session["log_tail"]

    def has_its_last_words() -> bool:
        # Log lines follow on a feed of their own: the end may be known before them.
        return any("about to go wrong" in line for line in rest(stack, f"{name}/logs?lines=1000")["logs"])

    until(has_its_last_words, 30, f"the last log lines of {name}")
    shown = stack.cli("engine", "inspect", name)
    assert re.search(rf"^state +failed \({reason}\)", shown.stdout, re.MULTILINE)
    assert "last log lines" in shown.stdout
    assert "about to go wrong" in stack.cli("engine", "logs", name, "--lines", "1000").stdout
    assert rest(stack, name)["engine"]["state"] == "error"


def test_after_all_that_the_others_are_where_they_were(stack: RunningStack) -> None:
    states = {one["instance_id"]: one for one in stack.json("engine", "ls")["engines"]}
    assert {name: states[name]["session"]["reason"] for name in WAYS} == {
        name: reason for name, (_, reason, _) in WAYS.items()
    }
    assert all(states[name]["restarts"] == 0 for name in WAYS), "a sandbox is never started again by itself"
