"""Engines as the record has them, with what was heard of their sessions: what the orchestrator would answer, without asking it.

Times that end in `_s` are of a monotonic clock, in seconds; the caller gives them. Nothing here asks anybody.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from flotilla.schemas.engine import EngineView
from flotilla.schemas.fault import FaultCode, FaultError, FieldError, fault
from flotilla.schemas.heartbeats import HOST_OUT_OF_SIGHT
from flotilla.schemas.telemetry import EngineEvent, EngineMetrics, Heartbeat, HostHeartbeat, StopFlag
from flotilla.services.gateway.live.aged import Aged
from flotilla.services.gateway.live.rows import Heard, Mode, known_problems, mode_of

_IN_SIGHT_S: Final = HOST_OUT_OF_SIGHT.total_seconds()
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Shown:
    """An engine to show. `view` has no age in it where `heard_s` says when its last heartbeat came; `memo` is for what is made of it,
    by kind, and goes with it when anything of it changes.
    """

    __slots__ = ("good_until", "heard_s", "memo", "view")

    def __init__(
        self, view: EngineView, heard_s: float | None = None, good_until: datetime | None = None
    ) -> None:
        self.view = view
        self.heard_s = heard_s
        self.good_until = good_until
        self.memo: dict[str, Aged] = {}

    def age_s(self, now_s: float) -> float | None:
        """The age of its last heartbeat; null where none was heard of its session."""
        if self.heard_s is None:
            return self.view.heartbeat_age_s
        return round(max(0.0, now_s - self.heard_s), 3)

    def at(self, now_s: float) -> EngineView:
        """The view, with its age."""
        if self.heard_s is None:
            return self.view
        return msgspec.structs.replace(self.view, heartbeat_age_s=self.age_s(now_s))


class KnownEngines:
    """Every engine that is not removed. Of what is said of one, what is older than what is known changes nothing."""

    def __init__(self) -> None:
        self._views: dict[str, EngineView] = {}
        self._heard: dict[str, Heard] = {}
        self._seqs: dict[str, tuple[str, int]] = {}
        self._flags: dict[str, tuple[tuple[StopFlag, ...], float]] = {}
        self._has_flags = False
        self._shown: dict[str, Shown] = {}
        self._order: list[str] | None = None

    def __contains__(self, instance_id: str) -> bool:
        return instance_id in self._views

    def ids(self) -> set[str]:
        """The ids of all of them."""
        return set(self._views)

    def get(self, instance_id: str) -> EngineView | None:
        """An engine as the record has it."""
        return self._views.get(instance_id)

    def heard(self, instance_id: str) -> Heard:
        """What was heard of an engine last, whichever session said it."""
        return self._heard.get(instance_id) or Heard()

    def put(self, view: EngineView) -> bool:
        """Takes an engine as the record has it; False, and nothing changes, for a view that is older than the one that is known."""
        known = self._views.get(view.instance_id)
        if known is not None and view.version and view.version < known.version:
            return False
        self.replace(view)
        return True

    def replace(self, view: EngineView) -> None:
        """Takes an engine as it is, whatever was known of it: the record itself may have been put back."""
        if view.is_removed:
            self.forget(view.instance_id)
            return
        known = self._views.get(view.instance_id)
        if known is None or _began(known) != _began(view):
            self._order = None
        self._views[view.instance_id] = view
        self._shown.pop(view.instance_id, None)

    def forget(self, instance_id: str) -> None:
        """There is no such engine any more."""
        for kept in (self._views, self._heard, self._seqs, self._shown):
            kept.pop(instance_id, None)
        self._order = None

    def beat(self, said: Heartbeat, at: datetime, now_s: float) -> None:
        """Takes a heartbeat, unless a newer session of the engine was heard, or it is of none that can be there: such a one is made up."""
        heard = self._heard.setdefault(said.instance_id, Heard())
        session = view.session if (view := self._views.get(said.instance_id)) else None
        newest = session.generation if session is not None else None
        if newest is not None and said.generation > newest:
            return
        known = heard.beat
        is_made_up = known is not None and newest is not None and known.generation > newest
        if known is None or is_made_up or said.generation >= known.generation:
            heard.beat, heard.beat_at, heard.beat_s = said, at, now_s
            self._shown.pop(said.instance_id, None)

    def metrics(self, said: EngineMetrics, at: datetime) -> None:
        """Takes an engine's figures."""
        heard = self._heard.setdefault(said.instance_id, Heard())
        heard.metrics, heard.metrics_at = said, at
        self._shown.pop(said.instance_id, None)

    def event(self, said: EngineEvent[Any]) -> None:
        """Takes the number of an event."""
        self._seqs[said.instance_id] = (said.session_id, said.seq)
        self._shown.pop(said.instance_id, None)

    def host(self, said: HostHeartbeat, now_s: float) -> None:
        """Takes the stop flags of a host."""
        self._flags[said.host] = (said.stop_flags, now_s)
        self._has_flags = any(flags for flags, _ in self._flags.values())

    def shown(self, instance_id: str, now: datetime, now_s: float) -> Shown:
        """An engine to show: the same object as long as nothing of it but its age is another. Raises KeyError for one that is not known."""
        flag = self._stop_flag(self._views[instance_id], now_s) if self._has_flags else None
        shown = self._shown.get(instance_id)
        is_good = shown is not None and (shown.good_until is None or now < shown.good_until)
        if shown is None or not is_good or shown.view.stop_flag != flag:
            shown = self._shown[instance_id] = self._made(instance_id, flag, now)
        return shown

    def recent(self) -> list[str]:
        """All engines, the one that started last first."""
        if self._order is None:
            self._order = sorted(self._views, key=lambda one: (_began(self._views[one]), one), reverse=True)
        return self._order

    def active(self) -> Iterator[str]:
        """Those whose session has not ended, the one that started last first."""
        return (one for one in self.recent() if _is_active(self._views[one]))

    def active_engines(self) -> list[str]:
        """The same without workers: nobody means those who names none."""
        return [one for one in self.active() if mode_of(self._views[one]) is not Mode.WORKER]

    def which(self, instance_id: str | None) -> str | None:
        """The engine meant, in the orchestrator's way: the one named; else the one that is active; else the one that ran last; None
        when none ever ran.

        Raises FaultError: `not_found` for a name that never ran, `ambiguous_engine` when several are active.
        """
        if instance_id is not None:
            if instance_id not in self._views:
                raise unknown_engine(instance_id)
            return instance_id
        active = self.active_engines()
        if len(active) > 1:
            raise ambiguous(sorted(active))
        last = (one for one in self.recent() if mode_of(self._views[one]) is not Mode.WORKER)
        return next(iter(active), None) or next(last, None)

    def _made(self, instance_id: str, flag: StopFlag | None, now: datetime) -> Shown:
        view, heard = self._views[instance_id], self.heard(instance_id)
        until = [at for at in view.restarts_until if at > now]
        changed: dict[str, Any] = {
            "stop_flag": flag,
            "restarts": len(until) if view.restarts_until else view.restarts,
            "problems": known_problems(view),
        }
        session, heard_s = view.session, None
        if session is not None:
            session_id, seq = self._seqs.get(instance_id, ("", 0))
            if session_id == session.session_id and seq > session.last_seq:
                changed["session"] = msgspec.structs.replace(session, last_seq=seq)
            is_own = heard.beat is not None and heard.beat.session_id == session.session_id
            if heard.beat is not None and is_own and not session.state.is_terminal:
                heard_s = heard.beat_s
                changed |= _of_beat(view, heard.beat, heard.metrics, changed["problems"])
        return Shown(msgspec.structs.replace(view, **changed), heard_s, min(until, default=None))

    def _stop_flag(self, view: EngineView, now_s: float) -> StopFlag | None:
        """The emergency stop that names an engine and has been in force longest on any host in sight."""
        is_worker = mode_of(view) is Mode.WORKER
        flags = [
            flag
            for flags, heard_s in self._flags.values()
            if now_s - heard_s < _IN_SIGHT_S
            for flag in flags
            if flag.names(view.instance_id, is_worker=is_worker)
        ]
        return min(flags, key=lambda flag: flag.since, default=None)


