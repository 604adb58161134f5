"""Every alert, once: its code, how grave it is, what it means, what to do. Whoever raises one names its row, and rows alone make alerts.

The page schemas/generated/alerts.md, the records of who closes what, and what people look up come from these rows.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any, Final

import msgspec

from flotilla.schemas.ids import HostId, InstanceId, SessionId
from flotilla.schemas.telemetry import Alert, FleetAlert, Severity


class RaisedBy(StrEnum):
    """Who raises an alert: the engine or its sidecar (feed `alert`), or the orchestrator (feed `fleet_alert`)."""

    ENGINE = "engine"
    FLEET = "fleet"


class AlertKind(msgspec.Struct, frozen=True, kw_only=True):
    """One row. `severity` is what it usually is; where `critical_when` says a condition, it is critical under that condition.

    `closed_by` is raised when what this one reports is over; `closed_by_end` instead of it when the session ends first.
    """

    code: str
    severity: Severity
    raised_by: RaisedBy
    meaning: str
    remedy: str
    critical_when: str = ""
    closed_by: "AlertKind | None" = None
    closed_by_end: "AlertKind | None" = None

    def alert(self, message: str, *, is_critical: bool = False) -> Alert:
        """An engine's alert of this kind. Raises ValueError where the row does not say when it is critical."""
        return Alert(severity=self._severity(is_critical=is_critical), code=self.code, message=message)

    def fleet_alert(
        self,
        message: str,
        at: datetime,
        *,
        is_critical: bool = False,
        instance_id: InstanceId | None = None,
        session_id: SessionId | None = None,
        host: HostId | None = None,
        container: str | None = None,
    ) -> FleetAlert:
        """The fleet's alert of this kind, of the wall clock's time `at`, about what is named.

        Raises ValueError where the row does not say when it is critical.
        """
        return FleetAlert(
            at=at,
            severity=self._severity(is_critical=is_critical),
            code=self.code,
            message=message,
            instance_id=instance_id,
            session_id=session_id,
            host=host,
            container=container,
        )

    def _severity(self, *, is_critical: bool) -> Severity:
        if is_critical and not self.critical_when:
            raise ValueError(f"the table of alerts does not say when {self.code} is critical")
        return Severity.CRITICAL if is_critical else self.severity


def _engine(code: str, severity: Severity, meaning: str, remedy: str, **more: Any) -> AlertKind:
    kind: dict[str, Any] = {"code": code, "severity": severity, "meaning": meaning, "remedy": remedy}
    return AlertKind(raised_by=RaisedBy.ENGINE, **kind, **more)


def _fleet(code: str, severity: Severity, meaning: str, remedy: str, **more: Any) -> AlertKind:
    kind: dict[str, Any] = {"code": code, "severity": severity, "meaning": meaning, "remedy": remedy}
    return AlertKind(raised_by=RaisedBy.FLEET, **kind, **more)


def _over(code: str) -> AlertKind:
    return _fleet(
        f"{code}_over",
        Severity.INFO,
        f"The session ended while its alert `{code}` was open; nothing else closes that one.",
        "Read why the session ended: `flotilla engine inspect`.",
    )


_NOTHING: Final = "Nothing."

# An engine that trades less than it should.

