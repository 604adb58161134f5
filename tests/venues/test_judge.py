"""The judge sees each difference that is planted, and none where there is none."""

from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.venues.judge import (
    Ended,
    Ledger,
    Order,
    Position,
    Sample,
    Session,
    Trade,
    of_orders,
    of_position,
    of_start,
    of_states,
    of_stop,
    of_trades,
)

BOUGHT = Trade("1", "O-1", Decimal("0.030"), Decimal(50_000), Decimal("0.75"))
SOLD = Trade("2", "O-2", Decimal("-0.010"), Decimal(51_000), Decimal("0.25"))
LEDGER = Ledger(
    trades=(BOUGHT, SOLD),
    orders=(Order("O-1", 5_000_000_000), Order("O-2", 6_000_000_000)),
    position=Position(Decimal("0.020"), Decimal(50_000)),
)


def _fill(trade: Trade) -> dict[str, Any]:
    return {
        "trade_id": trade.id,
        "client_order_id": trade.order,
        "side": "BUY" if trade.qty > 0 else "SELL",
        "last_qty": str(abs(trade.qty)),
        "last_px": str(trade.price),
        "commission": str(trade.commission),
    }


def _said(*fills: Trade, qty: str = "0.020", average: str = "50000", trading_s: int = 4) -> Session:
    held = {"position_id": "P-1", "signed_qty": qty, "avg_px_open": average}
    events = (
        ("state", 1_000_000_000, {"state": "reconciling"}),
        ("state", trading_s * 10**9, {"state": "trading"}),
        *(("fill", 7_000_000_000, _fill(each)) for each in fills),
        ("position", 7_000_000_000, {**held, "signed_qty": "0.030"}),
        ("position", 8_000_000_000, held),
    )
    return Session("s-1", 1_000_000_000, events)


RIGHT = _said(BOUGHT, SOLD)


def test_nothing_is_found_where_both_say_the_same() -> None:
    assert of_trades(LEDGER, [RIGHT]) == of_orders(LEDGER, [RIGHT]) == []
    assert of_position(LEDGER, RIGHT) == of_start(LEDGER, RIGHT, until_ns=9_000_000_000) == []
    assert of_position(Ledger((), ()), _said(qty="0.000", average="50000")) == []


def test_a_later_session_may_tell_of_a_trade_again_and_of_what_the_first_did_not() -> None:
    assert of_trades(LEDGER, [_said(BOUGHT), RIGHT]) == []


@pytest.mark.parametrize(
    ("fills", "found"),
    [
        ((BOUGHT,), "fill 2 of O-2 is LOST"),
        ((BOUGHT, SOLD, SOLD), "fill 2 is told TWICE by session s-1"),
        ((BOUGHT, SOLD, replace(SOLD, id="3")), "fill 3 of O-2 is INVENTED"),
        (
            (BOUGHT, replace(SOLD, price=Decimal(51_001))),
            "fill 2 is OTHER than told: {'price': ('51000', '51001')}",
        ),
        ((BOUGHT, replace(SOLD, commission=Decimal(0))), "fill 2 is OTHER than told: {'commission'"),
        ((BOUGHT, replace(SOLD, qty=-SOLD.qty)), "fill 2 is OTHER than told: {'qty'"),
        ((BOUGHT, replace(SOLD, order="O-1")), "fill 2 is OTHER than told: {'order'"),
    ],
)
def test_a_fill_that_is_lost_doubled_invented_or_changed_is_found(
    fills: tuple[Trade, ...], found: str
) -> None:
    (said,) = of_trades(LEDGER, [_said(*fills)])
    assert said.startswith(found)


def test_the_trades_of_somebody_else_may_be_untold_and_nobody_elses() -> None:
    by_hand = replace(LEDGER, trades=(*LEDGER.trades, replace(BOUGHT, id="9", order="web_1")))
    assert of_trades(by_hand, [RIGHT], by_hand=("web_",)) == []
    assert of_trades(by_hand, [RIGHT]) == ["fill 9 of web_1 is LOST: no event has it"]


