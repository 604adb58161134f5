"""A list of containers says which hosts' are not in it: nothing seen is not nothing there."""

from typing import Any, cast

import pytest

from flotilla.bus.bus import Bus
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.session import CleanupError, ContainerList
from flotilla.services.orchestrator.engines.core.sightings import FleetSightings
from flotilla.services.orchestrator.engines.listing import list_containers
from tests.unit.orchestrator.makers import NOW, after, facts, host_beat


class Hosts:
    """Answers for each host, or refuses."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    async def call(self, _call: object, _request: object, *, timeout_s: float, host: str) -> ContainerList:
        answer = self._answers[host]
        if isinstance(answer, Exception):
            raise answer
        return ContainerList(containers=tuple(answer))


def problem(host: str, message: str) -> CleanupError:
    return CleanupError(name=host, message=message)


@pytest.mark.parametrize(
    ("heard", "answers", "names", "problems"),
    [
        ({"h1": 0}, {"h1": [facts()]}, ["s1"], []),
        ({"h1": 0}, {"h1": []}, [], []),
        ({}, {}, [], [problem("hosts", "none is in sight")]),
        ({"h1": -60}, {}, [], [problem("host h1", "it is out of sight")]),
        (
            {"h1": 0, "h2": -60},
            {"h1": [facts()]},
            ["s1"],
            [problem("host h2", "it is out of sight")],
        ),
        (
            {"h1": 0, "h2": 0},
            {"h1": [facts()], "h2": fault(FaultCode.UNAVAILABLE, "no Docker engine answers")},
            ["s1"],
            [problem("host h2", "no Docker engine answers")],
        ),
    ],
)
async def test_what_is_listed_and_what_is_not(
    heard: dict[str, float], answers: dict[str, Any], names: list[str], problems: list[CleanupError]
) -> None:
    sightings = FleetSightings(NOW)
    for host, seconds in heard.items():
        sightings.heard_host(host_beat(host=host), after(seconds))
    bus = cast("Bus", Hosts(**answers))
    found, missing = await list_containers(bus, sightings, lambda: NOW, timeout_s=1.0)
    assert [each.session_id for each in found] == names
    assert missing == problems


async def test_an_error_that_is_no_answer_of_a_host_is_not_swallowed() -> None:
    sightings = FleetSightings(NOW)
    sightings.heard_host(host_beat(), NOW)
    with pytest.raises(ZeroDivisionError):
        await list_containers(
            cast("Bus", Hosts(h1=ZeroDivisionError())), sightings, lambda: NOW, timeout_s=1.0
        )
