"""What the sidecar asks of a running engine about its strategies, and what it is answered: the part of the link that has answers."""

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


type Question = ListStrategies | AddStrategy | StartStrategy | StopStrategy | RemoveStrategy | SendSignal


class Ask(msgspec.Struct, frozen=True, tag=True):
    """A question under a number, by which its answer is known."""

    number: int
    question: Question


class Answer(msgspec.Struct, frozen=True, tag=True):
    """The strategies after what was asked was done, or the fault for which it was not."""

    number: int
    strategies: tuple[StrategyView, ...] = ()
    message: str = ""
    strategy_id: str | None = None
    not_confirmed: tuple[str, ...] = ()
    fault: Fault | None = None
