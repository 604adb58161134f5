"""Fills of orders that had ended for the engine: rejected, as no answer came, and filled at the venue all the same.

NautilusTrader gives such a fill to the position and not to the order, whose state allows none. So the order lacks it for ever, and each
report of the venue brings it again: at every start of an engine with a kept state the position would have it once more, or, where it
was flat meanwhile, an order is made up for the difference (`make soak` found it). So these trades are remembered with the state,
and the venue's reports are handed on without them.
"""

from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

import msgspec
from nautilus_trader.model.events import OrderFilled

KEPT: Final = 2_000
"""So many trades are remembered: each is a false rejection."""
_KEY: Final = "flotilla-late-fills"

type Trade = tuple[str, str]
"""The instrument, and the venue's id of the trade."""


def repair_late_fills(engine: Any) -> None:
    """Has the execution engine take no report for news of what a position got from an order that had ended."""
    late = _LateFills(engine._cache)
    engine._msgbus.subscribe("events.order.*", late.note)
    reconcile = engine._reconcile_execution_mass_status

    def without_them(mass_status: Any) -> bool:
        late.leave_out(mass_status)
        is_done: bool = reconcile(mass_status)
        return is_done

    engine._reconcile_execution_mass_status = without_them


def late_trades(cache: Any) -> set[Trade]:
    """Those that are remembered."""
    return set(_kept(cache))


def _kept(cache: Any) -> list[Trade]:
    kept = cache.get(_KEY)
    return msgspec.json.decode(kept, type=list[Trade]) if kept else []


def trade_of(fill: Any) -> Trade:
    """Of an event or a report."""
    return fill.instrument_id.value, fill.trade_id.value


class _LateFills:
    def __init__(self, cache: Any) -> None:
        self._cache = cache
        self._kept: deque[Trade] | None = None

    def note(self, event: Any) -> None:
        """Remembers a fill that its order did not take."""
        if isinstance(event, OrderFilled):
            order = self._cache.order(event.client_order_id)
            key = trade_of(event)
            if order is not None and event.trade_id not in order.trade_ids and key not in self._trades:
                self._trades.append(key)
                self._cache.add(_KEY, msgspec.json.encode(list(self._trades)))

    def leave_out(self, mass_status: Any) -> None:
        """Takes them out of a report, and with them the orders of which it says nothing else."""
        known = set(self._trades)
        for number in list(self._with_any(mass_status, known)):
            found = mass_status._fill_reports[number]
            if news := [each for each in found if trade_of(each) not in known]:
                mass_status._fill_reports[number] = news
                continue
            del mass_status._fill_reports[number]
            report = mass_status._order_reports.get(number)
            if report is not None and self._is_told(report, found):
                del mass_status._order_reports[number]

    @property
    def _trades(self) -> deque[Trade]:
        """What is kept of sessions before is there once the cache was read."""
        if self._kept is None:
            self._kept = deque(_kept(self._cache), maxlen=KEPT)
        return self._kept

    def _with_any(self, mass_status: Any, known: set[Trade]) -> Iterator[Any]:
        for number, found in mass_status._fill_reports.items():
            if any(trade_of(each) in known for each in found):
                yield number

    def _is_told(self, report: Any, fills: list[Any]) -> bool:
        """True where the order, and these fills, are all that the venue says of it."""
        client_id = report.client_order_id or self._cache.client_order_id(report.venue_order_id)
        order = self._cache.order(client_id) if client_id is not None else None
        if order is None or not order.is_closed:
            return False
        told: Decimal = sum((each.last_qty.as_decimal() for each in fills), order.filled_qty.as_decimal())
        return bool(told >= report.filled_qty.as_decimal())
