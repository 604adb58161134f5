"""How figures are written: the same everywhere, and a dash where there is none."""

import pytest
from nautilus_trader.model import currencies
from nautilus_trader.model.objects import Currency

from flotilla.schemas.backtest import Metrics
from flotilla.schemas.figures import FIGURES, UNDEFINED, money, written


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


@pytest.mark.parametrize(
    ("value", "currency", "text"),
    [
        (0.98577404, "BTC", "0.98577404 BTC"),
        (-0.0000123, "BTC", "-0.00001230 BTC"),
        (12.5, "BTC", "12.500000 BTC"),
        (1_000_000.0, "BTC", "1,000,000.00 BTC"),
        (12_345.67891, "USDT", "12,345.679 USDT"),
        (0.5, "XRP", "0.500000 XRP"),
        (1_234.5678, "EUR", "1,234.57 EUR"),
        (1_234.5678, "JPY", "1,235 JPY"),
        (-0.000000001, "BTC", "0.00000000 BTC"),
        (1_234.5678, "", "1,234.57"),
    ],
)
def test_an_amount_has_the_decimals_of_its_currency(value: float, currency: str, text: str) -> None:
    assert money(value, currency) == text
    assert money(value, currency, is_bare=True) == text.partition(" ")[0]


def test_currencies_have_the_decimals_that_nautilus_trader_gives_them() -> None:
    known = [each for each in vars(currencies).values() if isinstance(each, Currency)]
    assert len(known) > 70
    for each in (*known, Currency.from_str("NEW")):
        written_out = money(0.123456789, each.code, is_bare=True)
        assert len(written_out.partition(".")[2]) == each.precision, each.code


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_that_is_not_defined_is_no_number(name: str) -> None:
    assert written(name, None, "USD") == UNDEFINED == chr(0x2013)


def test_every_metric_has_a_name_for_people() -> None:
    assert set(FIGURES) == set(Metrics.__struct_fields__)
