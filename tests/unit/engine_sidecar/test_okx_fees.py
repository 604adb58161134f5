"""Each fee is charged once, however the engine hears of a fill: repairs/okx_fees.py, on an adapter that says what is new since it last heard."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.core import nautilus_pyo3 as rust
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import FillReport
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.enums import LiquiditySide, OrderSide
from nautilus_trader.model.identifiers import ClientOrderId, TradeId, VenueOrderId
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.test_kit.stubs.events import TestEventStubs
from nautilus_trader.test_kit.stubs.execution import TestExecStubs

from flotilla.engine_sidecar.engine.repairs import okx_fees
from flotilla.engine_sidecar.engine.repairs.okx_fees import Heard, repair_okx_fees

PERP = TestInstrumentProvider.btcusdt_perp_binance()
FEES = {"1": Decimal("0.4"), "2": Decimal("0.2"), "3": Decimal("0.1")}


class Cache:
    """The orders that the engine has, by the venue's ids."""

    def __init__(self) -> None:
        self.orders: dict[str, Any] = {}

    def client_order_id(self, venue_order_id: VenueOrderId) -> ClientOrderId | None:
        name = venue_order_id.value
        return ClientOrderId(f"O{name}") if name in self.orders else None

    def order(self, client_order_id: ClientOrderId) -> Any:
        return self.orders.get(client_order_id.value[1:])


class Client:
    """The part of the adapter's execution client that is mended: what it heard of each order, and the venue's trades of order 1."""

    def __init__(self) -> None:
        self._cache, self.handled, self.trades = Cache(), list[Any](), list[str]()
        self._heard: dict[str, Decimal] = {}

    def _handle_fill_report_pyo3(self, report: Any) -> None:
        self.handled.append(report)

    async def generate_fill_reports(self, _: object) -> list[FillReport]:
        return [told(trade) for trade in self.trades]

    def push(self, trade: str, order: str = "1") -> Decimal:
        """The fee that a fill is charged with, which the venue's socket tells."""
        paid = sum((fee for name, fee in FEES.items() if name <= trade), Decimal())
        new = paid - self._heard.get(order, Decimal())
        self._heard[order] = paid
        self._handle_fill_report_pyo3(heard(trade, order, new))
        return Decimal(str(self.handled[-1].commission).partition(" ")[0])

    def add(self, trade: str, fee: Decimal, order: str = "1") -> None:
        """The engine has a fill."""
        known = self._cache.orders.setdefault(order, SimpleNamespace(events=[], is_closed=False))
        commission = Money(fee, USDT)
        known.events.append(
            TestEventStubs.order_filled(
                TestExecStubs.limit_order(PERP), PERP, trade_id=TradeId(trade), commission=commission
            )
        )

    async def ask(self) -> dict[str, Decimal]:
        """The fees of the venue's trades, as they are reported when asked for."""
        reports = await self.generate_fill_reports(None)
        return {each.trade_id.value: each.commission.as_decimal() for each in reports}


Client.__module__ = "nautilus_trader.adapters.okx.execution"


def told(trade: str, order: str = "1", fee: Decimal | None = None) -> FillReport:
    return FillReport(
        account_id=TestExecStubs.cash_account().id,
        instrument_id=PERP.id,
        venue_order_id=VenueOrderId(order),
        client_order_id=ClientOrderId(f"O{order}"),
        trade_id=TradeId(trade),
        order_side=OrderSide.BUY,
        last_qty=PERP.make_qty(1),
        last_px=PERP.make_price(1),
        commission=Money(FEES[trade] if fee is None else fee, USDT),
        liquidity_side=LiquiditySide.TAKER,
        report_id=UUID4(),
        ts_event=int(trade),
        ts_init=0,
    )


def heard(trade: str, order: str, fee: Decimal) -> Any:
    """The same as the adapter's socket hands it on."""
    return rust.FillReport(
        account_id=rust.AccountId("OKX-master"),
        instrument_id=rust.InstrumentId.from_str(PERP.id.value),
        venue_order_id=rust.VenueOrderId(order),
        trade_id=rust.TradeId(trade),
        order_side=rust.OrderSide.BUY,
        last_qty=rust.Quantity.from_str("1"),
        last_px=rust.Price.from_str("1"),
        commission=rust.Money.from_str(f"{fee} USDT"),
        liquidity_side=rust.LiquiditySide.TAKER,
        ts_event=int(trade),
        ts_init=0,
        report_id=rust.UUID4(),
        client_order_id=rust.ClientOrderId(f"O{order}"),
    )


@pytest.fixture
def client() -> Any:
    made = Client()
    repair_okx_fees(made)
    return made


def test_fills_that_are_heard_one_after_the_other_have_their_own_fees(client: Any) -> None:
    for trade, fee in FEES.items():
        assert client.push(trade) == fee
        client.add(trade, fee)


def test_what_the_engine_had_before_is_not_charged_again(client: Any) -> None:
    client.add("1", FEES["1"])
    assert client.push("2") == FEES["2"]
    assert client.push("3") == FEES["3"]


async def test_a_fill_of_a_gap_that_is_found_after_the_next_one_was_heard_is_charged_once(
    client: Any,
) -> None:
    charged = client.push("2")
    assert charged == FEES["1"] + FEES["2"]
    client.add("2", charged)
    client.trades = ["1", "2"]
    found = await client.ask()
    assert found["1"] == 0
    client.add("1", found["1"])
    client.trades = ["1", "2", "3"]
    assert (await client.ask())["3"] == FEES["3"]
    assert client.push("3") == FEES["3"]


async def test_a_fill_that_nothing_was_charged_for_keeps_its_fee(client: Any) -> None:
    client.add("1", FEES["1"])
    client.trades = ["1", "2"]
    assert (await client.ask())["2"] == FEES["2"]


async def test_a_rebate_is_given_once_too(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for trade, fee in dict(FEES).items():
        monkeypatch.setitem(FEES, trade, -fee)
    charged = client.push("2")
    client.add("2", charged)
    client.trades = ["1", "2"]
    assert (await client.ask())["1"] == 0


def test_of_orders_that_ended_only_the_last_are_remembered(
    client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(okx_fees, "KEPT", 2)
    kept = Heard(client)
    for order in ("1", "2", "3", "4", "5"):
        kept.own_fee(told("1", order), FEES["1"])
        client.add("1", FEES["1"], order)
        client._cache.orders[order].is_closed = order != "1"
    kept.own_fee(told("1", "6"), FEES["1"])
    assert list(kept.orders) == ["1", "5", "6"], "order 1 is open"
    assert kept.own_fee(told("2"), FEES["2"]) == FEES["2"]
