"""Alerts as people are told of them: what is open, who took it on, whom it is sent to, and by what rules."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final, TypeAlias

import msgspec
from msgspec import Meta

from flotilla.schemas.alert_rules import RULES, AlertAbout, AlertRule
from flotilla.schemas.ids import BACKTEST_ID_PATTERN, Name, RequestId
from flotilla.schemas.labels import Labels
from flotilla.schemas.telemetry import Severity

ALERT_ADAPTER: Final = "apprise"
"""What the secret of a channel is bound to: the notifier reads no other, and no engine gets it."""
HEARTBEAT_ADAPTER: Final = "heartbeat_url"
"""What the secret with the address is bound to that hears that the notifier is alive."""
TEST_TIMEOUT_S: Final = 40.0
_LONGEST_MUTE_S: Final = 30 * 86_400.0

AlertId: TypeAlias = Annotated[
    str, Meta(pattern=r"\A[a-f0-9]{24}\Z", description="An alert: 24 digits, 0-9 and a-f.")
]
RuleCode: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"\A(?:" + "|".join(RULES) + r")\Z",
        description="A rule of schemas/alert_rules.py: " + ", ".join(RULES) + ".",
    ),
]
AboutId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=BACKTEST_ID_PATTERN,
        description="What an alert is about: an engine, a host, a backtest, or `fleet`.",
    ),
]
Note: TypeAlias = Annotated[str, Meta(max_length=500)]


class AlertState(StrEnum):
    """Open: what it tells of is so. Resolved: it is over. Told: it was over at once, such as a fill."""

    OPEN = "open"
    RESOLVED = "resolved"
    TOLD = "told"


class AlertChangeKind(StrEnum):
    """What became of an alert. Repeated: it is open again, soon after it was resolved; flapping: that so often that it stays open."""

    OPENED = "opened"
    REPEATED = "repeated"
    FLAPPING = "flapping"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


class AlertView(msgspec.Struct, frozen=True, kw_only=True):
    """One alert. `times` is how often what it tells of began, `code` that of the engine's or the fleet's own alert where the rule is engine_alert.

    `labels` are the engine's. `acknowledged_by` is whoever took it on, "" nobody: a name behind which the gateway stands, or one with a question
    mark, which is what the caller said of itself.
    """

    alert_id: AlertId
    rule: str
    about_kind: AlertAbout
    about: str
    severity: Severity
    text: str
    state: AlertState
    opened_at: datetime
    changed_at: datetime
    times: int = 1
    code: str = ""
    is_flapping: bool = False
    resolved_at: datetime | None = None
    acknowledged_by: str = ""
    acknowledged_at: datetime | None = None
    note: str = ""
    labels: Labels = {}


class AlertChange(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an alert at `at`, and the alert after it."""

    change: AlertChangeKind
    at: datetime
    alert: AlertView


class Mute(msgspec.Struct, frozen=True, kw_only=True):
    """Nobody is told until `until` of alerts that fit all of what is given; they are opened and resolved all the same."""

    mute_id: AlertId
    until: datetime
    by: str
    rule: str | None = None
    about: str | None = None
    labels: Labels = {}
    reason: str = ""


class ListAlerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for alerts, the newest first: those that are open, or with `is_all` all on record."""

    is_all: bool = False
    about: AboutId | None = None
    rule: RuleCode | None = None
    labels: Labels = {}
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class AlertList(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, the newest first, and the mutes in force."""

    alerts: tuple[AlertView, ...]
    mutes: tuple[Mute, ...] = ()


class AckAlert(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Says that the caller has taken an alert on; nobody is told of it again but that it is over."""

    alert_id: AlertId
    note: Note = ""
    request_id: RequestId | None = None


class MuteAlerts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks that nobody is told of some alerts for `for_s` seconds; 0 ends the mutes that are of exactly these. At least one of the others is to be given."""

    for_s: Annotated[float, Meta(ge=0, le=_LONGEST_MUTE_S)]
    rule: RuleCode | None = None
    about: AboutId | None = None
    labels: Labels = {}
    reason: Note = ""
    request_id: RequestId | None = None


class MuteList(msgspec.Struct, frozen=True, kw_only=True):
    """The mutes in force."""

    mutes: tuple[Mute, ...]


class ListRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the rules and what was set of them."""


class RuleSetting(msgspec.Struct, frozen=True, kw_only=True):
    """What was set of a rule for one engine or host (`about`), for those with all of `labels`, or for all. Null leaves the next wider one's.

    That for one of them comes before that for labels (the one with most labels first), and that before the one for all.
    """

    rule: str
    about: str | None = None
    labels: Labels = {}
    is_on: bool | None = None
    severity: Severity | None = None
    threshold: float | None = None
    window_s: float | None = None


class RuleList(msgspec.Struct, frozen=True, kw_only=True):
    """The table, and what was set of it."""

    rules: tuple[AlertRule, ...]
    settings: tuple[RuleSetting, ...]


class SetRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sets what is given of a rule, for one engine or host, for labels, or for all; `is_reset` takes back first what was set for these."""

    rule: RuleCode
    about: AboutId | None = None
    labels: Labels = {}
    is_on: bool | None = None
    severity: Severity | None = None
    threshold: Annotated[float, Meta(gt=0, le=1e15)] | None = None
    window_s: Annotated[float, Meta(ge=1, le=7 * 86_400)] | None = None
    is_reset: bool = False
    request_id: RequestId | None = None

    def __post_init__(self) -> None:
        if self.about is not None and self.labels:
            raise ValueError("`labels` must be left out where `about` is given")


class Channel(msgspec.Struct, frozen=True, kw_only=True):
    """Where alerts are sent: `secret` names the secret of the fleet whose field `url` is the address, which stands nowhere else.

    It gets those that are at least as grave as `severity`, of `rules` (all without any), of engines with all of `labels`; with labels nothing
    that is about no engine. `tells_resolved`: it is told when they are over.
    """

    name: Name
    secret: Name
    severity: Severity = Severity.WARNING
    rules: tuple[str, ...] = ()
    labels: Labels = {}
    is_on: bool = True
    tells_resolved: bool = True


class ChannelView(msgspec.Struct, frozen=True, kw_only=True):
    """A channel, and how it does: deliveries that wait, and why the last attempt failed, "" where it did not."""

    channel: Channel
    waiting: int = 0
    problem: str = ""
    sent_at: datetime | None = None


class ListChannels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the channels."""


class ChannelList(msgspec.Struct, frozen=True, kw_only=True):
    """Channels by name."""

    channels: tuple[ChannelView, ...]


class SetChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Adds a channel, or puts it in the place of the one of that name. See Channel."""

    name: Name
    secret: Name
    severity: Severity = Severity.WARNING
    rules: Annotated[tuple[RuleCode, ...], Meta(max_length=64)] = ()
    labels: Labels = {}
    is_on: bool = True
    tells_resolved: bool = True
    request_id: RequestId | None = None


class RemoveChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Takes a channel away, with what waits to be sent there."""

    name: Name
    request_id: RequestId | None = None


class TryChannel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for a message of its own to a channel, now."""

    name: Name
    request_id: RequestId | None = None


class ChannelTested(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the message was taken, and if not why, as far as that can be told without the address."""

    name: Name
    is_sent: bool
    problem: str = ""
    elapsed_ms: float = 0.0
