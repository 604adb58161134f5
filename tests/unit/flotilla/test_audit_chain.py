"""Verifying the audit: whatever is done to a chain is found, and named by the first entry that it befell."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from flotilla.client.audit_chain import Break, BreakKind, ChainWalk, ExportEnd, Heads, heads_of, verify_file
from flotilla.schemas.audit import AuditHead, AuditPruned, AuditRow
from flotilla.schemas.audit_chain import NOTHING, row_hash
from tests.unit.schemas.test_audit_chain import row

NOW = datetime(2026, 1, 31, tzinfo=UTC)
NONE: Heads = {}


def chained(count: int, after: int = 0, prev: str = NOTHING, **changes: Any) -> list[AuditRow]:
    """Entries that follow on each other."""
    made = []
    for seq in range(after + 1, after + count + 1):
        made.append(hashed(row(seq=seq, prev=prev, **changes)))
        prev = made[-1].hash
    return made


def hashed(one: AuditRow) -> AuditRow:
    return msgspec.structs.replace(one, hash=row_hash(one))


def head_of(rows: list[AuditRow]) -> AuditHead:
    return AuditHead(seq=rows[-1].seq, hash=rows[-1].hash)


def found(
    rows: list[AuditRow],
    head: AuditHead | None,
    *,
    known: Heads = NONE,
    pruned: AuditPruned | None = None,
    stray: int | None = None,
) -> tuple[str, int] | None:
    walk = ChainWalk(known)
    if pruned is not None:
        walk.begin(pruned.seq, pruned.hash)
    for one in rows:
        walk.take(one)
    walk.end(head, stray)
    return (walk.problem.kind, walk.problem.seq) if walk.problem else None


CHAIN = chained(9)
HEAD = head_of(CHAIN)


def test_a_chain_as_it_was_recorded_is_whole() -> None:
    assert found(CHAIN, HEAD) is None
    assert found(CHAIN, HEAD, known=heads_of([HEAD, AuditHead(seq=3, hash=CHAIN[2].hash)])) is None
    assert found([], AuditHead(seq=0, hash=NOTHING)) is None


@pytest.mark.parametrize(
    "name", ["at", "caller", "origin", "subject", "request_id", "body", "code", "message"]
)
def test_an_entry_that_was_changed_is_named(name: str) -> None:
    rows = [*CHAIN[:4], msgspec.structs.replace(CHAIN[4], **{name: "other"}), *CHAIN[5:]]
    assert found(rows, HEAD) == (BreakKind.CHANGED, 5)


def test_an_entry_that_was_changed_together_with_its_hash_is_named() -> None:
    rows = [*CHAIN[:4], hashed(msgspec.structs.replace(CHAIN[4], caller="other")), *CHAIN[5:]]
    assert found(rows, HEAD) == (BreakKind.REPLACED, 5)


def test_entries_that_are_missing_are_named() -> None:
    assert found([*CHAIN[:4], *CHAIN[6:]], HEAD) == (BreakKind.MISSING, 5)
    assert found(CHAIN[2:], HEAD) == (BreakKind.MISSING, 1)


def test_what_was_put_in_between_is_named_whatever_number_it_has() -> None:
    assert found([*CHAIN[:4], CHAIN[2], *CHAIN[4:]], HEAD) == (BreakKind.INSERTED, 3)
    # All after it renumbered, and hashed or not.
    put_in = hashed(row(seq=5, prev=CHAIN[3].hash, caller="other"))
    moved = [msgspec.structs.replace(one, seq=one.seq + 1) for one in CHAIN[4:]]
    assert found([*CHAIN[:4], put_in, *moved], HEAD) == (BreakKind.CHANGED, 6)
    anew = chained(5, 5, put_in.hash)
    assert found([*CHAIN[:4], put_in, *anew], HEAD) == (BreakKind.REPLACED, 9)
    assert found(CHAIN, HEAD, stray=10) == (BreakKind.INSERTED, 10)


def test_a_cut_end_is_named_by_the_head() -> None:
    assert found(CHAIN[:7], HEAD) == (BreakKind.CUT, 8)
    assert found(CHAIN, None) == (BreakKind.CUT, 9)


def test_a_cut_end_whose_head_was_cut_too_is_named_by_an_exported_head() -> None:
    assert found(CHAIN[:7], head_of(CHAIN[:7])) is None
    assert found(CHAIN[:7], head_of(CHAIN[:7]), known=heads_of([HEAD])) == (BreakKind.CUT, 8)
    assert found([], AuditHead(seq=0, hash=NOTHING), known=heads_of([HEAD])) == (BreakKind.CUT, 1)


def test_a_chain_that_was_written_anew_is_named_by_an_exported_head() -> None:
    anew = [*CHAIN[:4], *chained(5, 4, CHAIN[3].hash, caller="other")]
    assert found(anew, head_of(anew)) is None
    known = heads_of([AuditHead(seq=3, hash=CHAIN[2].hash), AuditHead(seq=7, hash=CHAIN[6].hash)])
    assert found(anew, head_of(anew), known=known) == (BreakKind.REPLACED, 7)


def test_a_head_that_was_exported_twice_with_different_hashes_shows_that_it_was_written_anew() -> None:
    known = heads_of([HEAD, AuditHead(seq=9, hash="11" * 32)])
    assert found(CHAIN, HEAD, known=known) == (BreakKind.REPLACED, 9)


def pruned(rows: list[AuditRow]) -> AuditPruned:
    return AuditPruned(seq=rows[-1].seq, hash=rows[-1].hash, at=NOW, rule="older than then")


def test_what_was_deleted_because_of_its_age_is_no_break() -> None:
    assert found(CHAIN[4:], HEAD, pruned=pruned(CHAIN[:4])) is None
    known = heads_of([AuditHead(seq=2, hash=CHAIN[1].hash), AuditHead(seq=4, hash=CHAIN[3].hash)])
    assert found(CHAIN[4:], HEAD, pruned=pruned(CHAIN[:4]), known=known) is None
    assert found([], HEAD, pruned=pruned(CHAIN)) is None


def test_what_was_deleted_must_be_what_was_exported_and_what_is_left_must_follow_on_it() -> None:
    forged = msgspec.structs.replace(pruned(CHAIN[:4]), hash="11" * 32)
    assert found(CHAIN[4:], HEAD, pruned=forged) == (BreakKind.REPLACED, 4)
    known = heads_of([AuditHead(seq=4, hash="22" * 32)])
    assert found(CHAIN[4:], HEAD, pruned=pruned(CHAIN[:4]), known=known) == (BreakKind.REPLACED, 4)
    assert found(CHAIN[5:], HEAD, pruned=pruned(CHAIN[:4])) == (BreakKind.MISSING, 5)


def test_a_break_says_in_words_what_it_is() -> None:
    walk = ChainWalk({})
    for one in (*CHAIN[:4], *CHAIN[6:]):
        walk.take(one)
    assert walk.problem == Break(kind=BreakKind.MISSING, seq=5, text="entries 5 to 6 are missing")


# -- an export


def exported(
    path: Path, rows: list[AuditRow], head: AuditHead = HEAD, gone: AuditPruned | None = None
) -> Path:
    end = ExportEnd(head=head, pruned=gone, exported_at=NOW)
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in (*rows, end)))
    return path


def test_an_export_is_verified_without_a_fleet(tmp_path: Path) -> None:
    verdict = verify_file(exported(tmp_path / "audit", CHAIN), [AuditHead(seq=3, hash=CHAIN[2].hash)])
    assert (verdict.is_whole, verdict.entries, verdict.head) == (True, 9, HEAD)
    assert (verdict.compared, verdict.last_known, verdict.unprotected) == (1, 3, None)
    gone = pruned(CHAIN[:4])
    verdict = verify_file(exported(tmp_path / "audit", CHAIN[4:], gone=gone), [])
    assert (verdict.is_whole, verdict.entries, verdict.pruned) == (True, 5, gone)
    assert verify_file(exported(tmp_path / "audit", [], gone=pruned(CHAIN)), []).is_whole


def test_what_was_done_to_an_export_is_found(tmp_path: Path) -> None:
    path = tmp_path / "audit"

    def problem(*given: Any, heads: list[AuditHead] = []) -> tuple[str, int]:  # noqa: B006
        verdict = verify_file(exported(path, *given), heads)
        assert verdict.problem is not None
        return verdict.problem.kind, verdict.problem.seq

    assert problem([*CHAIN[:4], *CHAIN[5:]]) == (BreakKind.MISSING, 5)
    assert problem(CHAIN[:7]) == (BreakKind.CUT, 8)
    assert problem(CHAIN[4:]) == (BreakKind.MISSING, 1)
    assert problem(CHAIN[4:], HEAD, pruned(CHAIN[:3])) == (BreakKind.MISSING, 4)
    assert problem(CHAIN[:7], head_of(CHAIN[:7]), heads=[HEAD]) == (BreakKind.CUT, 8)
    assert problem([msgspec.structs.replace(CHAIN[0], prev="x"), *CHAIN[1:]]) == (BreakKind.CHANGED, 1)


def test_a_file_that_is_no_export_is_refused_by_its_line(tmp_path: Path) -> None:
    path = exported(tmp_path / "audit", CHAIN)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    with pytest.raises(ValueError, match="no last line with the head"):
        verify_file(path, [])
    path.write_bytes(b"".join([*lines, lines[0]]))
    with pytest.raises(ValueError, match="line 11 stands after the end"):
        verify_file(path, [])
    for junk in (b"{}\n", b"\xff\n", b"7\n", b'{"seq": "1"}\n'):
        path.write_bytes(lines[0] + junk)
        with pytest.raises(ValueError, match="line 2 is no line of an export"):
            verify_file(path, [])
