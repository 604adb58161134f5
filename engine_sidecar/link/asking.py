"""What the sidecar asks of a running engine and is answered: about its strategies, and to take it out of the market."""

from typing import Any

import msgspec

from flotilla.schemas.fault import Fault
from flotilla.schemas.states import StopPolicy
from flotilla.schemas.strategy import StrategyView


class ListStrategies(msgspec.Struct, frozen=True, tag=True):
    """Which strategies there are."""


class AddStrategy(msgspec.Struct, frozen=True, tag=True):
    """Add the strategy of an importable config, and start it unless told otherwise. `packages` are archives that it comes from,
    `labels` what people call them, `wheels` the folder of what these need.
    """

    strategy: dict[str, Any]
    is_started: bool = True
    packages: tuple[bytes, ...] = ()
    labels: tuple[str, ...] = ()
    wheels: str = ""


class StartStrategy(msgspec.Struct, frozen=True, tag=True):
    """Start a strategy; one that runs already is no error."""

    strategy_id: str


class StopStrategy(msgspec.Struct, frozen=True, tag=True):
    """Do as the policy says with its orders and positions within `timeout_s`, then stop it."""

    strategy_id: str
    policy: StopPolicy
    timeout_s: float


class RemoveStrategy(msgspec.Struct, frozen=True, tag=True):
    """The same, then remove it."""

    strategy_id: str
    policy: StopPolicy
    timeout_s: float


class SendSignal(msgspec.Struct, frozen=True, tag=True):
    """Publish a signal to whatever in the engine listens to it."""

    name: str
    value: int | float | str


class Intervene(msgspec.Struct, frozen=True, tag=True):
    """Cancel every order, or cancel and close every position, within `timeout_s`; strategies go on, as far as the brake allows.

    `is_sparing`: orders that can only reduce a position are left, and no venue is asked whether it has any others. `is_by_person`: false for a limit and
    for the dead man, after whom what others closed still waits for a person.
    """

    policy: StopPolicy
    timeout_s: float
    is_sparing: bool = False
    is_by_person: bool = True


class AcceptDifference(msgspec.Struct, frozen=True, tag=True):
    """Take what engine and venue do not agree on as it is, and go on; only if that is what was `shown`, where that is given."""

    shown: str | None = None


type AboutStrategies = (
    ListStrategies | AddStrategy | StartStrategy | StopStrategy | RemoveStrategy | SendSignal
)
type Question = AboutStrategies | Intervene | AcceptDifference


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A question under a number, by which its answer is known."""

    number: int
    question: Question


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The strategies after what was asked was done, or the fault for which it was not.

    `orders_cancelled` and `positions_closed` count the events since an intervention was asked for.
    """

    number: int
    strategies: tuple[StrategyView, ...] = ()
    message: str = ""
    strategy_id: str | None = None
    not_confirmed: tuple[str, ...] = ()
    fault: Fault | None = None
    orders_cancelled: int = 0
    positions_closed: int = 0
