"""What a tear sheet says above NautilusTrader's plots: its figures with their digits, and text of others as text."""

import re

import msgspec

from flotilla.engine_sidecar.backtest.report import curve_chart, own_figures
from flotilla.schemas.backtest import EquityPoint, OrderReason, TrialResult
from tests.integration.gateway_backtests import DAY_NS, METRICS, SUMMARY


def point(day: int, equity: float, drawdown: float) -> EquityPoint:
    return EquityPoint(
        at_ns=day * DAY_NS, equity=equity, balance=equity, unrealized_pnl=0.0, drawdown=drawdown
    )


CURVE = (point(0, 100_000.0, 0.0), point(0, 100_000.0, 0.0), point(1, 80_000.0, 0.2), point(2, 90_000.0, 0.1))
RESULT = TrialResult(
    currency="USD",
    metrics=msgspec.structs.replace(METRICS, max_drawdown_days=2.0, final_equity=90_000.0),
    trades=(),
    orders=(),
    fills=(),
    equity_curve=CURVE,
    statistics={},
    balances={"USD": "90000.00"},
    fees={"USD": "1.50"},
    events=3,
    elapsed_s=1.0,
    open_positions=SUMMARY.open_positions,
    summary=SUMMARY,
)


def rows(html: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in found]


def test_both_kinds_of_figures_stand_side_by_side_under_their_names() -> None:
    found = rows(own_figures("mine", RESULT))
    assert ["", "marked equity", "NautilusTrader"] in found
    assert ["return", "12.00 %", "20.00 %"] in found
    assert ["Sortino ratio", "\N{EN DASH}", "121,660.60"] in found
    assert ["max drawdown", "-20.00 %", "0.00 %"] in found
    assert ["drawdown lasted", "2.0 days", ""] in found
    assert ["final equity", "90,000.00 USD", ""] in found
    assert ["fees", "1.50 USD"] in found


def test_orders_and_what_is_open_are_named() -> None:
    html = own_figures("mine", RESULT)
    assert "4 made, 3 sent: 1 filled, 1 open, 1 rejected, 1 denied" in html
    assert "1 rejected: no market for SPX.SIM" in html
    assert ["LONG SPX.SIM", "1.5", "100.25", "10.50 USD"] in rows(html)
    assert ["SELL LIMIT SPX.SIM", "1.5", "110.00", "ACCEPTED"] in rows(html)


def test_amounts_have_all_of_their_digits_as_in_a_terminal() -> None:
    held = msgspec.structs.replace(
        SUMMARY.open_positions[0], quantity="1500", unrealized_pnl="-0.00000012", currency="BTC"
    )
    summary = msgspec.structs.replace(SUMMARY, open_positions=(held,))
    balances, fees = {"BTC": "0.00123456", "USDT": "1200.50"}, {"BTC": "0.00000001"}
    found = rows(
        own_figures("mine", msgspec.structs.replace(RESULT, summary=summary, balances=balances, fees=fees))
    )
    assert ["final balance", "0.00123456 BTC, 1,200.50 USDT"] in found
    assert ["fees", "0.00000001 BTC"] in found
    assert ["LONG SPX.SIM", "1,500", "100.25", "-0.00000012 BTC"] in found


def test_a_reason_is_text_and_no_html() -> None:
    why = OrderReason(status="rejected", reason="<script>alert(1)</script>", count=1)
    orders = msgspec.structs.replace(SUMMARY.orders, reasons=(why,))
    html = own_figures(
        "mine", msgspec.structs.replace(RESULT, summary=msgspec.structs.replace(SUMMARY, orders=orders))
    )
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_the_picture_has_the_digits_of_the_figures_and_all_its_points() -> None:
    svg = curve_chart(CURVE, "USD")
    assert re.findall(r">([^<>]+)</text>", svg) == [
        *("100,000.00 USD", "80,000.00 USD", "0.00 %", "-20.00 %"),
        *("1970-01-01", "1970-01-03"),
    ]
    equity, lost = re.findall(r'points="([^"]+)"', svg)
    assert equity.split() == ["130.0,20.0", "130.0,20.0", "560.0,280.0", "990.0,150.0"]
    assert lost.split() == ["130.0,310.0", "130.0,310.0", "560.0,410.0", "990.0,360.0"]


def test_a_run_of_one_moment_or_without_a_change_is_drawn_or_left_out() -> None:
    assert curve_chart(CURVE[:1], "USD") == curve_chart(CURVE[:2], "USD") == ""
    flat = curve_chart((point(0, 5.0, 0.0), point(1, 5.0, 0.0)), "USD")
    assert re.findall(r">([^<>]+)</text>", flat)[:2] == ["5.00 USD", "0.00 %"]
