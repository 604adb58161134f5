"""The accounts of a run with several venues as one, because NautilusTrader's analyzer takes one: it ends with the last venue's figures."""

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.model.objects import Money

type Balances = dict[Any, Money]
"""By currency."""


class Balance(NamedTuple):
    """A balance, as the analyzer reads it."""

    currency: Any
    total: Money


class State(NamedTuple):
    """All accounts after a change of one."""

    ts_event: int
    balances: tuple[Balance, ...]


class Together:
    """What the analyzer asks an account for, of the sums of `accounts`."""

    def __init__(self, accounts: Sequence[Any]) -> None:
        self._accounts = accounts

    def starting_balances(self) -> Balances:
        """What they began with."""
        return _summed(account.starting_balances() for account in self._accounts)

    def balances_total(self) -> Balances:
        """What they have."""
        return _summed(account.balances_total() for account in self._accounts)

    @property
    def events(self) -> list[State]:
        """The sums after every change, in time order."""
        held = {account.id: account.starting_balances() for account in self._accounts}
        changes = [state for account in self._accounts for state in account.events]
        states = []
        for change in sorted(changes, key=lambda state: int(state.ts_event)):
            held[change.account_id] = {each.currency: each.total for each in change.balances}
            sums = _summed(held.values())
            states.append(State(change.ts_event, tuple(Balance(*each) for each in sums.items())))
        return states


def _summed(balances: Iterable[Balances]) -> Balances:
    sums: dict[Any, Decimal] = {}
    for held in balances:
        for currency, money in held.items():
            sums[currency] = sums.get(currency, Decimal(0)) + money.as_decimal()
    return {currency: Money(total, currency) for currency, total in sums.items()}
