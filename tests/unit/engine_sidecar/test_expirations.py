"""Orders that a venue makes at an expiry: numbers stand for what was drawn at random, the same in each run."""

from typing import Any
from uuid import UUID

import pytest

from flotilla.engine_sidecar.backtest.expirations import numbered
from flotilla.schemas.telemetry import Fill, OrderUpdate


def order(name: str, ts: int = 1) -> OrderUpdate:
    return OrderUpdate(
        event="OrderInitialized",
        client_order_id=name,
        instrument_id="ESU0.CME",
        strategy_id="S-001",
        status="INITIALIZED",
        side="SELL",
        order_type="MARKET",
        quantity="2",
        filled_qty="0",
        time_in_force="GTC",
        ts_event=ts,
        venue_order_id=None,
    )


def fill(name: str, **more: Any) -> Fill:
    own = {"trade_id": "T-1", "side": "SELL", "last_qty": "2", "last_px": "3300.25", "currency": "USD"}
    own |= {"commission": "0", "liquidity_side": "TAKER", "ts_event": 1}
    return Fill(client_order_id=name, instrument_id="ESU0.CME", strategy_id="S-001", **own | more)


@pytest.mark.parametrize(
    ("drawn", "other", "wanted"),
    [
        (
            f"EXPIRATION-LEG-{UUID(int=7)}",
            f"EXPIRATION-LEG-{UUID(int=9)}",
            ("EXPIRATION-LEG-1", "EXPIRATION-LEG-2"),
        ),
        ("OPRA-LEG-OTM-0a1b2c3d", "OPRA-LEG-EX-ffffffff-CLOSE", ("OPRA-LEG-OTM-1", "OPRA-LEG-EX-2-CLOSE")),
    ],
)
def test_what_was_drawn_is_numbered_by_its_fills_and_filled(
    drawn: str, other: str, wanted: tuple[str, str]
) -> None:
    orders, fills = numbered(
        [order(other), order(drawn), order("O-1")], [fill(drawn), fill(other, trade_id=other)]
    )
    assert tuple(one.client_order_id for one in fills) == wanted
    assert fills[1].trade_id == (wanted[1] if wanted[1].startswith("OPRA") else "EXPIRATION-LEG-2")
    assert [one.client_order_id for one in orders] == [wanted[1], wanted[0], "O-1"]
    assert [(one.status, one.filled_qty, one.avg_px) for one in orders] == [
        ("FILLED", "2", "3300.25"),
        ("FILLED", "2", "3300.25"),
        ("INITIALIZED", "0", None),
    ]


def test_an_order_that_the_market_had_no_size_for_is_filled_in_part() -> None:
    drawn = f"EXPIRATION-LEG-{UUID(int=7)}"
    parts = [fill(drawn, last_qty="1", last_px=price) for price in ("3300.00",)]
    ((one,), _) = numbered([order(drawn)], parts)
    assert (one.status, one.filled_qty, one.avg_px) == ("PARTIALLY_FILLED", "1", "3300.00")


def test_all_other_orders_stay_as_they_are() -> None:
    made = [order("O-20200913-120000-001-001-1"), order("O-2")], [fill("O-2")]
    assert numbered(*made) == (tuple(made[0]), tuple(made[1]))