@pytest.mark.parametrize(
    ("qty", "average", "found"),
    [
        ("0.030", "50000", "the position is 0.020 at the exchange, 0.030 by the engine's events"),
        ("-0.020", "50000", "the position is 0.020 at the exchange, -0.020 by the engine's events"),
        ("0.020", "50005.1", "the average price is 50000 at the exchange, 50005.1 by the engine's events"),
        ("0.020", "49994.9", "the average price is 50000 at the exchange, 49994.9 by the engine's events"),
    ],
)
def test_a_position_of_another_size_or_price_is_found(qty: str, average: str, found: str) -> None:
    assert of_position(LEDGER, _said(qty=qty, average=average)) == [found]
    assert of_position(LEDGER, _said(average="50004.9")) == []


def test_a_phantom_beside_the_position_is_found() -> None:
    phantom = (
        "position",
        9_000_000_000,
        {"position_id": "P-2", "signed_qty": "-0.020", "avg_px_open": "50000"},
    )
    assert of_position(LEDGER, replace(RIGHT, events=(*RIGHT.events, phantom))) == [
        "the position is 0.020 at the exchange, 0.000 by the engine's events"
    ]


def test_an_order_that_is_there_twice_or_that_nobody_told_of_is_found() -> None:
    more = replace(LEDGER, orders=(*LEDGER.orders, LEDGER.orders[0], Order("O-3", 7), Order("web_1", 7)))
    assert of_orders(more, [RIGHT], by_hand=("web_",)) == [
        "order O-1 is at the exchange 2 TIMES",
        "order O-3 is at the exchange, and NO EVENT has it",
    ]


def test_an_order_before_engine_and_exchange_agree_is_blind() -> None:
    late = _said(BOUGHT, SOLD, trading_s=6)
    assert of_start(LEDGER, late, until_ns=9_000_000_000) == [
        "order O-1 was sent BLIND: session s-1 did not trade yet"
    ]
    never = replace(RIGHT, events=RIGHT.events[:1])
    assert len(of_start(LEDGER, never, until_ns=9_000_000_000)) == 2


def test_what_a_session_tells_in_one_go_after_it_trades_is_not_blind() -> None:
    """A busy engine's orders are at the exchange before its events have their moment."""
    soon = Ledger((), (Order("O-1", 5_500_000_000), Order("O-2", 4_000_000_000)))
    trades, told = (
        ("state", 6_000_000_000, {"state": "trading"}),
        ("order", 6_000_000_000, {"client_order_id": "O-1"}),
    )
    for events, blind in (((trades, told), 1), ((told, trades), 2), ((trades,), 2)):
        assert len(of_start(soon, Session("s-1", 0, events), until_ns=9_000_000_000)) == blind


OPEN = replace(LEDGER, orders=(Order("O-1", 5, is_open=True),))
FLAT = Ledger((), ())
DONE = Ended("flatten", "stopped", True, ())


def test_a_success_that_the_ledger_does_not_bear_out_is_false() -> None:
    assert of_stop(FLAT, DONE) == []
    assert len(of_stop(LEDGER, DONE)) == 2
    assert len(of_stop(OPEN, replace(DONE, policy="cancel", is_flat=False))) == 1
    assert len(of_stop(OPEN, replace(DONE, policy="leave"))) == 1
    assert of_stop(LEDGER, replace(DONE, policy="cancel", is_flat=False)) == []
    assert of_stop(OPEN, replace(DONE, policy="leave", is_flat=False)) == []
    assert of_stop(OPEN, replace(DONE, is_flat=False, not_confirmed=("order O-1 is still open",))) == []
    assert of_stop(OPEN, replace(DONE, is_flat=False, state="failed")) == []


def test_trading_without_a_word_while_both_sides_differ_is_found_and_a_fill_on_its_way_is_not() -> None:
    def sample(at_s: float, told: str, *, state: str = "trading", problems: tuple[str, ...] = ()) -> Sample:
        return Sample(at_s, state, problems, Decimal("0.03"), Decimal(told))

    assert len(of_states([sample(each, "0") for each in range(20)])) == 1
    assert of_states([sample(each, "0" if each % 5 else "0.03") for each in range(40)]) == []
    assert of_states([sample(each, "0", state="mismatch") for each in range(40)]) == []
    # Each order is learnt of late, and the next one is on its way by then.
    behind = [sample(each, str(each // 5)) for each in range(40)]
    assert of_states([replace(each, there=each.told + 1) for each in behind]) == []
    assert of_states([replace(each, there=each.told + 9) for each in behind])
    assert of_states([sample(each, "0", problems=("BINANCE does not report",)) for each in range(40)]) == []
