"""Which hosts an emergency stop takes from the orchestrator, and when it believes that these are all."""

from typing import Any

import pytest

from flotilla.client.host_calls import hosts_heard
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.heartbeats import HOST_AWAY_S
from flotilla.schemas.host import HostList, HostView


def host(name: str, age_s: float) -> HostView:
    return HostView(
        host=name,
        is_in_sight=True,
        heartbeat_age_s=age_s,
        labels={},
        runtime="process",
        is_runtime_up=True,
        cpus=1,
        memory_bytes=1,
        sessions=0,
        version="1",
        has_cache=False,
        stop_flags=(),
    )


class Bus:
    def __init__(self, answer: HostList | None) -> None:
        self._answer = answer

    async def call(self, *_: Any, **__: Any) -> HostList:
        if self._answer is None:
            raise fault(FaultCode.UNAVAILABLE, "nobody is there")
        return self._answer


@pytest.mark.parametrize(
    ("answer", "heard"),
    [
        (HostList(hosts=(host("h1", 0.4), host("h2", 9.0)), heard_for_s=60.0), {"h1": 0.4, "h2": 9.0}),
        (HostList(hosts=(host("h1", 0.4),), heard_for_s=HOST_AWAY_S - 0.1), {}),
        (HostList(hosts=(host("h1", 0.4),)), {}),
        (None, {}),
    ],
    ids=["it has listened", "it has just begun", "not all fit, or it is of an older release", "it is away"],
)
async def test_an_orchestrator_is_believed_once_it_has_listened_for_longer_than_a_host_is_away(
    answer: HostList | None, heard: dict[str, float]
) -> None:
    bus: Any = Bus(answer)
    assert await hosts_heard(bus) == heard
