"""Docker's inspect as facts."""

from datetime import UTC, datetime
from typing import Any

import pytest

from flotilla.schemas.session import ContainerStatus
from flotilla.services.supervisor.core import names
from flotilla.services.supervisor.core.inspected import existing_of, facts_of, inspected, is_engine

NEVER = "0001-01-01T00:00:00Z"


def answer(
    labels: dict[str, str] | None = None, name: str = "/nautilus-engine-s1", **state: Any
) -> dict[str, Any]:
    return {
        "Id": "abc",
        "Name": name,
        "Created": "2026-01-31T14:25:00.123456789Z",
        "State": {
            "Status": "exited",
            "ExitCode": 0,
            "OOMKilled": False,
            "Error": "",
            "StartedAt": "2026-01-31T14:25:01.5Z",
            "FinishedAt": "2026-01-31T14:26:01.5Z",
        }
        | state,
        "Config": {"Image": "flotilla-engine:latest", "Labels": LABELS if labels is None else labels},
        "HostConfig": {"more": "than we read"},
    }


LABELS = {
    names.OWNER: "us",
    names.SESSION: "s1",
    names.INSTANCE: "e1",
    names.GENERATION: "4",
    names.SPEC: "h",
}


def test_a_running_one_has_a_start_and_no_end() -> None:
    state: dict[str, Any] = {
        "Status": "running",
        "FinishedAt": NEVER,
        "Health": {"Status": "healthy", "Log": []},
    }
    facts = facts_of(inspected(answer(**state)), host="h1")
    assert facts.status == ContainerStatus.RUNNING
    assert facts.started_at == datetime(2026, 1, 31, 14, 25, 1, 500_000, UTC)
    assert (facts.finished_at, facts.exit_code) == (None, None)
    assert (facts.instance_id, facts.session_id, facts.generation) == ("e1", "s1", 4)
    assert (facts.host, facts.name, facts.health) == ("h1", "nautilus-engine-s1", "healthy")


def test_a_created_one_has_no_start() -> None:
    facts = facts_of(inspected(answer(Status="created", StartedAt=NEVER, FinishedAt=NEVER)), host="h1")
    assert (facts.status, facts.started_at, facts.exit_code) == (ContainerStatus.CREATED, None, None)


@pytest.mark.parametrize(
    ("status", "code"),
    [(0, 0), (1, 1), (78, 78), (127, 127), (128, 128), (137, -9), (139, -11), (143, -15), (255, 255)],
)
def test_a_status_over_128_is_a_signal(status: int, code: int) -> None:
    assert facts_of(inspected(answer(ExitCode=status)), host="h1").exit_code == code


@pytest.mark.parametrize(
    ("state", "is_oom"),
    [
        ({"OOMKilled": True, "ExitCode": 137}, True),
        ({"OOMKilled": True, "ExitCode": 1}, True),
        ({"OOMKilled": True, "ExitCode": 0}, False),
        ({"OOMKilled": False, "ExitCode": 137}, False),
        ({"OOMKilled": True, "Status": "running"}, False),
    ],
)
def test_out_of_memory_is_what_ended_it_only_if_it_failed(state: dict[str, Any], is_oom: bool) -> None:
    assert facts_of(inspected(answer(**state)), host="h1").is_oom_killed == is_oom


@pytest.mark.parametrize(
    ("status", "expected"),
    [("paused", "running"), ("restarting", "running"), ("removing", "exited"), ("dead", "exited")],
)
def test_dockers_other_states_are_told_as_ours(status: str, expected: str) -> None:
    container = inspected(answer(Status=status))
    assert facts_of(container, host="h1").status == expected
    assert existing_of(container).is_being_removed == (status == "removing")


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        ({}, "/nautilus-engine-s1"),
        (LABELS | {names.OWNER: "them"}, "/nautilus-engine-s1"),
        (LABELS, "/nautilus-engine-s2"),
        (LABELS, "/nautilus-engine-s1-copy"),
        (LABELS | {names.GENERATION: "many"}, "/nautilus-engine-s1"),
        ({key: value for key, value in LABELS.items() if key != names.INSTANCE}, "/nautilus-engine-s1"),
    ],
)
def test_look_alikes_are_no_engines(labels: dict[str, str], name: str) -> None:
    assert is_engine(inspected(answer()), "us")
    assert not is_engine(inspected(answer(labels, name)), "us")


def test_health_is_told_of_running_ones_only() -> None:
    unhealthy: dict[str, Any] = {"Health": {"Status": "unhealthy"}}
    assert facts_of(inspected(answer(Status="running", **unhealthy)), host="h1").health == "unhealthy"
    assert facts_of(inspected(answer(Status="exited", **unhealthy)), host="h1").health == ""


def test_nothing_ends_before_it_began() -> None:
    facts = facts_of(inspected(answer(FinishedAt="2026-01-31T14:25:01.4Z")), host="h1")
    assert facts.finished_at == facts.started_at


def test_labels_may_be_missing() -> None:
    bare = answer()
    bare["Config"]["Labels"] = None
    assert existing_of(inspected(bare)).owner == ""


def test_a_worker_is_told_from_an_engine_by_its_label() -> None:
    worker = inspected(answer(labels={**LABELS, "flotilla.worker": "true"}))
    assert facts_of(worker, host="h1").is_worker
    assert not facts_of(inspected(answer(labels=LABELS)), host="h1").is_worker
