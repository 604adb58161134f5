"""Ledgers over REST: pages, filters, files that are sent page by page, and what a token with labels sees."""

import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from flotilla.schemas.access import Role
from flotilla.schemas.fault import FaultCode, fault
from flotilla.schemas.history import ReadDays
from flotilla.schemas.ledger import (
    AccountRow,
    FillRow,
    LedgerOrder,
    LedgerPage,
    ReadFills,
    ReadLedger,
    ReadOrders,
)
from flotilla.schemas.telemetry import Balance
from tests.access import create_token
from tests.integration.conftest import ConnectAs
from tests.integration.gateways import NOW, Stage, staged

LEDGER = "/api/v1/ledger"


@pytest.fixture
async def stage(connect_as: ConnectAs, tmp_path: Path) -> AsyncIterator[Stage]:
    async with staged(connect_as, tmp_path) as ready:
        yield ready


def fill(number: int, **changes: Any) -> FillRow:
    known: dict[str, Any] = {
        "instance_id": "e1",
        "session_id": "s1",
        "at": NOW,
        "seq": number,
        "venue": "BINANCE",
        "account": None,
        "trade_id": f"T-{number}",
        "client_order_id": "O-1",
        "strategy_id": "S-1",
        "instrument_id": "BTCUSDT.BINANCE",
        "side": "BUY",
        "last_qty": "0.10",
        "last_px": "60000.10",
        "currency": "USDT",
        "commission": "0.1",
        "liquidity_side": "TAKER",
        "ts_event": 7,
        **changes,
    }
    return FillRow(**known)


class Pages:
    """A ledger of fills in pages of two."""

    def __init__(self, *rows: FillRow, fails_at: int | None = None) -> None:
        self.rows = rows
        self.fails_at = fails_at
        self.asked: list[ReadFills] = []

    def __call__(self, question: ReadFills) -> Any:
        self.asked.append(question)
        at = int(question.cursor or 0)
        if at == self.fails_at:
            return fault(FaultCode.UNAVAILABLE, "the record is away")
        more = str(at + 2) if at + 2 < len(self.rows) else None
        return LedgerPage(rows=self.rows[at : at + 2], next=more)


async def test_a_page_has_its_rows_and_where_the_next_begins(stage: Stage) -> None:
    stage.orchestrator.answers["fleet.ledger.fills"] = Pages(fill(1), fill(2), fill(3))
    async with stage.http.get(f"{LEDGER}/fills") as answer:
        reply = await answer.json()
    assert [row["trade_id"] for row in reply["fills"]] == ["T-1", "T-2"]
    assert (reply["count"], reply["next"], reply["fills"][0]["last_px"]) == (2, "2", "60000.10")
    async with stage.http.get(f"{LEDGER}/fills?cursor=2") as answer:
        reply = await answer.json()
    assert ([row["trade_id"] for row in reply["fills"]], reply["next"]) == (["T-3"], None)


async def test_filters_reach_the_orchestrator(stage: Stage) -> None:
    query = (
        "engine=e1,e2&label=desk=a&session_id=s1&venue=BINANCE,OKX&instrument_id=BTCUSDT.BINANCE&strategy_id=S-1&side=BUY"
        "&status=FILLED,CANCELED&open=true&since=2026-01-31T14:25:01Z&order=oldest&limit=7&cursor=abc"
    )
    async with stage.http.get(f"{LEDGER}/orders?{query}") as answer:
        assert answer.status == 200, await answer.text()
    assert stage.orchestrator.requests[-1] == ReadOrders(
        instance_ids=("e1", "e2"),
        labels={"desk": "a"},
        session_id="s1",
        venues=("BINANCE", "OKX"),
        instrument_ids=("BTCUSDT.BINANCE",),
        strategy_ids=("S-1",),
        sides=("BUY",),
        statuses=("FILLED", "CANCELED"),
        is_open=True,
        since=NOW,
        order=LedgerOrder.OLDEST,
        limit=7,
        cursor="abc",
    )


@pytest.mark.parametrize(
    "query",
    [
        *(
            "engine=NO",
            "cursor=%20",
            "limit=0",
            "limit=1001",
            "side=buy!",
            "since=2026-01-31",
            "order=random",
        ),
        *("venue=a%00b", "instrument_id=x", "session_id=..", "status=', '", "label=x", "what=1"),
    ],
)
async def test_a_filter_that_is_none_is_refused(stage: Stage, query: str) -> None:
    async with stage.http.get(f"{LEDGER}/orders?{query}") as answer:
        assert answer.status == 422, await answer.text()
        assert (await answer.json())["code"] == "invalid"
    assert stage.orchestrator.requests == []


