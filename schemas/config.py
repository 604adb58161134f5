"""What an operator may choose for an engine."""

import math
import re
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.dead_man import DeadManChoice
from flotilla.schemas.ids import InstanceId, Name, StrategyName
from flotilla.schemas.labels import Labels
from flotilla.schemas.loss_limits import LossLimits
from flotilla.schemas.simulation import ComponentChoice
from flotilla.schemas.states import EngineType, SilencePolicy, TradingMode
from flotilla.schemas.trading_hours import TradingHours

WORKER_TEMPLATE: Final = "backtest_worker"
"""The template of engines that run backtests; they come and go by themselves."""
_MEMORY = re.compile(r"\A(?P<number>[1-9][0-9]{0,5})(?P<unit>[mg])\Z")
_UNITS: Final = {"m": 1 << 20, "g": 1 << 30}
_CONTAINER_PATH: Final = r"\A/(?!.*(?:\A|/)\.\.(?:/|\Z))[A-Za-z0-9_./-]{0,200}\Z"


def memory_bytes(size: str) -> int:
    """Bytes of a Docker size such as `512m` or `2g`; raises ValueError outside 512m to 64g."""
    match = _MEMORY.match(size.lower())
    count = int(match["number"]) * _UNITS[match["unit"]] if match else 0
    if not 512 << 20 <= count <= 64 << 30:
        raise ValueError("must be a size from 512m to 64g")
    return count


def cpu_count(text: str) -> float:
    """CPUs as a number; raises ValueError unless it is a plain decimal of at least 0.1."""
    count = float(text) if re.match(r"\A[0-9]{1,3}(\.[0-9]{1,3})?\Z", text) else math.nan
    if not count >= 0.1:
        raise ValueError("must be a number of CPUs of at least 0.1")
    return count


VenueName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A[A-Z][A-Z0-9_]{0,30}\Z",
        description="A venue as NautilusTrader names it, such as BINANCE.",
    ),
]
AccountName: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9][A-Za-z0-9_-]{0,63}\Z", description="An account at a venue.")
]


class StrategyChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A strategy to run: a template with its parameters, or an importable class with its config."""

    template: StrategyName | None = None
    parameters: dict[str, Any] = {}
    strategy_path: Annotated[str, Meta(pattern=r"\A[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}\Z")] | None = None
    config_path: Annotated[str, Meta(pattern=r"\A[A-Za-z_][\w.]{0,200}:[A-Za-z_]\w{0,100}\Z")] | None = None
    config: dict[str, Any] = {}

    def __post_init__(self) -> None:
        if (self.template is None) == (self.strategy_path is None):
            raise ValueError("give either `template` or `strategy_path` with `config_path`")
        if (self.strategy_path is None) != (self.config_path is None):
            raise ValueError("`strategy_path` and `config_path` go together")

    @property
    def name(self) -> str:
        """The template, or the class without its module."""
        return self.template or (self.strategy_path or "").rpartition(":")[2]

    @property
    def given(self) -> dict[str, Any]:
        """What it is given: parameters of a template, or the config of a class."""
        return self.parameters if self.template is not None else self.config


class VenueChoice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A venue to connect: the adapter by name, its config as NautilusTrader's own classes take it, and who trades there.

    `secret` names an entry of the secret store on the engine's host: its values are added to the adapter's config inside the
    engine and stand nowhere else. `account` is the account at the venue; one engine at a time may trade it.
    """

    name: VenueName
    adapter: Name
    config: dict[str, Any] = {}
    account: AccountName | None = None
    secret: Name | None = None


class RestartPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often an engine that failed is started again by itself: at most `max_restarts` within `window_s` seconds.

    The first try waits `backoff_s` seconds, each further one twice as long, at most `max_backoff_s`. What an operator or a
    configuration ended is never started again. `on_silence` says what follows when nothing is heard of it while its container is
    up, or when somebody else speaks in its name: it is told in any case; `stop` and `restart` end the session, and `restart` counts
    as one of those here.
    """

    max_restarts: Annotated[int, Meta(ge=0, le=100)] = 0
    window_s: Annotated[float, Meta(gt=0, le=604_800)] = 3600.0
    backoff_s: Annotated[float, Meta(gt=0, le=3600)] = 2.0
    max_backoff_s: Annotated[float, Meta(gt=0, le=3600)] = 300.0
    on_silence: SilencePolicy = SilencePolicy.REPORT


_ENGINE_TYPES: Final = tuple(map(str, EngineType))
_TRADING_MODES: Final = tuple(map(str, TradingMode))
_LOG_LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


class EngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator may choose for an engine; field names and defaults are those of the REST contract.

    `engine_type`, `trading_mode` and `log_level` are compared whatever their case, so that `LIVE` never slips past the live
    guard. `strategies: null` takes those of the template, as `restart: null` does. `use_cache_database` keeps orders and positions in
    the fleet's Redis, from where they come back after a crash; null leaves it to the template. `stale_feed_after_s`: a
    subscription that is silent for longer, and the interval of its bars, impairs the engine, unless the venue says that its market is
    closed; there is no calendar of market hours. Null leaves it to the template. `data_catalog_path` and `cache_database_path` are
    the contract's and decide nothing: any value but the default is refused. `labels` say what the engine is for, such as
    `desk=rates`: engines are listed by them, and an engine's container carries them as `flotilla.label.desk`. `actors` and
    `exec_algorithms` run beside the strategies, from the same modules; what one of them raises ends the engine.
    `signals` names those that may be sent to the engine from outside; none is by default. `loss_limits` and `trading_hours` are kept beside
    the strategies, by the wall clock; null leaves them to the template. `dead_man` says what it does by itself when no orchestrator is
    heard any more.
    """

    engine_type: str = "live"
    trading_mode: str = "paper"
    instance_id: InstanceId = "nautilus-001"
    log_level: str = "INFO"
    max_memory: str = "2g"
    max_cpu: str = "2.0"
    data_catalog_path: Annotated[str, Meta(pattern=_CONTAINER_PATH)] = "/app/data"
    cache_database_path: Annotated[str, Meta(pattern=_CONTAINER_PATH)] = "/app/cache"
    risk_engine_enabled: bool = True
    max_position_size: Annotated[float, Meta(gt=0)] | None = None
    max_order_rate: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    template: Name | None = None
    parameters: dict[str, Any] = {}
    strategies: Annotated[tuple[StrategyChoice, ...], Meta(max_length=64)] | None = None
    venues: Annotated[tuple[VenueChoice, ...], Meta(max_length=16)] = ()
    restart: RestartPolicy | None = None
    use_cache_database: bool | None = None
    stale_feed_after_s: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    dead_man: DeadManChoice | None = None
    labels: Labels = {}
    signals: Annotated[tuple[Name, ...], Meta(max_length=64)] = ()
    actors: Annotated[tuple[ComponentChoice, ...], Meta(max_length=64)] = ()
    exec_algorithms: Annotated[tuple[ComponentChoice, ...], Meta(max_length=16)] = ()
    loss_limits: LossLimits | None = None
    trading_hours: TradingHours | None = None

    def __post_init__(self) -> None:
        _normalise(self, "engine_type", self.engine_type.strip().lower(), _ENGINE_TYPES)
        _normalise(self, "trading_mode", self.trading_mode.strip().lower(), _TRADING_MODES)
        _normalise(self, "log_level", self.log_level.strip().upper(), _LOG_LEVELS)
        for field, check in (("max_memory", memory_bytes), ("max_cpu", cpu_count)):
            try:
                check(getattr(self, field))
            except ValueError as error:
                raise ValueError(f"`{field}` {error}") from None
        if self.max_position_size is not None and not math.isfinite(self.max_position_size):
            raise ValueError("`max_position_size` must be a finite number")

    @property
    def trades_money(self) -> bool:
        """True for the only pair that trades money."""
        return self.engine_type == EngineType.LIVE and self.trading_mode == TradingMode.LIVE


def _normalise(config: EngineConfig, field: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"`{field}` must be one of {', '.join(choices)}")
    msgspec.structs.force_setattr(config, field, value)
