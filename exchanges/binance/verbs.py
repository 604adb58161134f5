"""All that the exchange can be told by hand or by a schedule: move the market, act for somebody else, go wrong, tell the truth."""

from exchanges.asked import Since
from exchanges.binance.core import ledger
from exchanges.binance.fault_verbs import FaultVerbs
from exchanges.binance.hand_verbs import HandVerbs
from exchanges.binance.market_verbs import MarketVerbs
from exchanges.binance.server import Server
from exchanges.control import Control, Nothing


def control_of(server: Server) -> Control:
    """The verbs of one exchange."""
    control, exchange = Control(), server.exchange
    control.verb(
        "ledger",
        Nothing,
        lambda _: ledger.ledger(exchange),
        "all orders, fills, positions and money, by account: the truth",
    )
    control.verb(
        "requests",
        Since,
        lambda asked: ledger.requests(exchange, asked.since),
        "every request in order, with its answer and its fault",
    )
    control.verb("connections", Nothing, lambda _: server.streams.counts(), "how many sockets are open")
    MarketVerbs(server).add(control)
    HandVerbs(server).add(control)
    FaultVerbs(server).add(control)
    return control
