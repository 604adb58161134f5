"""`python -m flotilla.engine_sidecar.checking`: what NautilusTrader refuses of strategies and plans, whatever they do to the process."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec

from flotilla.schemas.package import PackageRef
from flotilla.schemas.package_archive import digest_of, pack
from flotilla.schemas.session import CheckLine, EnginePlan, PlanCheck, PlanProblems
from tests.engine_processes import ROOT, ema_cross, sandbox_node

FACTORY = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"


def check(
    *strategies: dict[str, Any], plan: EnginePlan | None = None, path: Path = ROOT
) -> list[tuple[str, str]]:
    """(field, message) of each problem; `path` is where modules of strategies may stand."""
    ended = ask(msgspec.json.encode(PlanCheck(strategies=strategies, plan=plan)) + b"\n", path)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count(b"\n") == 1
    problems = msgspec.json.decode(ended.stdout, type=PlanProblems).problems
    return [(problem.field, problem.message) for problem in problems]


def ask(line: bytes, path: Path = ROOT) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "flotilla.engine_sidecar.checking"]
    env = {"PYTHONPATH": f"{ROOT}:{path}", "PATH": "/usr/bin"}
    return subprocess.run(
        command, input=line, capture_output=True, cwd=ROOT, env=env, timeout=60, check=False
    )


def plan(node: dict[str, Any], *strategies: dict[str, Any], **fields: Any) -> EnginePlan:
    return EnginePlan(
        trader_id="ENGINE-001", node=node, strategies=strategies, exec_factories={"SIM": FACTORY}, **fields
    )


def test_a_sound_strategy_and_plan_have_no_problems() -> None:
    assert check(ema_cross(), plan=plan(sandbox_node(), ema_cross(), instruments=("SPX.SIM",))) == []


def test_every_problem_of_every_strategy_is_listed_where_it_stands() -> None:
    crossing = ema_cross()
    crossing["config"] |= {"fast_ema_period": "ten", "oops": 1, "trade_size": "NaN"}
    del crossing["config"]["bar_type"]
    problems = check(
        crossing,
        ema_cross() | {"strategy_path": "nowhere.to.be:Found", "config_path": "os.path:join"},
        {"strategy_path": "nautilus_trader.trading.strategy:Missing", "config_path": 5, "extra": 1},
        ema_cross() | {"strategy_path": "nautilus_trader.config:ActorConfig"},
        ema_cross() | {"config": ema_cross()["config"] | {"fast_ema_period": 50, "slow_ema_period": 10}},
    )
    assert [field for field, _ in problems] == [
        "strategies[0].config.oops",
        "strategies[0].config.bar_type",
        "strategies[0].config.fast_ema_period",
        "strategies[1].strategy_path",
        "strategies[1].config_path",
        "strategies[2].extra",
        "strategies[2].config_path",
        "strategies[2].config",
        "strategies[3].strategy_path",
        "strategies[4]",
    ]
    told = dict(problems)
    assert told["strategies[0].config.bar_type"] == "is missing"
    assert told["strategies[0].config.fast_ema_period"] == "Expected `int`, got `str`"
    assert "No module named 'nowhere'" in told["strategies[1].strategy_path"]
    assert "is no Strategy" in told["strategies[3].strategy_path"]


def test_what_a_class_does_to_its_process_is_told_and_does_no_harm(tmp_path: Path) -> None:
    modules = {
        "exits": "import sys; sys.exit(3)",
        "ends": "import os; os._exit(4)",
        "aborts": "import os, sys; sys.stderr.write('thread panicked: boom'); sys.stderr.flush(); os.abort()",
        "is_killed": "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
        "prints": "print('{\"problems\": []}'); import os; os.write(1, b'x' * 100000)",
        "raises": "1 / 0",
        "hangs": "import time; time.sleep(3600)",
        "spins": "while True: pass",
        "leaves": "import subprocess; subprocess.Popen(['/bin/sleep', '300'])",
    }
    for name, text in modules.items():
        (tmp_path / f"{name}.py").write_text(f"{text}\n")
    config = {"config_path": "nautilus_trader.config:StrategyConfig", "config": {}}
    strategies = [{"strategy_path": f"{name}:Any", **config} for name in modules]
    told = dict(check(*strategies, ema_cross(), path=tmp_path))
    fields = [f"strategies[{index}]" for index in range(len(modules))]
    assert told[fields[0]] == "the class ended the process (exit code 3)"
    assert told[fields[1]] == "the class ended the process (exit code 4)"
    assert told[fields[2]] == "the class ended the process (signal SIGABRT): thread panicked: boom"
    assert told[fields[3]] == "the class ended the process (signal SIGKILL)"
    assert "has no attribute 'Any'" in told[f"{fields[4]}.strategy_path"]
    assert told[f"{fields[5]}.strategy_path"] == "ZeroDivisionError: division by zero"
    assert told[fields[6]] == told[fields[7]] == "the class did not let its check end within 10 s"
    assert "has no attribute 'Any'" in told[f"{fields[8]}.strategy_path"]
    assert f"strategies[{len(modules)}]" not in told


def test_what_the_check_itself_trips_over_is_told(tmp_path: Path) -> None:
    source = """from __future__ import annotations
from nautilus_trader.config import StrategyConfig
class OddConfig(StrategyConfig, frozen=True):
    size: Absent
"""
    (tmp_path / "odd.py").write_text(source)
    config = {"config_path": "odd:OddConfig", "config": {}}
    ((place, message),) = check(ema_cross() | config, path=tmp_path)
    assert (place, message.endswith("NameError: name 'Absent' is not defined")) == ("strategies[0]", True), (
        message
    )


def test_packages_that_do_not_go_together_are_told_by_their_names_and_that_of_the_module() -> None:
    archives = tuple(pack({f"fe_{name}.py": b"", "fe_utils.py": name.encode()}) for name in "ab")
    refs = tuple(
        PackageRef(name=name, version="1", digest=digest_of(archive))
        for name, archive in zip("ab", archives, strict=True)
    )
    line = CheckLine(plan=plan(sandbox_node(), packages=refs), archives=archives)
    ended = ask(msgspec.json.encode(line) + b"\n")
    (problem,) = msgspec.json.decode(ended.stdout, type=PlanProblems).problems
    assert problem.field == "packages"
    assert problem.message.startswith("fe_utils: b@1 has a module of this name, and so has a@1")


def test_a_plan_that_nautilus_trader_does_not_take_is_told() -> None:
    bad = ema_cross() | {"strategy_path": "nowhere.to.be:Found"}
    ((place, message),) = check(plan=plan(sandbox_node() | {"oops": 1}))
    assert (place, "unknown field `oops`" in message) == ("plan.node", True), message
    ((place, message),) = check(plan=plan(sandbox_node(), ema_cross(), bad))
    assert (place, "No module named 'nowhere'" in message) == ("plan.strategies[1]", True), message


def test_what_is_no_check_is_refused() -> None:
    for line in (b"", b"nonsense\n", b'{"plan": 5}\n', b'{"oops": 1}\n'):
        ended = ask(line)
        assert (ended.returncode, ended.stdout) == (78, b"")
        assert b"the check cannot be read" in ended.stderr
