"""Answers the calls about alerts, rules and channels."""

from datetime import timedelta
from typing import Any

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.endpoint import asked
from flotilla.schemas import contract
from flotilla.schemas.alert_rules import RULES
from flotilla.schemas.alerting import (
    AckAlert,
    AlertList,
    AlertState,
    AlertView,
    Channel,
    ChannelList,
    ChannelTested,
    ChannelView,
    ListAlerts,
    ListChannels,
    ListRules,
    Mute,
    MuteAlerts,
    MuteList,
    RemoveChannel,
    RuleList,
    RuleSetting,
    SetChannel,
    SetRule,
    TryChannel,
)
from flotilla.schemas.fault import FaultCode, FieldError, fault, invalid
from flotilla.schemas.ids import new_request_id
from flotilla.schemas.labels import matches
from flotilla.services.notifier.core import book
from flotilla.services.notifier.core.signals import Thresholds
from flotilla.services.notifier.delivering import Deliveries
from flotilla.services.notifier.ledger import Ledger, Turn, who


class Handlers:
    """One method for each call."""

    def __init__(self, ledger: Ledger, deliveries: Deliveries) -> None:
        self._ledger = ledger
        self._deliveries = deliveries

    async def serve(self, bus: Bus) -> None:
        """Answers from now on."""
        await bus.serve(contract.ALERT_LIST, self.list)
        await bus.serve(contract.ALERT_ACK, self.ack)
        await bus.serve(contract.ALERT_MUTE, self.mute)
        await bus.serve(contract.ALERT_RULES, self.rules)
        await bus.serve(contract.ALERT_SET_RULE, self.set_rule)
        await bus.serve(contract.ALERT_CHANNELS, self.channels)
        await bus.serve(contract.ALERT_SET_CHANNEL, self.set_channel)
        await bus.serve(contract.ALERT_REMOVE_CHANNEL, self.remove_channel)
        await bus.serve(contract.ALERT_TEST_CHANNEL, self.test_channel)

    async def list(self, question: ListAlerts) -> AlertList:
        """From the record."""
        alerts = await self._ledger.store.alerts(question)
        return AlertList(alerts=tuple(alerts), mutes=self._in_force())

    async def ack(self, request: AckAlert) -> AlertView:
        """Raises FaultError `not_found`, and `conflict` for one that is not open."""

        async def run(turn: Turn) -> AlertView:
            kept = await self._ledger.store.alert(request.alert_id)
            # Of engines out of sight it is not to be told that there is one.
            if kept is None or not matches(kept.view.labels, asked().scope):
                raise fault(FaultCode.NOT_FOUND, f"no alert {request.alert_id}")
            record = turn.record(kept.key)
            if (
                record is None
                or record.view.alert_id != request.alert_id
                or record.view.state != AlertState.OPEN
            ):
                raise fault(FaultCode.CONFLICT, f"alert {request.alert_id} is {kept.view.state}, not open")
            turn.make(book.acknowledged(record, who(asked().caller), request.note, turn.now))
            return turn.records[kept.key].view

        return await self._ledger.once(contract.ALERT_ACK, request, request.alert_id, run)

    async def mute(self, request: MuteAlerts) -> MuteList:
        """Raises FaultError `invalid` for one that would mute everything."""
        if request.rule is None and request.about is None and not request.labels:
            raise invalid(
                FieldError("rule", "must be given, or `about` or `labels`: not everything is muted at once")
            )

        async def run(turn: Turn) -> MuteList:
            same = (request.rule, request.about, request.labels)
            left = tuple(
                one
                for one in self._ledger.mutes
                if one.until > turn.now and (one.rule, one.about, one.labels) != same
            )
            if request.for_s > 0:
                until = turn.now + timedelta(seconds=request.for_s)
                made = Mute(
                    mute_id=new_request_id(),
                    until=until,
                    by=who(asked().caller),
                    rule=request.rule,
                    about=request.about,
                    labels=request.labels,
                    reason=request.reason,
                )
                left = (*left, made)
            turn.batch.mutes = left
            return MuteList(mutes=left)

        about = request.about or request.rule or "labels"
        return await self._ledger.once(contract.ALERT_MUTE, request, about, run)

    async def rules(self, _: ListRules) -> RuleList:
        """The table, and what was set."""
        return self._rules(self._ledger.thresholds.settings)

    async def set_rule(self, request: SetRule) -> RuleList:
        """Alerts whose rule is off for them from now on are resolved."""
        _check(request)

        async def run(turn: Turn) -> RuleList:
            settings = self._changed(request)
            turn.batch.settings = settings
            self._end_those_off(turn, settings)
            return self._rules(settings)

        return await self._ledger.once(contract.ALERT_SET_RULE, request, request.rule, run)

    async def channels(self, _: ListChannels) -> ChannelList:
        """By name."""
        self._require_loaded()
        return self._deliveries.channels()

    async def set_channel(self, request: SetChannel) -> ChannelList:
        """Whether its secret is there is found out by a test: it may be stored later."""
        fields = {name: getattr(request, name) for name in Channel.__struct_fields__}
        channel = Channel(**fields)

        async def run(turn: Turn) -> ChannelList:
            return self._kept(turn, {**self._ledger.channels, channel.name: channel})

        return await self._ledger.once(contract.ALERT_SET_CHANNEL, request, request.name, run)

    async def remove_channel(self, request: RemoveChannel) -> ChannelList:
        """Raises FaultError `not_found`."""

        async def run(turn: Turn) -> ChannelList:
            left = {name: one for name, one in self._ledger.channels.items() if name != request.name}
            if len(left) == len(self._ledger.channels):
                raise fault(FaultCode.NOT_FOUND, f"no channel {request.name}")
            waiting = self._ledger.deliveries.values()
            turn.batch.given_up = [one.delivery_id for one in waiting if one.channel == request.name]
            return self._kept(turn, left)

        return await self._ledger.once(contract.ALERT_REMOVE_CHANNEL, request, request.name, run)

    async def test_channel(self, request: TryChannel) -> ChannelTested:
        """Raises FaultError `not_found`."""
        self._require_loaded()
        tested = None
        if request.request_id is None or await self._ledger.store.command(request.request_id) is None:
            tested = await self._deliveries.test(request.name)

        async def run(_: Turn) -> ChannelTested:
            # A repeated one is answered from the record, and never comes here.
            return tested or ChannelTested(name=request.name, is_sent=False)

        return await self._ledger.once(contract.ALERT_TEST_CHANNEL, request, request.name, run)

    def _kept(self, turn: Turn, channels: dict[str, Channel]) -> ChannelList:
        turn.batch.channels = tuple(channels.values())
        known = {one.channel.name: one for one in self._deliveries.channels().channels}
        views = [
            msgspec.structs.replace(known[name], channel=channels[name])
            if name in known
            else ChannelView(channel=channels[name])
            for name in sorted(channels)
        ]
        return ChannelList(channels=tuple(views))

    def _in_force(self) -> tuple[Mute, ...]:
        now = self._ledger.clock()
        return tuple(one for one in self._ledger.mutes if one.until > now)

    def _require_loaded(self) -> None:
        if not self._ledger.is_loaded:
            raise fault(FaultCode.UNAVAILABLE, "the record has not been read yet", retry_after_s=2.0)

    def _rules(self, settings: tuple[RuleSetting, ...]) -> RuleList:
        self._require_loaded()
        return RuleList(rules=tuple(RULES.values()), settings=settings)

    def _changed(self, request: SetRule) -> tuple[RuleSetting, ...]:
        place = (request.rule, request.about, request.labels)
        settings = self._ledger.thresholds.settings
        before = next((one for one in settings if (one.rule, one.about, one.labels) == place), None)
        left = tuple(one for one in settings if one is not before)
        if before is None or request.is_reset:
            before = RuleSetting(rule=request.rule, about=request.about, labels=request.labels)
        given: dict[str, Any] = {
            name: value
            for name in ("is_on", "severity", "threshold", "window_s")
            if (value := getattr(request, name)) is not None
        }
        if not given:
            return left
        return (*left, msgspec.structs.replace(before, **given))

    def _end_those_off(self, turn: Turn, settings: tuple[RuleSetting, ...]) -> None:
        thresholds = Thresholds(settings)
        for record in list(self._ledger.records.values()):
            view = record.view
            is_on = thresholds.of(RULES[view.rule], view.about, view.labels).is_on
            if view.state == AlertState.OPEN and not is_on:
                turn.make(book.ended(record, turn.now))


def _check(request: SetRule) -> None:
    rule = RULES[request.rule]
    given = any(
        one is not None for one in (request.is_on, request.severity, request.threshold, request.window_s)
    )
    if not given and not request.is_reset:
        raise invalid(
            FieldError("is_on", "must be given, or `severity`, `threshold`, `window_s` or `is_reset`")
        )
    if request.threshold is not None and not rule.unit:
        raise invalid(FieldError("threshold", f"{rule.code} has none"))
    if request.window_s is not None and rule.window_s is None:
        raise invalid(FieldError("window_s", f"{rule.code} has none"))
