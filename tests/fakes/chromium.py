"""A real browser, where the machine has one."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A style sheet of a colour picker that comes with the drawing library and is used by nothing: our policy refuses it.
_REFUSED_ON_PURPOSE = "ITHmamcImsZ/Je1xrdtDLZVvRSpj1Zokb6uHXORB824="


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The browser, or a skipped test that says why."""
    found = next((path for path in map(shutil.which, _NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium on this machine: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visitor:
    """One person's window at the console of a running system; `complaints` is what a browser should never say."""

    def __init__(self, browser: Browser, base: str, language: str = "en-GB", width: int = 1440) -> None:
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, locale=language, timezone_id="Asia/Shanghai"
        )
        self.page: Page = self.context.new_page()
        self.base = base
        self.complaints: list[str] = []
        self.page.on("console", lambda said: self._heard(said.type, said.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def log_in(self, person: str, password: str) -> None:
        self.page.goto(f"{self.base}/console/")
        self.page.get_by_label("Name").or_(self.page.get_by_label("用户名")).fill(person)
        self.page.get_by_label("Password").or_(self.page.get_by_label("密码")).fill(password)
        self.page.locator("button.primary").click()
        self.page.wait_for_url("**/console/")

    def go(self, path: str) -> None:
        self.page.goto(f"{self.base}/console{path}")

    def _heard(self, kind: str, text: str) -> None:
        if kind in ("error", "warning") and _REFUSED_ON_PURPOSE not in text:
            self.complaints.append(text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.base, "data:", "blob:")):
            self.complaints.append(f"asked elsewhere: {url}")