TRADING_AGAIN: Final = _engine(
    "trading_again", Severity.INFO, "What made the engine impaired is over; it trades.", _NOTHING
)
IMPAIRED_OVER: Final = _over("impaired")
IMPAIRED: Final = _engine(
    "impaired",
    Severity.WARNING,
    "The engine is up and does not trade as configured: a strategy that stopped, an instrument that is not loaded, a venue that is"
    " away, or data that does not come. The message has the reasons.",
    "Mend the reasons that the message names; restart the engine if they do not pass.",
    critical_when="the engine's trading mode is live",
    closed_by=TRADING_AGAIN,
    closed_by_end=IMPAIRED_OVER,
)
CLOCK_OFF: Final = _engine(
    "clock_off",
    Severity.WARNING,
    "The clock of the engine's host is more than a second from the venue's, as it was asked for at the start.",
    "Let the host keep time (NTP): venues refuse requests that are signed at another time.",
)
AGREED: Final = _engine(
    "agreed",
    Severity.INFO,
    "The engine and its venue agree on orders and positions again, or a person took the difference as it is.",
    _NOTHING,
)
MISMATCH_OVER: Final = _over("mismatch")
MISMATCH: Final = _engine(
    "mismatch",
    Severity.CRITICAL,
    "The engine and its venue do not agree on orders or positions, or a position changed by what the engine did not do. Its strategies"
    " are not started, or only reduce. The message has the list.",
    "Look at the venue. `flotilla engine accept` takes it as it is, `flotilla engine flatten` closes what the engine knows of.",
    closed_by=AGREED,
    closed_by_end=MISMATCH_OVER,
)
HEARD_AGAIN: Final = _fleet(
    "heard_again", Severity.INFO, "An engine that was silent sends heartbeats again.", _NOTHING
)
SILENT_OVER: Final = _over("silent")
SILENT: Final = _fleet(
    "silent",
    Severity.CRITICAL,
    "The engine's container is up, its host is in sight, and no heartbeat came for 15 s. Whether it trades is not known.",
    "Look at `flotilla engine logs` and at the venue. The message says whether it is ended by itself (`restart.on_silence`);"
    " if not, stop it.",
    closed_by=HEARD_AGAIN,
    closed_by_end=SILENT_OVER,
)
RECOVERED: Final = _engine("recovered", Severity.INFO, "The loop of a frozen engine turns again.", _NOTHING)
FROZEN_OVER: Final = _over("frozen")
FROZEN: Final = _engine(
    "frozen",
    Severity.CRITICAL,
    "The engine's loop does not turn: no strategy sees data, no command is obeyed. It is killed when that lasts.",
    "Look for what blocks in a strategy: a long computation, a wait, a call to the network.",
    closed_by=RECOVERED,
    closed_by_end=FROZEN_OVER,
)
LEASE_REGAINED: Final = _engine(
    "lease_regained",
    Severity.INFO,
    "The lease on the engine's accounts was renewed; it trades freely again.",
    _NOTHING,
)
LEASE_LOST_OVER: Final = _over("lease_lost")
LEASE_LOST: Final = _engine(
    "lease_lost",
    Severity.CRITICAL,
    "The lease on the engine's accounts was not renewed: it only reduces now, and is stopped, its orders cancelled, if that lasts.",
    "See whether the orchestrator, the bus and PostgreSQL are up and reachable from the engine's host.",
    closed_by=LEASE_REGAINED,
    closed_by_end=LEASE_LOST_OVER,
)

# The dead man: what an engine does by itself.

CONTROL_PLANE_BACK: Final = _engine(
    "control_plane_back",
    Severity.INFO,
    "An orchestrator is heard by the engine again. The message says for how long none was, and what the engine did meanwhile.",
    "Nothing where it only reduced: it trades on. One that was flattened stays halted until `flotilla engine resume`.",
)
CONTROL_PLANE_LOST_OVER: Final = _over("control_plane_lost")
CONTROL_PLANE_LOST: Final = _engine(
    "control_plane_lost",
    Severity.WARNING,
    "The engine heard no orchestrator for as long as its dead man waits, and does as `dead_man.policy` says: it reduces, or is flattened"
    " and halted.",
    "See whether the orchestrator and the bus are up and reachable from the engine's host.",
    critical_when="the engine's trading mode is live",
    closed_by=CONTROL_PLANE_BACK,
    closed_by_end=CONTROL_PLANE_LOST_OVER,
)

# What an engine keeps in Redis.

