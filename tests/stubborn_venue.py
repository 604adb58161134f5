"""A venue with a mind and a book of its own: it acknowledges, rejects, or stays silent, and its book says what is really so."""

import asyncio
import json
import os
import random
from decimal import Decimal
from pathlib import Path
from typing import Any

from nautilus_trader.common.providers import InstrumentProvider
from nautilus_trader.core.uuid import UUID4
from nautilus_trader.execution.reports import PositionStatusReport
from nautilus_trader.live.config import LiveExecClientConfig
from nautilus_trader.live.execution_client import LiveExecutionClient
from nautilus_trader.live.factories import LiveExecClientFactory
from nautilus_trader.model.enums import (
    AccountType,
    LiquiditySide,
    OmsType,
    OrderSide,
    OrderType,
    PositionSide,
)
from nautilus_trader.model.identifiers import AccountId, ClientId, InstrumentId, TradeId, Venue, VenueOrderId
from nautilus_trader.model.objects import AccountBalance, Currency, Money, Quantity

ANSWERED_LATE = 80
"""Orders of this size are taken, and acknowledged late or never."""
PARTLY_FILLED = 90
"""Orders of this size are filled by 40 at once."""


class StubbornConfig(LiveExecClientConfig, frozen=True, kw_only=True):
    """`mood` is how it answers cancels and orders that close positions; `book` is where it keeps its truth.

    `found` is what the account holds of SPX.SIM before the engine comes.
    """

    mood: str
    book: str
    seed: int = 0
    found: int = 0


class Stubborn(LiveExecutionClient):
    """Executes what it takes. One that is silent does, or does not do, what it is told: nobody hears of it."""

    def __init__(self, config: StubbornConfig, **parts: Any) -> None:
        super().__init__(
            oms_type=OmsType.NETTING,
            account_type=AccountType.MARGIN,
            base_currency=Currency.from_str("USD"),
            instrument_provider=InstrumentProvider(),
            config=config,
            **parts,
        )
        self.mood, self.file = config.mood, Path(config.book)
        self.random = random.Random(config.seed)
        self.obeys_in_silence = self.random.random() < 0.5
        self.open: dict[str, Decimal] = {}
        self.net = Decimal(config.found)
        self.told = {"cancelled": 0, "closed": 0}
        self.number = 0
        self._set_account_id(AccountId("SIM-001"))
        self.write()

    def write(self) -> None:
        book = {
            "open": {name: str(left) for name, left in self.open.items()},
            "net": str(self.net),
            "told": self.told,
        }
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps(book))
        os.replace(draft, self.file)

    async def _connect(self) -> None:
        balance = Money(1_000_000, Currency.from_str("USD"))
        nothing = Money(0, balance.currency)
        self.generate_account_state(
            [AccountBalance(balance, nothing, balance)], [], True, self._clock.timestamp_ns()
        )

    async def _disconnect(self) -> None:
        pass

    async def generate_order_status_report(self, command: Any) -> None:
        return None

    async def generate_order_status_reports(self, command: Any) -> list[Any]:
        return []

    async def generate_fill_reports(self, command: Any) -> list[Any]:
        return []

    async def generate_position_status_reports(self, command: Any) -> list[Any]:
        if not self.net:
            return []
        now = self.now()
        holding = PositionStatusReport(
            account_id=self.account_id,
            instrument_id=InstrumentId.from_str("SPX.SIM"),
            position_side=PositionSide.LONG,
            quantity=Quantity(self.net, 0),
            report_id=UUID4(),
            ts_last=now,
            ts_init=now,
            avg_px_open=Decimal(1000),
        )
        return [holding]

    async def _query_order(self, command: Any) -> None:
        """Is never answered."""

    async def _submit_order(self, command: Any) -> None:
        order = command.order
        self.generate_order_submitted(*about(order), self.now())
        await self.pause()
        if order.is_reduce_only and self.mood == "rejects":
            self.generate_order_rejected(*about(order), "not now", self.now())
        elif order.is_reduce_only and self.mood == "is silent":
            if self.obeys_in_silence:
                self.trade(order.side, order.quantity.as_decimal())
        else:
            await self.take(order)

    async def take(self, order: Any) -> None:
        self.open[order.client_order_id.value] = order.quantity.as_decimal()
        self.write()
        if order.quantity == ANSWERED_LATE:
            if self.mood == "is silent":
                return
            await asyncio.sleep(self.random.uniform(0.1, 0.4))
        self.accept(order)
        if order.order_type == OrderType.MARKET:
            await self.fill(order, order.quantity.as_decimal() * Decimal("0.4"))
            await self.fill(order, order.quantity.as_decimal() * Decimal("0.6"))
        elif order.quantity == PARTLY_FILLED:
            await self.fill(order, Decimal(40))

    def accept(self, order: Any) -> None:
        self.generate_order_accepted(
            *about(order), VenueOrderId(f"V-{order.client_order_id.value[-1]}"), self.now()
        )

    async def _cancel_order(self, command: Any) -> None:
        await self.pause()
        order = self._cache.order(command.client_order_id)
        name = order.client_order_id.value
        where = (*about(order), order.venue_order_id)
        if self.mood == "rejects":
            self.generate_order_cancel_rejected(*where, "not now", self.now())
        elif self.mood == "is silent":
            if self.obeys_in_silence:
                self.open.pop(name, None)
                self.write()
        elif name in self.open:
            if self.random.random() < 0.3:
                await self.fill(order, Decimal(10))  # it was too late for that much
            if self.open.pop(name, None) is not None:
                self.told["cancelled"] += 1
                self.write()
                self.generate_order_canceled(*where, self.now())

    async def _cancel_all_orders(self, command: Any) -> None:
        raise NotImplementedError

    async def fill(self, order: Any, quantity: Decimal) -> None:
        name = order.client_order_id.value
        self.open[name] -= quantity
        if not self.open[name]:
            del self.open[name]
        was_open = self.net != 0
        self.trade(order.side, quantity)
        self.told["closed"] += was_open and self.net == 0
        self.write()
        self.number += 1
        instrument = self._cache.instrument(order.instrument_id)
        self.generate_order_filled(
            *about(order),
            order.venue_order_id or VenueOrderId(f"V-{name[-1]}"),
            None,
            TradeId(f"T-{self.number}"),
            order.side,
            order.order_type,
            Quantity(quantity, instrument.size_precision),
            instrument.make_price(1000),
            instrument.quote_currency,
            Money(0, instrument.quote_currency),
            LiquiditySide.TAKER,
            self.now(),
        )
        await self.pause()

    def trade(self, side: OrderSide, quantity: Decimal) -> None:
        self.net += quantity if side == OrderSide.BUY else -quantity
        self.write()

    def now(self) -> int:
        return int(self._clock.timestamp_ns())

    async def pause(self) -> None:
        """As long as a venue may take; longer at times."""
        await asyncio.sleep(self.random.choice((0.0, 0.002, 0.02, 0.05)))


def about(order: Any) -> tuple[Any, Any, Any]:
    return order.strategy_id, order.instrument_id, order.client_order_id


class StubbornFactory(LiveExecClientFactory):
    @staticmethod
    def create(name: str, config: StubbornConfig, **parts: Any) -> Stubborn:
        return Stubborn(config, client_id=ClientId(name), venue=Venue(name), **parts)
