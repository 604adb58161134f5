"""Where an engine may connect to."""

from typing import Any

import pytest

from flotilla.engine_sidecar.session.core.outbound import tcp_ports
from flotilla.schemas.session import CacheAccess, EnginePlan

CACHE = CacheAccess(host="h", port=6379, username="u", password="p")
REPLAY = {"path": "x:y", "factory": {"path": "engine_sidecar.replay.client:ReplayDataClientFactory"}}
VENUE = {
    "path": "x:y",
    "factory": {"path": "nautilus_trader.adapters.okx.factories:OKXLiveDataClientFactory"},
}
SANDBOX = "engine_sidecar.replay.sandbox:SandboxLiveExecClientFactory"
OKX = "nautilus_trader.adapters.okx.factories:OKXLiveExecClientFactory"


def plan(data: Any, execution: Any, factories: dict[str, str], **more: Any) -> EnginePlan:
    node = {"data_clients": data, "exec_clients": execution, **more}
    return EnginePlan(trader_id="E1-001", node=node, exec_factories=factories)


REPLAYED = plan({"SIM": REPLAY}, {"SIM": {"config": {}}, "SIM-001": {"config": {}}}, {"SIM": SANDBOX})


def test_a_replay_connects_to_its_redis_alone() -> None:
    assert tcp_ports(REPLAYED, None) == ()
    assert tcp_ports(REPLAYED, CACHE) == (6379,)


@pytest.mark.parametrize(
    "reaches_out",
    [
        plan({"OKX": VENUE}, {"SIM": {}}, {"SIM": SANDBOX}),
        plan({"SIM": REPLAY}, {"OKX-1": {}}, {"OKX": OKX}),
        plan({"SIM": REPLAY}, {"SIM": {}, "OTHER": {}}, {"SIM": SANDBOX}),
        plan({"SIM": {"path": "x:y"}}, {}, {}),
        plan({"SIM": "strange"}, {}, {}),
        plan([REPLAY], {}, {}),
        plan({"SIM": REPLAY}, "strange", {}),
        plan({"SIM": REPLAY}, {}, {}, message_bus={"database": {"host": "h"}}),
    ],
)
def test_with_a_venue_or_what_may_be_one_it_connects_anywhere(reaches_out: EnginePlan) -> None:
    assert tcp_ports(reaches_out, None) is None
    assert tcp_ports(reaches_out, CACHE) is None


def test_no_clients_connect_nowhere() -> None:
    assert tcp_ports(EnginePlan(trader_id="E1-001", node={}), None) == ()
