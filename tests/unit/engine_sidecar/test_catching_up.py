"""Which orders an engine may have missed a fill of, and what is taken of a report of one."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from nautilus_trader.model.enums import OrderStatus

from flotilla.engine_sidecar.engine.venues.catching_up import (
    ask_for_trades_first,
    take,
    together,
    unheard,
)
from flotilla.engine_sidecar.engine.venues.comparison import Difference


@pytest.mark.parametrize(
    ("what", "engine", "venue", "asked"),
    [
        ("order", "1", None, True),
        ("order", "1", "2", True),
        ("order", "2", "1", False),
        ("order", None, "1", False),
        ("position", "1", "2", False),
        ("change", "1", "2", False),
    ],
)
def test_trades_are_asked_for_where_a_fill_of_an_open_order_would_explain_it(
    what: str, engine: str | None, venue: str | None, asked: bool
) -> None:
    quantities = {
        name: None if given is None else Decimal(given)
        for name, given in (("engine", engine), ("venue", venue))
    }
    found = Difference("V", what, "X", "A", **quantities)  # type: ignore[arg-type]
    cache = SimpleNamespace(order=lambda name: SimpleNamespace(ts_init=7) if name.value == "A" else None)
    assert unheard(cache, [found]) == ({"X": 7} if asked else {})


def test_trades_are_asked_for_since_the_first_order_that_lacks_one_and_all_of_them_where_that_is_not_known() -> (
    None
):
    made = {"A": 9, "B": 5}
    cache = SimpleNamespace(
        order=lambda name: SimpleNamespace(ts_init=made[name.value]) if name.value in made else None
    )

    def behind(*names: str) -> dict[str, int]:
        return unheard(
            cache, [Difference("V", "order", "X", name, engine=Decimal(1), venue=None) for name in names]
        )

    assert behind("A", "B") == {"X": 5}
    assert behind("A", "another's") == {"X": 0}
    assert together({"X": 5, "Y": 1}, {"X": 3, "Z": 2}) == {"X": 3, "Y": 1, "Z": 2}


@pytest.mark.parametrize(
    ("status", "filled", "is_taken"),
    [
        (OrderStatus.ACCEPTED, 0, True),
        (OrderStatus.PARTIALLY_FILLED, 1, True),
        (OrderStatus.REJECTED, 0, True),
        (OrderStatus.CANCELED, 0, True),
        (OrderStatus.EXPIRED, 0, True),
        # By what may have been made up for them, with ids of its own.
        (OrderStatus.CANCELED, 1, False),
        (OrderStatus.FILLED, 1, False),
        (OrderStatus.DENIED, 0, False),
    ],
)
def test_trades_are_taken_that_an_order_lacks_which_is_open_or_ended_without_them(
    status: OrderStatus, filled: int, is_taken: bool
) -> None:
    order = SimpleNamespace(
        status=status,
        filled_qty=filled,
        is_open=status in (OrderStatus.ACCEPTED, OrderStatus.PARTIALLY_FILLED),
        trade_ids=[named("heard")],
    )
    taken: list[str] = []
    kernel = SimpleNamespace(
        cache=SimpleNamespace(
            client_order_id={"1": "O-1"}.get,
            order={"O-1": order}.get,
            get=lambda _: msgspec.json.encode([("X.V", "late"), ("Y.V", "new")]),
        ),
        exec_engine=SimpleNamespace(
            reconcile_execution_report=lambda report: taken.append(report.trade_id.value)
        ),
    )
    reports = [
        SimpleNamespace(venue_order_id=order_id, trade_id=named(trade), instrument_id=named("X.V"))
        for order_id, trade in (("1", "heard"), ("1", "late"), ("1", "new"), ("2", "another's"))
    ]
    take(kernel, reports)
    late = ["late"] if order.is_open else []
    assert taken == ([*late, "new"] if is_taken else [])


def named(value: str) -> SimpleNamespace:
    return SimpleNamespace(value=value)


@pytest.mark.parametrize(
    ("is_told", "filled", "taken"),
    [
        (True, 0, (OrderStatus.FILLED, 3)),
        (False, 0, (OrderStatus.ACCEPTED, 0)),
        (False, 1, (OrderStatus.PARTIALLY_FILLED, 1)),
    ],
)
async def test_while_a_venue_does_not_tell_its_trades_no_report_says_what_an_order_was_filled(
    is_told: bool, filled: int, taken: tuple[OrderStatus, int]
) -> None:
    """NautilusTrader would make up a trade of the difference."""
    order = SimpleNamespace(
        status=OrderStatus.ACCEPTED, is_closed=False, filled_qty=filled, client_order_id="O-1", ts_init=4
    )

    def report() -> SimpleNamespace:
        return SimpleNamespace(
            client_order_id="O-1",
            instrument_id=SimpleNamespace(value="X.V"),
            account_id="V-1",
            order_status=OrderStatus.FILLED,
            filled_qty=3,
        )

    async def one(_: object) -> SimpleNamespace:
        return report()

    async def all_of_them() -> tuple[list[Any], set[Any]]:
        return [report()], set()

    async def catch_up(_: object, behind: dict[str, int]) -> bool:
        assert behind == {"X.V": 4}
        return is_told

    client = SimpleNamespace(account_id="V-1", generate_order_status_report=one)
    engine = SimpleNamespace(
        _cache=SimpleNamespace(order=lambda _: order),
        _order_local_activity_ns={},
        _query_order_status_reports=all_of_them,
    )
    ask_for_trades_first(engine, (client,), catch_up)
    (listed,), _ = await engine._query_order_status_reports()
    for found in (await client.generate_order_status_report(None), listed):
        assert (found.order_status, found.filled_qty) == taken
