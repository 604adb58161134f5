"""Which positions a flatten closes, and by how much, where the venue keeps one position of an instrument."""

from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from flotilla.engine_sidecar.engine.exit.netting import to_close


def position(name: str, signed: int, instrument: str = "X.V", account: str = "V-1") -> Any:
    return SimpleNamespace(
        id=name,
        instrument_id=instrument,
        account_id=account,
        signed_decimal_qty=lambda: Decimal(signed),
    )


def closed(*positions: Any, is_netted: bool = True) -> dict[str, int]:
    return {each.id: int(quantity) for each, quantity in to_close(positions, lambda _: is_netted)}


def test_of_contrary_positions_only_the_difference_is_closed() -> None:
    assert closed(position("A", 3), position("B", -1)) == {"A": 2}
    assert closed(position("A", 1), position("B", -3)) == {"B": 2}
    assert closed(position("A", 3), position("B", -3)) == {}
    assert closed(position("A", 2), position("B", 2), position("C", -1)) == {"A": 2, "B": 1}


def test_positions_on_one_side_are_closed_whole() -> None:
    assert closed(position("A", 3), position("B", 1)) == {"A": 3, "B": 1}


def test_instruments_and_accounts_are_apart() -> None:
    assert closed(position("A", 3), position("B", -1, "Y.V")) == {"A": 3, "B": 1}
    assert closed(position("A", 3), position("B", -1, account="W-1")) == {"A": 3, "B": 1}


def test_where_the_venue_keeps_both_sides_each_is_closed() -> None:
    assert closed(position("A", 3), position("B", -1), is_netted=False) == {"A": 3, "B": 1}
