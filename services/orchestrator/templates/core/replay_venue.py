"""Which venue's data an engine without venues replays: one, by whose name its clients go."""

from collections.abc import Iterable
from typing import Final

import msgspec

from flotilla.schemas.config import VenueName
from flotilla.schemas.fault import FieldError

PARAMETER: Final = "replay_venue"
_FIELD: Final = f"config.parameters.{PARAMETER}"
_OTHERWISE: Final = "SIM"


def replay_venue(chosen: str | None, instruments: Iterable[str]) -> tuple[str, list[FieldError]]:
    """The venue that was chosen, else that of the instruments that are traded; with what is wrong with it."""
    traded = {instrument.rpartition(".")[2]: instrument for instrument in sorted(instruments, reverse=True)}
    if chosen is None:
        if len(traded) > 1:
            named = ", ".join(sorted(traded.values()))
            text = f"a replay is of one venue, and they name {named}: start an engine for each venue"
            return _OTHERWISE, [FieldError("config.strategies", text)]
        return next(iter(traded), _OTHERWISE), []
    try:
        msgspec.convert(chosen, VenueName)
    except msgspec.ValidationError:
        return _OTHERWISE, [FieldError(_FIELD, "is no name of a venue, such as SIM")]
    if others := sorted(instrument for venue, instrument in traded.items() if venue != chosen):
        return chosen, [FieldError(_FIELD, f"is {chosen}, and strategies name {', '.join(others)}")]
    return chosen, []
