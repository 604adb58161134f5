"""Figures for people."""

import pytest

from flotilla.show import formats


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0s"), (4.23, "4.2s"), (59.9, "59s"), (187, "3m07s"), (18_720, "5h12m"), (183_600, "2d03h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert formats.duration(seconds) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (222_298_112, "212 MiB"),
        (2 << 30, "2.0 GiB"),
        (5 << 50, "5120 TiB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert formats.size(count) == text


def test_money_keeps_every_digit_and_sorts_currencies() -> None:
    assert formats.money({"USD": "1234567.50", "EUR": "-0.10"}) == "-0.10 EUR, 1,234,567.50 USD"


def test_money_that_is_no_number_is_shown_as_it_is() -> None:
    assert formats.money({"USD": "n/a"}) == "n/a USD"


def test_positions_leave_out_what_is_flat() -> None:
    assert formats.positions({"SPX.SIM": "100", "IXIC.SIM": "-2500.5", "EUR/USD.SIM": "0"}) == (
        "IXIC.SIM -2,500.5, SPX.SIM +100"
    )