CACHE_BACK: Final = _engine(
    "cache_back",
    Severity.INFO,
    "Redis is there again, and what changed meanwhile is written anew.",
    _NOTHING,
)
CACHE_LOST_OVER: Final = _over("cache_lost")
CACHE_LOST: Final = _engine(
    "cache_lost",
    Severity.CRITICAL,
    "Redis is away: the engine trades on, but what changes until it is back would not survive a crash of the engine.",
    "Bring Redis back; the engine writes everything anew by itself.",
    closed_by=CACHE_BACK,
    closed_by_end=CACHE_LOST_OVER,
)
CACHE_INCOMPLETE: Final = _engine(
    "cache_incomplete",
    Severity.CRITICAL,
    "Some orders, positions or accounts could not be restored from Redis at the start, or not be written to it after it was away.",
    "Compare the engine's orders and positions with the venue's before you let it trade on.",
)
STATE_RESTORED: Final = _engine(
    "state_restored", Severity.INFO, "Orders and positions of the last session came back.", _NOTHING
)
STATE_NOT_SAVED: Final = _engine(
    "state_not_saved",
    Severity.WARNING,
    "What a strategy gave to be saved (`on_save`) could not be kept; the state before it stays.",
    "Mend the strategy's `on_save`; the message has its error.",
)
ORDERS_FORGOTTEN: Final = _engine(
    "orders_forgotten",
    Severity.WARNING,
    "A simulated venue begins anew with each session: orders that the last one left open there are cancelled.",
    "Nothing, unless the strategy relies on them: it must send them again.",
)

# What an engine was asked to do, and to replay.

CANCEL_CONFIRMED: Final = _engine(
    "cancel_confirmed", Severity.INFO, "As asked, orders were cancelled: none is open.", _NOTHING
)
FLATTEN_CONFIRMED: Final = _engine(
    "flatten_confirmed",
    Severity.INFO,
    "As asked, orders were cancelled and positions closed: none is open.",
    _NOTHING,
)
CANCEL_NOT_CONFIRMED: Final = _engine(
    "cancel_not_confirmed",
    Severity.CRITICAL,
    "Orders were to be cancelled, and the venue did not confirm it for those that the message names. The engine trades on,"
    " unless it is braked.",
    "Look at the venue; ask again, or stop the engine.",
)
FLATTEN_NOT_CONFIRMED: Final = _engine(
    "flatten_not_confirmed",
    Severity.CRITICAL,
    "Positions were to be closed, and the venue did not confirm it for what the message names. The engine trades on,"
    " unless it is braked.",
    "Look at the venue; ask again, or close by hand there.",
)
LOSS_LIMIT_LIFTED: Final = _engine(
    "loss_limit_lifted",
    Severity.INFO,
    "A loss limit that was reached counts anew: somebody resumed the engine, or a new trading day began and the limit was to end with it.",
    _NOTHING,
)
LOSS_LIMIT: Final = _engine(
    "loss_limit",
    Severity.CRITICAL,
    "A loss limit of the engine was reached: the message says which, at what equity, and what follows.",
    "Look at what it holds. `flotilla engine inspect` has what was lost; `flotilla engine resume` sets it free, and its losses count anew then.",
    closed_by=LOSS_LIMIT_LIFTED,
)
UNEXPECTED_COMMAND: Final = _engine(
    "unexpected_command",
    Severity.WARNING,
    "The sidecar told a running engine to run; it went on as it was.",
    "Report it: it is a fault of Flotilla.",
)
COMMANDED_DIRECTLY: Final = _engine(
    "commanded_directly",
    Severity.WARNING,
    "Somebody with the operator's credential commanded the engine itself, past orchestrator and supervisor. The audit has no entry"
    " of it; the message says what was asked for.",
    "Nothing, if it was you or an emergency stop of `flotilla` that found no supervisor. Otherwise find out who reads the fleet's state"
    " folder.",
)
UNEXPECTED_PHASE: Final = _engine(
    "unexpected_phase",
    Severity.WARNING,
    "The engine's process said that it is in a state that cannot follow the one before, such as connecting while it"
    " trades. The state on record stays as it was; each such step is told once.",
    "Report it: it is a fault of Flotilla, or of code that speaks on the engine's link. Compare orders and positions"
    " with the venue's.",
)
BOOK_GAP: Final = _engine(
    "book_gap",
    Severity.WARNING,
    "Changes of an order book of Binance did not come; the book is taken anew, and what strategies did by it meanwhile they did by a wrong one.",
    "Nothing. If it comes often, look at the network to the venue, and at how busy the engine is.",
)
NO_DATA: Final = _engine(
    "no_data",
    Severity.WARNING,
    "A strategy subscribed to data that the catalog of this replay does not have.",
    "Import the data (`flotilla data`), or mend what the strategy subscribes to.",
)

