"""What the OKX exchange shows: history in its windows and pages, the market, money that passes by itself."""

import pytest

from exchanges.okx.core import settling
from exchanges.okx.core.market_read import checksum
from tests.unit.exchanges.okx_desk import HOUR_MS, NOW_MS, SWAP, D, OkxDesk


@pytest.fixture
def desk() -> OkxDesk:
    return OkxDesk()


def test_history_comes_in_pages_newest_first(desk: OkxDesk) -> None:
    desk.exchange.limits.orders_two_seconds = 1000
    ids = [desk.place(sz="0.01")["ordId"] for _ in range(120)]
    first = [row["ordId"] for row in desk.get("/trade/orders-history", instType="SWAP")]
    second = [row["ordId"] for row in desk.get("/trade/orders-history", instType="SWAP", after=first[-1])]
    assert first + second == ids[::-1]
    assert desk.get("/trade/orders-history", instType="SWAP", after=second[-1]) == []
    newer = desk.get("/trade/orders-history", instType="SWAP", before=ids[-2])
    assert [row["ordId"] for row in newer] == ids[-1:]


def test_what_is_old_is_only_in_the_archives(desk: OkxDesk) -> None:
    desk.place()
    gone = desk.place(px="49000")
    desk.post("/trade/cancel-order", instId=SWAP, ordId=gone["ordId"])
    assert len(desk.get("/trade/orders-history", instType="SWAP")) == 2
    desk.now_ms += 3 * HOUR_MS
    assert len(desk.get("/trade/orders-history", instType="SWAP")) == 1
    desk.now_ms += 72 * HOUR_MS
    assert desk.get("/trade/fills") == []
    assert len(desk.get("/trade/fills-history")) == 1
    desk.now_ms += 100 * HOUR_MS
    assert desk.get("/trade/orders-history", instType="SWAP") == []
    assert len(desk.get("/trade/orders-history-archive", instType="SWAP")) == 1


def test_others_see_nothing_of_an_account(desk: OkxDesk) -> None:
    row = desk.place()
    assert desk.get("/trade/fills", who="other") == []
    assert desk.get("/account/positions", who="other") == []
    assert desk.answer("GET", "/trade/order", {"ordId": row["ordId"]}, "other").code == 51603


def test_bars_are_within_their_bounds_newest_first_and_end(desk: OkxDesk) -> None:
    minute = NOW_MS // 60_000 * 60_000
    rows = desk.get("/market/candles", instId=SWAP, bar="1m", before=minute - 300_000, limit=300)
    assert [int(row[0]) for row in rows] == [minute - n * 60_000 for n in range(5)]
    assert [row[8] for row in rows] == ["0", "1", "1", "1", "1"]
    assert all(D(row[3]) <= min(D(row[1]), D(row[4])) <= D(row[2]) for row in rows)
    older = desk.get("/market/history-candles", instId=SWAP, bar="1H", after=minute, limit=2)
    assert [int(row[0]) for row in older] == [NOW_MS // HOUR_MS * HOUR_MS - n * HOUR_MS for n in range(2)]


def test_the_market_is_shown_as_it_is(desk: OkxDesk) -> None:
    (book,) = desk.get("/market/books", instId=SWAP, sz="2")
    assert book["bids"] == [["50000.0", "500", "0", "1"], ["49999.9", "500", "0", "1"]]
    assert desk.get("/public/mark-price", instId=SWAP)[0]["markPx"] == "50000.0"
    assert desk.get("/market/index-tickers", instId="BTC-USDT")[0]["idxPx"] == "50000.0"
    assert [one["instId"] for one in desk.get("/public/instruments", instType="SWAP")] == [
        SWAP,
        "ETH-USDT-SWAP",
    ]
    assert desk.get("/public/instruments", instType="SPOT") == []
    funding = desk.get("/public/funding-rate-history", instId=SWAP, limit="3")
    assert [int(row["fundingTime"]) for row in funding] == [
        NOW_MS // settling.FUNDING_MS * settling.FUNDING_MS - n * settling.FUNDING_MS for n in range(3)
    ]


def test_the_checksum_is_the_one_of_the_venues_documentation() -> None:
    bids = [["3366.1", "7", "0", "3"], ["3366", "6", "3", "4"]]
    asks = [["3366.8", "9", "10", "3"], ["3368", "8", "3", "4"]]
    text = b"3366.1:7:3366.8:9:3366:6:3368:8"
    assert checksum(bids, asks) == _crc32(text)


def _crc32(text: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in text:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
    value ^= 0xFFFFFFFF
    return value - (1 << 32) if value & 0x80000000 else value


def test_updates_of_a_book_lead_from_its_snapshot_to_what_it_is(desk: OkxDesk) -> None:
    desk.exchange.feed.news()
    snapshot = desk.exchange.feed.snapshot("books", SWAP)
    assert snapshot is not None
    desk.place(sz="700")
    desk.place(px="49999.5", sz="3")
    updates = [said for said in desk.exchange.feed.news() if said.channel == "books" and said.name == SWAP]
    (told,) = updates
    before, after = snapshot.data[0], told.data[0]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert after["prevSeqId"] == before["seqId"]
    for side in ("bids", "asks"):
        book = {row[0]: row[1] for row in before[side]} | {row[0]: row[1] for row in after[side]}
        (shown,) = desk.get("/market/books", instId=SWAP, sz="100")
        assert {price: qty for price, qty in book.items() if qty != "0"} == {
            row[0]: row[1] for row in shown[side]
        }


def test_funding_is_paid_by_those_long_and_every_eight_hours_once(desk: OkxDesk) -> None:
    desk.place(sz="10")
    wallet = desk.account.wallet
    desk.now_ms += 8 * HOUR_MS
    for _ in range(2):
        desk.get("/account/balance")
    paid = D("0.1") * D("50000.0") * D("0.0001")
    assert wallet - desk.account.wallet == paid
    assert [row["balChg"] for row in desk.get("/account/bills", type="8")] == ["-0.5"]


def test_an_account_without_margin_is_closed_out(desk: OkxDesk) -> None:
    desk.post("/account/set-leverage", instId=SWAP, lever="100")
    desk.place(sz="2000")
    waiting = desk.place(px="49000", sz="1")
    desk.touch("45100", "45100.1")
    assert desk.position() == 0
    assert desk.order(waiting)["state"] in ("canceled", "filled")
    orders = desk.get("/trade/orders-history", instType="SWAP")
    assert "full_liquidation" in {order["category"] for order in orders}


def test_the_leverage_is_what_was_set_and_margin_follows(desk: OkxDesk) -> None:
    assert desk.get("/account/leverage-info", instId=SWAP)[0]["lever"] == "10"
    desk.place(sz="1000")
    margin = 1000 * D("0.01") * desk.venue.mark(SWAP) / 10
    free = D(desk.get("/account/balance")[0]["details"][0]["availEq"])
    desk.post("/account/set-leverage", instId=SWAP, lever="20")
    assert D(desk.get("/account/balance")[0]["details"][0]["availEq"]) - free == margin / 2
    assert desk.answer("POST", "/account/set-leverage", {"instId": SWAP, "lever": "1"}).code == 51008
    assert desk.get("/account/leverage-info", instId=SWAP)[0]["lever"] == "20"
