"""What an emergency stop knows of one session in the end, and what it does not. Pure."""

import signal
from typing import Final

import msgspec

from schemas.session import ContainerFacts, EmergencyReceipt, SessionEnded
from schemas.telemetry import StopReport
from services.supervisor.core.facts import is_running

NO_ACCOUNT: Final = "what became of its orders and positions is not known: "
NOT_FLAT: Final = "the engine did not confirm that it is flat"


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """What the sidecar said, or why it said nothing; `ms` since the stop began."""

    ended: SessionEnded | None = None
    problem: str = ""
    ms: float | None = None


class Ending(msgspec.Struct, frozen=True, kw_only=True):
    """How the container ended: its last facts (null: there is none any more), or `problem` when it may still run."""

    facts: ContainerFacts | None = None
    was_killed: bool = False
    problem: str = ""
    ms: float | None = None

    @property
    def is_gone(self) -> bool:
        """True when it is certain that nothing of it runs."""
        return not self.problem and (self.facts is None or not is_running(self.facts))


def receipt_of(session: ContainerFacts, account: Account, ending: Ending) -> EmergencyReceipt:
    """The receipt; flat is only what the engine itself confirmed, for this very session."""
    stop = _report(session, account)
    is_flat = stop is not None and stop.is_flat
    codes = (
        ending.facts.exit_code if ending.facts else None,
        # The sidecar kills a frozen engine itself, and then ends in order.
        account.ended.end.exit_code if account.ended else None,
    )
    return EmergencyReceipt(
        instance_id=session.instance_id,
        session_id=session.session_id,
        host=session.host,
        is_flat=is_flat,
        is_gone=ending.is_gone,
        is_killed=ending.was_killed or -signal.SIGKILL in codes,
        stop=stop,
        not_confirmed=_not_confirmed(account, ending, is_flat=is_flat),
        engine_ms=account.ms if account.ended else None,
        gone_ms=ending.ms if ending.is_gone else None,
    )


def _report(session: ContainerFacts, account: Account) -> StopReport | None:
    if account.ended is None or account.ended.session_id != session.session_id:
        return None
    return account.ended.end.stop


def _not_confirmed(account: Account, ending: Ending, *, is_flat: bool) -> tuple[str, ...]:
    said = account.ended.end.not_confirmed if account.ended else (NO_ACCOUNT + account.problem,)
    if account.ended and not said and not is_flat:
        said = (NOT_FLAT,)
    return (*said, ending.problem) if ending.problem else said
