"""Whether the audit is what was recorded: each entry hashed anew, and compared with the heads that were exported meanwhile."""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from flotilla.bus.bus import Bus
from flotilla.bus.streams import history
from flotilla.schemas import contract
from flotilla.schemas.audit import AuditChain, AuditHead, AuditPruned, AuditRow, ReadAuditChain
from flotilla.schemas.audit_chain import NOTHING, row_hash
from flotilla.schemas.fault import FaultCode, fault

Heads: TypeAlias = Mapping[int, frozenset[str]]
"""The hashes under which entries are known, by number: more than one where the chain was written anew since."""
_MOST_HEADS: Final = 1_000_000


class BreakKind(StrEnum):
    """What became of the first entry that is not as it was recorded."""

    CHANGED = "changed"
    MISSING = "missing"
    INSERTED = "inserted"
    REPLACED = "replaced"
    CUT = "cut"


class Break(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain does not hold."""

    kind: BreakKind
    seq: int
    text: str


class AuditVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """What came of verifying. `entries` were read up to `head`; `compared` heads were known from elsewhere, the last one `last_known`.

    `unprotected` says how the orchestrator is connected where that lets it change entries; null where that is not known, as in a file.
    """

    is_whole: bool
    entries: int
    head: AuditHead | None
    pruned: AuditPruned | None
    compared: int
    last_known: int
    problem: Break | None
    unprotected: str | None


class ExportEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of an export."""

    head: AuditHead
    pruned: AuditPruned | None
    exported_at: datetime


class ChainWalk:
    """Takes entries in the order of their numbers, and finds the first that is not what was recorded."""

    def __init__(self, known: Heads) -> None:
        self.entries = 0
        self.problem: Break | None = None
        self._known = known
        self._seq, self._hash = 0, NOTHING

    def begin(self, seq: int, own: str) -> None:
        """Entries up to this one, which had that hash, were deleted because of their age; 0 for none."""
        self._seq, self._hash = seq, own
        if seq:
            self._compare(seq, own)

    def take(self, row: AuditRow) -> None:
        """The next entry. After a break nothing more is looked at."""
        if self.problem is not None:
            return
        self.entries += 1
        self._look(row)
        if self.problem is None:
            self._compare(row.seq, row.hash)
        self._seq, self._hash = row.seq, row.hash

    def end(self, head: AuditHead | None, stray: int | None) -> None:
        """There is nothing after it up to the head."""
        newest = max(self._known, default=0)
        if self.problem is not None:
            return
        if head is None:
            self._break(BreakKind.CUT, self._seq, "the head is not on record")
        elif self._seq < head.seq:
            self._break(
                BreakKind.CUT, self._seq + 1, f"{_entries(self._seq + 1, head.seq)} missing at the end"
            )
        elif self._hash != head.hash or self._seq != head.seq:
            self._break(BreakKind.REPLACED, head.seq, f"entry {head.seq} is not the one that the head names")
        elif self._seq < newest:
            text = f"{_entries(self._seq + 1, newest)} missing at the end: {newest} was exported as the head"
            self._break(BreakKind.CUT, self._seq + 1, text)
        elif stray is not None:
            self._break(BreakKind.INSERTED, stray, f"entry {stray} stands beyond the head")

    def _look(self, row: AuditRow) -> None:
        wanted = self._seq + 1
        if row.seq > wanted:
            self._break(BreakKind.MISSING, wanted, f"{_entries(wanted, row.seq - 1)} missing")
        elif row.seq < wanted:
            self._break(BreakKind.INSERTED, row.seq, f"entry {row.seq} stands after entry {self._seq}")
        elif _hash_of(row) != row.hash:
            self._break(
                BreakKind.CHANGED, row.seq, f"entry {row.seq} has not the text that it was hashed with"
            )
        elif row.prev != self._hash:
            text = f"entry {row.seq} follows on another entry {self._seq} than the one that is on record"
            self._break(BreakKind.REPLACED, self._seq or row.seq, text)

    def _compare(self, seq: int, own: str) -> None:
        if self._known.get(seq, {own}) != {own}:
            text = f"entry {seq} was exported with another hash: it, or one before it, was written anew"
            self._break(BreakKind.REPLACED, seq, text)

    def _break(self, kind: BreakKind, seq: int, text: str) -> None:
        self.problem = Break(kind=kind, seq=seq, text=text)


async def chain_pages(bus: Bus) -> AsyncIterator[AuditChain]:
    """The chain up to what is its head now, oldest first; each page has the head, and what is deleted, of the first one.

    Raises FaultError, `conflict` when entries become so old meanwhile that they are deleted before they are read.
    """
    first, after = None, 0
    while True:
        page = await bus.call(contract.AUDIT_CHAIN, ReadAuditChain(after=after))
        first = first or page
        if page.pruned is not None and first is not page and page.pruned.seq > after:
            raise fault(
                FaultCode.CONFLICT,
                "entries were deleted because of their age while they were read; ask again",
            )
        last = first.head.seq if first.head else 0
        rows = tuple(row for row in page.rows if row.seq <= last)
        yield msgspec.structs.replace(first, rows=rows)
        if not rows or rows[-1].seq >= last:
            return
        after = rows[-1].seq


async def exported_heads(bus: Bus) -> Heads:
    """The heads that orchestrators put on the bus. Raises FaultError `unavailable` when they cannot be read."""
    kept = await history(bus, contract.FLEET_AUDIT_HEAD, limit=_MOST_HEADS, is_strict=True)
    return heads_of(msgspec.json.decode(one.data, type=AuditHead) for one in kept)


def heads_of(heads: Iterable[AuditHead]) -> Heads:
    """Heads by their numbers."""
    found: dict[int, frozenset[str]] = {}
    for head in heads:
        found[head.seq] = found.get(head.seq, frozenset()) | {head.hash}
    return found


async def verify_chain(bus: Bus, heads: Iterable[AuditHead]) -> AuditVerdict:
    """Verifies all that is on record, against exported heads and those that the caller kept. Raises FaultError."""
    kept = await exported_heads(bus)
    known = {**kept, **{seq: kept.get(seq, frozenset()) | more for seq, more in heads_of(heads).items()}}
    walk, first = ChainWalk(known), None
    async for page in chain_pages(bus):
        if first is None:
            first = page
            walk.begin(*_start(page.pruned))
        for row in page.rows:
            walk.take(row)
    if first is None:
        raise fault(FaultCode.UNAVAILABLE, "the orchestrator gave no page of the audit")
    walk.end(first.head, first.stray)
    return _verdict(walk, known, first.head, first.pruned, first.unprotected)


def verify_file(path: Path, heads: Iterable[AuditHead]) -> AuditVerdict:
    """Verifies an export, without a fleet. Raises OSError, and ValueError for a file that is none or has no last line."""
    known = heads_of(heads)
    walk, end, start = ChainWalk(known), None, None
    for number, line in enumerate(_lines(path), 1):
        if end is not None:
            raise ValueError(f"line {number} stands after the end of the export")
        said = _decoded(line, number)
        if isinstance(said, ExportEnd):
            end = said
            continue
        if start is None:
            # Whether that is where it has to begin, the last line says.
            start = (said.seq - 1, said.prev)
            walk.begin(*start)
        walk.take(said)
    if end is None:
        raise ValueError("the export has no last line with the head: it was cut short")
    if start is None:
        walk.begin(*_start(end.pruned))
    elif walk.problem is None and start != _start(end.pruned):
        first = _start(end.pruned)[0] + 1
        walk.problem = Break(
            kind=BreakKind.MISSING, seq=first, text=f"the export does not begin at entry {first}"
        )
    walk.end(end.head, None)
    return _verdict(walk, known, end.head, end.pruned, None)


def _start(pruned: AuditPruned | None) -> tuple[int, str]:
    return (pruned.seq, pruned.hash) if pruned else (0, NOTHING)


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from file


def _decoded(line: bytes, number: int) -> AuditRow | ExportEnd:
    try:
        said: Any = msgspec.json.decode(line)
        if isinstance(said, dict) and "exported_at" in said:
            return msgspec.convert(said, ExportEnd)
        return msgspec.convert(said, AuditRow)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(f"line {number} is no line of an export: {error}") from None


def _verdict(
    walk: ChainWalk,
    known: Heads,
    head: AuditHead | None,
    pruned: AuditPruned | None,
    unprotected: str | None,
) -> AuditVerdict:
    first = pruned.seq if pruned else 0
    return AuditVerdict(
        is_whole=walk.problem is None,
        entries=walk.entries,
        head=head,
        pruned=pruned,
        compared=sum(seq >= first for seq in known),
        last_known=max(known, default=0),
        problem=walk.problem,
        unprotected=unprotected,
    )


def _hash_of(row: AuditRow) -> str | None:
    try:
        return row_hash(row)
    except ValueError:
        return None


def _entries(first: int, last: int) -> str:
    return f"entry {first} is" if first == last else f"entries {first} to {last} are"
