"""What `flotilla data import` takes from a bar type, so that it need not be said twice."""

import pytest

from flotilla.cli.commands.data import completed

ES = "ESH4-F.CME-1-MINUTE-LAST-EXTERNAL"


@pytest.mark.parametrize(
    ("given", "kind", "instrument"),
    [
        ({"bar_type": ES}, "bars", "ESH4-F.CME"),
        ({"bar_type": "EUR/USD.SIM-5-MINUTE-BID-INTERNAL@1-MINUTE-EXTERNAL"}, "bars", "EUR/USD.SIM"),
        ({"bar_type": ES, "type": "trades", "instrument": "A.B"}, "trades", "A.B"),
        ({"bar_type": None, "type": None, "instrument": "A.B"}, None, "A.B"),
    ],
)
def test_a_bar_type_names_its_instrument_and_that_there_are_bars(
    given: dict[str, str | None], kind: str | None, instrument: str
) -> None:
    made = completed(given)
    assert (made["type"], made["instrument"], made["bar_type"]) == (kind, instrument, given["bar_type"])
