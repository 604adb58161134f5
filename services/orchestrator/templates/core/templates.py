"""Engine and strategy templates: what their files may say, and what people see of them."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from flotilla.schemas.catalog import Parameter, TemplateFault, TemplateView
from flotilla.schemas.config import RestartPolicy, StrategyChoice
from flotilla.schemas.dead_man import DeadMan
from flotilla.schemas.fault import FieldError
from flotilla.schemas.ids import Name
from flotilla.schemas.loss_limits import LossLimits
from flotilla.schemas.package import FoundComponent, PackageRef, is_draft
from flotilla.schemas.states import EngineType, StopPolicy, TradingMode
from flotilla.schemas.trading_hours import TradingHours
from flotilla.services.orchestrator.templates.core.parameters import Rule
from flotilla.services.orchestrator.templates.core.venues import ImportPath, VenueTemplate

type Kind = Literal["engine", "strategy", "venue"]


class Defaults(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine template does where the operator says nothing. `strategies` are for a replay: venues trade other instruments."""

    stop_policy: StopPolicy = StopPolicy.CANCEL
    strategies: tuple[StrategyChoice, ...] = ()
    restart: RestartPolicy = RestartPolicy()
    stale_feed_after_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    loss_limits: LossLimits | None = None
    trading_hours: TradingHours | None = None
    dead_man: DeadMan = DeadMan()


class SimulatedExecution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The execution client that stands in for a venue's own; `config` may use `{venue}`, the venue's name."""

    path: ImportPath
    factory: ImportPath
    config: dict[str, Any]


class VenueUse(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an engine template makes of the venues that an operator names.

    `required`: it does nothing without one. `simulated` stands in for the venues' own execution; null trades there. `node` goes
    over the template's when there are venues. `uses_cache`: orders and positions are kept in Redis unless the operator says no.
    """

    required: bool = False
    simulated: SimulatedExecution | None = None
    node: dict[str, Any] = {}
    uses_cache: bool = False


class EngineTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an engine is put together: `node` is the JSON of a TradingNodeConfig with `{parameter}` placeholders.

    Its clients in `node` are those of an engine without venues. `venues` null: none may be named. `worker` is the JSON of a
    WorkerPlan: the engine trades nothing but runs backtests.
    """

    name: Name
    description: str
    engine_type: EngineType
    trading_mode: TradingMode
    node: dict[str, Any]
    parameters: dict[str, Parameter] = {}
    defaults: Defaults = Defaults()
    exec_factories: dict[str, str] = {}
    venues: VenueUse | None = None
    worker: dict[str, Any] | None = None

    @property
    def bodies(self) -> list[Any]:
        """All in which placeholders for parameters may stand, but for what simulates a venue."""
        return [
            self.node,
            self.exec_factories,
            msgspec.to_builtins(self.defaults.strategies),
            self.venues.node if self.venues else {},
            self.worker or {},
        ]


class StrategyTemplate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy with typed parameters: `config` is the JSON of its config class with `{parameter}` placeholders."""

    name: Name
    description: str
    strategy_class: str
    strategy_path: ImportPath
    config_path: ImportPath
    config: dict[str, Any]
    parameters: dict[str, Parameter] = {}
    risk_parameters: dict[str, Any] = {}
    rules: tuple[Rule, ...] = ()

    @property
    def bodies(self) -> list[Any]:
        """All in which placeholders may stand."""
        return [self.config]


class PackageTemplate(StrategyTemplate, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same of a package's strategy. No file is one."""

    package: PackageRef


class OfferedComponent(msgspec.Struct, frozen=True, kw_only=True):
    """What a package has to run beside strategies."""

    found: FoundComponent
    package: PackageRef


type Template = EngineTemplate | StrategyTemplate | VenueTemplate


class TemplateSet(msgspec.Struct, frozen=True, kw_only=True):
    """Every sound template, by name; `faults` are the files that hold none.

    `modules` are the modules and packages that strategies may come from which no template names. `components` are those of packages, as
    `mine:MyActor` and `mine@2:MyActor`. By (kind, name): `digests` tell contents apart, `ours` came with us.
    """

    engines: dict[str, EngineTemplate] = {}
    strategies: dict[str, StrategyTemplate] = {}
    venues: dict[str, VenueTemplate] = {}
    faults: tuple[TemplateFault, ...] = ()
    digests: dict[tuple[Kind, str], str] = {}
    ours: frozenset[tuple[Kind, str]] = frozenset()
    modules: tuple[str, ...] = ()
    components: dict[str, OfferedComponent] = {}

    def outside(self, path: str) -> str | None:
        """What is wrong with `module:Class`, a class that no template names; None when it comes from where it may."""
        module = path.partition(":")[0]
        if any(module == allowed or module.startswith(f"{allowed}.") for allowed in self.modules):
            return None
        known = ", ".join(self.modules) or "none"
        return f"{module} is outside the modules that strategies may come from: {known}"

    def faults_of(self, kind: Kind) -> tuple[TemplateFault, ...]:
        """The files of one kind that hold no sound template."""
        return tuple(each for each in self.faults if each.kind == kind)


def package_of(template: StrategyTemplate) -> PackageRef | None:
    """The package that a strategy comes from; None for one of a module that engines have anyhow."""
    return template.package if isinstance(template, PackageTemplate) else None


def pinned(name: str, template_set: TemplateSet) -> str:
    """The name of a strategy with the version of its package behind, so that it means the same once there is a newer one."""
    found = template_set.strategies.get(name)
    package = package_of(found) if found is not None and "@" not in name else None
    return f"{name}@{package.version}" if package is not None else name


def view(template: EngineTemplate | StrategyTemplate, *, is_checked: bool) -> TemplateView:
    """The template as people see it; `is_checked` when NautilusTrader has found its classes."""
    shown = TemplateView(
        name=template.name,
        kind="engine",
        file=f"{template.name}.json",
        description=template.description,
        parameters=template.parameters,
        is_checked=is_checked,
    )
    if isinstance(template, EngineTemplate):
        return msgspec.structs.replace(
            shown,
            engine_type=template.engine_type,
            trading_mode=template.trading_mode,
            config=template.node,
        )
    return msgspec.structs.replace(
        shown,
        kind="strategy",
        strategy_class=template.strategy_class,
        risk_parameters=template.risk_parameters,
        config=template.config,
        package=f"{package.name}@{package.version}" if (package := package_of(template)) else None,
    )


def unknown_template(
    field: str,
    name: str,
    known: Mapping[str, Template],
    kind: str = "template",
    faults: Sequence[TemplateFault] = (),
) -> FieldError:
    """What is wrong with a name that no template has: one of the `faults` may be of the file that is called so."""
    for each in faults:
        if PurePosixPath(each.file).stem == name:
            return FieldError(field, f"the {kind} {name} is not served: {each.message}")
    there = sorted(each for each in known if "@" not in each or _is_version_of(name, each))
    return FieldError(field, f"there is no {kind} {name}; there are {', '.join(there) or 'none'}")


def _is_version_of(name: str, other: str) -> bool:
    """True when `other` is a version of what `name` is a version of, and no draft."""
    return other.partition("@")[0] == name.partition("@")[0] and not is_draft(other)
