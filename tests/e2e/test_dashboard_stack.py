"""The dashboard over a whole stack: the link that `flotilla up` prints, an engine that is started, stopped and stopped in an emergency."""

import os
import re
import signal
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.browsers import Look
from tests.e2e.stacks import RunningStack, until

NAME = "first-one"
STARTS_MS = 60_000
ENDS_MS = 30_000
LOST_S = 3.0


@pytest.fixture(scope="module")
def stack(browser: BrowserContext) -> Iterator[RunningStack]:
    """Of local processes; the browser is there first, so that it is not started for nothing."""
    made = RunningStack("process")
    made.start()
    yield made
    made.remove()


def state(page: Page, word: str, timeout_ms: float = ENDS_MS) -> None:
    expect(page.locator(".head .word")).to_have_text(word, timeout=timeout_ms)


def test_an_engine_is_watched_stopped_started_and_stopped_in_an_emergency(
    stack: RunningStack,
    look: Look,
) -> None:
    until(lambda: "#code=" in stack.said(), what="the link")
    link = re.search(r"http://\S+/#code=[\w-]+", stack.said())
    assert link is not None, stack.said()
    page = look.at(link[0])
    expect(page.get_by_text("No engines yet.")).to_be_visible()
    stack.json("engine", "start", NAME, "--strategy", "ema_cross", "--param", "speed=864000", "--no-wait")
    page.get_by_role("link", name=NAME).first.click()
    state(page, "Trading", STARTS_MS)
    expect(page.get_by_role("log", name="Log")).to_contain_text("EMACross", timeout=ENDS_MS)
    expect(page.get_by_role("region", name="Strategies")).to_contain_text("running")
    prices = page.get_by_role("region", name="Prices", exact=True)
    candles = re.compile(r"^\d+ candles of SPX\.SIM, [1-9]\d* fills?")
    expect(prices.get_by_role("img", name=candles)).to_be_visible(timeout=ENDS_MS)
    expect(prices).not_to_contain_text("lie outside")
    page.get_by_role("tab", name="Events").click()
    expect(page.get_by_role("cell", name="trading", exact=True)).to_be_visible(timeout=ENDS_MS)

    page.get_by_role("button", name="Halt").click()
    state(page, "Halted")
    page.get_by_role("button", name="Resume").click()
    state(page, "Trading")

    page.get_by_role("button", name="Stop…", exact=True).click()
    page.get_by_role("button", name=f"Stop {NAME}").click()
    state(page, "Stopped")
    page.get_by_role("button", name="Start…").click()
    page.get_by_role("button", name=f"Start {NAME}").click()
    state(page, "Trading", STARTS_MS)

    page.get_by_role("button", name="Emergency stop…").click()
    page.get_by_role("button", name=f"Stop {NAME}").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Confirmed: flat and gone.")).to_be_visible(timeout=ENDS_MS)
    expect(dialog.locator(f"[data-engine={NAME}]")).to_contain_text("flat · gone")
    dialog.get_by_role("button", name="Close").last.click()
    expect(page.get_by_role("button", name="Start…")).to_be_disabled()
    page.get_by_role("button", name="Lift emergency stop").click()
    expect(page.get_by_role("button", name="Start…")).to_be_enabled()
    page.goto(f"{stack.connection.http_url}/#/audit")
    expect(page.get_by_role("row", name=re.compile("fleet.engine.stop")).first).to_contain_text("accepted")


def test_a_gateway_that_hangs_or_dies_is_said_within_three_seconds(stack: RunningStack, look: Look) -> None:
    page = look.at(f"{stack.connection.http_url}/#code={sign_in_code(stack)}")
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    gateway = stack.pid_of("gateway")
    assert gateway is not None
    lost = look.when("Connection lost")
    began = time.time()
    os.kill(gateway, signal.SIGSTOP)
    took = lost() - began
    os.kill(gateway, signal.SIGCONT)
    assert took < LOST_S, took
    expect(page.get_by_text("Connection lost")).to_have_count(0, timeout=15_000)
    lost = look.when("Connection lost")
    began = time.time()
    os.kill(gateway, signal.SIGKILL)
    took = lost() - began
    assert took < LOST_S, took
    expect(page.get_by_role("heading", name="Your session is over")).to_be_visible(timeout=ENDS_MS)
    page.get_by_label("Code").fill(sign_in_code(stack))
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Connection lost")).to_have_count(0, timeout=15_000)
    look.forgive("ERR_CONNECTION", "WebSocket", "ERR_EMPTY_RESPONSE", "Failed to load resource")


def sign_in_code(stack: RunningStack) -> str:
    return str(stack.json("access", "code", "admin")["code"])
