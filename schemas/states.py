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


class Brake(StrEnum):
    """What strategies of an engine may send while it runs: anything; orders that reduce a position, and cancels; cancels alone."""

    NONE = "none"
    REDUCED = "reduced"
    HALTED = "halted"


class DeadManPolicy(StrEnum):
    """What an engine does by itself once no orchestrator is heard: trade on; only reduce positions until one is; or close them and
    stay halted.
    """

    CONTINUE = "continue"
    REDUCE = "reduce"
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
    """Where a session is. It only moves forward: services/orchestrator/engines/core/session.py has the table.

    `trading`: every client is connected, every strategy runs, data arrives where it is due; all less than that is `impaired`.
    `mismatch`: its venue and it do not agree on orders or positions, strategies wait or only reduce.
    `silent`: its container is up, and nothing is heard of it. `completed`: a replay whose data is through.
    """

    SCHEDULED = "scheduled"
    CREATING = "creating"
    BOOTING = "booting"
    CONNECTING = "connecting"
    RECONCILING = "reconciling"
    TRADING = "trading"
    IMPAIRED = "impaired"
    MISMATCH = "mismatch"
    SILENT = "silent"
    STOPPING = "stopping"
    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    UNKNOWN = "unknown"

    @property
    def is_terminal(self) -> bool:
        """True when nothing can follow."""
        return self in (RunState.COMPLETED, RunState.STOPPED, RunState.FAILED)

    @property
    def for_clients(self) -> ClientState:
        """The one of the five states that tells clients of the REST contract the same."""
        match self:
            case RunState.TRADING:
                return ClientState.RUNNING
            case RunState.STOPPING:
                return ClientState.STOPPING
            case RunState.STOPPED | RunState.COMPLETED:
                return ClientState.STOPPED
            case RunState.IMPAIRED | RunState.MISMATCH | RunState.SILENT | RunState.FAILED | RunState.UNKNOWN:
                return ClientState.ERROR
            case _:
                return ClientState.STARTING


class SilencePolicy(StrEnum):
    """What follows when nothing is heard of an engine whose container is up: tell people, end it, or end it and start it again."""

    REPORT = "report"
    STOP = "stop"
    RESTART = "restart"


class OrphanPolicy(StrEnum):
    """What is done, after a grace, about a container of ours that no record knows. One that trades live is only reported."""

    ADOPT = "adopt"
    STOP = "stop"
    REPORT = "report"


class FailureReason(StrEnum):
    """Why a session failed. `killed`: by a SIGKILL from outside, which neither the fleet nor a memory limit sent."""

    CRASH = "crash"
    KILLED = "killed"
    OOM = "oom"
    FROZEN = "frozen"
    CONFIG = "config"
    STRATEGY = "strategy"
    VENUE = "venue"
    HOST = "host"
    OPERATOR = "operator"
