"""What Interactive Brokers needs of a plan: client ids that no other engine at the same gateway uses.

A gateway knows its clients by number, and closes the connection of the second that comes with the same. Each engine has a
band of its own, made of its instance id; within it each client has room for the five numbers that NautilusTrader tries.
"""

import zlib
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, Final

BAND: Final = 16
"""Client ids per engine: the data client has the first half, the execution client the second."""
_BANDS: Final = 1 << 22
_MODULE: Final = "nautilus_trader.adapters.interactive_brokers."
_ID: Final = "ibg_client_id"


def first_client_id(instance_id: str) -> int:
    """The first client id of an engine's band."""
    return (1 + zlib.crc32(instance_id.encode()) % _BANDS) * BAND


def with_client_ids(instance_id: str, node: dict[str, Any]) -> dict[str, Any]:
    """`node` with a client id for each IB client that has none; raises ValueError for what an engine cannot have."""
    given = deepcopy(node)
    first = first_client_id(instance_id)
    data = [config.setdefault(_ID, first) for config in _configs(given.get("data_clients"))]
    execution = [config.setdefault(_ID, first + BAND // 2) for config in _configs(given.get("exec_clients"))]
    if shared := set(data) & set(execution):
        raise ValueError(
            f"`{_ID}` {shared.pop()} is given to data and execution: each needs its own, so that neither holds up the other"
        )
    return given


def _configs(clients: Any) -> Iterator[dict[str, Any]]:
    for name, client in (clients or {}).items():
        if str(client.get("path")).startswith(_MODULE):
            config = client.setdefault("config", {})
            if config.get("dockerized_gateway") is not None:
                raise ValueError(
                    f"`dockerized_gateway` of {name}: an engine starts no containers; run the gateway beside it "
                    "and give `ibg_host` and `ibg_port`"
                )
            yield config
