"""Pages of the dashboard that show more than the fleet, over the same stand: what they ask the gateway for, and what they show of it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from flotilla.schemas.access import Role
from flotilla.schemas.alerting import AckAlert, MuteAlerts, RemoveChannel, SetChannel, SetRule
from flotilla.schemas.ledger import ReadOrders
from flotilla.schemas.telemetry import Severity
from tests.e2e.browsers import DESKTOP, PHONE, Look
from tests.e2e.stands import Stand, name_of, standing

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
    with page.expect_response(lambda one: "/stream?kinds=fill" in one.url):
        page.reload()
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
    page.get_by_text("As a table").click()
    expect(page.get_by_role("region", name="Equity as a table")).to_contain_text("\u22125.0 %")
    expect(page.get_by_role("region", name="Open orders", exact=True)).to_contain_text(
        re.compile(r"▲ buy\s*0\.250\s*BTCUSDT\.BYBIT\s*\d+ (s|min)\s*limit 64,250\.10")
    )
    expect(page.get_by_role("region", name="Open positions", exact=True)).to_contain_text("\u221212.40 USDT")
    expect(page.get_by_role("region", name="Accounts", exact=True)).to_contain_text("free 20,000.00")


PLACES = (f"engine/{name_of(4)}", "ledger", "alerts", "alerts?tab=rules", "alerts?tab=channels")


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
        expect(page.locator("main :is([data-alert], table, [role=tabpanel]):visible").first).to_be_visible()
        found += [f"{place}: {one}" for one in look.violations()]
        assert page.locator("main").evaluate("one => one.scrollWidth <= one.clientWidth"), place
    assert found == [], "\n".join(found)
