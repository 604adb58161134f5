"""Pages of the dashboard that show more than the fleet, over the same stand: what they ask the gateway for, and what they show of it."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from flotilla.schemas.access import Role
from flotilla.schemas.alerting import AckAlert, MuteAlerts, RemoveChannel, SetChannel, SetRule
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


PLACES = ("alerts", "alerts?tab=rules", "alerts?tab=channels")


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(
    look: Look, stand: Stand, size: tuple[int, int]
) -> None:
    page = opened(look, stand, "fleet", size)
    found = []
    for place in PLACES:
        page.goto(f"{stand.address}/#/{place}")
        expect(page.locator("main h1")).to_be_visible()
        expect(page.locator("main [data-alert], main table").first).to_be_visible()
        found += [f"{place}: {one}" for one in look.violations()]
        assert page.locator("main").evaluate("one => one.scrollWidth <= one.clientWidth"), place
    assert found == [], "\n".join(found)
