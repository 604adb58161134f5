"""What venues themselves report of open orders and positions, and what the node believes of them.

Most adapters of NautilusTrader turn a report that failed into an empty one, and go on. Here it is a failure.
"""

import asyncio
import re
from collections import defaultdict
from collections.abc import Callable, Coroutine, Iterable
from decimal import Decimal
from typing import Any, Final

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.messages import GenerateOrderStatusReports, GeneratePositionStatusReports

from flotilla.engine_sidecar.engine.venues.comparison import Side

_SIGNED: Final = re.compile(r"[?&](?:timestamp|recvWindow|signature)=[^&)\s]*")
LOOK_S: Final = 10.0
"""How long a venue has for its reports. Some of NautilusTrader's clients wait for ever."""


class ReportsFailed(Exception):
    """A venue did not say what it has."""


class VenueReports:
    """The execution clients of a node that trade at venues. `hidden` takes secrets out of a text."""

    def __init__(self, kernel: Any, hidden: Callable[[str], str]) -> None:
        self._kernel, self._hidden = kernel, hidden
        self._faults: list[str] = []
        self.clients = tuple(each for each in kernel.exec_engine._clients.values() if _is_at_venue(each))
        for client in self.clients:
            self._hear_faults(client)

    def forget_faults(self) -> None:
        """Begins anew, before something that asks venues."""
        self._faults.clear()

    def check_faults(self) -> None:
        """Raises ReportsFailed for the first report since that failed, whether the adapter said so or not."""
        if self._faults:
            raise ReportsFailed(self._faults[0])

    async def of(self, client: Any) -> Side:
        """What the venue says. Raises ReportsFailed when it does not, or not in time."""
        self.forget_faults()
        about = {"instrument_id": None, "start": None, "end": None, "command_id": UUID4()}
        about["ts_init"] = self._kernel.clock.timestamp_ns()
        orders, positions = await self._in_time(
            client,
            client.generate_order_status_reports(GenerateOrderStatusReports(open_only=True, **about)),
            client.generate_position_status_reports(GeneratePositionStatusReports(**about)),
        )
        self.check_faults()
        net: dict[str, Decimal] = defaultdict(Decimal)
        for report in positions:
            net[report.instrument_id.value] += report.signed_decimal_qty
        return Side(
            {name: quantity for name, quantity in net.items() if quantity},
            {
                report.venue_order_id.value: report.filled_qty.as_decimal()
                for report in orders
                if report.is_open
            },
        )

    async def _in_time(self, client: Any, *reports: Coroutine[Any, Any, list[Any]]) -> list[list[Any]]:
        """Each in a task of its own: adapters swallow a cancellation as well, and answer with nothing."""
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._told_if_failed(client, each)) for each in reports]
            _, late = await asyncio.wait(asked, timeout=LOOK_S)
            for task in late:
                task.cancel()
        if late:
            raise ReportsFailed(f"{client.id} did not report its orders and positions within {LOOK_S:g} s")
        return [task.result() for task in asked]

    async def _told_if_failed(self, client: Any, report: Coroutine[Any, Any, list[Any]]) -> list[Any]:
        try:
            return await report
        except Exception as error:  # noqa: BLE001 - whatever an adapter raises, it did not report
            self._faults.append(self._told(client, "reports", error))
            return []

    def believed(self, client: Any) -> Side:
        """What the node believes of the account that the client trades."""
        cache, account = self._kernel.cache, client.account_id
        orders = [each for each in cache.orders_open() if each.account_id == account and not each.is_emulated]
        return Side(
            net_positions(cache.positions_open(account_id=account)),
            {
                each.venue_order_id.value: each.filled_qty.as_decimal()
                for each in orders
                if each.venue_order_id
            },
        )

    def _hear_faults(self, client: Any) -> None:
        """Notes what the adapter swallows: what it logs as a failed report, and what Binance's client raises."""
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
                self._faults.append(self._told(client, path, error))
                raise

        http.send_request = send_and_note

    def _told(self, client: Any, what: str, error: BaseException) -> str:
        return f"{client.id} {what.partition('?')[0]}: {fault_words(error, self._hidden)}"


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


def _is_at_venue(client: Any) -> bool:
    """False for simulated accounts, which load no instruments of their own."""
    provider = getattr(client, "_instrument_provider", None)
    return provider is not None and type(provider) is not InstrumentProvider
