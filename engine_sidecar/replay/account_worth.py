"""What an account has, currency by currency, with everything open valued at the market: of backtests and of engines that run."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from nautilus_trader.model.enums import PositionSide, PriceType
from nautilus_trader.model.identifiers import InstrumentId, Venue

from flotilla.engine_sidecar.replay.rates import last_close, rate


class Part(NamedTuple):
    """What an account has in one currency: balance, unrealized profit, and what both come to."""

    venue: Venue
    currency: Any
    balance: Decimal
    unrealized: Decimal
    equity: Decimal


class Prices:
    """What open positions are valued at, as NautilusTrader's portfolio does. `is_by_mark`: the mark price comes in place of the side's."""

    def __init__(self, cache: Any, *, is_by_mark: bool = False) -> None:
        self._cache = cache
        self._first = PriceType.MARK if is_by_mark else None

    def of(self, position: Any) -> Any:
        """Of the side that closes it, else the last trade's, else the last bar's close, else of the order book; None where there is none."""
        is_long = position.side is PositionSide.LONG
        side = self._first or (PriceType.BID if is_long else PriceType.ASK)
        for kind in (side, PriceType.LAST):
            if (price := self._cache.price(position.instrument_id, kind)) is not None:
                return price
        close = last_close(self._cache, position.instrument_id)
        return self.in_book(position.instrument_id, is_long=is_long) if close is None else close

    def in_book(self, instrument_id: InstrumentId, *, is_long: bool) -> Any:
        """What closes a position of that side in an order book that is kept for this; here there is none."""
        del instrument_id, is_long


class AccountWorth:
    """Values accounts. `unpriced` collects the instruments that were held and had no price; they count as nothing in the parts."""

    def __init__(self, portfolio: Any, cache: Any, prices: Prices) -> None:
        self._portfolio, self._cache, self._prices = portfolio, cache, prices
        self.unpriced: set[str] = set()

    def parts(self, venue: Venue, account: Any) -> Iterator[Part]:
        """What the account has, in its base currency or in each of its currencies."""
        if (currency := account.base_currency) is None:
            yield from self._by_currency(venue, account)
            return
        balance = account.balance_total(currency).as_decimal()
        unrealized = self._unrealized(account.id)
        if account.is_margin_account:
            yield Part(venue, currency, balance, unrealized, balance + unrealized)
            return
        equity = self._portfolio.equity(venue, account.id)[currency].as_decimal()
        for instrument_id in self._portfolio.missing_price_instruments(venue):
            equity += self._worth(instrument_id, account)
        yield Part(venue, currency, balance, unrealized, equity)

    def _by_currency(self, venue: Venue, account: Any) -> Iterator[Part]:
        """Of an account without a base currency. One that pays in full has what it bought as a balance, where that is a currency."""
        for currency, money in account.balances_total().items():
            total = money.as_decimal()
            yield Part(venue, currency, total, Decimal(0), total)
        for position in self._cache.positions_open(account_id=account.id):
            if (price := self._prices.of(position)) is None:
                self.unpriced.add(position.instrument_id.value)
                continue
            pnl = position.unrealized_pnl(price)
            unrealized = equity = pnl.as_decimal()
            if not account.is_margin_account:
                is_balance = self._cache.instrument(position.instrument_id).get_base_currency() is not None
                worth = position.notional_value(price).as_decimal()
                equity = Decimal(0) if is_balance else worth * (1 if position.is_long else -1)
            yield Part(venue, pnl.currency, Decimal(0), unrealized, equity)

    def _unrealized(self, account_id: Any) -> Decimal:
        """Profit of an account's open positions: all that `portfolio.equity` adds to a margin account's balance, at two thirds of its time.

        By the account: without one NautilusTrader answers with what it worked out last, which trades do not renew, and with 0 for
        what it cannot value.
        """
        total = Decimal(0)
        for instrument_id in {
            each.instrument_id for each in self._cache.positions_open(account_id=account_id)
        }:
            pnl = self._pnl(instrument_id, account_id)
            if pnl is None:
                self.unpriced.add(instrument_id.value)
            else:
                total += pnl.as_decimal()
        return total

    def _pnl(self, instrument_id: Any, account_id: Any) -> Any:
        pnl = self._portfolio.unrealized_pnl(instrument_id, account_id=account_id)
        if pnl is not None:
            return pnl
        is_long = self._portfolio.net_position(instrument_id, account_id=account_id) >= 0
        price = self._prices.in_book(instrument_id, is_long=is_long)
        return price and self._portfolio.unrealized_pnl(instrument_id, price=price, account_id=account_id)

    def _worth(self, instrument_id: Any, account: Any) -> Decimal:
        """Of what a CASH account holds and the portfolio cannot value."""
        total = Decimal(0)
        for position in self._cache.positions_open(instrument_id=instrument_id, account_id=account.id):
            price = self._prices.in_book(instrument_id, is_long=position.is_long)
            if price is None or position.settlement_currency != account.base_currency:
                self.unpriced.add(instrument_id.value)
                return Decimal(0)
            total += position.notional_value(price).as_decimal() * (1 if position.is_long else -1)
        return total


def rate_of(cache: Any, part: Part, currency: Any) -> Decimal | None:
    """What one of the part's currency is worth in `currency`; None where nothing tells, unless there is nothing of it."""
    if part.currency == currency or not (part.balance or part.unrealized or part.equity):
        return Decimal(1)
    return rate(cache, part.venue, part.currency, currency)
