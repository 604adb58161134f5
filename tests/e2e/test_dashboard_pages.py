"""Pages of the dashboard that show more than the fleet, over the same stand: what they ask the gateway for, and what they show of it."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from flotilla.schemas.access import Role
from flotilla.schemas.alerting import AckAlert, MuteAlerts, RemoveChannel, SetChannel, SetRule
from flotilla.schemas.backtest import RunBacktest
from flotilla.schemas.data import ImportData, ReadChart
from flotilla.schemas.engine import StartEngine
from flotilla.schemas.fault import FieldError, invalid
from flotilla.schemas.ledger import ReadOrders
from flotilla.schemas.states import DesiredState, RunState
from flotilla.schemas.telemetry import Severity
from tests.e2e.browsers import DESKTOP, PHONE, Look
from tests.e2e.stand_research import BARS
from tests.e2e.stands import Stand, name_of, session_of, standing
from tests.integration.gateways import accepted

WIDE = (1600, 900)


@pytest.fixture(scope="module")
def stand(browser: BrowserContext, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("stand")) as made:
        yield made


def opened(
    look: Look, stand: Stand, place: str, size: tuple[int, int] = DESKTOP, role: Role = Role.ADMIN
) -> Page:
    """A page of somebody who has just signed in."""
    page = look.at(stand.link(role), size)
    expect(page.get_by_role("button", name="All 200")).to_be_visible()
    page.goto(f"{stand.address}/#/{place}")
    return page


def asked[T](stand: Stand, kind: type[T]) -> list[T]:
    return [one for one in stand.orchestrator.requests if isinstance(one, kind)]


def row(page: Page, index: int) -> Locator:
    return page.locator(f"tr[data-engine='{name_of(index)}']")


def test_what_the_day_made_is_shown_of_each_engine_and_summed_by_mode(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "fleet")
    expect(row(page, 2)).to_contain_text("\u22123.0 %")
    expect(row(page, 0)).to_contain_text(re.compile(r"[+][3-6]\d\d\.\d\d"))
    totals = page.get_by_role("region", name="Totals")
    expect(totals).to_contain_text(re.compile(r"Today · live\s*[+]1,\d{3}\.\d\d"))
    expect(totals).to_contain_text(re.compile("Drawdown · live\\s*\u22123\\.0 %\\s*the deepest: basis-002"))
    expect(page.locator("th[scope=rowgroup]").first).to_contain_text(
        re.compile(r"today [+]1,\d{3}\.\d\d USD")
    )
    page.get_by_role("searchbox", name="Filter engines").fill(name_of(199))
    expect(row(page, 199).locator("td").nth(5)).to_have_text("\u2013")  # nobody knows how its day began


def test_open_alerts_need_somebody_until_one_takes_them_on(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "fleet", WIDE)
    needs = page.get_by_role("region", name="Needs you")
    expect(needs.locator("li").first).to_contain_text(name_of(1))
    expect(needs.get_by_text(name_of(1))).to_have_count(1)  # once, though the engine does not trade either
    expect(needs).to_contain_text("taken on by anna")
    pages = page.get_by_role("navigation", name="Pages", exact=True)
    expect(pages).to_contain_text("Alerts 2 open")
    needs.get_by_role("button", name="Acknowledge host lost of ldn-1").click()
    expect(needs.get_by_text("ldn-1")).to_have_count(0)
    expect(pages).to_contain_text("Alerts 1 open")


def test_fills_are_told_as_they_happen(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "fleet", WIDE)
    page.goto("about:blank")  # so that no answer to the page before is taken for that to the next
    with page.expect_response(lambda one: "/stream?kinds=fill" in one.url):
        page.goto(f"{stand.address}/#/fleet")
    happens = page.get_by_role("region", name="As it happens")
    stand.fill(3, 1)
    expect(happens).to_contain_text(
        f"{name_of(3)} ▲ bought 0.25 BTCUSDT.BYBIT at 64250.10".replace("64250", "64,250")
    )
    stand.fill(4, 2, "SELL")
    expect(happens).to_contain_text(f"{name_of(4)} ▼ sold 0.25")


def test_an_alert_is_taken_on_with_a_note_and_others_are_muted(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "alerts")
    stand.orchestrator.requests.clear()
    one = page.locator("li[data-alert]", has_text=name_of(1))
    expect(one).to_contain_text("critical")
    one.get_by_role("combobox", name=re.compile("^Mute")).select_option(label="for 1 h")
    mutes = page.get_by_role("list", name="Mutes")
    expect(mutes).to_contain_text(f"engine impaired of {name_of(1)}")
    (mute,) = asked(stand, MuteAlerts)
    assert (mute.for_s, mute.rule, mute.about) == (3600, "engine_impaired", name_of(1))
    mutes.get_by_role("button", name=re.compile("^End")).click()
    expect(mutes).to_have_count(0)
    one.get_by_role("button", name=re.compile("^Acknowledge")).click()
    one.get_by_role("textbox", name="Note").fill("the venue is asked")
    page.keyboard.press("Enter")
    expect(one).to_have_count(0)
    (ack,) = asked(stand, AckAlert)
    assert ack.note == "the venue is asked"
    page.get_by_role("button", name=re.compile("^Acknowledged")).click()
    expect(page.locator("li[data-alert]", has_text=name_of(1))).to_contain_text("taken on by trader")
    page.get_by_role("searchbox", name="Filter alerts").fill("anna no-such")
    expect(page.get_by_text("No alert fits the filter.")).to_be_visible()
    page.get_by_role("searchbox", name="Filter alerts").fill("")
    page.get_by_role("button", name=re.compile("^Resolved")).click()
    expect(page.locator("li[data-alert]")).to_contain_text(re.compile("stale for 3 min.*over at", re.S))


def test_rules_are_set_for_all_and_put_back(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "alerts?tab=rules")
    stand.orchestrator.requests.clear()
    rule = page.locator("tr[data-rule=feed_stale]")
    rule.get_by_role("spinbutton").fill("30")
    rule.get_by_role("combobox").select_option("critical")
    rule.get_by_role("button", name="Set feed stale").click()
    rule.get_by_role("button", name="As it was: feed_stale").click()
    expect(rule.get_by_role("spinbutton")).to_have_value("120")
    page.get_by_role("checkbox", name="fill is on").check()
    page.get_by_role("button", name="Set fill").click()
    expect(page.get_by_role("button", name="As it was: fill")).to_be_visible()
    first, reset, second = asked(stand, SetRule)
    assert (first.threshold, first.severity, first.is_on) == (30, Severity.CRITICAL, None)
    assert (reset.is_reset, second.rule, second.is_on) == (True, "fill", True)


def test_channels_are_added_by_the_name_of_a_secret_tested_and_removed(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "alerts?tab=channels")
    stand.orchestrator.requests.clear()
    page.get_by_role("textbox", name="Name").fill("pager")
    page.get_by_role("textbox", name="Secret").fill("pager_url")
    page.get_by_role("button", name="Add channel").click()
    pager = page.locator("tr[data-channel=pager]")
    expect(pager).to_contain_text("pager_url")
    page.get_by_role("button", name="Test desk").click()
    expect(page.locator("tr[data-channel=desk]")).to_contain_text("taken in 312 ms")
    page.get_by_role("button", name="Test pager").click()
    expect(pager).to_contain_text("not taken: no secret of that name")
    page.get_by_role("button", name="Remove pager…").click()
    assert not asked(stand, RemoveChannel)
    page.get_by_role("button", name="Remove pager and 0 waiting").click()
    expect(pager).to_have_count(0)
    assert [(one.name, one.secret) for one in asked(stand, SetChannel)] == [("pager", "pager_url")]
    assert [one.name for one in asked(stand, RemoveChannel)] == ["pager"]


def test_who_may_only_look_sets_and_acknowledges_nothing(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "alerts?tab=rules", role=Role.VIEWER)
    expect(page.get_by_role("checkbox", name="fill is on")).to_be_disabled()
    page.goto(f"{stand.address}/#/alerts?tab=acknowledged")
    expect(page.locator("li[data-alert]").first).to_be_visible()
    expect(page.get_by_role("combobox", name=re.compile("^Mute"))).to_have_count(0)


def test_the_ledger_is_read_page_by_page_and_has_few_rows_in_the_page(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "ledger")
    table = page.get_by_role("table", name="Orders")
    expect(table).to_have_attribute("aria-rowcount", "501")
    assert table.locator("tbody tr").count() < 80
    expect(table.locator("tbody tr").nth(1)).to_contain_text(
        re.compile(r"BTCUSDT\.BYBIT.*0\.250.*64,250\.10")
    )
    expect(table).to_contain_text("rejected: insufficient margin")
    page.get_by_role("region", name="Orders, all").evaluate("one => one.scrollTop = one.scrollHeight")
    expect(table).to_have_attribute("aria-rowcount", "1001")
    page.get_by_role("button", name="Older").click()
    expect(page.get_by_role("status").last).to_have_text("1200 rows, that is all, newest first")


def test_what_the_ledger_is_filtered_by_stands_in_the_address_and_in_the_file(
    look: Look, stand: Stand
) -> None:
    page = opened(look, stand, f"ledger?engine={name_of(6)}")
    table = page.get_by_role("table", name="Orders")
    expect(table).to_have_attribute("aria-rowcount", "7")
    stand.orchestrator.requests.clear()
    page.get_by_role("combobox", name="Side").select_option("SELL")
    expect(page.get_by_text("No orders fit the filters.")).to_be_visible()
    page.get_by_label("Since, UTC").fill("2026-01-31T08:30")
    page.get_by_label("Since, UTC").blur()
    expect(page).to_have_url(re.compile("side=SELL.*since=2026-01-31T08%3A30"))
    href = page.get_by_role("link", name="CSV of these").get_attribute("href")
    assert href is not None
    wanted = f"engine={name_of(6)}&since=2026-01-31T08%3A30%3A00Z&side=SELL&format=csv"
    assert href == f"/api/v1/ledger/orders/export?{wanted}"
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV of these").click()
    assert download.value.path().read_text().startswith("instance_id,session_id,at,")
    (last,) = {one.since for one in asked(stand, ReadOrders)[-1:]}
    assert last is not None
    assert last.isoformat() == "2026-01-31T08:30:00+00:00"
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("button", name="Positions").click()
    expect(page.get_by_role("table", name="Positions")).to_contain_text(
        re.compile("▲ long.*\u221212\\.40 USDT.*open")
    )
    page.get_by_role("button", name="Accounts").click()
    expect(page.get_by_role("table", name="Accounts")).to_contain_text("22,452.00 USDT")


def test_an_engine_shows_what_is_open_and_how_its_equity_went(look: Look, stand: Stand) -> None:
    page = opened(look, stand, f"engine/{name_of(4)}")
    line = page.get_by_role(
        "img",
        name=re.compile("^Equity in USD, 59 values, the last 19,475.00, the deepest drawdown \u22125.0 %$"),
    )
    expect(line.locator("canvas")).to_have_count(2)
    stand.orchestrator.requests.clear()
    page.get_by_role("button", name="Session", exact=True).click()
    expect(page).to_have_url(re.compile("equity=session"))
    page.get_by_text("As a table", exact=True).click()
    expect(page.get_by_role("region", name="Equity as a table")).to_contain_text("\u22125.0 %")
    expect(page.get_by_role("region", name="Open orders", exact=True)).to_contain_text(
        re.compile(r"▲ buy\s*0\.250\s*BTCUSDT\.BYBIT\s*\d+ (s|min)\s*limit 64,250\.10")
    )
    expect(page.get_by_role("region", name="Open positions", exact=True)).to_contain_text("\u221212.40 USDT")
    expect(page.get_by_role("region", name="Accounts", exact=True)).to_contain_text("free 20,000.00")


REFUSED = "a status of 422"
"""What a browser itself says of an answer that refuses what was typed."""
CANDLES_MS = 1_000
SHOW_CANDLES = """
location.hash = '#/engine/%s';
await new Promise(done => new MutationObserver((_, watch) => {
  if (document.querySelector("[aria-label^='5000 candles'][aria-label*='10000 fills'] canvas")) { watch.disconnect(); done(); }
}).observe(document.body, {subtree: true, childList: true, attributes: true}));
"""


def test_5000_candles_with_10000_fills_cost_less_than_a_second(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "hosts")
    expect(page.get_by_role("row", name=re.compile("ldn-1"))).to_be_visible()
    cost = look.costs_ms(SHOW_CANDLES % name_of(4))
    assert cost < CANDLES_MS, cost
    prices = page.get_by_role("region", name="Prices", exact=True)
    expect(prices).to_contain_text(re.compile(r"2026-01-30.*▲ bought 0\.75 at 26,371\.7 in 3 fills", re.S))
    expect(prices.get_by_role("link", name="TradingView Lightweight Charts™")).to_have_attribute(
        "href", "https://www.tradingview.com/"
    )
    prices.get_by_role("button", name="Month").click()
    expect(prices.get_by_role("img")).to_have_attribute("aria-label", re.compile("^32 candles"))
    page.goto(f"{stand.address}/#/engine/{name_of(5)}")
    expect(prices).to_contain_text("No instrument of it is known yet")


def test_what_an_engine_is_started_with_is_checked_as_it_is_typed(look: Look, stand: Stand) -> None:
    page = opened(look, stand, f"start/{name_of(11)}")
    page.get_by_role("button", name="+ Add a strategy").click()
    strategy = page.get_by_role("group", name="Strategy 1")
    expect(strategy).to_contain_text("ema_cross takes these parameters")
    strategy.get_by_label("slow ema period").fill("10")
    expect(strategy).to_contain_text("must be less than slow_ema_period")
    start = page.get_by_role("button", name=f"Start {name_of(11)}")
    expect(start).to_be_disabled()
    strategy.get_by_label("slow ema period").fill("1001")
    expect(strategy).to_contain_text("must be 1000 or less")
    strategy.get_by_label("slow ema period").fill("30")
    page.get_by_label("Labels").fill("desk=fx, team=a")
    confirm = page.get_by_role("region", name="Confirm")
    expect(confirm.get_by_role("row", name=re.compile("labels.team"))).to_contain_text("a")
    expect(confirm.get_by_role("row", name=re.compile("^strategies"))).to_contain_text("slow_ema_period")
    stand.orchestrator.requests.clear()
    stand.orchestrator.answers["fleet.engine.start"] = lambda asked: accepted(
        asked.config.instance_id, session_id=session_of(11), message="starting"
    )
    start.click()
    receipt = page.get_by_role("region", name="Receipt")
    expect(receipt).to_contain_text(f"session {session_of(11)}")
    (request,) = asked(stand, StartEngine)
    assert request.config is not None
    assert request.config.labels == {"desk": "fx", "team": "a"}
    assert [one.parameters for one in request.config.strategies or ()] == [{"slow_ema_period": 30}]
    assert not request.confirm_live_trading
    stand.say(11, RunState.TRADING)
    expect(receipt.get_by_role("status")).to_contain_text("Trading")
    stand.say(11, RunState.STOPPED, desired=DesiredState.STOPPED)
    look.forgive(REFUSED)


def test_a_new_engine_with_real_money_needs_its_name_typed(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "start")
    page.get_by_label("Name", exact=True).fill("my-live")
    page.get_by_label("Template", exact=True).select_option("live_engine")
    expect(page.get_by_text("It trades real money.")).to_be_visible()
    page.get_by_role("button", name="+ Add a venue").click()
    venue = page.get_by_role("group", name="Venue 1")
    for field, text in (("Venue", "BYBIT"), ("Adapter", "bybit"), ("Secret", "bybit_main")):
        venue.get_by_label(field, exact=True).fill(text)
    page.get_by_role("button", name="+ Add a loss limit").click()
    page.get_by_label("Currency of losses").fill("usdt")
    start = page.get_by_role("button", name="Start my-live live")
    page.get_by_label(re.compile("^Type my-live")).fill("my-liv")
    expect(start).to_be_disabled()
    page.get_by_label(re.compile("^Type my-live")).fill("my-live")
    stand.orchestrator.requests.clear()
    refusal = invalid(FieldError("config.venues[0].secret", "no secret bybit_main is known"))
    stand.orchestrator.answers["fleet.engine.start"] = refusal
    start.click()
    expect(venue).to_contain_text("no secret bybit_main is known")
    (request,) = asked(stand, StartEngine)
    assert request.config is not None
    assert request.confirm_live_trading
    assert request.config.trades_money
    assert [(one.name, one.secret) for one in request.config.venues] == [("BYBIT", "bybit_main")]
    assert request.config.loss_limits is not None
    assert request.config.loss_limits.currency == "USDT"
    look.forgive(REFUSED)


def test_a_backtest_is_run_from_a_form_and_followed_to_its_result(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "backtests?new=bt-fast")
    expect(page.get_by_label("fast ema period")).to_have_value("10")
    page.get_by_label("fast ema period").fill("50")
    expect(page.get_by_text("must be less than slow_ema_period")).to_be_visible()
    page.get_by_label("fast ema period").fill("20")
    page.get_by_role("textbox", name="Name").fill("bt-mine")
    page.get_by_role("button", name="Run bt-mine").click()
    expect(page.get_by_role("heading", name="bt-mine")).to_be_visible()
    expect(page.get_by_text("waits for a worker")).to_be_visible()
    (request,) = asked(stand, RunBacktest)[-1:]
    assert (request.backtest_id, request.config.strategy_config["fast_ema_period"]) == ("bt-mine", 20)
    assert request.config.venues == ("BYBIT",)
    stand.run(stand.desk.complete("bt-mine"))
    expect(page.get_by_role("region", name="Figures")).to_contain_text(re.compile(r"Return\s*[+]12\.0 %"))
    expect(page.get_by_role("img", name="Equity in USDT, 366 values").locator("canvas")).to_have_count(2)
    expect(page.get_by_role("img", name=re.compile("candles of BTCUSDT.BYBIT, 110 fills"))).to_be_visible()
    trades = page.get_by_role("table", name="Trades")
    expect(trades).to_have_attribute("aria-rowcount", "111")
    expect(trades).to_contain_text("\u2212120.00 USDT")
    page.get_by_role("button", name="Verify").click()
    verification = page.get_by_role("region", name="Verification")
    expect(verification).to_contain_text("are equal, 110 fills compared")
    page.get_by_role("tab", name="Manifest").click()
    expect(page.get_by_label("Manifest: all that the run depended on")).to_contain_text('"seed": 7')
    href = page.get_by_role("link", name="Tear sheet").get_attribute("href")
    assert href == "/api/v1/nautilus/backtests/bt-mine/report"
    look.forgive(REFUSED)


def test_backtests_are_compared_and_cancelled(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "backtests")
    expect(page.get_by_role("row", name=re.compile("bt-broken"))).to_contain_text("ZeroDivisionError")
    for name in ("bt-fast", "bt-slow"):
        page.get_by_role("checkbox", name=f"Select {name}").check()
    page.get_by_role("link", name="Compare 2").click()
    expect(page.get_by_role("row", name=re.compile("^Return [+]"))).to_contain_text(
        re.compile("14.6 %.*5.8 %")
    )
    expect(page.get_by_role("row", name=re.compile("fast_ema_period"))).to_contain_text(re.compile("10.*40"))
    overlay = page.get_by_role("img", name="Equity of bt-fast, bt-slow, each from 100 on")
    expect(overlay.locator("canvas")).to_have_count(2)
    page.goto(f"{stand.address}/#/backtests/bt-running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("○ cancelled")).to_be_visible()


def test_logs_of_all_engines_are_searched_and_it_is_said_how_far(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "logs?q=REJECTED")
    lines = page.get_by_role("log")
    status = page.get_by_role("region", name="Lines").get_by_role("status")
    expect(lines.locator(".line")).to_have_count(5)
    expect(status).to_contain_text(
        re.compile(r"^\s*5 lines\. Looked back to .* what is older was not looked at\.")
    )
    page.get_by_role("button", name="Look further back").click()
    expect(lines.locator(".line")).to_have_count(9)
    expect(status).to_contain_text("All that is kept was looked through")
    page.get_by_role("combobox", name="Level").select_option("error")
    page.get_by_role("combobox", name="Engine").fill("basis-002")
    page.get_by_role("combobox", name="Engine").blur()
    expect(page).to_have_url(re.compile("q=REJECTED&level=error&engine=basis-002"))
    expect(lines.locator(".line", has_not_text="basis-002")).to_have_count(0)
    page.get_by_role("searchbox", name="Text in a line").fill("<b>came")
    expect(lines).to_contain_text("Nothing found in what was looked through so far.")
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("searchbox", name="Text in a line").fill("<b>came")
    stand.printed.more("x [INFO] Strategy: <b>came later</b>")
    expect(lines.locator(".line")).to_have_count(1)
    page.get_by_role("checkbox", name="follow").check()  # looking back has ended that
    stand.printed.more("x [INFO] Strategy: <b>came last</b>")
    expect(lines.locator(".line").nth(1)).to_contain_text("<b>came last</b>")


def test_a_data_set_shows_its_course_and_gaps_and_a_file_is_imported(
    look: Look, stand: Stand, tmp_path: Path
) -> None:
    page = opened(look, stand, "data")
    page.get_by_role("searchbox", name="Filter data sets").fill("spx bars")
    page.get_by_role("button", name=BARS).click()
    chart = page.get_by_role("region", name=f"Chart of {BARS}")
    expect(
        chart.get_by_role("img", name=re.compile("400 points, the last 4,2")).locator("canvas")
    ).to_be_visible()
    expect(chart).to_contain_text("2 pauses longer than 5 d between 2,516 events")
    expect(chart.get_by_role("region", name="The first rows")).to_contain_text("2058.90")
    chart.get_by_label("From, a day in UTC").fill("2020-01-01")
    chart.get_by_role("button", name="Draw").click()
    expect(chart.get_by_role("img", name=re.compile("60 points"))).to_be_visible()
    (drawn,) = asked(stand, ReadChart)[-1:]
    assert (drawn.identifier, drawn.type, drawn.first) == (BARS, "bars", "2020-01-01")
    file = tmp_path / "my quotes.csv"
    file.write_text("time,bid,ask\n")
    imports = page.get_by_role("region", name="Imports", exact=True)
    imports.get_by_label("File", exact=True).set_input_files(file)
    imports.get_by_role("combobox", name="Type of data").select_option("quotes")
    imports.get_by_role("textbox", name="Instrument").fill("EUR/USD.SIM")
    imports.get_by_role("checkbox", name="only look").uncheck()
    imports.get_by_role("button", name="Import").click()
    row = imports.get_by_role("row", name=re.compile("my_quotes.csv"))
    expect(row).to_contain_text("checked: 1,200 rows")
    stand.imports.complete()
    expect(row).to_contain_text(re.compile("completed.*2,400 rows"))
    (taken,) = asked(stand, ImportData)
    assert (taken.type, taken.instrument, taken.dry_run, taken.replace) == (
        "quotes",
        "EUR/USD.SIM",
        False,
        False,
    )
    assert taken.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    expect(imports).to_contain_text("ticks.csv line 17, column price")


def test_a_study_shows_a_map_of_two_parameters_and_a_walk_its_windows(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "studies")
    row = page.get_by_role("row", name=re.compile("^grid"))
    expect(row).to_contain_text(re.compile("running.*75 %.*fast_ema_period, slow_ema_period.*0.90"))
    row.get_by_role("link", name="grid").click()
    heat = page.get_by_role("table", name="Sharpe ratio by fast_ema_period and slow_ema_period")
    expect(heat.locator("tbody tr")).to_have_count(5)
    expect(heat.locator("td.top")).to_have_text("0.90")
    expect(heat.locator("tbody tr").nth(2).locator("td").nth(2)).to_have_class(re.compile("top"))
    page.get_by_role("combobox", name="Figure").select_option("total_return")
    expect(page.get_by_role("table", name=re.compile("^Return by")).locator("td.top")).to_have_text("22.5 %")
    expect(page.get_by_role("region", name="Best backtests").locator("tbody tr").first).to_contain_text(
        "grid-0013"
    )
    page.goto(f"{stand.address}/#/studies/walk")
    curve = page.get_by_role("img", name=re.compile("^Equity out of sample, 300 points, the last 1,2.* USD"))
    expect(curve.locator("canvas")).to_be_visible()
    windows = page.get_by_role("region", name="All windows").locator("tbody tr")
    expect(windows).to_have_count(5)
    expect(windows.nth(3)).to_contain_text(re.compile("2018-09-14 to 2018-12-31.*\u22120.10.*\u22122.3 %"))
    expect(page.get_by_text("each window began cold")).to_be_visible()


def test_the_doctor_says_what_is_amiss_what_it_means_and_what_to_do(look: Look, stand: Stand) -> None:
    page = opened(look, stand, "doctor")
    amiss = page.get_by_role("list", name="What is amiss").locator("li")
    # Nobody beats for an orchestrator here.
    expect(amiss.first).to_contain_text(
        re.compile("orchestrator service was not heard.*No command is carried out")
    )
    expect(amiss.first.locator("code").first).to_have_text("flotilla up")
    expect(amiss.filter(has_text=f"{name_of(1)} alert")).to_contain_text("engine impaired")
    well = page.get_by_role("region", name="What is well")
    expect(well).to_contain_text(
        re.compile("ldn-1.*docker answers, 66 sessions.*3.0 GiB of its budget of 20 GiB")
    )


PLACES = (
    f"engine/{name_of(4)}",
    "ledger",
    "alerts",
    "alerts?tab=rules",
    "alerts?tab=channels",
    "logs?q=rejected",
    f"data?type=bars&of={BARS}",
    "studies/grid",
    "studies/walk",
    "doctor",
    "start",
    "backtests/bt-fast",
    "backtests?compare=bt-fast,bt-slow",
)


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(
    look: Look, stand: Stand, size: tuple[int, int]
) -> None:
    stand.run(stand.notifier.open_again())
    page = opened(look, stand, "fleet", size)
    found = []
    for place in PLACES:
        page.goto(f"{stand.address}/#/{place}")
        expect(page.locator("main h1")).to_be_visible()
        expect(
            page.locator("main :is([data-alert], table, [role=tabpanel], [role=log], .fields):visible").first
        ).to_be_visible()
        found += [f"{place}: {one}" for one in look.violations()]
        assert page.locator("main").evaluate("one => one.scrollWidth <= one.clientWidth"), place
    assert found == [], "\n".join(found)
