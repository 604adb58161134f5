"""How figures are written: the same everywhere, and a dash where there is none."""

import pytest

from flotilla.schemas.backtest import Metrics
from flotilla.schemas.figures import FIGURES, UNDEFINED, written


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("total_return", -0.1205, "-12.05 %"),
        ("total_return", 0.0, "0.00 %"),
        ("max_drawdown", -3.2e-7, "0.00 %"),
        ("total_return", 12.3456, "1,234.56 %"),
        ("sharpe_ratio", 1.274, "1.27"),
        ("sharpe_ratio", -0.004, "0.00"),
        ("average_loss", -5897.117, "-5,897.12 USD"),
        ("max_drawdown_days", 1952.0, "1,952 days"),
        ("max_drawdown_days", 0.5, "0.5 days"),
        ("total_trades", 1221, "1,221"),
    ],
)
def test_a_figure_is_written_with_its_unit(name: str, value: float, text: str) -> None:
    assert written(name, value, "USD") == text


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_is_not_defined_is_no_number(name: str) -> None:
    assert written(name, None, "USD") == UNDEFINED == chr(0x2013)


def test_every_metric_has_a_name_for_people() -> None:
    assert set(FIGURES) == set(Metrics.__struct_fields__)
