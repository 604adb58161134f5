"""What a package has beside strategies: actors, execution algorithms, what makes up a simulated venue, and data of its own."""

from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, NamedTuple

from nautilus_trader.accounting.margin_models import MarginModel
from nautilus_trader.backtest.config import (
    FeeModelConfig,
    FeeModelFactory,
    FillModelConfig,
    FillModelFactory,
    ImportableFeeModelConfig,
    ImportableFillModelConfig,
    ImportableLatencyModelConfig,
    LatencyModelConfig,
    LatencyModelFactory,
    MarginModelConfig,
    MarginModelFactory,
    SimulationModuleConfig,
)
from nautilus_trader.backtest.models import FeeModel, FillModel, LatencyModel
from nautilus_trader.backtest.modules import SimulationModule
from nautilus_trader.common.actor import Actor
from nautilus_trader.common.config import ActorConfig, ActorFactory, ImportableActorConfig, NautilusConfig
from nautilus_trader.core.data import Data
from nautilus_trader.execution.algorithm import ExecAlgorithm
from nautilus_trader.execution.config import (
    ExecAlgorithmConfig,
    ExecAlgorithmFactory,
    ImportableExecAlgorithmConfig,
)
from nautilus_trader.serialization.arrow.serializer import list_schemas
from nautilus_trader.trading.controller import Controller
from nautilus_trader.trading.strategy import Strategy

from flotilla.engine_sidecar.checking.examining import (
    Build,
    Examined,
    Found,
    classes_of,
    examined,
    first_line,
    path_of,
)
from flotilla.engine_sidecar.checking.free_texts import raised
from flotilla.schemas.package import ComponentKind, FoundComponent


class Components(NamedTuple):
    """What can be chosen, and what came of every class that was looked at."""

    found: tuple[FoundComponent, ...]
    outcomes: tuple[Examined, ...]


class _Row(NamedTuple):
    """Classes with `base` and none of `but`. `otherwise` is the config class of one that has none of its own."""

    kind: ComponentKind
    base: Any
    config_base: Any
    otherwise: Any
    build: Build
    but: tuple[Any, ...] = ()


def _by(create: Callable[[Any], object], importable: Any, key: str) -> Build:
    """By NautilusTrader's own factory."""

    def build(found: Found, config: dict[str, Any]) -> object:
        return create(importable(**{key: found.path}, config_path=found.config_path, config=config))

    return build


_ACTOR: Final = _by(ActorFactory.create, ImportableActorConfig, "actor_path")
_ALGORITHM: Final = _by(ExecAlgorithmFactory.create, ImportableExecAlgorithmConfig, "exec_algorithm_path")
_FILL: Final = _by(FillModelFactory.create, ImportableFillModelConfig, "fill_model_path")
_FEE: Final = _by(FeeModelFactory.create, ImportableFeeModelConfig, "fee_model_path")
_LATENCY: Final = _by(LatencyModelFactory.create, ImportableLatencyModelConfig, "latency_model_path")
_NO_ACTORS: Final = (Strategy, ExecAlgorithm, SimulationModule, Controller)
_ROWS: Final = (
    _Row(ComponentKind.ACTOR, Actor, ActorConfig, ActorConfig, _ACTOR, _NO_ACTORS),
    _Row(ComponentKind.EXEC_ALGORITHM, ExecAlgorithm, ExecAlgorithmConfig, ExecAlgorithmConfig, _ALGORITHM),
    _Row(ComponentKind.SIMULATION_MODULE, SimulationModule, ActorConfig, SimulationModuleConfig, _ACTOR),
    _Row(ComponentKind.FILL_MODEL, FillModel, NautilusConfig, FillModelConfig, _FILL),
    _Row(ComponentKind.FEE_MODEL, FeeModel, NautilusConfig, FeeModelConfig, _FEE),
    _Row(ComponentKind.LATENCY_MODEL, LatencyModel, NautilusConfig, LatencyModelConfig, _LATENCY),
)


def components_of(modules: list[ModuleType]) -> Components:
    """Everything that the modules define to run beside strategies."""
    looked = [
        (row.kind, examined(kind, row.config_base, row.build, otherwise=row.otherwise))
        for row in _ROWS
        for kind in classes_of(modules, row.base)
        if not issubclass(kind, row.but)
    ]
    looked += [(ComponentKind.MARGIN_MODEL, _margin_model(kind)) for kind in classes_of(modules, MarginModel)]
    looked += [(ComponentKind.DATA, _data(kind)) for kind in classes_of(modules, Data)]
    found = tuple(_component(kind, outcome.found) for kind, outcome in looked if outcome.found)
    return Components(found, tuple(outcome for _, outcome in looked))


def _component(kind: ComponentKind, found: Found) -> FoundComponent:
    return FoundComponent(
        kind=kind,
        path=found.path,
        config_path=found.config_path or None,
        description=found.description,
        parameters=found.parameters,
    )


def _margin_model(kind: type) -> Examined:
    """NautilusTrader hands it what is in `config` as it is: there is no config class to describe."""
    place = path_of(kind)
    found = Found(place, "", first_line(kind), {})
    try:
        MarginModelFactory.create(MarginModelConfig(model_type=place))
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a constructor may raise anything
        return Examined(found, note=f"{place} was not built without a `config`: {raised(error)}")
    return Examined(found)


def _data(kind: type) -> Examined:
    place = path_of(kind)
    text = f"{place} can be published and not stored: NautilusTrader knows no Arrow schema of it (@customdataclass gives one)"
    return Examined(Found(place, "", first_line(kind), {}), note="" if kind in list_schemas() else text)
