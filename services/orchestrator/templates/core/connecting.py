"""From the venues an operator chose to the data and execution clients of a node. Everything that is wrong is told at once."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.config import VenueChoice
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.templates.core.parameters import Value, WrongValue
from flotilla.services.orchestrator.templates.core.placeholders import merged, substitute
from flotilla.services.orchestrator.templates.core.templates import SimulatedExecution
from flotilla.services.orchestrator.templates.core.venue_choice import ChosenVenue, chosen_venues
from flotilla.services.orchestrator.templates.core.venues import BySide, Side, VenueTemplate

# NautilusTrader makes a client by the part before the hyphen, and ours is to be told from the venue's own, which has a secret.
_SIMULATED: Final = "SIMULATED"


class Clients(msgspec.Struct, frozen=True, kw_only=True):
    """What the venues put into a plan."""

    data: dict[str, Any] = {}
    execution: dict[str, Any] = {}
    factories: dict[str, str] = {}
    secrets: dict[str, str] = {}
    has_egress: bool = False
    always_open: tuple[str, ...] = ()


def connect(
    choices: Sequence[VenueChoice],
    template_set: Mapping[str, VenueTemplate],
    simulated: SimulatedExecution | None,
    values: Mapping[str, Value],
    *,
    is_live: bool,
) -> tuple[Clients, list[FieldError]]:
    """The clients of these venues, and what is wrong with them.

    With `simulated` each venue's execution is that, else its own: with real money if `is_live`, else where the venue takes orders
    on paper. `values` are for the placeholders in `simulated`.
    """
    venues, errors = chosen_venues(choices, template_set, is_simulated=simulated is not None, is_live=is_live)
    if errors:
        return Clients(), errors
    trading = [venue for venue in venues if "execution" in venue.sides]
    try:
        execution = [_execution(venue, simulated, values, is_live=is_live) for venue in trading]
    except WrongValue as error:
        return Clients(), [FieldError("config.template", str(error))]
    if errors := [error for name, client, _ in execution for error in _uncounted(name, client["config"])]:
        return Clients(), errors
    clients = Clients(
        data={venue.choice.name: _data(venue, is_live=is_live) for venue in venues if "data" in venue.sides},
        execution={name: client for name, client, _ in execution},
        factories={name.partition("-")[0]: factory for name, _, factory in execution},
        secrets={venue.choice.name: venue.choice.secret for venue in venues if venue.choice.secret},
        has_egress=any(venue.template.has_egress for venue in venues),
        always_open=tuple(venue.choice.name for venue in venues if venue.template.is_always_open),
    )
    return clients, []


def _data(venue: ChosenVenue, *, is_live: bool) -> dict[str, Any]:
    client = venue.client("data")
    config = _config(venue, "data", is_live=is_live)
    return {"path": client.path, "factory": {"path": client.factory}, "config": config}


def _execution(
    venue: ChosenVenue, simulated: SimulatedExecution | None, values: Mapping[str, Value], *, is_live: bool
) -> tuple[str, dict[str, Any], str]:
    """The name of the execution client, its config and its factory."""
    name = venue.choice.name
    if simulated is None:
        client = venue.client("execution")
        config = _config(venue, "execution", is_live=is_live)
        return name, {"path": client.path, "config": config}, client.factory
    config = substitute(simulated.config, {**values, "venue": name})
    config = merged(config, venue.choice.config.get("execution") or {})
    return f"{_SIMULATED}-{name}", {"path": simulated.path, "config": config}, simulated.factory


def _uncounted(name: str, config: Mapping[str, Any]) -> list[FieldError]:
    """The error of a simulated account whose balance has no currency: what a venue's instruments are settled in shows once they are loaded."""
    amounts = [each for each in config.get("starting_balances", ()) if " " not in str(each)]
    if not name.startswith(f"{_SIMULATED}-") or not amounts or config.get("base_currency") is not None:
        return []
    text = "must be given with venues: it is not known before they are connected what their instruments are settled in"
    return [FieldError("config.parameters.base_currency", text)]


def _config(venue: ChosenVenue, side: Side, *, is_live: bool) -> dict[str, Any]:
    template = venue.template
    mode = (template.live if is_live else template.paper) or BySide()
    config = merged(merged(template.defaults.of(side), mode.of(side)), venue.given(side))
    if side == "execution" and template.account_field and venue.choice.account:
        config[template.account_field] = venue.choice.account
    return config
