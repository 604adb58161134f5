"""What a running engine's accounts are worth, in one currency: that of its loss limits, which are watched by it, else the only one they have.

Unknown is said to be unknown: an account that is not there yet, a position without a price or a currency without a rate is named, and
then there is no amount.
"""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Currency

from flotilla.engine_sidecar.replay.account_worth import AccountWorth, Part, Prices, rate_of
from flotilla.schemas.telemetry import MarkedEquity


class EquityMarks:
    """Values the accounts of a kernel's execution clients, whenever it is asked.

    Without a currency it is counted in the accounts' own, where that is one; several are never added.
    """

    def __init__(self, kernel: Any, currency: str) -> None:
        self._kernel, self._cache = kernel, kernel.cache
        self._chosen = Currency.from_str(currency) if currency else None
        is_by_mark = bool(kernel._config.portfolio and kernel._config.portfolio.use_mark_prices)
        self._prices = Prices(kernel.cache, is_by_mark=is_by_mark)

    def mark(self) -> MarkedEquity:
        """The equity now, or why it is not known."""
        try:
            return self._marked()
        except Exception as error:  # noqa: BLE001 - a measure without it is better than none, and it is said
            why = f"it could not be valued: {type(error).__name__}: {error}"
            code = self._chosen.code if self._chosen else ""
            return MarkedEquity(currency=code, amount=None, unknown=(why,))

    def _marked(self) -> MarkedEquity:
        worth = AccountWorth(self._kernel.portfolio, self._cache, self._prices)
        parts, unknown = list(self._parts(worth)), list(self._without_account())
        own = {part.currency.code: part.currency for part in parts if part.balance or part.equity}
        if self._chosen is None and len(own) > 1:
            return MarkedEquity(currency="", amount=None, unknown=(f"it is in {', '.join(sorted(own))}",))
        currency = self._chosen or next(iter(own.values()), parts[0].currency if parts else None)
        if currency is None:
            return MarkedEquity(currency="", amount=None, unknown=tuple(unknown))
        total = Decimal(0)
        for part in parts:
            if (factor := rate_of(self._cache, part, currency)) is None:
                if part.balance or part.equity or self._chosen is not None:
                    unknown.append(f"no rate from {part.currency.code} to {currency.code}")
            else:
                total += part.equity * factor
        unknown += [f"no price of {instrument}" for instrument in sorted(worth.unpriced)]
        amount = None if unknown else round(total, 8)
        return MarkedEquity(currency=currency.code, amount=amount, unknown=tuple(dict.fromkeys(unknown)))

    def _parts(self, worth: AccountWorth) -> Iterator[Part]:
        for client in self._clients():
            if (account := self._account(client)) is not None:
                yield from worth.parts(Venue(account.id.get_issuer()), account)

    def _without_account(self) -> Iterator[str]:
        clients = self._clients()
        if not clients:
            yield "no venue that it trades at"
        for client in clients:
            if self._account(client) is None:
                yield f"{client.id} has not reported its account"

    def _account(self, client: Any) -> Any:
        return self._cache.account(client.account_id) if client.account_id is not None else None

    def _clients(self) -> list[Any]:
        return list(self._kernel.exec_engine._clients.values())
