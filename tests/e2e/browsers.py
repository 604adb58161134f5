"""A browser of this machine that is driven over the dashboard: every page must load nothing from elsewhere and leave its console empty."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal

import pytest
from playwright.sync_api import BrowserContext, Page, expect, sync_playwright

ROOT: Final = Path(__file__).parents[2]
CHROMIUM: Final = "/usr/bin/chromium"
FLAGS: Final = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
DESKTOP: Final = (1440, 900)
PHONE: Final = (390, 844)
AXE: Final = ROOT / "dashboard/node_modules/axe-core/axe.min.js"
PAGE: Final = ROOT / "services/gateway/dashboard/index.html"
_NEEDED: Final = (Path(CHROMIUM), AXE, PAGE)
expect.set_options(timeout=20_000)
"""Three tests at a time on two cores: a page may be slow there. What has a limit is measured by itself."""
_SIGNED_OUT: Final = "401 (Unauthorized)"
"""What a browser itself says of the question who is signed in, where nobody is."""


def require_browser() -> None:
    """Skips the test where there is no browser, or no page to look at; fails it where there has to be."""
    missing = [str(path) for path in _NEEDED if not path.exists()]
    if not missing:
        return
    why = f"not here: {', '.join(missing)} (apt install chromium, make web)"
    if os.environ.get("FLOTILLA_REQUIRE_BROWSER") == "1":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One for the tests of a file, because starting it takes seconds."""
    require_browser()
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        profile = tmp_path_factory.mktemp("profile")
        context = playwright.chromium.launch_persistent_context(
            profile, executable_path=CHROMIUM, headless=True, args=flags
        )
        yield context
        context.close()


_WATCH: Final = """
(text) => new MutationObserver((_, watch) => {
  if (document.body.innerText.includes(text)) { window.cameAt = Date.now(); watch.disconnect(); }
}).observe(document.body, {subtree: true, childList: true, characterData: true})
"""
_RUN: Final = """
async () => (await axe.run()).violations.map(one => `${one.id}: ${one.nodes[0].html} ${one.nodes[0].failureSummary}`)
"""


class Look:
    """One page, and what was wrong with it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.faults: list[str] = []
        self.origin = ""
        page.on("request", lambda request: self._asked(request.url))
        page.on("console", lambda said: self._said(said.type, said.text))
        page.on("pageerror", lambda error: self.faults.append(str(error)))

    def at(self, address: str, size: tuple[int, int] = DESKTOP) -> Page:
        """Opens an address."""
        self.origin = "/".join(address.split("/")[:3])
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.goto(address)
        return self.page

    def when(self, text: str) -> Callable[[], float]:
        """Watches for a text from now on: what is returned waits for it, and tells when it came, as `time.time()` counts."""
        self.page.evaluate(_WATCH, text)

        def came() -> float:
            expect(self.page.get_by_text(text)).to_be_visible()
            return float(self.page.evaluate("window.cameAt")) / 1000

        return came

    def costs_ms(self, script: str) -> float:
        """What a script and the frame after it take of the page's thread: its own time, whatever else the machine does."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})

        def spent() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return float(next(one["value"] for one in metrics if one["name"] == "ThreadTime"))

        began = spent()
        self.page.evaluate(
            f"async () => {{ {script}; await new Promise(done => requestAnimationFrame(() => setTimeout(done))) }}"
        )
        return (spent() - began) * 1000

    def forgive(self, *words: str) -> None:
        """Takes back what a browser says of a gateway that is away on purpose."""
        self.faults = [fault for fault in self.faults if not any(word in fault for word in words)]

    def violations(self) -> list[str]:
        """What axe finds in light and in dark: rules that are broken, each with the first place."""
        self.page.evaluate(AXE.read_text())
        found: list[str] = []
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            self.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            found += [f"{scheme}: {one}" for one in self.page.evaluate(_RUN)]
        return found

    def _asked(self, url: str) -> None:
        ours = (self.origin, self.origin.replace("http", "ws", 1), "data:", "about:")
        if not url.startswith(ours):
            self.faults.append(f"asked {url}")

    def _said(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and _SIGNED_OUT not in text:
            self.faults.append(text)


@pytest.fixture
def look(browser: BrowserContext) -> Iterator[Look]:
    """A page of its own with no cookies, whose console is empty at the end and which asked nobody else."""
    browser.clear_cookies()
    made = Look(browser.new_page())
    yield made
    made.page.close()
    assert made.faults == [], made.faults
