"""Results: whole or absent, read in pages that fit, and compared to the last digit."""

import hashlib
import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flotilla.schemas.backtest import (
    CatalogFile,
    ClosedTrade,
    EquityPoint,
    NautilusStatistics,
    OrderCounts,
    Outcome,
    ReadResult,
    ResultPart,
    RunSummary,
)
from flotilla.schemas.fault import FaultCode, FaultError
from flotilla.schemas.telemetry import Fill
from flotilla.services.orchestrator.backtests.core.comparing import parameters, verdict
from flotilla.services.orchestrator.backtests.core.pages import page
from flotilla.services.orchestrator.backtests.core.result_parts import BrokenResultError, joined, unpacked
from tests.unit.orchestrator.test_backtest_turns import CONFIG, outcome

REPORT_CHARACTERS = 96 * 1024

MAX_CAUSES = 20


def fill(number: int, px: str = "1.0") -> Fill:
    return Fill(
        trade_id=f"t{number}",
        client_order_id="o",
        instrument_id="SPX.SIM",
        strategy_id="S-000",
        side="BUY",
        last_qty="1",
        last_px=px,
        currency="USD",
        commission="0",
        liquidity_side="TAKER",
        ts_event=number,
    )


def trade(trade_id: str, pnl: str = "1.0") -> ClosedTrade:
    return ClosedTrade(
        trade_id=trade_id,
        instrument_id="SPX.SIM",
        strategy_id="S-000",
        side="LONG",
        quantity="1",
        entry_price=1.0,
        exit_price=2.0,
        entry_time_ns=0,
        exit_time_ns=1,
        pnl=pnl,
        commission="0",
        currency="USD",
    )


def with_manifest(one: Outcome, **changes: Any) -> Outcome:
    return msgspec.structs.replace(one, manifest=msgspec.structs.replace(one.manifest, **changes))


@given(st.binary(min_size=1, max_size=300), st.integers(1, 40), st.randoms())
def test_pieces_make_the_document_in_whatever_order_they_come(body: bytes, size: int, chance: Any) -> None:
    cut = [body[start : start + size] for start in range(0, len(body), size)]
    digest = hashlib.sha256(body).hexdigest()
    order = list(enumerate(cut))
    chance.shuffle(order)
    pieces: dict[int, bytes] = {}
    for index, piece in order:
        assert joined(pieces, len(cut), digest) is None
        pieces[index] = piece
    assert joined(pieces, len(cut), digest) == body


@pytest.mark.parametrize("pieces", [{0: b"a", 1: b"x"}, {0: b"a", 7: b"b"}])
def test_pieces_of_another_document_make_none(pieces: dict[int, bytes]) -> None:
    with pytest.raises(BrokenResultError):
        joined(pieces, 2, hashlib.sha256(b"ab").hexdigest())


def test_a_packed_outcome_is_read_and_anything_else_is_broken() -> None:
    packed = zlib.compress(msgspec.json.encode(outcome()))
    assert unpacked(packed) == outcome()
    for broken in (packed[:-5], b"x", zlib.compress(b"{}"), b""):
        with pytest.raises(BrokenResultError):
            unpacked(broken)


def read(one: Outcome, part: ResultPart, **more: Any) -> tuple[list[Any], int | None, int]:
    found = page(one, ReadResult(backtest_id="b", part=part, **more))
    return [msgspec.json.decode(entry) for entry in found.entries], found.next, found.total


@given(st.integers(0, 30), st.integers(1, 12))
def test_pages_together_are_the_list(count: int, limit: int) -> None:
    one = outcome(fills=tuple(fill(number) for number in range(count)))
    found: list[Any] = []
    offset: int | None = 0
    while offset is not None:
        entries, offset, total = read(one, ResultPart.FILLS, offset=offset, limit=limit)
        assert total == count
        found += entries
    assert [each["ts_event"] for each in found] == list(range(count))


def test_a_page_fits_into_a_message_however_many_are_asked_for() -> None:
    points = tuple(
        EquityPoint(at_ns=n, equity=1.1, balance=1.1, unrealized_pnl=0.1, drawdown=0.1) for n in range(12_000)
    )
    found = page(
        outcome(equity_curve=points), ReadResult(backtest_id="b", part=ResultPart.EQUITY_CURVE, limit=5000)
    )
    assert len(msgspec.json.encode(found)) < 1_000_000
    assert found.next == len(found.entries)


