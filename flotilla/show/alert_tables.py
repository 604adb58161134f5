"""Alerts, rules and channels as tables."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.text import Text

from flotilla.schemas.alert_rules import AlertRule
from flotilla.schemas.alerting import (
    AlertList,
    AlertView,
    Channel,
    ChannelList,
    ChannelTested,
    Mute,
    RuleList,
    RuleSetting,
)
from flotilla.schemas.labels import text_of
from flotilla.schemas.telemetry import Severity
from flotilla.show import formats
from flotilla.show.output import table

_STYLES = {Severity.CRITICAL: "red", Severity.WARNING: "yellow", Severity.INFO: ""}


def alerts_table(found: AlertList) -> RenderableType:
    """A row per alert, and the mutes below."""
    mutes = [Text(_mute(one)) for one in found.mutes]
    if not found.alerts:
        return Group(Text("no alerts"), *mutes)
    made = table("ALERT", "SEVERITY", "STATE", "RULE", "ABOUT", "SINCE", ">TIMES", "TAKEN ON BY", "TEXT")
    for one in found.alerts:
        made.add_row(
            one.alert_id,
            Text(one.severity, style=_STYLES[one.severity]),
            _state(one),
            one.rule,
            one.about,
            formats.moment(one.opened_at),
            str(one.times),
            Text(one.acknowledged_by, overflow="fold"),
            Text(one.text, overflow="fold"),
        )
    return Group(made, *mutes)


def mutes_report(mutes: Iterable[Mute]) -> RenderableType:
    """A line per mute in force."""
    lines = [Text(_mute(one)) for one in mutes]
    return Group(*lines) if lines else Text("nothing is muted")


def rules_table(found: RuleList) -> RenderableType:
    """The table of rules, and below each what was set of it."""
    made = table("RULE", "FOR", "ON", "SEVERITY", ">THRESHOLD", "UNIT", ">WINDOW", "MEANS")
    for rule in found.rules:
        made.add_row(*_rule(rule))
        for one in found.settings:
            if one.rule == rule.code:
                made.add_row(*_setting(one))
    return made


def channels_table(found: ChannelList) -> RenderableType:
    """A row per channel."""
    if not found.channels:
        return Text("no channels: nobody is told; add one with `flotilla alert channel add`")
    made = table("CHANNEL", "SECRET", "FROM", "ONLY", "ON", ">WAITING", "LAST SENT", "PROBLEM")
    for one in found.channels:
        channel = one.channel
        made.add_row(
            channel.name,
            channel.secret,
            channel.severity,
            Text(_only(channel), overflow="fold"),
            "yes" if channel.is_on else "no",
            str(one.waiting),
            formats.moment(one.sent_at) if one.sent_at else "-",
            Text(one.problem, style="red", overflow="fold"),
        )
    return made


def tested_report(tested: ChannelTested) -> RenderableType:
    """What came of a test."""
    if tested.is_sent:
        return Text(f"channel {tested.name} took the message in {tested.elapsed_ms:.0f} ms")
    return Text(f"channel {tested.name} did not take it: {tested.problem}", style="red")


def _state(alert: AlertView) -> str:
    return "flapping" if alert.is_flapping else str(alert.state)


def _mute(mute: Mute) -> str:
    what = " ".join(part for part in (mute.rule, mute.about, text_of(mute.labels)) if part)
    why = f": {mute.reason}" if mute.reason else ""
    return f"muted until {formats.moment(mute.until)} by {mute.by}: {what}{why}"


def _rule(rule: AlertRule) -> tuple[str | Text, ...]:
    return (
        rule.code,
        "all",
        "yes" if rule.is_on else "no",
        rule.severity,
        "-" if rule.threshold is None else f"{rule.threshold:g}",
        Text(rule.unit, overflow="fold"),
        "-" if rule.window_s is None else f"{rule.window_s:g} s",
        Text(rule.meaning, overflow="fold"),
    )


def _setting(one: RuleSetting) -> tuple[str | Text, ...]:
    is_on = "" if one.is_on is None else "yes" if one.is_on else "no"
    threshold = "" if one.threshold is None else f"{one.threshold:g}"
    window = "" if one.window_s is None else f"{one.window_s:g} s"
    place = one.about or text_of(one.labels) or "all"
    return ("", Text(place, overflow="fold"), is_on, one.severity or "", threshold, "", window, "set")


def _only(channel: Channel) -> str:
    return " ".join((*channel.rules, *([text_of(channel.labels)] if channel.labels else [])))
