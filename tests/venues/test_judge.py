"""The judge sees each difference that is planted, and none where there is none."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from tests.venues.judge import (
    Acceptance,
    Ended,
    Ledger,
    Order,
    Position,
    Sample,
    Session,
    Trade,
    acceptance,
    of_mismatch,
    of_named,
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
    for order, wrong in (("some id of the engine's", 0), ("O-1", 1)):
        told = _said(BOUGHT, SOLD, replace(BOUGHT, id="9", order=order))
        assert len(of_trades(by_hand, [told], by_hand=("web_",))) == wrong


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


def _samples(
    *told: float, there: Sequence[float] = (0.03,), state: str = "trading", problems: tuple[str, ...] = ()
) -> list[Sample]:
    """One a second; the exchange has all of `there` from the first on."""
    had = [tuple(Decimal(str(each)) for each in there), *[()] * len(told)]
    return [Sample(float(at), state, problems, had[at], Decimal(str(qty))) for at, qty in enumerate(told)]


def test_trading_without_a_word_while_both_sides_differ_is_found_and_a_fill_on_its_way_is_not() -> None:
    there = (0, 0.03)
    assert of_states(_samples(*[0] * 20, there=there)) == [
        "said to trade from 0.0 to 16.0 s, with 0.03 at the exchange and 0 in the engine"
    ]
    assert of_states(_samples(*[0] * 15, *[0.03] * 20, there=there)) == []
    assert of_states(_samples(*[0] * 40, there=there, state="mismatch")) == []
    assert of_states(_samples(*[0] * 40, there=there, problems=("BINANCE does not report",))) == []
    assert of_states(_samples(*[0.09] * 20, there=there)), "it has what never was"


def test_an_engine_that_learns_each_order_late_is_not_behind_by_more_than_one() -> None:
    """The next order is on its way by then; what it learnt at once of two it did learn."""

    def samples(*, learns: Callable[[int], int]) -> list[Sample]:
        """One more is bought every 5 s; at each second the engine has learnt so many."""
        bought = [(Decimal(at // 5),) if at % 5 == 0 else () for at in range(60)]
        return [Sample(at, "trading", (), bought[at], Decimal(learns(at))) for at in range(60)]

    assert of_states(samples(learns=lambda at: max(0, at - 6) // 5)) == []
    assert of_states(samples(learns=lambda at: max(0, at - 5) // 10 * 2)) == []
    assert of_states(samples(learns=lambda at: max(0, at - 17) // 5))


def test_what_others_did_has_to_be_said_in_time() -> None:
    def said(*at_s: int) -> list[str]:
        told = tuple(("state", at * 10**9, {"state": "mismatch"}) for at in at_s)
        return of_mismatch([replace(RIGHT, events=(*RIGHT.events, *told))], 20 * 10**9)

    assert said(20) == said(7, 35, 70) == []
    assert said(7, 36) == ["somebody else changed the account, and it said mismatch after 16.0 s"]
    assert said() == said(7) == ["somebody else changed the account, and it never said mismatch"]


READ = (
    "BINANCE: position of BTCUSDT-PERP.BINANCE is 0.020 at the venue, -0.010 in the engine; "
    "BINANCE: order O-2 of BTCUSDT-PERP.BINANCE is open at the venue (filled 0.010), and the engine has no such open order; "
    "BINANCE: order O-9 of ETHUSDT-PERP.BINANCE is open at the venue (filled 0), and the engine has no such open order; and 2 more"
)
NAME = "BTCUSDT-PERP.BINANCE"


def test_what_a_person_read_and_accepted_is_known_by_its_words() -> None:
    taken = acceptance([READ], NAME)
    assert taken == Acceptance(Decimal("0.030"), frozenset({"O-2"}), 2)
    assert acceptance([], NAME) == Acceptance()
    assert acceptance([READ, READ.replace("0.020 at", "0.040 at")], NAME).gap == Decimal("0.050")


def test_what_differs_is_what_was_accepted_or_nothing() -> None:
    taken = Acceptance(gap=Decimal("0.030"))
    assert of_position(LEDGER, _said(qty="-0.010"), taken) == []
    assert of_position(LEDGER, _said(qty="0.020"), taken) == []
    assert of_position(LEDGER, _said(qty="0.010"), taken) == [
        "the position is 0.020 at the exchange, 0.010 by the engine's events, and 0.030 more at the exchange was accepted"
    ]


def test_an_order_that_is_open_and_said_to_have_ended_is_found_unless_that_was_accepted() -> None:
    def said(*status: str) -> Session:
        told = tuple(("order", 9, {"client_order_id": "O-1", "status": each}) for each in status)
        return replace(RIGHT, events=(*RIGHT.events, *told))

    found = ["order O-1 is open at the exchange, and said to be REJECTED"]
    assert of_orders(OPEN, [said("SUBMITTED", "REJECTED")]) == found
    assert of_orders(OPEN, [said("REJECTED", "ACCEPTED")]) == []
    assert of_orders(OPEN, [said("REJECTED")], Acceptance(orders=frozenset({"O-2"}))) == found
    assert of_orders(OPEN, [said("REJECTED")], Acceptance(orders=frozenset({"O-1"}))) == []
    assert of_orders(OPEN, [said("REJECTED")], Acceptance(more=1)) == []


def test_a_difference_that_names_what_never_was_is_false() -> None:
    assert of_named(LEDGER, NAME, [READ]) == []
    (position,) = of_named(LEDGER, NAME, [READ.replace("0.020 at", "0.050 at")])
    assert position == "FALSE: the position was said to be 0.050 at the exchange, where it never was"
    (order,) = of_named(LEDGER, NAME, [READ.replace("filled 0.010", "filled 0.011")])
    assert order.startswith("FALSE: order O-2 was said to be open at the exchange, filled 0.011")
    assert len(of_named(LEDGER, NAME, [READ.replace("order O-2", "order O-7")])) == 1
