"""Workers come when there is something to run, one per host, and nobody means them who names no engine."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla import templates
from flotilla.schemas.backtest import TRIAL_FORMAT, WorkerPlan
from flotilla.schemas.config import EngineConfig
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import HostHeartbeat, StopFlag
from flotilla.services.orchestrator.backtests.core.hosting import wants_worker, worker_config
from flotilla.services.orchestrator.engines.core.fleet import Fleet
from flotilla.services.orchestrator.engines.core.model import Engine, OrderedStop
from flotilla.services.orchestrator.templates.core.parameters import Known
from flotilla.services.orchestrator.templates.core.rendering import render
from flotilla.services.orchestrator.templates.core.templates import EngineTemplate, TemplateSet
from tests.unit.orchestrator.makers import NOW, after, engine, session


def beat(host: str = "h1", **facts: Any) -> HostHeartbeat:
    values: dict[str, Any] = {"runtime": "docker", "at_ns": 0, "cpus": 4, "memory_bytes": 12 << 30}
    return HostHeartbeat(host=host, sessions=0, version="0", **values | facts)


def worker(state: RunState, **facts: Any) -> Engine:
    return engine(session(state, ended_at=NOW, **facts), config=worker_config(beat()))


def is_wanted(one: Engine | None, seconds: float = 1, newest: float = -1, **facts: Any) -> bool:
    return wants_worker(beat(**facts), one, newest=after(newest), now=after(seconds))


def test_a_worker_has_a_slot_per_cpu_and_no_more_than_half_of_the_memory() -> None:
    made = worker_config(beat(host="h" * 63))
    assert (made.parameters, made.max_memory, made.max_cpu) == ({"slots": 4}, "6144m", "4")
    assert made.instance_id == f"worker-{'h' * 56}"


def test_the_template_of_workers_makes_the_plan_of_one() -> None:
    body = json.loads((Path(templates.__file__).parent / "engines/backtest_worker.json").read_text())
    template = msgspec.convert(body, EngineTemplate)
    config = EngineConfig(engine_type="backtest", template=template.name, parameters={"slots": 3})
    template_set = TemplateSet(engines={template.name: template})
    spec = render(config, template_set, Known.of(()), session_id="s")
    assert spec.worker == WorkerPlan(slots=3, idle_s=600.0, trial_format=TRIAL_FORMAT)


def test_a_host_without_a_worker_gets_one_and_one_with_a_worker_does_not() -> None:
    assert is_wanted(None)
    assert is_wanted(worker(RunState.STOPPED))  # it had nothing to do, and ended
    assert not is_wanted(worker(RunState.TRADING))
    assert not is_wanted(msgspec.structs.replace(worker(RunState.FAILED), restart_at=NOW), 99)


def test_a_host_that_cannot_run_engines_or_must_not_gets_none() -> None:
    assert not is_wanted(None, is_runtime_up=False)
    # A stop of all engines is none of a worker: it trades nothing.
    assert is_wanted(None, stop_flags=(StopFlag(since=NOW),))
    flag = StopFlag(since=NOW, instance_id="worker-h1")
    assert not is_wanted(None, stop_flags=(flag,))


@pytest.mark.parametrize(("seconds", "wanted"), [(1, False), (31, True)])
def test_after_a_worker_that_failed_for_good_there_is_a_pause(seconds: float, wanted: bool) -> None:
    assert is_wanted(worker(RunState.FAILED), seconds) == wanted


@pytest.mark.parametrize(("newest", "wanted"), [(-1, False), (1, True)])
def test_a_worker_that_somebody_stopped_comes_back_for_what_is_asked_for_later(
    newest: float, wanted: bool
) -> None:
    stopped = worker(RunState.STOPPED, stop=OrderedStop(asked_at=NOW, policy=None))
    assert is_wanted(stopped, newest=newest) == wanted


def test_nobody_means_a_worker_who_names_no_engine() -> None:
    running = worker(RunState.TRADING)
    assert Fleet([running]).which(None) is None
    assert Fleet([running]).which("e1") is running
