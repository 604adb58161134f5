"""What keeps an engine from trading as configured, by what the venue says of key, instrument and size."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from nautilus_trader.model.identifiers import InstrumentId
from nautilus_trader.test_kit.providers import TestInstrumentProvider

from flotilla.engine_sidecar.engine.venues.fitness import hear_permission, unfit, wrong_size
from flotilla.schemas.states import FailureReason

PERPETUAL = TestInstrumentProvider.btcusdt_perp_binance()


@pytest.mark.parametrize(
    ("size", "why"),
    [
        ("0.001", ""),
        ("1", ""),
        ("1.000", ""),
        ("1.0000", ""),
        ("0.0001", f"{PERPETUAL.id} takes 3 decimals"),
        ("0", f"the least that {PERPETUAL.id} takes is 0.001"),
        ("1001", f"the most that {PERPETUAL.id} takes is 1000.000"),
    ],
)
def test_a_size_is_one_that_the_instrument_takes(size: str, why: str) -> None:
    assert wrong_size(Decimal(size), PERPETUAL) == why


def test_a_size_between_two_steps_is_refused() -> None:
    lots = SimpleNamespace(
        id="X", size_precision=0, min_quantity=None, max_quantity=None, size_increment=_Amount("100")
    )
    assert wrong_size(Decimal(150), lots) == "X takes multiples of 100"
    assert wrong_size(Decimal(200), lots) == ""


class _Amount(str):
    def as_decimal(self) -> Decimal:
        return Decimal(self)


def kernel_of(*strategies: Any, client: Any = None, status: str | None = None) -> Any:
    instrument = SimpleNamespace(
        id=PERPETUAL.id,
        info={"status": status} if status else None,
        size_precision=3,
        min_quantity=PERPETUAL.min_quantity,
        max_quantity=PERPETUAL.max_quantity,
        size_increment=PERPETUAL.size_increment,
    )
    return SimpleNamespace(
        exec_engine=SimpleNamespace(_clients={} if client is None else {1: client}),
        cache=SimpleNamespace(instrument={PERPETUAL.id: instrument}.get),
        trader=SimpleNamespace(strategies=lambda: strategies),
    )


def strategy(size: object) -> Any:
    config = SimpleNamespace(instrument_id=PERPETUAL.id, trade_size=size)
    return SimpleNamespace(id="S-1", config=config)


async def test_a_key_is_judged_by_what_its_account_says() -> None:
    async def query_futures_account_info(**_: Any) -> Any:
        return SimpleNamespace(canTrade=False)

    account = SimpleNamespace(query_futures_account_info=query_futures_account_info)
    client = SimpleNamespace(id="V", _futures_http_account=account)
    hear_permission(client)
    assert unfit(kernel_of(client=client), ())[0] == ""
    await account.query_futures_account_info(recv_window="5000")
    assert unfit(kernel_of(client=client), ()) == (
        "the secret of venue V: its key has no permission to trade",
        FailureReason.CONFIG,
    )


@pytest.mark.parametrize(
    ("kernel", "told", "reason"),
    [
        (kernel_of(strategy(Decimal("0.01"))), "", FailureReason.VENUE),
        (kernel_of(strategy(0.0001)), "", FailureReason.VENUE),
        (kernel_of(strategy(Decimal(0))), "trade_size of S-1 is 0: the least", FailureReason.CONFIG),
        (kernel_of(status="TRADING"), "", FailureReason.VENUE),
        (kernel_of(status="SETTLING"), "does not trade: the venue says SETTLING", FailureReason.VENUE),
        (kernel_of(strategy(Decimal(0)), status="CLOSE"), "the venue says CLOSE", FailureReason.CONFIG),
    ],
)
def test_what_is_wrong_is_told_by_field(kernel: Any, told: str, reason: FailureReason) -> None:
    text, said = unfit(kernel, (PERPETUAL.id, InstrumentId.from_str("GONE.BINANCE")))
    assert (said, bool(text)) == (reason, bool(told))
    assert told in text


def test_a_halt_that_is_on_record_in_the_catalog_is_none_that_the_venue_says() -> None:
    kernel = kernel_of(strategy(Decimal(0)), status="BREAK")
    text, _ = unfit(kernel, (PERPETUAL.id,), of_catalog={PERPETUAL.id})
    assert "the venue says" not in text
    assert "trade_size of S-1 is 0" in text