# What was not told.

TELEMETRY_LOST: Final = _engine(
    "telemetry_lost",
    Severity.WARNING,
    "An event of the engine could not be passed on; it is told once for each kind of event, and the record lacks those events.",
    "Report it, with the error in the engine's log. Trading is not touched.",
)
UNREADABLE_EVENT: Final = _engine(
    "unreadable_event",
    Severity.CRITICAL,
    "The engine sent an event that its sidecar could not read; it is told once for each kind, and the record lacks those events.",
    "Report it. Compare orders and positions with the venue's.",
)
EVENTS_DROPPED: Final = _engine(
    "events_dropped",
    Severity.CRITICAL,
    "The bus was away for so long that the queue of events is full: events from the number in the message on are lost.",
    "Bring the bus back. Compare the record with the venue's; `FLOTILLA_QUEUE_EVENTS` says how many are kept.",
)

# What is said in an engine's name and cannot be believed.

FORGED_CLAIM: Final = _fleet(
    "forged_claim",
    Severity.CRITICAL,
    "Something was said in an engine's name that its sidecar cannot have said: a number twice or out of reach, a size that nothing"
    " has, an event that it did not make, a second heartbeat, figures that go back and forth. Or somebody else was seen on the bus"
    " with its credential. Somebody has it, or its sidecar is broken.",
    "Stop the engine: its credential is revoked at its end, and the next session has another. Then compare its orders and"
    " positions with the venue's. `flotilla audit ls ENGINE` has what was said; the message says whether the engine is ended"
    " by itself (`restart.on_silence`).",
)
DOUBTFUL_CLAIM: Final = _fleet(
    "doubtful_claim",
    Severity.WARNING,
    "An engine's event could not be read and is kept off the record, or names a time that cannot be and is on record under the time"
    " of its arrival; or a session that is not on record was heard.",
    "Look at the clock of the engine's host and at the release that it runs; `flotilla audit ls ENGINE` has what was said.",
)

# Sessions that nobody asked for, or that nobody ended.

_AT_STAKE: Final = "the engine trades money, or what it left open is not confirmed"
ENGINE_FAILED: Final = _fleet(
    "engine_failed",
    Severity.WARNING,
    "A session failed though nobody asked it to end. The message has the reason, and what is not known of its orders and positions.",
    "Look at the venue for what is not confirmed; `flotilla engine logs` and `engine inspect` say why it failed.",
    critical_when=_AT_STAKE,
)
ENGINE_ENDED: Final = _fleet(
    "engine_ended",
    Severity.WARNING,
    "A session stopped by itself though nobody asked it to. The message has the reason, and what is not known of what it held.",
    "Look at the venue for what is not confirmed; start the engine again if it is wanted.",
    critical_when=_AT_STAKE,
)
ENGINE_RESTARTED: Final = _fleet(
    "engine_restarted",
    Severity.WARNING,
    "A session failed, and the engine is started again, as its restart policy says.",
    "Read why it failed: it may fail again.",
)
RESTART_BUDGET_SPENT: Final = _fleet(
    "restart_budget_spent",
    Severity.CRITICAL,
    "The engine failed more often than its restart policy allows: it stays down.",
    "Mend why it fails, then `flotilla engine start`.",
)
ACCOUNT_HELD: Final = _fleet(
    "account_held",
    Severity.CRITICAL,
    "The engine is not started again, since another session holds one of its accounts.",
    "Stop the session that the message names, or wait until its hold runs out; then start this engine.",
)
LEASE_NOT_RENEWED: Final = _fleet(
    "lease_not_renewed",
    Severity.CRITICAL,
    "The orchestrator could not renew the lease on an engine's accounts for as long as it lasts: the engine trades no more.",
    "See whether the engine and its host can be reached; `lease_regained` tells when it trades again.",
)
CACHE_NOT_AVAILABLE: Final = _fleet(
    "cache_not_available",
    Severity.WARNING,
    "No host in sight has Redis: the engine starts without, so its orders and positions do not come back after a crash.",
    "Give hosts a Redis, or set `use_cache_database` so that a start without is refused.",
)
ORPHAN_ADOPTED: Final = _fleet(
    "orphan_adopted",
    Severity.WARNING,
    "A container of an engine ran that was not on record; it is on record again.",
    "See whether the engine is wanted; stop it if not.",
)
ORPHAN_CONTAINER: Final = _fleet(
    "orphan_container",
    Severity.WARNING,
    "A container of an engine is there that is not on record, and it is left alone.",
    "Stop or remove it by hand once you know what it trades; `flotilla container ls` has all of them.",
    critical_when="it may trade live, or may have",
)
ORPHAN_STOPPED: Final = _fleet(
    "orphan_stopped",
    Severity.WARNING,
    "A container of an engine was there that is not on record; it is being stopped, as `FLOTILLA_ORPHAN_POLICY` says.",
    "See why the record did not have it: a database that was put back, or a second fleet on the same host.",
)

