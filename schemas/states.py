"""The closed sets of words: engine types, states, policies and reasons."""

from enum import StrEnum


class EngineType(StrEnum):
    """The four kinds of engine of the REST contract."""

    LIVE = "live"
    PAPER = "paper"
    SANDBOX = "sandbox"
    BACKTEST = "backtest"


class TradingMode(StrEnum):
    """`live` with an engine of type `live` is the only pair that trades money."""

    PAPER = "paper"
    LIVE = "live"


class StopPolicy(StrEnum):
    """What a stop does about orders and positions: leave both, cancel orders, or cancel orders and close positions."""

    LEAVE = "leave"
    CANCEL = "cancel"
    FLATTEN = "flatten"


class DesiredState(StrEnum):
    """What an operator last asked of an engine."""

    RUNNING = "running"
    STOPPED = "stopped"


class ClientState(StrEnum):
    """The five states that clients of the REST contract know."""

    STOPPED = "stopped"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    ERROR = "error"


class RunState(StrEnum):
    """Where a session is. It only moves forward: orchestrator/core/session.py has the table."""

    SCHEDULED = "scheduled"
    CREATING = "creating"
    BOOTING = "booting"
    CONNECTING = "connecting"
    RECONCILING = "reconciling"
    TRADING = "trading"
    STOPPING = "stopping"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when nothing can follow."""
        return self in (RunState.STOPPED, RunState.FAILED)

    @property
    def for_clients(self) -> ClientState:
        """The one of the five states that tells clients of the REST contract the same."""
        match self:
            case RunState.TRADING:
                return ClientState.RUNNING
            case RunState.STOPPING:
                return ClientState.STOPPING
            case RunState.STOPPED:
                return ClientState.STOPPED
            case RunState.FAILED | RunState.UNKNOWN:
                return ClientState.ERROR
            case _:
                return ClientState.STARTING


class OrphanPolicy(StrEnum):
    """What is done, after a grace, about a container of ours that no record knows. One that trades live is only reported."""

    ADOPT = "adopt"
    STOP = "stop"
    REPORT = "report"


class FailureReason(StrEnum):
    """Why a session failed."""

    CRASH = "crash"
    OOM = "oom"
    FROZEN = "frozen"
    CONFIG = "config"
    STRATEGY = "strategy"
    VENUE = "venue"
    HOST = "host"
    OPERATOR = "operator"
