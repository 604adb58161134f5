"""Every rule by which people are told, once: what it watches, how grave it is, from which value on, what it means, what to do.

A rule that holds opens one alert for each engine, host or backtest; the notifier tells of it and, when it holds no more, that it is over.
"""

from enum import StrEnum
from typing import Final

import msgspec

from flotilla.schemas.telemetry import Severity


class AlertAbout(StrEnum):
    """What an alert is about: one engine, one host, one backtest, or the fleet as a whole."""

    ENGINE = "engine"
    HOST = "host"
    BACKTEST = "backtest"
    FLEET = "fleet"


class AlertRule(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `threshold` is in `unit`; null where the rule has none, or none until somebody sets it, until when it is off.

    `window_s` is the time, in seconds, in which a rule that counts does so. `is_event`: it happens and is over at once, so that nothing
    resolves it. `is_graver_live`: it is critical where the engine trades money. `severity` is that of the alert itself where
    `is_as_raised`.
    """

    code: str
    about: AlertAbout
    severity: Severity
    meaning: str
    remedy: str
    threshold: float | None = None
    unit: str = ""
    window_s: float | None = None
    is_on: bool = True
    is_event: bool = False
    is_graver_live: bool = False
    is_as_raised: bool = False


def _engine(code: str, severity: Severity, meaning: str, remedy: str) -> AlertRule:
    return AlertRule(code=code, about=AlertAbout.ENGINE, severity=severity, meaning=meaning, remedy=remedy)


def _with(rule: AlertRule, **more: object) -> AlertRule:
    return msgspec.structs.replace(rule, **more)


ENGINE_FAILED: Final = _with(
    _engine(
        "engine_failed",
        Severity.WARNING,
        "An engine's session failed. The alert is over when it trades again, or was stopped.",
        "Look at the venue for what is not confirmed; `flotilla engine logs` and `engine inspect` say why it failed.",
    ),
    is_graver_live=True,
)
ENGINE_SILENT: Final = _with(
    _engine(
        "engine_silent",
        Severity.CRITICAL,
        "Nothing is heard of an engine that is not known to have ended: the orchestrator says so, or no heartbeat came for the threshold.",
        "Look at `flotilla engine logs`, at its host, and at the venue.",
    ),
    threshold=20.0,
    unit="seconds without a heartbeat",
)
ENGINE_MISMATCH: Final = _engine(
    "engine_mismatch",
    Severity.CRITICAL,
    "An engine and its venue do not agree on orders or positions.",
    "Look at the venue. `flotilla engine accept` takes it as it is, `flotilla engine flatten` closes what the engine knows of.",
)
ENGINE_IMPAIRED: Final = _with(
    _engine(
        "engine_impaired",
        Severity.WARNING,
        "An engine is up and does not trade as configured. The text has the reasons.",
        "Mend the reasons; restart the engine if they do not pass.",
    ),
    is_graver_live=True,
)
FEED_STALE: Final = _with(
    _engine(
        "feed_stale",
        Severity.WARNING,
        "A subscription of an engine is silent for longer than the threshold and the interval of its bars, and its market is not known to be closed.",
        "Look at the venue, and at the connection to it.",
    ),
    threshold=120.0,
    unit="seconds without data",
)
DRAWDOWN: Final = _with(
    _engine(
        "drawdown",
        Severity.WARNING,
        "An engine's equity is below its highest in this session by more than the threshold.",
        "Look at what it holds; `flotilla engine reduce` or `halt` keeps it from adding.",
    ),
    threshold=0.2,
    unit="share of the highest equity",
)
DAY_LOSS: Final = _with(
    _engine(
        "day_loss",
        Severity.WARNING,
        "An engine's equity is below what it was when it was first measured on this day (UTC) by more than the threshold.",
        "Look at what it holds; `flotilla engine reduce` or `halt` keeps it from adding.",
    ),
    threshold=0.1,
    unit="share of the equity at the day's begin",
)
EXPOSURE: Final = _with(
    _engine(
        "exposure",
        Severity.WARNING,
        "What an engine holds open in one currency, quantity times entry price, is more than the threshold. Multipliers of contracts are not in it.",
        "Look at what it holds; `flotilla engine reduce` keeps it from adding.",
    ),
    unit="units of the currency",
)
ORDER_REJECTS: Final = _with(
    _engine(
        "order_rejects",
        Severity.WARNING,
        "So many orders of an engine were rejected or denied within the window as the threshold says.",
        "Read the reasons: `flotilla engine watch`, or its events.",
    ),
    threshold=5.0,
    unit="orders refused",
    window_s=300.0,
)
RESTARTS: Final = _with(
    _engine(
        "restarts",
        Severity.WARNING,
        "An engine was started again by itself so often within the window as the threshold says.",
        "Read why it fails: `flotilla engine logs`.",
    ),
    threshold=3.0,
    unit="restarts",
    window_s=3_600.0,
)
FILL: Final = _with(
    _engine("fill", Severity.INFO, "An order of an engine was filled, in part or whole.", "Nothing."),
    is_on=False,
    is_event=True,
)
ENGINE_ALERT: Final = _with(
    _engine(
        "engine_alert",
        Severity.WARNING,
        "An engine, its sidecar or the orchestrator raised an alert that no other rule is about; the alert has its code.",
        "The table of alerts says what to do: schemas/generated/alerts.md.",
    ),
    is_as_raised=True,
)
HOST_LOST: Final = AlertRule(
    code="host_lost",
    about=AlertAbout.HOST,
    severity=Severity.CRITICAL,
    meaning="No heartbeat of a host's supervisor came for the threshold.",
    remedy="Look at the host. Its engines trade on by themselves, as their dead man's policy says.",
    threshold=15.0,
    unit="seconds without a heartbeat",
)
DISK_LOW: Final = AlertRule(
    code="disk_low",
    about=AlertAbout.FLEET,
    severity=Severity.CRITICAL,
    meaning="The disk of PostgreSQL or of the bus has little room left.",
    remedy="Make room. The text names the folder.",
)
QUEUE_STUCK: Final = AlertRule(
    code="queue_stuck",
    about=AlertAbout.FLEET,
    severity=Severity.WARNING,
    meaning="Backtests wait, and none of all began or ended for the threshold.",
    remedy="Look at the workers: `flotilla container ls`, and at the log of the orchestrator.",
    threshold=900.0,
    unit="seconds",
)
BACKTEST_FAILED: Final = AlertRule(
    code="backtest_failed",
    about=AlertAbout.BACKTEST,
    severity=Severity.WARNING,
    meaning="A backtest that belongs to no study failed.",
    remedy="Read why: `flotilla backtest show`.",
    is_event=True,
)
BACKTEST_DONE: Final = AlertRule(
    code="backtest_done",
    about=AlertAbout.BACKTEST,
    severity=Severity.INFO,
    meaning="A backtest that belongs to no study is completed.",
    remedy="Read its result: `flotilla backtest show`.",
    is_event=True,
)
ORCHESTRATOR_SILENT: Final = AlertRule(
    code="orchestrator_silent",
    about=AlertAbout.FLEET,
    severity=Severity.CRITICAL,
    meaning="The orchestrator does not answer whether it is well, or says that it is not, for the threshold.",
    remedy="Look at its log, and at PostgreSQL. Engines trade on; nobody restarts them meanwhile.",
    threshold=20.0,
    unit="seconds",
)
BUS_LOST: Final = AlertRule(
    code="bus_lost",
    about=AlertAbout.FLEET,
    severity=Severity.CRITICAL,
    meaning="The notifier has no connection to NATS for the threshold: it hears of no engine.",
    remedy="Look at nats-server. Engines trade on and keep their events.",
    threshold=5.0,
    unit="seconds",
)

CERTIFICATE: Final = AlertRule(
    code="certificate",
    about=AlertAbout.FLEET,
    severity=Severity.WARNING,
    meaning="The certificate of the bus ends within the threshold. From then on nobody can connect to it anew.",
    remedy="Renew it, have the server read it (`nats-server --signal reload`), and restart the notifier: it sees it where it connects.",
    threshold=14.0,
    unit="days until it ends",
)

RULES: Final = {rule.code: rule for rule in list(globals().values()) if isinstance(rule, AlertRule)}
"""Code → its row, in the order of this file."""