# Emergency stops.

EMERGENCY_STOP_ASKED: Final = _fleet(
    "emergency_stop_asked",
    Severity.CRITICAL,
    "Somebody asked for an emergency stop; what came of it is told by `emergency_stop`, and without that it is not known.",
    "Wait for `emergency_stop`; look at the venue if it does not come.",
)
EMERGENCY_STOP: Final = _fleet(
    "emergency_stop",
    Severity.CRITICAL,
    "An emergency stop was carried out. The message says what is confirmed and what is not.",
    "Look at the venue for what is not confirmed. Nothing starts again until `flotilla emergency-stop --lift`.",
)
EMERGENCY_STOP_FAILED: Final = _fleet(
    "emergency_stop_failed",
    Severity.CRITICAL,
    "A host did not carry out an emergency stop that it was asked for directly.",
    "Stop again, and look at the venue.",
)
STOP_LIFT_ASKED: Final = _fleet(
    "stop_lift_asked",
    Severity.WARNING,
    "Somebody asked for an emergency stop to be lifted.",
    "See that they were meant to: engines may be started again.",
)
STOP_LIFTED: Final = _fleet(
    "stop_lifted",
    Severity.WARNING,
    "An emergency stop was lifted: what it stopped may be started again.",
    "Start the engines that are wanted: none starts by being lifted.",
)
STOP_NOT_LIFTED: Final = _fleet(
    "stop_not_lifted",
    Severity.WARNING,
    "A host did not lift an emergency stop: engines there are still refused.",
    "Lift it again; the message has the reason.",
)

# Room for the record.

DISK_LOW_OVER: Final = _fleet("disk_low_over", Severity.INFO, "There is room on the disk again.", _NOTHING)
DISK_LOW: Final = _fleet(
    "disk_low",
    Severity.CRITICAL,
    "The disk of PostgreSQL or of the bus has little room left. With still less nothing is started; engines trade on.",
    "Make room. The message names the folder and the limit.",
    closed_by=DISK_LOW_OVER,
)
RECORD_WITHIN_BUDGET: Final = _fleet(
    "record_within_budget", Severity.INFO, "The record is within its budget again.", _NOTHING
)
RECORD_OVER_BUDGET: Final = _fleet(
    "record_over_budget",
    Severity.WARNING,
    "The record is larger than its budget, and what is left of it is needed or younger than a day. It grows on; nothing is refused.",
    "Raise `FLOTILLA_RECORD_BUDGET`, or keep less: `flotilla record` shows what takes the room.",
    closed_by=RECORD_WITHIN_BUDGET,
)

ALERTS: Final = {kind.code: kind for kind in list(globals().values()) if isinstance(kind, AlertKind)}
"""Code → its row, in the order of this file."""


def closers(*, of: RaisedBy) -> dict[str, str]:
    """Code → the code that takes it back, for the alerts that an engine, or the fleet, raises."""
    return {
        kind.code: kind.closed_by.code for kind in ALERTS.values() if kind.closed_by and kind.raised_by == of
    }
