"""Joins the replay of a built node with the engines it has to wait for and the sandbox venues it drives."""

from typing import Any

from nautilus_trader.accounting.factory import AccountFactory

from flotilla.engine_sidecar.replay.barrier import Barrier
from flotilla.engine_sidecar.replay.client import ReplayDataClient
from flotilla.engine_sidecar.replay.feed import Wiring
from flotilla.engine_sidecar.replay.messages import ReplayRefusedError
from flotilla.engine_sidecar.replay.sandbox import SandboxClient, SandboxClientConfig, deliver_events_at_once


def wire_replay(node: Any) -> tuple[Barrier, tuple[ReplayDataClient, ...]]:
    """Call it between `node.build()` and the start; raises ValueError for more than one replay.

    Two replays would have no common order. One client with `routing.default` serves all venues.
    """
    kernel = node.kernel
    barrier = Barrier(kernel)
    replays = [
        client for client in kernel.data_engine._clients.values() if isinstance(client, ReplayDataClient)
    ]
    venues = {
        client.venue: client
        for client in kernel.exec_engine._clients.values()
        if isinstance(client, SandboxClient)
    }
    if len(replays) > 1:
        raise ValueError(
            "a node can have one replay client only: give it `routing.default` to serve all venues"
        )
    if venues:
        deliver_events_at_once(kernel, venues)
    for replay in replays:
        replay.wire(Wiring(barrier, venues, lambda: refuse_wall_clock_bars(kernel.data_engine)))
    return barrier, tuple(replays)


def calculate_sandbox_accounts(config: Any) -> None:
    """Call it before the node is made: an account that comes back from a cache database is frozen, unless it is known to be ours.

    `config` is the TradingNodeConfig, with its clients' own configs in it.
    """
    for client in config.exec_clients.values():
        if isinstance(client, SandboxClientConfig) and not client.frozen_account:
            AccountFactory.register_calculated_account(client.venue)


def refuse_wall_clock_bars(data_engine: Any) -> None:
    """Raises ReplayRefusedError when bars of time are made inside NautilusTrader: it would cut them by the wall clock."""
    for bar_type in data_engine.subscribed_bars():
        if bar_type.is_internally_aggregated() and bar_type.spec.is_time_aggregated():
            raise ReplayRefusedError(
                f"{bar_type} is made inside NautilusTrader by the wall clock, which a replay does not follow: "
                "import such bars and subscribe to them as EXTERNAL"
            )
