"""What venues themselves report of open orders and positions, and what the node believes of them.

Most adapters of NautilusTrader turn a report that failed into an empty one, and go on. Here it is a failure.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final

import pandas as pd
from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import (
    GenerateFillReports,
    GenerateOrderStatusReport,
    GenerateOrderStatusReports,
    GeneratePositionStatusReports,
)
from nautilus_trader.model.enums import OrderSide, order_status_to_str
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.model.instruments import BettingInstrument, CurrencyPair

from flotilla.engine_sidecar.engine.venues.comparison import Side
from flotilla.engine_sidecar.engine.venues.moving import Orders

_SIGNED: Final = re.compile(r"[?&](?:timestamp|recvWindow|signature)=[^&)\s]*")
_NO_SUCH_ORDER: Final = re.compile(r"-2013\b|does not exist|not found", re.IGNORECASE)
"""How venues say that they know no order of that id: Binance by a code, others in words."""
_REPORTS_PAIRS: Final = "nautilus_trader.adapters.interactive_brokers."
_CLOCKS_NS: Final = 120 * 1_000_000_000
"""By how much a venue's clock may be behind ours: OKX and Binance refuse what is signed by one that is further off (30 s, 5 s)."""
LOOK_S: Final = 10.0
"""How long a venue has for its reports. Some of NautilusTrader's clients wait for ever."""


class ReportsFailed(Exception):
    """A venue did not say what it has."""


class VenueReports:
    """The execution clients of a node that trade at venues. `hidden` takes secrets out of a text."""

    def __init__(self, kernel: Any, hidden: Callable[[str], str]) -> None:
        self._kernel, self._hidden = kernel, hidden
        self._faults: list[str] = []
        self.clients = tuple(each for each in kernel.exec_engine._clients.values() if is_at_venue(each))
        # As they are now: what others put around it may ask questions of its own.
        self._ask_for_order = {each: each.generate_order_status_report for each in self.clients}
        for client in self.clients:
            self._hear_faults(client)

    def forget_faults(self) -> None:
        """Begins anew, before something that asks venues."""
        self._faults.clear()

    def check_faults(self) -> None:
        """Raises ReportsFailed for the first report since that failed, whether the adapter said so or not."""
        if self._faults:
            raise ReportsFailed(self._faults[0])

    async def of(self, client: Any, instruments: Collection[str] | None = None) -> Side:
        """What the venue says, of the orders of these instruments only, or of all. Raises ReportsFailed when it does not, or not in time.

        One question at a time: a failure is known by what was asked when it was heard.
        """
        orders, positions = await self._answered(client, self._asked(client, instruments))
        net: dict[str, Decimal] = defaultdict(Decimal)
        for report in positions:
            net[report.instrument_id.value] += report.signed_decimal_qty
        return Side(
            {
                name: quantity
                for name, quantity in net.items()
                if quantity and self._has_position(client, name)
            },
            {self._named(report): report.filled_qty.as_decimal() for report in orders if report.is_open},
        )

    async def fills(self, client: Any, since_ns: Mapping[str, int]) -> list[Any]:
        """What the venue says of trades by instrument since a moment of the engine's clock, the oldest first. Raises ReportsFailed likewise.

        All that it tells would be thousands of an account that trades much: more than it answers in time. OKX's client asks for its newest
        hundred whatever it is asked.
        """
        reports: list[Any] = await self._answered(client, self._asked_for_fills(client, since_ns))
        return sorted(reports, key=lambda each: each.ts_event)

    async def of_order(self, client: Any, order: Any) -> tuple[str, Decimal] | None:
        """The status and filled quantity that the venue has of an order, open or not; null when it knows no such order.

        The venue's id of it is noted: without it no trade would be known for its.

        Raises ReportsFailed when it does not say. One question at a time.
        """
        # Binance's adapter answers with nothing, and asks nothing, of an order that it failed to hear of some times.
        getattr(client, "_generate_order_status_retries", {}).pop(order.client_order_id, None)
        about = {"command_id": UUID4(), "ts_init": self._kernel.clock.timestamp_ns()}
        command = GenerateOrderStatusReport(
            order.instrument_id, order.client_order_id, order.venue_order_id, **about
        )
        report = await self._asked_once(client, "order", self._ask_for_order[client](command))
        if report is not None:
            if self._kernel.cache.venue_order_id(order.client_order_id) is None:
                self._kernel.cache.add_venue_order_id(order.client_order_id, report.venue_order_id)
            return order_status_to_str(report.order_status), report.filled_qty.as_decimal()
        self._faults = [each for each in self._faults if not _NO_SUCH_ORDER.search(each)]
        self.check_faults()
        return None

    async def _answered[T](self, client: Any, asking: Coroutine[Any, Any, T]) -> T:
        answer = await self._asked_once(client, "reports", asking)
        self.check_faults()
        return answer

    async def _asked_once[T](self, client: Any, what: str, asking: Coroutine[Any, Any, T]) -> T:
        self.forget_faults()
        try:
            return await in_time(asking, LOOK_S)
        except ReportsFailed:
            raise
        except Exception as error:
            raise ReportsFailed(self._told(client, what, error)) from error

    def believed(self, client: Any) -> Side:
        """What the node believes of the account that the client trades.

        Of orders only those that it submitted: others' are taken up from reports, and are nothing that it knew of.
        """
        cache, account = self._kernel.cache, client.account_id
        orders = [
            each
            for each in cache.orders_open()
            if each.account_id == account and each.ts_submitted and not each.is_emulated
        ]
        net = net_positions(cache.positions_open(account_id=account))
        return Side(
            {name: quantity for name, quantity in net.items() if self._has_position(client, name)},
            {
                (each.instrument_id.value, each.client_order_id.value): each.filled_qty.as_decimal()
                for each in orders
                if each.venue_order_id
            },
        )

    def on_their_way(self, client: Any) -> Orders:
        """The orders that wait for the venue's answer, with what they may still be filled, signed."""
        return {
            (each.instrument_id.value, each.client_order_id.value): each.leaves_qty.as_decimal()
            * (1 if each.side == OrderSide.BUY else -1)
            for each in self._kernel.cache.orders_inflight()
            if each.account_id in (None, client.account_id)
        }

    async def _asked(self, client: Any, instruments: Collection[str] | None) -> tuple[list[Any], list[Any]]:
        about = {
            "start": None,
            "end": None,
            "command_id": UUID4(),
            "ts_init": self._kernel.clock.timestamp_ns(),
        }
        ids = [None] if instruments is None else [InstrumentId.from_str(each) for each in sorted(instruments)]
        orders: list[Any] = []
        for each in ids:
            orders += await client.generate_order_status_reports(
                GenerateOrderStatusReports(instrument_id=each, open_only=True, **about)
            )
        return orders, await client.generate_position_status_reports(
            GeneratePositionStatusReports(instrument_id=None, **about)
        )

    async def _asked_for_fills(self, client: Any, since_ns: Mapping[str, int]) -> list[Any]:
        reports: list[Any] = []
        for each, since in sorted(since_ns.items()):
            reports += await client.generate_fill_reports(
                GenerateFillReports(
                    instrument_id=InstrumentId.from_str(each),
                    venue_order_id=None,
                    start=pd.Timestamp(max(0, since - _CLOCKS_NS), tz="UTC") if since else None,
                    end=None,
                    command_id=UUID4(),
                    ts_init=self._kernel.clock.timestamp_ns(),
                )
            )
        return reports

    def _named(self, report: Any) -> tuple[str, str]:
        """By the engine's id of the order, where it has it."""
        cache, instrument = self._kernel.cache, report.instrument_id.value
        client_id = report.client_order_id or cache.client_order_id(report.venue_order_id)
        return instrument, (client_id or report.venue_order_id).value

    def _has_position(self, client: Any, name: str) -> bool:
        """False for what is no position at the venue: a currency pair on an exchange is a balance there, a bet is a bet."""
        instrument = self._kernel.cache.instrument(InstrumentId.from_str(name))
        if isinstance(instrument, CurrencyPair):
            return type(client).__module__.startswith(_REPORTS_PAIRS)
        return not isinstance(instrument, BettingInstrument)

    def _hear_faults(self, client: Any) -> None:
        """Notes what the adapter swallows: what it logs as a failed report, and what Binance's client raises of questions."""
        log_error = client._log_report_error

        def log_and_note(error: BaseException, report_type: str) -> None:
            self._faults.append(self._told(client, report_type, error))
            log_error(error, report_type)

        client._log_report_error = log_and_note
        http = getattr(getattr(client, "_http_account", None), "client", None)
        if http is None or not hasattr(http, "send_request"):
            return
        send = http.send_request

        async def send_and_note(method: Any, path: str, *args: Any, **kwargs: Any) -> Any:
            try:
                return await send(method, path, *args, **kwargs)
            except Exception as error:
                if str(method).endswith("GET"):
                    self._faults.append(self._told(client, path, error))
                raise

        http.send_request = send_and_note

    def _told(self, client: Any, what: str, error: BaseException) -> str:
        return f"{client.id} {what.partition('?')[0]}: {fault_words(error, self._hidden)}"


