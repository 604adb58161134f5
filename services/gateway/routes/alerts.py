"""The routes of alerts, of the rules by which people are told, and of where they are told."""

from typing import Final

from flotilla.schemas.access import Role
from flotilla.services.gateway.fleet import alerts
from flotilla.services.gateway.routes.route import Route, changing, deleting, reading
from flotilla.services.gateway.web.failure import Failure
from flotilla.services.gateway.web.scope import About

ALERTS: Final = "/api/v1/alerts"
_CHANNEL: Final = f"{ALERTS}/channels/{{name}}"
_TAG: Final = "alerts"
_NOT_THERE: Final = {404: Failure}

ALERT_ROUTES: Final[tuple[Route, ...]] = (
    reading(
        "alerts",
        ALERTS,
        alerts.list_alerts,
        "Alerts, the newest first: those that are open, or all; and what is muted.",
        tag=_TAG,
        about=About.ENGINES,
    ),
    changing(
        "alert_ack",
        f"{ALERTS}/{{alert_id}}/ack",
        alerts.ack_alert,
        "Say that somebody has taken an alert on: it is told of again only when it is over.",
        tag=_TAG,
        about=About.ENGINES,
        failures=_NOT_THERE,
    ),
    changing(
        "alert_mute",
        f"{ALERTS}/mutes",
        alerts.mute_alerts,
        "Tell nobody of some alerts for a time, or do so again.",
        tag=_TAG,
        about=About.FLEET,
    ),
    reading(
        "alert_rules",
        f"{ALERTS}/rules",
        alerts.list_rules,
        "The rules, and what was set of them.",
        tag=_TAG,
        about=About.FLEET,
    ),
    changing(
        "alert_set_rule",
        f"{ALERTS}/rules/{{rule}}",
        alerts.set_rule,
        "Set a rule: for all, for engines of some labels, or for one engine or host.",
        tag=_TAG,
        about=About.FLEET,
        method="PUT",
        role=Role.ADMIN,
    ),
    reading(
        "alert_channels",
        f"{ALERTS}/channels",
        alerts.list_channels,
        "Where alerts are sent, and how that goes; addresses are secrets and in no answer.",
        tag=_TAG,
        about=About.FLEET,
    ),
    changing(
        "alert_set_channel",
        _CHANNEL,
        alerts.set_channel,
        "Add a channel, or change it; its address is a secret of the fleet.",
        tag=_TAG,
        about=About.FLEET,
        method="PUT",
        role=Role.ADMIN,
    ),
    deleting(
        "alert_remove_channel",
        _CHANNEL,
        alerts.remove_channel,
        "Take a channel away, with what waits to be sent there.",
        tag=_TAG,
        about=About.FLEET,
        failures=_NOT_THERE,
    ),
    changing(
        "alert_test_channel",
        f"{_CHANNEL}/test",
        alerts.test_channel,
        "Send a message of its own to a channel, and say whether it was taken.",
        tag=_TAG,
        about=About.FLEET,
        role=Role.ADMIN,
        failures=_NOT_THERE,
    ),
)
