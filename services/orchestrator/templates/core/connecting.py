"""From the venues an operator chose to the data and execution clients of a node. Everything that is wrong is told at once."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

import msgspec

from flotilla.schemas.config import VenueChoice
from flotilla.schemas.fault import FieldError
from flotilla.services.orchestrator.templates.core.parameters import Value, WrongValue, shown
from flotilla.services.orchestrator.templates.core.placeholders import merged, substitute
from flotilla.services.orchestrator.templates.core.templates import SimulatedExecution, unknown_template
from flotilla.services.orchestrator.templates.core.venues import (
    BySide,
    Side,
    VenueClient,
    VenueTemplate,
    fields_within,
    with_password,
)

_SIDES: Final[tuple[Side, Side]] = ("data", "execution")
# NautilusTrader makes a client by the part before the hyphen, and ours is to be told from the venue's own, which has a secret.
_SIMULATED: Final = "SIMULATED"


class ChosenVenue(msgspec.Struct, frozen=True, kw_only=True):
    """One choice with its adapter; `at` names it in errors, `sides` are the clients that it is to have."""

    at: str
    choice: VenueChoice
    template: VenueTemplate
    sides: tuple[Side, ...]

    def client(self, side: Side) -> VenueClient:
        """The adapter's client of one side. Raises LookupError where it has none."""
        if (client := self.template.client(side)) is None:
            raise LookupError(f"{self.template.name} has no client for {side}")
        return client

    def given(self, side: Side) -> dict[str, Any]:
        """What the operator says for one client: what is common to both, and over it what is for this one."""
        common = {key: value for key, value in self.choice.config.items() if key not in _SIDES}
        return merged(common, self.choice.config.get(side) or {})


def chosen_venues(
    choices: Sequence[VenueChoice],
    template_set: Mapping[str, VenueTemplate],
    *,
    is_simulated: bool,
    is_live: bool,
) -> tuple[list[ChosenVenue], list[FieldError]]:
    """The venues, and what is wrong with them. Execution is simulated, or at the venue: with money if `is_live`, else on paper."""
    errors = _repeated(choices)
    venues: list[ChosenVenue] = []
    for index, choice in enumerate(choices):
        at = f"config.venues[{index}]"
        if (template := template_set.get(choice.adapter)) is None:
            errors.append(unknown_template(f"{at}.adapter", choice.adapter, template_set, "adapter"))
            continue
        sides, wrong = _sides(choice, template, at, is_simulated=is_simulated)
        venue = ChosenVenue(at=at, choice=choice, template=template, sides=sides)
        errors += wrong or _problems(venue, is_simulated=is_simulated, is_live=is_live)
        venues.append(venue)
    if not errors:
        errors = [
            FieldError("config.venues", f"none of them has a client for {side}")
            for side in _SIDES
            if not any(side in venue.sides for venue in venues)
        ]
    return venues, errors


def _repeated(choices: Sequence[VenueChoice]) -> list[FieldError]:
    seen: Counter[str] = Counter()
    errors: list[FieldError] = []
    for index, choice in enumerate(choices):
        if seen[choice.name]:
            errors.append(FieldError(f"config.venues[{index}].name", f"{choice.name} is named twice"))
        seen[choice.name] += 1
    return errors


def _sides(
    choice: VenueChoice, template: VenueTemplate, at: str, *, is_simulated: bool
) -> tuple[tuple[Side, ...], list[FieldError]]:
    """The clients that a venue is to have: those it has and the operator did not switch off with null."""
    sides: list[Side] = []
    errors: list[FieldError] = []
    for side in _SIDES:
        has_client = template.client(side) is not None or (is_simulated and side == "execution")
        given = choice.config.get(side, {})
        if given is not None and not isinstance(given, dict):
            errors.append(FieldError(f"{at}.config.{side}", "must be an object, or null for no such client"))
        elif given and not has_client:
            errors.append(FieldError(f"{at}.config.{side}", f"{choice.adapter} has no client for {side}"))
        elif has_client and given is not None:
            sides.append(side)
    if not sides and not errors:
        errors.append(FieldError(f"{at}.config", "leaves the venue without a client"))
    return tuple(sides), errors


def _problems(venue: ChosenVenue, *, is_simulated: bool, is_live: bool) -> list[FieldError]:
    choice, template, at = venue.choice, venue.template, venue.at
    trades = "execution" in venue.sides and not is_simulated
    errors = [
        FieldError(
            f"{at}.config", f"{field} is a credential: it may only come from a secret, named in `secret`"
        )
        for field in fields_within(choice.config, template.credentials)
    ]
    errors += [
        FieldError(
            f"{at}.config", f"{field} holds a password: it may only come from a secret, named in `secret`"
        )
        for field in with_password(choice.config)
    ]
    if template.account_field and template.account_field in venue.given("execution") and trades:
        errors.append(FieldError(f"{at}.config.{template.account_field}", "is to be given as `account`"))
    is_needed = template.needs_secret_for("execution") if trades else False
    is_needed = is_needed or ("data" in venue.sides and template.needs_secret_for("data"))
    if is_needed and choice.secret is None:
        text = f"{choice.adapter} needs credentials: name an entry of the secret store"
        errors.append(FieldError(f"{at}.secret", text))
    if template.needs_account and trades and choice.account is None:
        errors.append(FieldError(f"{at}.account", f"{choice.adapter} needs the account to trade"))
    if trades:
        errors += _live_problems(venue) if is_live else _paper_problems(venue)
    return errors


def _live_problems(venue: ChosenVenue) -> Iterator[FieldError]:
    """What would have live trading take the venue's paper side for its orders or its data."""
    template = venue.template
    paper = template.paper or BySide()
    for side in venue.sides:
        for field, value in venue.given(side).items():
            of_paper = (paper.of(side).get(field), *template.paper_choices.get(field, ()))
            if field in paper.of(side) and value in of_paper:
                yield FieldError(
                    f"{venue.at}.config.{field}", "is for paper trading, and this is live trading"
                )


def _paper_problems(venue: ChosenVenue) -> Iterator[FieldError]:
    """Why a venue's own execution might trade money although the mode is paper."""
    template = venue.template
    if template.paper is None:
        text = f"{template.name} has no paper trading of its own: take the template paper_trading"
        yield FieldError(f"{venue.at}.adapter", text)
        return
    given = venue.given("execution")
    for field, value in given.items():
        allowed = [template.paper.execution.get(field), *template.paper_choices.get(field, ())]
        if field in template.paper.execution and value not in allowed:
            yield FieldError(f"{venue.at}.config.{field}", "must have a value for paper trading")
        elif "url" in field:
            yield FieldError(f"{venue.at}.config.{shown(field)}", "cannot be chosen for paper trading")


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


def simulated_elsewhere(clients: Clients, instruments: Collection[str]) -> list[FieldError]:
    """The error of orders that are simulated at venues of which the strategies name nothing: a client of many venues, such as Interactive
    Brokers, has another name than the venues of its instruments, and NautilusTrader finds an order's client by that.
    """
    prefix = f"{_SIMULATED}-"
    there = {
        client["config"].get("venue") for name, client in clients.execution.items() if name.startswith(prefix)
    }
    named = {instrument.rpartition(".")[2] for instrument in instruments}
    if not there or not named or there & named:
        return []
    text = (
        f"orders are simulated at {', '.join(sorted(there))}, and strategies name {', '.join(sorted(instruments))}: "
        f"give the venue the name that they have there, such as {min(named)}"
    )
    return [FieldError("config.venues", text)]


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