async def in_time[T](work: Coroutine[Any, Any, T], within_s: float) -> T:
    """Raises ReportsFailed when it takes longer, and waits for it no more: adapters swallow a cancellation, and go on."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        await asyncio.wait([task], timeout=max(within_s, 0.0))
    finally:
        if not task.done():
            task.cancel()
            _ABANDONED.add(task)
            task.add_done_callback(_ABANDONED.discard)
    if not task.done():
        raise ReportsFailed("orders and positions were not reported in time")
    return task.result()


_ABANDONED: Final[set[asyncio.Task[Any]]] = set()
"""What nobody waits for any more, until it ends: the loop itself holds tasks by a weak reference only."""


def fault_words(error: BaseException, hidden: Callable[[str], str]) -> str:
    """What an adapter raised, without secrets and without the signature that it was asked with."""
    text = str(error)
    return hidden(_SIGNED.sub("", f"{type(error).__name__}: {text}" if text else type(error).__name__))


def net_positions(positions: Iterable[Any]) -> dict[str, Decimal]:
    """The net quantity by instrument; flat ones are left out."""
    net: dict[str, Decimal] = defaultdict(Decimal)
    for position in positions:
        net[position.instrument_id.value] += position.signed_decimal_qty()
    return {name: quantity for name, quantity in net.items() if quantity}


def is_at_venue(client: Any) -> bool:
    """False for simulated accounts, which load no instruments of their own."""
    provider = getattr(client, "_instrument_provider", None)
    return provider is not None and type(provider) is not InstrumentProvider
