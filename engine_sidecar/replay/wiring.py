"""Joins the replay of a built node with the engines it has to wait for and the sandbox venues it drives."""

from collections.abc import Mapping
from typing import Any

from nautilus_trader.accounting.factory import AccountFactory
from nautilus_trader.model.enums import BookType, book_type_to_str
from nautilus_trader.model.identifiers import Venue

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
        replay.wire(Wiring(barrier, venues, lambda: _check(kernel.data_engine, venues)))
    return barrier, tuple(replays)


def calculate_sandbox_accounts(config: Any) -> None:
    """Call it before the node is made: an account that comes back from a cache database is frozen, unless it is known to be ours.

    `config` is the TradingNodeConfig, with its clients' own configs in it.
    """
    for client in config.exec_clients.values():
        if isinstance(client, SandboxClientConfig) and not client.frozen_account:
            AccountFactory.register_calculated_account(client.venue)


def _check(data_engine: Any, venues: Mapping[Venue, SandboxClient]) -> None:
    refuse_wall_clock_bars(data_engine)
    refuse_wall_clock_books(data_engine)
    for client in venues.values():
        refuse_empty_books(data_engine, client)


def refuse_wall_clock_books(data_engine: Any) -> None:
    """Raises ReplayRefusedError when an order book is to be shown at intervals: a timer would do it, by the wall clock."""
    for instrument_id, interval_ms in data_engine._order_book_intervals:
        raise ReplayRefusedError(
            f"the order book of {instrument_id} is subscribed to every {interval_ms} ms by the wall clock, which a replay does not "
            "follow: subscribe to its deltas or depth"
        )


def refuse_empty_books(data_engine: Any, client: SandboxClient) -> None:
    """Raises ReplayRefusedError for a venue with a book of several levels that nobody's subscription fills: no order could fill there."""
    if client.exchange.book_type == BookType.L1_MBP:
        return
    books = {*data_engine.subscribed_order_book_deltas(), *data_engine.subscribed_order_book_depth()}
    others = {*data_engine.subscribed_quote_ticks(), *data_engine.subscribed_trade_ticks()}
    others |= {bar_type.instrument_id for bar_type in data_engine.subscribed_bars()}
    for instrument_id in sorted(others - books):
        if instrument_id.venue == client.venue:
            raise ReplayRefusedError(
                f"book_type {book_type_to_str(client.exchange.book_type)} of {client.venue} needs the order book of {instrument_id}: "
                "a strategy has to subscribe to its deltas or depth"
            )


def refuse_wall_clock_bars(data_engine: Any) -> None:
    """Raises ReplayRefusedError when bars of time are made inside NautilusTrader: it would cut them by the wall clock."""
    for bar_type in data_engine.subscribed_bars():
        if bar_type.is_internally_aggregated() and bar_type.spec.is_time_aggregated():
            raise ReplayRefusedError(
                f"{bar_type} is made inside NautilusTrader by the wall clock, which a replay does not follow: "
                "import such bars and subscribe to them as EXTERNAL"
            )