def unknown_engine(instance_id: str) -> FaultError:
    """In the orchestrator's words: the fault for an engine that never ran."""
    return fault(FaultCode.NOT_FOUND, f"no engine {instance_id} is known")


def ambiguous(ids: list[str]) -> FaultError:
    """In the orchestrator's words: the fault for a question about one engine that names none."""
    return fault(
        FaultCode.AMBIGUOUS_ENGINE,
        f"{len(ids)} engines are active, name one with instance_id: {', '.join(ids)}",
        *(FieldError("instance_id", instance_id) for instance_id in ids),
    )


def _is_active(view: EngineView) -> bool:
    return view.session is not None and not view.session.state.is_terminal


def _began(view: EngineView) -> datetime:
    return view.session.created_at if view.session else view.created_at or _NEVER


def _of_beat(
    view: EngineView, beat: Heartbeat, metrics: EngineMetrics | None, known: tuple[str, ...]
) -> Mapping[str, Any]:
    """What a session says of itself."""
    is_own = metrics is not None and metrics.session_id == beat.session_id
    return {
        "is_frozen": beat.is_frozen,
        "problems": beat.problems or known,
        "notes": beat.notes,
        "event_age_s": beat.event_age_s,
        "resources": beat.resources,
        "metrics": metrics if is_own else None,
        "losses": beat.losses or view.losses,
        "trading_hours": beat.trading_hours,
        "dead_man": beat.dead_man,
        "is_brake_taken": beat.is_brake_taken and beat.brake.number == view.brake.number,
    }
