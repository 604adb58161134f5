"""A tear sheet is made from what is on record: its digits, its dates, what is not there, and text of others as text."""

import hashlib
import re
from html import unescape
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest

from benchmarks.records import (
    DAY_NS,
    DIGEST,
    START_NS,
    SUMMARY,
    curve,
    exposed,
    fill,
    long_record,
    order,
    record,
)
from flotilla.schemas.backtest import (
    CatalogFile,
    ClosedTrade,
    OpenOrder,
    OpenPosition,
    OrderReason,
    StrategyFigures,
)
from flotilla.schemas.figures import UNDEFINED
from flotilla.schemas.simulation import VenueSettings
from flotilla.show.tear_sheet.record import Benchmark
from flotilla.show.tear_sheet.sheet import tear_sheet

DASH = "\N{EN DASH}"
HOSTILE = "<script>alert(1)</script>\"'><img src=//evil.example/x onerror=alert(1)>&amp;\u202egnp.exe\x00"


class Page(HTMLParser):
    """Its text as a reader has it, its tags with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def rows(html: str) -> list[list[str]]:
    found = re.findall(r"<tr>(.*?)</tr>", html)
    return [
        [unescape(re.sub(r"<[^>]+>", "", cell)) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)]
        for row in found
    ]


def facts(html: str) -> dict[str, str]:
    pairs = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", html)
    return {re.sub(r"<[^>]+>", "", name): unescape(value) for name, value in pairs}


def test_what_ran_comes_first_with_parameters_versions_and_digests() -> None:
    html = tear_sheet(record())
    assert "ema_cross on SPX.SIM" in html
    known = facts(html)
    assert (known["strategy"], known["slow"], known["NautilusTrader"], known["seed"]) == (
        *("ema_cross", "20", "1.231.0"),
        "7",
    )
    first = Page(html[: html.index('class="tiles"')]).text
    assert first.count(DIGEST) == 2
    assert "mine.ema_cross" in first.replace(" ", "")


def test_a_venues_settings_are_those_that_differ_from_the_default() -> None:
    config = msgspec.structs.replace(
        record().view.config, venue_settings={"SIM": VenueSettings(book_type="L2_MBP"), "B": VenueSettings()}
    )
    found = msgspec.structs.replace(record(), view=msgspec.structs.replace(record().view, config=config))
    known = facts(tear_sheet(found))
    assert known["settings of SIM"] == "book_type=L2_MBP; others at their defaults"
    assert known["settings of B"] == "all at their defaults"
    assert "venue settings" not in known


def test_each_of_several_strategies_has_its_parameters() -> None:
    plans = tuple({"strategy_path": f"mine:S{n}", "config": {f"only_{n}": n}} for n in (1, 2))
    plan = msgspec.structs.replace(record().manifest.plan, strategies=plans)
    html = tear_sheet(record(manifest={"plan": plan}))
    assert "Strategy 1" in html
    assert (facts(html)["only_1"], facts(html)["only_2"], facts(html)["class"]) == ("1", "2", "mine:S2")


def test_figures_have_the_digits_of_the_tables_and_what_is_not_defined_is_a_dash() -> None:
    found = rows(tear_sheet(record()))
    assert ["return", "12.34 %", "20.00 %"] in found
    assert ["return a year", DASH, DASH] in found
    assert ["drawdown lasted", "2.0 days", ""] in found
    assert ["final equity", "90,000.00 USD", ""] in found
    assert ["average loss", "-3,408.51 USD"] in found
    assert ["fees a fill", "1.25 USD"] in found
    assert ["closed trades before fees", "2,491.11 USD"] in found
    assert ["closed trades after fees", "2,488.61 USD"] in found


def test_trades_are_listed_with_what_tells_them_apart() -> None:
    found = rows(tear_sheet(record()))
    head = ["in", "out", "position", "from", "to", "commission", "result, USD"]
    assert found[found.index(head) + 1] == [
        *("2000-01-02 00:00", "2000-01-04 00:00", "LONG 100", "1,400.25", "1,410.5", "1.25", "5,897.12"),
    ]
    other = msgspec.structs.replace(record().trades[1], instrument_id="B.SIM", currency="EUR")
    several = rows(tear_sheet(record(trades=(record().trades[0], other))))
    assert ["B.SIM", "1,400.25", "1,410.5", "1.25", "-3,408.51 EUR"] in [row[3:] for row in several]
    assert "Trades are in several currencies" in tear_sheet(record(trades=(record().trades[0], other)))


def test_drawdowns_have_their_dates_and_one_that_lasts_has_no_end() -> None:
    shown = rows(tear_sheet(record(curve=curve(100.0, 100.0, 80.0, 90.0, 100.0, 99.0))))
    at = shown.index(["lost", "lasted", "from", "lowest", "recovered"])
    assert shown[at + 1] == [
        "-20.00 %",
        "3.0 days",
        *("2000-01-02 00:00", "2000-01-03 00:00", "2000-01-05 00:00"),
    ]
    assert shown[at + 2] == ["-1.00 %", "1.0 days", "2000-01-05 00:00", "2000-01-06 00:00", DASH]


def test_the_benchmark_is_the_first_instrument_or_the_one_asked_for() -> None:
    assert "buy and hold 25.00 %" in tear_sheet(record())
    other = Benchmark("IXIC.SIM", ((START_NS, 10.0), (START_NS + 2 * DAY_NS, 15.0)))
    html = tear_sheet(record(benchmark=other))
    assert "buy and hold 50.00 %" in html
    assert "buy and hold IXIC.SIM" in html


def test_a_result_of_before_says_what_it_does_not_have_and_shows_the_rest() -> None:
    html = tear_sheet(record(view={"summary": None}, open_positions=None, prices=()))
    text = Page(html).text
    assert "run it again for figures of marked equity" in text
    assert "There is no benchmark" in text
    assert "Prices are not on record" in text
    assert "What was open at the end is not on record" in text
    assert ["return", "12.34 %"] in rows(html)
    assert "position" in text


def test_orders_that_went_nowhere_are_counted_and_listed_with_their_reasons() -> None:
    why = OrderReason(status="rejected", reason="no market for SPX.SIM", count=2)
    counts = msgspec.structs.replace(SUMMARY.orders, total=6, rejected=2, reasons=(why,))
    summary = msgspec.structs.replace(SUMMARY, orders=counts)
    lost = (order("REJECTED", reason="no market for SPX.SIM"), order("DENIED", reason="too large"))
    html = tear_sheet(record(view={"summary": summary}, orders=lost))
    assert "6 made, 4 sent: 4 filled, 2 rejected." in Page(html).text
    assert ["2", "rejected", "no market for SPX.SIM"] in rows(html)
    assert ["2000-01-02 00:00", "BUY MARKET", "1,500", "SPX.SIM", DASH, "denied", "too large"] in rows(html)


def test_what_was_open_at_the_end_is_named() -> None:
    position = OpenPosition(
        position_id="P-1",
        instrument_id="SPX.SIM",
        strategy_id="EMACross-000",
        side="LONG",
        quantity="1500",
        entry_price=100.25,
        entry_time_ns=START_NS,
        unrealized_pnl="-0.00000012",
        currency="BTC",
    )
    left = OpenOrder(
        client_order_id="O-1",
        instrument_id="SPX.SIM",
        side="SELL",
        order_type="LIMIT",
        status="ACCEPTED",
        quantity="1.5",
        filled_qty="0",
        price="110.00",
    )
    counts = msgspec.structs.replace(SUMMARY.orders, open=1)
    summary = msgspec.structs.replace(SUMMARY, orders=counts, positions_open=1, open_orders=(left,))
    found = rows(tear_sheet(record(view={"summary": summary}, open_positions=(position,))))
    assert ["LONG", "1,500", "SPX.SIM", "100.25", "2000-01-02 00:00", "-0.00000012 BTC"] in found
    assert ["SELL LIMIT", "1.5", "0", "SPX.SIM", "110.00", "ACCEPTED"] in found


def test_a_run_without_a_trade_and_one_of_one_moment_are_told_in_words() -> None:
    nothing = record(trades=(), fills=(), fees={}, curve=curve(100.0))
    text = Page(tear_sheet(nothing)).text
    for words in ("No trade was closed.", "The run has one moment only", "Nothing was filled", "Nothing: no"):
        assert words in text


def test_days_of_a_zone_that_is_not_known_here_are_those_of_utc_and_it_says_so() -> None:
    plan = msgspec.structs.replace(record().manifest.plan, timezone="Mars/Olympus")
    assert "Mars/Olympus is not known on this machine" in tear_sheet(record(manifest={"plan": plan}))


def hostile() -> Any:
    """Every text of others says something that a page must not do."""
    bad = HOSTILE
    lost = order("REJECTED", reason=bad, instrument_id=bad, order_type=bad, price=bad)
    summary = msgspec.structs.replace(
        SUMMARY,
        timezone=bad,
        orders=msgspec.structs.replace(
            SUMMARY.orders, open=1, reasons=(OrderReason(status="rejected", reason=bad, count=1),)
        ),
    )
    trades: tuple[ClosedTrade, ...] = tuple(
        msgspec.structs.replace(each, instrument_id=bad, side=bad) for each in record().trades
    )
    plan = msgspec.structs.replace(record().manifest.plan, strategies=({"config": {bad: {bad: [bad]}}},))
    return record(
        config={"strategy": None, "strategy_class": "a:B", "strategy_config": {bad: bad}},
        view={"summary": summary},
        manifest={"plan": plan, "image": bad, "host": bad, "strategy_sources": {bad: bad}},
        orders=(lost,),
        trades=trades,
        fills=(fill(0, "BUY", instrument_id=bad), fill(1, "SELL", instrument_id=bad)),
        prices=tuple(msgspec.structs.replace(each, instrument_id=bad) for each in record().prices),
        balances={bad: bad},
        fees={bad: "1"},
        benchmark=Benchmark(bad, ((START_NS, 1.0), (START_NS + DAY_NS, 2.0))),
    )


def test_hostile_names_are_text_wherever_they_stand() -> None:
    html = tear_sheet(hostile())
    page = Page(html)
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "img", "iframe", "link", "a", "base", "form"})
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on") or name in ("src", "href")]
        assert "url(" not in (attributes.get("style") or "")
    assert page.text.count("<script>alert(1)</script>") > 15
    assert not set(html) & {"\x00", "\u202e"}


@pytest.mark.parametrize("made", [record(), long_record()], ids=["short", "long"])
def test_a_sheet_is_one_file_that_loads_nothing_and_stays_small(made: Any) -> None:
    html = tear_sheet(made)
    assert len(html.encode()) < 1_000_000
    assert tear_sheet(made) == html
    assert "default-src 'none'" in unescape(html)
    assert not re.search(r"(?:src|href)=|url\(|@import|https?:", html)


def test_the_largest_of_runs_stays_below_a_megabyte_too() -> None:
    large = long_record(bars=20_000, trades=20_000)
    large = msgspec.structs.replace(
        large, orders=tuple(order("REJECTED", reason="r" * 200) for _ in range(5_000))
    )
    html = tear_sheet(large)
    assert len(html.encode()) < 1_000_000
    assert "19,500 more" in html
    assert "4,900 more." in html


def test_of_several_strategies_each_has_a_row() -> None:
    one = StrategyFigures(
        strategy_id="EMACross-001",
        orders=1_655,
        fills=655,
        trades=327,
        pnl={"USD": "-213929.00"},
        fees={"USD": "0.00"},
        positions_open=1,
    )
    other = msgspec.structs.replace(one, strategy_id="<b>-002", pnl={}, fees={})
    summary = msgspec.structs.replace(SUMMARY, strategies=(one, other))
    made = record()
    html = tear_sheet(msgspec.structs.replace(made, view=msgspec.structs.replace(made.view, summary=summary)))
    assert "Strategies" not in tear_sheet(made)
    text = unescape(re.sub(r"<[^>]+>", " ", html[html.index("Strategies") :]))
    words = " ".join(text.split())
    assert "EMACross-001 1,655 655 327 1 -213,929.00 USD 0.00 USD" in words
    assert f"<b>-002 1,655 655 327 1 {UNDEFINED} {UNDEFINED}" in words


def test_a_sheet_of_thousands_of_files_stays_below_a_megabyte_and_names_their_digest() -> None:
    files = tuple(
        CatalogFile(path=f"data/trade_tick/X.SIM/{n:08}.parquet", sha256=DIGEST, size_bytes=1)
        for n in range(20_000)
    )
    made = record()
    manifest = msgspec.structs.replace(made.manifest, files=files)
    html = tear_sheet(msgspec.structs.replace(made, manifest=manifest))
    lines = "".join(f"{each.sha256}  {each.path}\n" for each in files)
    assert len(html.encode()) < 1_000_000
    assert "19,500 more are not listed" in html
    assert hashlib.sha256(lines.encode()).hexdigest() in html


def test_what_is_held_is_told_in_money_and_as_leverage() -> None:
    seen = (
        exposed(0, 0.0, 0.0, 0.0),
        exposed(1, 100_000.0, -100_000.0, 1.0),
        exposed(2, 50_000.0, 20_000.0, 0.25),
        exposed(3, None, None, None),
        exposed(4, 10_000.0, 10_000.0, 0.1),
    )
    html = tear_sheet(record(exposure=seen))
    found = rows(html)
    # By hand: nothing for a day, 100,000 for one, 50,000 for two (the third is not known); 10,000 is the end.
    assert ["gross, USD", "50,000.00", "100,000.00", "10,000.00"] in found
    assert ["net, USD", "-15,000.00", "-100,000.00", "10,000.00"] in found
    assert ["leverage", "0.38", "1.00", "0.10"] in found
    text = Page(html).text
    assert "Value of positions, USD, gross and net" in text
    assert "At 1 of 5 moments there was no price or rate" in text


def test_of_a_run_from_before_it_was_kept_exposure_in_money_is_not_on_record() -> None:
    text = Page(tear_sheet(record())).text
    assert "What positions were worth is not on record" in text
    assert "In the market for" in text
