"""Which orders an engine may have missed a fill of."""

from decimal import Decimal

import pytest

from flotilla.engine_sidecar.engine.venues.catching_up import unheard
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
    assert unheard([found]) == ({"X"} if asked else set())
