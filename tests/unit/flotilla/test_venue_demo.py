"""What `flotilla demo --venue` holds against each other: the engine's fills and the exchange's ledger, trade by trade."""

import pytest

from flotilla.demo.exchange import Ledger, LedgerFill
from flotilla.demo.venue import disagreements
from flotilla.schemas.telemetry import Fill


def fill(trade_id: str, price: str = "50000.1", commission: str = "0.25") -> Fill:
    return Fill(
        trade_id=trade_id,
        client_order_id="O-1",
        instrument_id="BTCUSDT-PERP.BINANCE",
        strategy_id="EMACross-001",
        side="BUY",
        last_qty="0.010",
        last_px=price,
        currency="USDT",
        commission=commission,
        liquidity_side="TAKER",
        ts_event=1,
    )


def kept(trade_id: str) -> LedgerFill:
    return LedgerFill(trade_id=trade_id, side="BUY", quantity="0.01", price="50000.10", fee="0.25000")


def ledger(*trades: str, positions: int = 0, open_orders: int = 0) -> Ledger:
    return Ledger(
        fills=tuple(map(kept, trades)), positions=positions, open_orders=open_orders, wallet="100000"
    )


def test_the_same_trades_agree_however_their_figures_are_written() -> None:
    assert disagreements([fill("1"), fill("2")], ledger("2", "1")) == []


@pytest.mark.parametrize(
    ("fills", "there", "told"),
    [
        ([], ledger("1"), "1 trades of the exchange are not among the engine's events"),
        ([fill("1")], ledger(), "1 fills of the engine's events are not in the exchange's ledger"),
        (
            [fill("1", price="50000.2")],
            ledger("1"),
            "1 trades of the exchange are not among the engine's events",
        ),
        (
            [fill("1", commission="0.26")],
            ledger("1"),
            "1 fills of the engine's events are not in the exchange's ledger",
        ),
        ([fill("1"), fill("1")], ledger("1"), "a trade was heard of twice: 2 fills of 1 trades"),
        ([], ledger(positions=1), "the exchange has 1 open positions"),
        ([], ledger(open_orders=2), "the exchange has 2 open orders"),
    ],
)
def test_what_differs_is_told(fills: list[Fill], there: Ledger, told: str) -> None:
    assert told in disagreements(fills, there)
