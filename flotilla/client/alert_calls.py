"""What an operator can ask of the notifier: alerts, the rules by which people are told, and where they are told."""

from collections.abc import Iterable, Mapping

from flotilla.bus.bus import Bus
from flotilla.schemas import contract
from flotilla.schemas.alerting import (
    AckAlert,
    AlertList,
    AlertView,
    ChannelList,
    ChannelTested,
    ListAlerts,
    ListChannels,
    ListRules,
    MuteAlerts,
    MuteList,
    RemoveChannel,
    RuleList,
    SetChannel,
    SetRule,
    TryChannel,
)
from flotilla.schemas.decoding import convert
from flotilla.schemas.telemetry import Severity


class AlertCalls:
    """Alerts and who is told of them. Every call raises FaultError when it is refused."""

    bus: Bus

    async def alerts(
        self,
        *,
        all: bool = False,
        about: str | None = None,
        rule: str | None = None,
        labels: Mapping[str, str] | None = None,
        limit: int = 100,
    ) -> AlertList:
        """Alerts, the newest first: those that are open, or all on record; and the mutes in force."""
        given = {"is_all": all, "about": about, "rule": rule, "labels": dict(labels or {}), "limit": limit}
        return await self.bus.call(contract.ALERT_LIST, convert(given, ListAlerts))

    async def ack_alert(self, alert_id: str, *, note: str = "", request_id: str | None = None) -> AlertView:
        """Says that you have taken an alert on. Raises `not_found`, and `conflict` for one that is not open."""
        given = {"alert_id": alert_id, "note": note, "request_id": request_id}
        return await self.bus.call(contract.ALERT_ACK, convert(given, AckAlert))

    async def mute_alerts(
        self,
        *,
        for_s: float,
        rule: str | None = None,
        about: str | None = None,
        labels: Mapping[str, str] | None = None,
        reason: str = "",
        request_id: str | None = None,
    ) -> MuteList:
        """Nobody is told of alerts that fit all of what is given for `for_s` seconds; 0 ends the mute of exactly these."""
        given = {
            "for_s": for_s,
            "rule": rule,
            "about": about,
            "labels": dict(labels or {}),
            "reason": reason,
            "request_id": request_id,
        }
        return await self.bus.call(contract.ALERT_MUTE, convert(given, MuteAlerts))

    async def alert_rules(self) -> RuleList:
        """The rules, and what was set of them."""
        return await self.bus.call(contract.ALERT_RULES, ListRules())

    async def set_alert_rule(
        self,
        rule: str,
        *,
        about: str | None = None,
        labels: Mapping[str, str] | None = None,
        is_on: bool | None = None,
        severity: Severity | str | None = None,
        threshold: float | None = None,
        window_s: float | None = None,
        is_reset: bool = False,
        request_id: str | None = None,
    ) -> RuleList:
        """Sets what is given of a rule: for one engine or host, for labels, or for all."""
        given = {
            "rule": rule,
            "about": about,
            "labels": dict(labels or {}),
            "is_on": is_on,
            "severity": severity,
            "threshold": threshold,
            "window_s": window_s,
            "is_reset": is_reset,
            "request_id": request_id,
        }
        return await self.bus.call(contract.ALERT_SET_RULE, convert(given, SetRule))

    async def alert_channels(self) -> ChannelList:
        """Where alerts are sent, and how that goes."""
        return await self.bus.call(contract.ALERT_CHANNELS, ListChannels())

    async def set_alert_channel(
        self,
        name: str,
        *,
        secret: str,
        severity: Severity | str = Severity.WARNING,
        rules: Iterable[str] = (),
        labels: Mapping[str, str] | None = None,
        is_on: bool = True,
        tells_resolved: bool = True,
        request_id: str | None = None,
    ) -> ChannelList:
        """Adds a channel, or puts it in the place of the one of that name. Its address is the field `url` of the secret."""
        given = {
            "name": name,
            "secret": secret,
            "severity": severity,
            "rules": list(rules),
            "labels": dict(labels or {}),
            "is_on": is_on,
            "tells_resolved": tells_resolved,
            "request_id": request_id,
        }
        return await self.bus.call(contract.ALERT_SET_CHANNEL, convert(given, SetChannel))

    async def remove_alert_channel(self, name: str, *, request_id: str | None = None) -> ChannelList:
        """Takes a channel away, with what waits to be sent there. Raises `not_found`."""
        given = {"name": name, "request_id": request_id}
        return await self.bus.call(contract.ALERT_REMOVE_CHANNEL, convert(given, RemoveChannel))

    async def test_alert_channel(self, name: str, *, request_id: str | None = None) -> ChannelTested:
        """Sends a message of its own there, and says whether it was taken. Raises `not_found`."""
        given = {"name": name, "request_id": request_id}
        return await self.bus.call(contract.ALERT_TEST_CHANNEL, convert(given, TryChannel))