async def test_a_file_has_every_page(stage: Stage) -> None:
    pages = Pages(*(fill(n, venue_order_id="a,b" if n == 1 else None) for n in range(1, 6)))
    stage.orchestrator.answers["fleet.ledger.fills"] = pages
    async with stage.http.get(f"{LEDGER}/fills/export?side=BUY") as answer:
        assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
        found = list(csv.DictReader(io.StringIO(await answer.text())))
    assert [row["trade_id"] for row in found] == ["T-1", "T-2", "T-3", "T-4", "T-5"]
    assert (found[0]["venue_order_id"], found[1]["venue_order_id"]) == ("a,b", "")
    assert {(one.limit, one.sides) for one in pages.asked} == {(1000, ("BUY",))}
    async with stage.http.get(f"{LEDGER}/fills/export?format=json") as answer:
        assert [row["trade_id"] for row in await answer.json()] == [row["trade_id"] for row in found]


async def test_a_file_of_nothing_has_a_head_and_what_is_a_list_is_json(stage: Stage) -> None:
    async with stage.http.get(f"{LEDGER}/orders/export") as answer:
        assert (await answer.text()).startswith("instance_id,session_id,at,seq,venue,")
    async with stage.http.get(f"{LEDGER}/orders/export?format=json") as answer:
        assert await answer.json() == []
    balance = Balance(currency="USDT", total="1", free="1", locked="0")
    row = AccountRow(
        instance_id="e1",
        session_id="s1",
        at=NOW,
        seq=1,
        venue="BINANCE",
        account_id="BINANCE-1",
        account_type="CASH",
        balances=(balance,),
        ts_event=7,
        is_latest=True,
    )
    stage.orchestrator.answers["fleet.ledger.accounts"] = LedgerPage(rows=(row,))
    async with stage.http.get(f"{LEDGER}/accounts/export") as answer:
        (found,) = csv.DictReader(io.StringIO(await answer.text()))
    assert found["balances"] == '[{"currency":"USDT","total":"1","free":"1","locked":"0"}]'


async def test_a_file_that_breaks_off_is_not_taken_for_whole(stage: Stage) -> None:
    pages = Pages(*map(fill, range(1, 6)), fails_at=2)
    stage.orchestrator.answers["fleet.ledger.fills"] = pages
    with pytest.raises(Exception, match=r"payload|closed|disconnected"):
        async with stage.http.get(f"{LEDGER}/fills/export") as answer:
            await answer.text()


async def test_a_token_with_labels_asks_for_engines_that_carry_them(stage: Stage, tmp_path: Path) -> None:
    token = create_token(tmp_path / "tokens.jsonl", "desk-a", Role.VIEWER, labels={"desk": "a"})
    headers = {"Authorization": f"Bearer {token}"}
    for path in ("orders", "fills", "positions", "accounts", "fills/export"):
        for query, expected in (("", {"desk": "a"}), ("?label=zone=x", {"desk": "a", "zone": "x"})):
            async with stage.http.get(f"{LEDGER}/{path}{query}", headers=headers) as answer:
                assert answer.status == 200, await answer.text()
            question = stage.orchestrator.requests[-1]
            assert isinstance(question, ReadLedger)
            assert question.labels == expected
    stage.orchestrator.requests.clear()
    async with stage.http.get(f"{LEDGER}/fills?label=desk=b", headers=headers) as answer:
        assert (await answer.json())["fills"] == []
    assert stage.orchestrator.requests == []


async def test_the_days_of_engines_are_those_in_sight(stage: Stage, tmp_path: Path) -> None:
    token = create_token(tmp_path / "tokens.jsonl", "desk-a", Role.VIEWER, labels={"desk": "a"})
    headers = {"Authorization": f"Bearer {token}"}
    days = "/api/v1/nautilus/history/days?timezone=Europe/Berlin"
    async with stage.http.get(days, headers=headers) as answer:
        assert (await answer.json())["starts"]["days"]["e1"]["amount"] == "100.10"
    assert stage.orchestrator.requests[-1] == ReadDays(labels={"desk": "a"}, timezone="Europe/Berlin")
    async with stage.http.get(f"{days}&label=desk=b", headers=headers) as answer:
        assert (await answer.json())["starts"]["days"] == {}
