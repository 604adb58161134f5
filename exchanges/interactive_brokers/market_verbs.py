"""Verbs that move and halt markets."""

from exchanges.control import Control
from exchanges.interactive_brokers.asked import Halt, Market, Touch
from exchanges.interactive_brokers.core.state import Contract
from exchanges.interactive_brokers.server import Server


class MarketVerbs:
    """Verbs about markets, on one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._venue = server.gateway.venue

    def add(self, control: Control) -> None:
        control.verb(
            "touch", Touch, self._touch, "puts the best prices of a contract somewhere and keeps them"
        )
        control.verb("follow", Market, self._follow, "lets a market follow its price path again")
        control.verb("halt", Halt, self._halt, "halts a contract, or lets it trade again")

    def _touch(self, asked: Touch) -> None:
        contract = contract_of(self._server, asked.symbol)
        self._venue.pin(contract, asked.bid, asked.ask, asked.size or contract.size)
        self._venue.last[contract.con_id] = asked.bid
        self._server.follow_up()

    def _follow(self, asked: Market) -> None:
        contract = contract_of(self._server, asked.symbol)
        self._venue.pinned.discard(contract.con_id)

    def _halt(self, asked: Halt) -> None:
        contract_of(self._server, asked.symbol).halted = asked.halted
        self._server.follow_up()


def contract_of(server: Server, symbol: str) -> Contract:
    """The contract of a local symbol.

    Raises:
        KeyError: if there is none.
    """
    contracts = {c.local_symbol: c for c in server.gateway.venue.state.contracts.values()}
    return contracts[symbol]
