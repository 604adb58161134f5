"""What is seen of the fleet, as rules take it: something that holds now, or holds no more."""

from datetime import datetime
from typing import Final

import msgspec

from flotilla.schemas.alert_rules import AlertRule
from flotilla.schemas.alerting import RuleSetting
from flotilla.schemas.labels import Labels
from flotilla.schemas.telemetry import Severity

FLEET: Final = "fleet"
"""What alerts are about that are about no engine, host or backtest."""
LONGEST_TEXT: Final = 600


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """A rule holds for `about`, or does no more. The same may be said again and again: it opens one alert.

    `severity` and `code` are those of the alert that an engine or the fleet raised. `happened` names what is over at once, so that it is
    told of once; "" for what lasts.
    """

    rule: AlertRule
    about: str
    is_raised: bool
    text: str = ""
    severity: Severity | None = None
    code: str = ""
    labels: Labels = {}
    is_live: bool = False
    happened: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """Of one alert: there is one open at most."""
        return self.rule.code, self.about, self.code


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """What holds of a rule for one engine, host or the fleet. `window_s` is in seconds; without a threshold 0."""

    is_on: bool
    severity: Severity
    threshold: float
    window_s: float


def in_force(rule: AlertRule, settings: tuple[RuleSetting, ...], about: str, labels: Labels) -> InForce:
    """The row, and over it what was set: for all, for labels (the most of them last), and for this one."""
    fitting = [
        one
        for one in settings
        if one.rule == rule.code
        and (one.about is None or one.about == about)
        and one.labels.items() <= labels.items()
    ]
    is_on, severity, threshold, window_s = rule.is_on, rule.severity, rule.threshold, rule.window_s
    for one in sorted(
        fitting, key=lambda one: (one.about is not None, len(one.labels), sorted(one.labels.items()))
    ):
        is_on = is_on if one.is_on is None else one.is_on
        severity = one.severity or severity
        threshold = threshold if one.threshold is None else one.threshold
        window_s = window_s if one.window_s is None else one.window_s
    has_what_it_needs = threshold is not None or not rule.unit
    return InForce(
        is_on=is_on and has_what_it_needs,
        severity=severity,
        threshold=threshold or 0.0,
        window_s=window_s or 0.0,
    )


def is_set(rule: AlertRule, settings: tuple[RuleSetting, ...]) -> bool:
    """Whether somebody chose how grave the rule is."""
    return any(one.rule == rule.code and one.severity is not None for one in settings)


def shortened(text: str) -> str:
    """On one line, and not longer than a message can bear."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_TEXT else f"{line[: LONGEST_TEXT - 1]}…"


class Thresholds(msgspec.Struct, frozen=True):
    """Everything that was set of rules."""

    settings: tuple[RuleSetting, ...] = ()

    def of(self, rule: AlertRule, about: str, labels: Labels) -> InForce:
        """What holds for one."""
        return in_force(rule, self.settings, about, labels)


def since(then: datetime | None, now: datetime) -> float:
    """Seconds; 0 for what never was."""
    return 0.0 if then is None else (now - then).total_seconds()
