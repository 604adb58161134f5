"""Alerts, as the notifier has them."""

from typing import Annotated

import msgspec
from msgspec import Meta

from flotilla.schemas import contract
from flotilla.schemas.alert_rules import AlertRule
from flotilla.schemas.alerting import (
    AboutId,
    AckAlert,
    AlertView,
    ChannelTested,
    ChannelView,
    ListAlerts,
    ListChannels,
    ListRules,
    Mute,
    MuteAlerts,
    Note,
    RemoveChannel,
    RuleCode,
    RuleSetting,
    SetChannel,
    SetRule,
    TryChannel,
)
from flotilla.schemas.ids import Name
from flotilla.schemas.labels import Labels, read_labels
from flotilla.schemas.telemetry import Severity
from flotilla.services.gateway.live.gateway import Gateway
from flotilla.services.gateway.live.scope import both, scope_of
from flotilla.services.gateway.web.inputs import Ask
from flotilla.services.gateway.web.queries import LabelFilter, Limit, NoQuery


class AlertsQuery(msgspec.Struct, frozen=True, kw_only=True):
    """`all` has those that are over, too; `label` keeps those of engines that carry all of its labels."""

    all: bool = False
    about: AboutId | None = None
    rule: RuleCode | None = None
    label: LabelFilter = ()
    limit: Limit = 100


class AlertsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts, the newest first, and the mutes in force."""

    success: bool = True
    alerts: tuple[AlertView, ...]
    mutes: tuple[Mute, ...]
    count: int


class AckBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is being done about it."""

    note: Note = ""


class AlertReply(msgspec.Struct, frozen=True, kw_only=True):
    """The command envelope."""

    success: bool = True
    message: str
    state: str
    data: AlertView


class MuteBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See MuteAlerts; `for_s` is in seconds, 0 ends the mute of exactly these."""

    for_s: Annotated[float, Meta(ge=0, le=30 * 86_400)]
    rule: RuleCode | None = None
    about: AboutId | None = None
    labels: Labels = {}
    reason: Note = ""


class MutesReply(msgspec.Struct, frozen=True, kw_only=True):
    """The mutes in force."""

    success: bool = True
    mutes: tuple[Mute, ...]


class RuleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See SetRule: what is left out stays as it is."""

    about: AboutId | None = None
    labels: Labels = {}
    is_on: bool | None = None
    severity: Severity | None = None
    threshold: Annotated[float, Meta(gt=0, le=1e15)] | None = None
    window_s: Annotated[float, Meta(ge=1, le=7 * 86_400)] | None = None
    is_reset: bool = False

    def __post_init__(self) -> None:
        if self.about is not None and self.labels:
            raise ValueError("`labels` must be left out where `about` is given")


class RulesReply(msgspec.Struct, frozen=True, kw_only=True):
    """The table of rules, and what was set of it."""

    success: bool = True
    rules: tuple[AlertRule, ...]
    settings: tuple[RuleSetting, ...]


class ChannelBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """See Channel; `secret` names the secret of the fleet that has the address."""

    secret: Name
    severity: Severity = Severity.WARNING
    rules: Annotated[tuple[RuleCode, ...], Meta(max_length=64)] = ()
    labels: Labels = {}
    is_on: bool = True
    tells_resolved: bool = True


class ChannelsReply(msgspec.Struct, frozen=True, kw_only=True):
    """Channels by name, without their addresses."""

    success: bool = True
    channels: tuple[ChannelView, ...]


class ChannelTestReply(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the channel took the message; `success` is about the request alone."""

    success: bool = True
    data: ChannelTested


async def list_alerts(gateway: Gateway, ask: Ask[AlertsQuery, None]) -> AlertsReply:
    """Those that are open, or all on record. Who sees engines by their labels sees the alerts of these, and no mutes."""
    query, scope = ask.query, scope_of(ask)
    labels = both(scope, read_labels(query.label, "label"))
    if labels is None:
        return AlertsReply(alerts=(), mutes=(), count=0)
    question = ListAlerts(
        is_all=query.all,
        about=query.about,
        rule=query.rule,
        labels=labels,
        limit=query.limit,
    )
    found = await gateway.bus.call(contract.ALERT_LIST, question)
    return AlertsReply(alerts=found.alerts, mutes=() if scope else found.mutes, count=len(found.alerts))


async def ack_alert(gateway: Gateway, ask: Ask[NoQuery, AckBody]) -> AlertReply:
    """Raises FaultError `not_found`, and `conflict` for one that is not open."""
    request = AckAlert(alert_id=ask.path["alert_id"], note=ask.body.note, request_id=ask.request_id)
    alert = await gateway.bus.call(contract.ALERT_ACK, request)
    message = f"alert {alert.alert_id} is taken on by {alert.acknowledged_by}"
    return AlertReply(message=message, state=str(alert.state), data=alert)


async def mute_alerts(gateway: Gateway, ask: Ask[NoQuery, MuteBody]) -> MutesReply:
    """Raises FaultError `invalid` for one that would mute everything."""
    request = MuteAlerts(**msgspec.structs.asdict(ask.body), request_id=ask.request_id)
    return MutesReply(mutes=(await gateway.bus.call(contract.ALERT_MUTE, request)).mutes)


async def list_rules(gateway: Gateway, _: Ask[NoQuery, None]) -> RulesReply:
    """All of them."""
    found = await gateway.bus.call(contract.ALERT_RULES, ListRules())
    return RulesReply(rules=found.rules, settings=found.settings)


async def set_rule(gateway: Gateway, ask: Ask[NoQuery, RuleBody]) -> RulesReply:
    """Raises FaultError `invalid` for what the rule does not have."""
    body = msgspec.structs.asdict(ask.body)
    request = SetRule(rule=ask.path["rule"], **body, request_id=ask.request_id)
    found = await gateway.bus.call(contract.ALERT_SET_RULE, request)
    return RulesReply(rules=found.rules, settings=found.settings)


async def list_channels(gateway: Gateway, _: Ask[NoQuery, None]) -> ChannelsReply:
    """By name."""
    found = await gateway.bus.call(contract.ALERT_CHANNELS, ListChannels())
    return ChannelsReply(channels=found.channels)


async def set_channel(gateway: Gateway, ask: Ask[NoQuery, ChannelBody]) -> ChannelsReply:
    """Adds it, or puts it in the place of the one of that name."""
    body = {name: getattr(ask.body, name) for name in ChannelBody.__struct_fields__}
    request = SetChannel(name=ask.path["name"], **body, request_id=ask.request_id)
    return ChannelsReply(channels=(await gateway.bus.call(contract.ALERT_SET_CHANNEL, request)).channels)


async def remove_channel(gateway: Gateway, ask: Ask[NoQuery, None]) -> ChannelsReply:
    """Raises FaultError `not_found`."""
    request = RemoveChannel(name=ask.path["name"], request_id=ask.request_id)
    return ChannelsReply(channels=(await gateway.bus.call(contract.ALERT_REMOVE_CHANNEL, request)).channels)


async def test_channel(gateway: Gateway, ask: Ask[NoQuery, None]) -> ChannelTestReply:
    """Sends a message of its own there. Raises FaultError `not_found`."""
    request = TryChannel(name=ask.path["name"], request_id=ask.request_id)
    return ChannelTestReply(data=await gateway.bus.call(contract.ALERT_TEST_CHANNEL, request))