def test_a_document_is_one_entry_and_a_report_comes_in_pieces() -> None:
    report = "ü" * (REPORT_CHARACTERS + 7)
    one = msgspec.structs.replace(outcome(balances={"USD": "1.0"}), report=report)
    assert read(one, ResultPart.BALANCES) == ([{"USD": "1.0"}], None, 1)
    assert read(one, ResultPart.MANIFEST)[0][0]["host"] == "h1"
    (first,), after, total = read(one, ResultPart.REPORT)
    (rest,), end, _ = read(one, ResultPart.REPORT, offset=after)
    assert (first + rest, end, total) == (report, None, len(report))
    assert read(one, ResultPart.REPORT, offset=total) == ([], None, total)


def test_what_a_result_does_not_have_is_not_found_and_no_empty_list() -> None:
    known = outcome()
    old = msgspec.structs.replace(
        known, result=msgspec.structs.replace(known.result, summary=None), report=None
    )
    for part, said in (
        (ResultPart.OPEN_POSITIONS, "does not tell what it left open"),
        (ResultPart.REPORT, "no tear sheet"),
    ):
        with pytest.raises(FaultError, match=said) as refused:
            read(old, part)
        assert refused.value.fault.code is FaultCode.NOT_FOUND


def test_the_same_results_of_the_same_are_equal_also_when_positions_got_other_names() -> None:
    one, other = outcome(trades=(trade("P-a"),)), outcome(trades=(trade("P-b"),))
    assert verdict("b", "v", one, other).is_equal


def test_the_first_fill_that_differs_is_named_before_the_rest() -> None:
    one = outcome(fills=(fill(1), fill(2)), trades=(trade("a"),))
    other = outcome(fills=(fill(1), fill(2, "9.0")), trades=(trade("a", "7.0"),))
    found = verdict("b", "v", one, other)
    assert not found.is_equal
    assert found.fills_compared == 2
    first = found.differences[0]
    assert (first.where, first.first, first.second) == ("fills[1].last_px", "1.0", "9.0")
    assert found.differences[1].where == "trades[0].pnl"


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"files": (CatalogFile(path="a/p", size_bytes=1, sha256="1"),)}, "files[a/p]"),
        ({"strategy_sources": {"m.n": "1"}}, "strategy_sources[m.n]"),
        ({"seed": 7}, "seed"),
    ],
)
def test_the_same_figures_of_other_data_or_code_are_not_equal(changes: dict[str, Any], where: str) -> None:
    found = verdict("b", "v", outcome(), with_manifest(outcome(), **changes))
    assert (found.is_equal, found.differences[0].where) == (False, where)


RELEASED = {
    "image": "sha256:2",
    "nautilus_version": "2",
    "strategy_sources": {"engine_sidecar.strategies.grid": "2"},
}


def test_another_release_that_gives_the_same_is_equal_and_named() -> None:
    then = with_manifest(outcome(), strategy_sources={"engine_sidecar.strategies.grid": "1"})
    found = verdict("b", "v", then, with_manifest(outcome(), **RELEASED))
    assert (found.is_equal, found.differences) == (True, ())
    named = [each.where for each in found.changed_without_effect]
    assert named == ["strategy_sources[engine_sidecar.strategies.grid]", "nautilus_version", "image"]


@pytest.mark.parametrize(
    ("then", "now", "expected"),
    [("c", "c", ("m.n",)), ("c", "d", ()), ("", "", ()), ("c", "", ()), (None, "c", ())],
)
def test_a_module_of_which_only_comments_changed_is_named_as_that(
    then: str | None, now: str, expected: tuple[str, ...]
) -> None:
    """And counts as a difference all the same. An outcome of before does not know its code."""
    one = with_manifest(
        outcome(), strategy_sources={"m.n": "1"}, strategy_code={} if then is None else {"m.n": then}
    )
    other = with_manifest(outcome(), strategy_sources={"m.n": "2"}, strategy_code={"m.n": now})
    found = verdict("a", "b", one, other)
    assert (found.comments_only, found.is_equal) == (expected, False)
    assert verdict("a", "b", one, one).comments_only == ()


@pytest.mark.parametrize("also", [{"strategy_sources": {"m.n": "1"}}, {"seed": 7}])
def test_another_release_excuses_nothing_else(also: dict[str, Any]) -> None:
    found = verdict("b", "v", outcome(), with_manifest(outcome(), **RELEASED | also))
    assert (found.is_equal, found.changed_without_effect) == (False, ())
    other = with_manifest(outcome(fills=(fill(1, "9.0"),)), **RELEASED)
    found = verdict("b", "v", outcome(fills=(fill(1),)), other)
    assert (found.is_equal, found.changed_without_effect) == (False, ())
    assert [each.where for each in found.differences][-2:] == ["image", "fills[0].last_px"]


