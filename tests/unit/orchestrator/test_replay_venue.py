"""An engine without venues replays the one that its strategies trade at; what cannot be one is refused by its field."""

import pytest

from flotilla.services.orchestrator.templates.core.replay_venue import replay_venue

FIELD = "config.parameters.replay_venue"


@pytest.mark.parametrize(
    ("chosen", "instruments", "venue"),
    [
        (None, (), "SIM"),
        (None, ("SPX.SIM", "IXIC.SIM"), "SIM"),
        (None, ("ESM4 C4250.GLBX",), "GLBX"),
        (None, ("BRK.B.XNYS",), "XNYS"),
        ("FXCM", (), "FXCM"),
        ("FXCM", ("GBP/USD.FXCM",), "FXCM"),
    ],
)
def test_the_venue_is_that_of_what_is_traded(
    chosen: str | None, instruments: tuple[str, ...], venue: str
) -> None:
    assert replay_venue(chosen, instruments) == (venue, [])


@pytest.mark.parametrize(
    ("chosen", "instruments", "field", "said"),
    [
        (
            None,
            ("SPX.SIM", "GBP/USD.FXCM", "IXIC.SIM"),
            "config.strategies",
            "they name GBP/USD.FXCM, IXIC.SIM",
        ),
        ("SIM", ("GBP/USD.FXCM",), FIELD, "is SIM, and strategies name GBP/USD.FXCM"),
        ("sim", (), FIELD, "is no name of a venue"),
        ("../x", (), FIELD, "is no name of a venue"),
    ],
)
def test_what_cannot_be_the_venue_is_refused(
    chosen: str | None, instruments: tuple[str, ...], field: str, said: str
) -> None:
    _, (error,) = replay_venue(chosen, instruments)
    assert error.field == field
    assert said in error.message
