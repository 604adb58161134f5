"""What an emergency stop knows of one session in the end, and what it does not. Pure.

What a sidecar says is a claim: whoever holds its credential can say it. It counts only when the container's end agrees with it.
"""

import signal
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import msgspec

from flotilla.schemas.session import (
    ContainerFacts,
    ContainerStatus,
    EmergencyReceipt,
    FleetStopped,
    HostStopped,
    SessionEnded,
)
from flotilla.schemas.states import RunState
from flotilla.schemas.telemetry import StateChange, StopReport

NO_ACCOUNT: Final = "what became of its orders and positions is not known: "
NOT_FLAT: Final = "the engine did not confirm that it is flat"
NOT_COMPARED: Final = "it is not compared with the record, which did not answer in time"
NOT_BELIEVED: Final = "it was said to be flat, which is not believed: "


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
        return not self.problem and (self.facts is None or self.facts.status != ContainerStatus.RUNNING)

    @property
    def exit_code(self) -> int | None:
        """That of the container, where somebody saw it."""
        return self.facts.exit_code if self.facts else None


def receipt_of(session: ContainerFacts, account: Account, ending: Ending) -> EmergencyReceipt:
    """The receipt. Flat is only what the engine itself confirmed, for this very session, and what its end does not belie."""
    end = account.ended.end if account.ended and account.ended.session_id == session.session_id else None
    stop = end.stop if end else None
    is_killed = _was_killed(end, ending)
    doubt = _contradiction(end, ending, is_killed=is_killed) if end and stop and stop.is_flat else ""
    is_flat = stop is not None and stop.is_flat and not doubt
    return EmergencyReceipt(
        instance_id=session.instance_id,
        session_id=session.session_id,
        host=session.host,
        is_flat=is_flat,
        is_gone=ending.is_gone,
        is_killed=is_killed,
        stop=stop,
        not_confirmed=tuple(_not_confirmed(account, ending, doubt, is_flat=is_flat)),
        engine_ms=account.ms if account.ended else None,
        gone_ms=ending.ms if ending.is_gone else None,
    )


def is_confirmed(receipt: EmergencyReceipt) -> bool:
    """True when nothing is left to ask: flat by its own account, gone by itself, and nothing unconfirmed."""
    return receipt.is_flat and receipt.is_gone and not receipt.is_killed and not receipt.not_confirmed


def are_confirmed(done: FleetStopped) -> bool:
    """True when every host answered, or what runs there is known all the same, and every engine is confirmed flat and gone."""
    return not done.unreached and all(map(is_confirmed, done.receipts))


def stopped_text(done: FleetStopped | HostStopped) -> str:
    """What a stop came to, in a line: how many are flat and gone, and by name what is not confirmed."""
    flat = sum(map(is_confirmed, done.receipts))
    doubts = [
        f"{receipt.instance_id}: {'; '.join(receipt.not_confirmed) or 'not flat and gone'}"
        for receipt in done.receipts
        if not is_confirmed(receipt)
    ]
    away = done.unreached if isinstance(done, FleetStopped) else ()
    doubts += [f"host {host} was not reached" for host in away]
    text = f"{flat} of {len(done.receipts)} sessions flat and gone"
    text = f"{text}; NOT CONFIRMED {', '.join(doubts)}" if doubts else text
    if isinstance(done, FleetStopped) and done.untold:
        text = f"{text}; {untold_text(done.untold, is_kept=done.is_kept)}"
    return text


def untold_text(hosts: Sequence[str], *, is_kept: bool) -> str:
    """What is to be said of hosts out of sight on which nothing runs on record."""
    later = (
        "are stopped when they come back" if is_kept else "are not told, since the bus did not keep the stop"
    )
    return f"out of sight, with nothing on record that runs there: {', '.join(hosts)}, which {later}"


def belied(receipt: EmergencyReceipt, end: StateChange) -> EmergencyReceipt:
    """The receipt beside the session's own last event: when the two differ about being flat, it is not."""
    if not receipt.is_flat or (end.stop is not None and _claims_flat(end.stop)):
        return receipt
    doubt = f"{NOT_BELIEVED}its last event does not say so"
    return msgspec.structs.replace(
        receipt, is_flat=False, not_confirmed=(*receipt.not_confirmed, *end.not_confirmed, doubt)
    )


def lacks_account(receipt: EmergencyReceipt) -> bool:
    """True for a session that ended by itself, and of which its host heard no answer."""
    is_silent = receipt.stop is None and receipt.engine_ms is None
    return is_silent and receipt.is_gone and not receipt.is_killed


def ended_of(session: ContainerFacts, end: StateChange) -> SessionEnded:
    """What a session's last event says, as its sidecar would have answered."""
    return SessionEnded(instance_id=session.instance_id, session_id=session.session_id, end=end)


def completed(receipt: EmergencyReceipt, end: StateChange, facts: ContainerFacts) -> EmergencyReceipt:
    """A receipt that lacks an account, with the session's own last event for one, held against how its container ended."""
    account = Account(ended=ended_of(facts, end))
    return receipt_of(facts, account, Ending(facts=facts, ms=receipt.gone_ms))


def compared(receipt: EmergencyReceipt, held: Mapping[str, tuple[str, ...]]) -> EmergencyReceipt:
    """The receipt beside what the record said of each session that it was asked about and told of: without that, a doubt is left."""
    if not receipt.is_flat or receipt.session_id in held:
        return belied_on_record(receipt, held)
    return msgspec.structs.replace(receipt, not_confirmed=(*receipt.not_confirmed, NOT_COMPARED))


def belied_on_record(receipt: EmergencyReceipt, held: Mapping[str, tuple[str, ...]]) -> EmergencyReceipt:
    """The receipt beside the record: what has open positions or orders there, in words by session, is not flat."""
    lines = held.get(receipt.session_id, ()) if receipt.is_flat else ()
    if not lines:
        return receipt
    doubts = tuple(f"{NOT_BELIEVED}on record {line}" for line in lines)
    return msgspec.structs.replace(receipt, is_flat=False, not_confirmed=(*receipt.not_confirmed, *doubts))


def _was_killed(end: StateChange | None, ending: Ending) -> bool:
    # The sidecar kills a frozen engine itself, and then ends in order.
    return ending.was_killed or -signal.SIGKILL in (ending.exit_code, end.exit_code if end else None)


def _contradiction(end: StateChange, ending: Ending, *, is_killed: bool) -> str:
    """Why the word of an engine that it is flat is not believed; empty when its end agrees."""
    code = ending.exit_code
    if not ending.is_gone:
        return "it may still run"
    if is_killed:
        return "it was killed"
    if code is None:
        return "nobody saw how it ended"
    if code < 0 or (code == 0) == (end.state == RunState.FAILED):
        return f"it is said to have {end.state}, and its container ended with exit code {code}"
    if end.stop is not None and not _claims_flat(end.stop):
        return f"{end.stop.orders_left} orders and {end.stop.positions_left} positions were left"
    return ""


def _claims_flat(stop: StopReport) -> bool:
    return stop.is_flat and not stop.orders_left and not stop.positions_left


def _not_confirmed(account: Account, ending: Ending, doubt: str, *, is_flat: bool) -> Iterator[str]:
    if account.ended is None:
        yield NO_ACCOUNT + account.problem
    else:
        yield from account.ended.end.not_confirmed
        if doubt:
            yield NOT_BELIEVED + doubt
        elif not is_flat and not account.ended.end.not_confirmed:
            yield NOT_FLAT
    if ending.problem:
        yield ending.problem