def test_what_it_depended_on_is_named_with_both_hashes_before_what_came_of_it_however_much_it_is() -> None:
    then = tuple(CatalogFile(path=f"p{index:02}", size_bytes=1, sha256="1") for index in range(50))
    now = tuple(msgspec.structs.replace(file, sha256="2") for file in then)
    one = with_manifest(outcome(fills=(fill(1),)), files=then, strategy_sources={"m": "a"})
    other = with_manifest(outcome(fills=(fill(1, "9.0"),)), files=now, strategy_sources={"m": "b"})
    found = [(each.where, each.first, each.second) for each in verdict("b", "v", one, other).differences]
    assert found[:2] == [("strategy_sources[m]", "a", "b"), ("files[p00]", "1", "2")]
    assert len(found) == MAX_CAUSES + 1
    assert found[-1] == ("fills[0].last_px", "1.0", "9.0")


def test_a_manifest_with_another_plan_than_was_asked_for_is_told() -> None:
    one = outcome()
    asked = msgspec.structs.replace(one.manifest.plan, strategies=({"config": {"fast": 3}},))
    changed = with_manifest(one, plan=msgspec.structs.replace(asked, strategies=({"config": {"fast": 4}},)))
    (found,) = verdict("b", "v", changed, changed, asked=asked).differences
    assert (found.where, found.first, found.second) == ("plan.strategies[0].config.fast", 3, 4)
    assert verdict("b", "v", one, one, asked=one.manifest.plan).is_equal


def summary(version: int) -> RunSummary:
    nothing = NautilusStatistics(**dict.fromkeys(NautilusStatistics.__struct_fields__))  # type: ignore[arg-type]
    counts = {name: 0 for name in OrderCounts.__struct_fields__ if name != "reasons"}
    return RunSummary(
        figures_version=version,
        timezone="UTC",
        returns=2,
        years=1.0,
        nautilus_statistics=nothing,
        orders=OrderCounts(**counts),  # type: ignore[arg-type]
        positions_open=0,
        open_positions=(),
        open_orders=(),
    )


def test_figures_of_an_older_definition_are_told_as_such_and_not_as_different() -> None:
    point = EquityPoint(at_ns=1, equity=1.0, balance=1.0, unrealized_pnl=0.0, drawdown=0.0)
    then = outcome(fills=(fill(1),))  # as a result of before figures had versions
    metrics = msgspec.structs.replace(then.result.metrics, total_return=9.0)
    now = outcome(fills=(fill(1),), metrics=metrics, equity_curve=(point,), summary=summary(2))
    found = verdict("b", "v", then, now)
    assert (found.is_equal, found.differences, found.figures_versions) == (True, (), (1, 2))
    other = verdict("b", "v", then, outcome(fills=(fill(1, "9.0"),), summary=summary(2)))
    assert (other.is_equal, other.differences[0].where) == (False, "fills[0].last_px")
    same = verdict("b", "v", now, outcome(fills=(fill(1),), equity_curve=(point,), summary=summary(2)))
    assert (same.is_equal, same.figures_versions) == (False, None)
    assert same.differences[0].where == "metrics.total_return"


def test_what_summaries_had_not_always_is_not_compared() -> None:
    now = msgspec.structs.replace(summary(2), unanswered_requests=3, answered_requests=1)
    assert verdict("b", "v", outcome(summary=summary(2)), outcome(summary=now)).is_equal


def test_ids_that_a_venue_makes_at_random_are_not_compared() -> None:
    plan = msgspec.structs.replace(outcome().manifest.plan, venues=({"name": "SIM", "use_random_ids": True},))
    one, other = (
        outcome(fills=(msgspec.structs.replace(fill(1), venue_order_id=name, position_id=name),))
        for name in ("a", "b")
    )
    assert not verdict("b", "v", one, other).is_equal
    assert verdict("b", "v", with_manifest(one, plan=plan), with_manifest(other, plan=plan)).is_equal


def test_fills_that_are_missing_are_counted() -> None:
    found = verdict("b", "v", outcome(fills=(fill(1),)), outcome())
    assert [each.where for each in found.differences] == ["fills.length"]


def test_only_parameters_that_differ_are_shown() -> None:
    other = msgspec.structs.replace(CONFIG, strategy_config={"fast": 5}, instruments=("IXIC.SIM",))
    assert parameters([CONFIG, other, CONFIG]) == {
        "strategy_config.fast": (None, 5, None),
        "instruments": (["SPX.SIM"], ["IXIC.SIM"], ["SPX.SIM"]),
    }
