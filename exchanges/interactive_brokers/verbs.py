"""The verbs of the gateway's control."""

from exchanges.control import Control, Nothing
from exchanges.interactive_brokers.asked import Since
from exchanges.interactive_brokers.core import ledger
from exchanges.interactive_brokers.fault_verbs import FaultVerbs
from exchanges.interactive_brokers.hand_verbs import HandVerbs
from exchanges.interactive_brokers.market_verbs import MarketVerbs
from exchanges.interactive_brokers.server import Server


def control_of(server: Server) -> Control:
    """All verbs on one server."""
    control, gateway = Control(), server.gateway
    control.verb(
        "ledger",
        Nothing,
        lambda _: ledger.ledger(gateway),
        "all orders, fills, positions and money, by account: the truth",
    )
    control.verb(
        "requests",
        Since,
        lambda asked: ledger.requests(gateway, asked.since),
        "every request in order, with its code and its fault",
    )
    control.verb(
        "connections",
        Nothing,
        lambda _: {"clients": [link.session.id for link in server.links]},
        "the ids of the clients that are connected",
    )
    MarketVerbs(server).add(control)
    HandVerbs(server).add(control)
    FaultVerbs(server).add(control)
    return control
