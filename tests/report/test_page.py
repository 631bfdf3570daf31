"""The HTML page in a real browser, from a file, with no network."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from exported import GOOD, LOST, READ_ONLY, WORST, run_of, speaking
from hypothesis import HealthCheck, given, settings
from playwright.sync_api import Browser, Page, sync_playwright
from test_formats import TEXTS, raw_controls

from labctl.report.page import render_page
from labctl.report.text import JOINERS

pytestmark = pytest.mark.slow

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}
#: Seconds until the browser has drawn again after a click. Alone it takes 0.1; the tests' machine is busy.
_SMOOTH = 1.5
_CLICK_AND_DRAW = """async (selector) => {
    const began = performance.now();
    document.querySelector(selector).click();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done, 0)));
    return (performance.now() - began) / 1000;
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Chromium's own sandbox does not work for root
    args = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=args)
        yield started
        started.close()


class Opened:
    """A page of a run, and everything that went wrong on it or left it."""

    def __init__(self, browser: Browser, path: Path, run: dict[str, Any], **options: Any) -> None:
        path.write_text(render_page(run), encoding="utf-8")
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.wrong: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.wrong.append(message.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def names(self) -> list[str]:
        # the text of rows out of sight is not laid out: inner_text would be empty
        rows = self.page.locator("#matrix tbody tr:not([hidden]) th")
        return [text.strip() for text in rows.all_text_contents()]


@pytest.fixture
def opened(browser: Browser, tmp_path: Path) -> Iterator[Any]:
    made: list[Opened] = []

    def open_page(run: dict[str, Any], **options: Any) -> Opened:
        made.append(Opened(browser, tmp_path / f"page{len(made)}.html", run, **options))
        return made[-1]

    yield open_page
    for one in made:
        one.context.close()
        assert one.wrong == []
        assert [url for url in one.asked if not url.startswith("file:")] == []


def test_the_matrix_is_sorted_and_filtered(opened: Any) -> None:
    shown = opened(run_of())
    page = shown.page
    assert shown.names() == ["student1", "student2", "student3"]
    page.click("button[data-sort=score]")
    assert shown.names() == ["student3", "student2", "student1"]
    assert page.get_attribute("th:has([data-sort=score])", "aria-sort") == "ascending"
    page.click("button[data-sort=score]")
    assert shown.names() == ["student1", "student2", "student3"]
    page.click("button:text-is('nfs.read-write')")
    assert shown.names()[0] == "student2"
    for kind, names in (("open", ["student2"]), ("full", ["student1"]), ("lost", ["student3"])):
        page.select_option("#which", kind)
        assert shown.names() == names
    page.select_option("#which", "")
    page.select_option("#check", label="nfs.write")
    page.select_option("#verdict", "skip")
    assert shown.names() == ["student2"]
    assert page.inner_text("#count") == "1 of 3 shown"
    page.select_option("#verdict", "")
    page.fill("#search", "STUDENT3")
    assert shown.names() == ["student3"]


def test_a_students_card_has_reasons_and_evidence(opened: Any) -> None:
    page = opened(
        run_of(GOOD, {**READ_ONLY, "student": {"name": "Kim Doe", "email": "kim@example.org"}})
    ).page
    page.click("text=Kim Doe")
    card = page.locator("#card")
    assert "56 of 60 points" in card.inner_text()
    assert "kim@example.org" in card.inner_text()
    check = card.locator("li", has_text="nfs.read-write").first
    assert "the mount option rw" in check.inner_text()
    check.locator("summary").click()
    assert '"ro"' in check.locator("pre").inner_text()
    page.keyboard.press("Escape")
    assert not card.is_visible()


def test_the_plots_say_what_they_show(opened: Any) -> None:
    page = opened(run_of()).page
    assert "54–60: 2" in page.get_attribute("svg.plot", "aria-label")
    row = page.locator("[aria-labelledby=per-check] tr", has_text="nfs.read-write")
    assert row.locator("svg").get_attribute("aria-label") == "pass 1, fail 1"
    assert "50%" in row.inner_text()


def test_it_says_what_is_broken_first_and_who_has_it(opened: Any) -> None:
    page = opened(run_of()).page
    assert "nfs: config" in page.inner_text("[aria-labelledby=broken]")
    mend = page.locator("[aria-labelledby=mend] tr", has_text="nfs.read-write")
    assert "student2" in mend.inner_text()
    assert mend.locator("svg").get_attribute("aria-label") == "VMs 1"
    causes = page.inner_text("[aria-labelledby=causes]")
    assert "unreachable" in causes
    assert "nothing is missing" in causes


def test_without_a_grade_it_says_so(opened: Any) -> None:
    page = opened(run_of(LOST)).page
    assert "No VM has a grade yet" in page.inner_text("main")
    assert found(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESK, PHONE], ids=["desk", "phone"])
def test_it_is_accessible(opened: Any, scheme: str, screen: dict[str, int]) -> None:
    page = opened(run_of(), color_scheme=scheme, viewport=screen).page
    assert found(page) == []
    page.click("text=student2")
    page.locator("#card summary").first.click()
    assert found(page) == []
    page.click("#close")
    page.click("text=student3")
    assert found(page) == []


def found(page: Page) -> list[str]:
    violations = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in violations]


def test_it_fits_a_phone_and_follows_the_dark(opened: Any) -> None:
    page = opened(run_of(), color_scheme="dark", viewport=PHONE).page
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"
    page.click("text=student2")
    assert page.evaluate("document.querySelector('#card').getBoundingClientRect().width <= window.innerWidth")


def test_it_is_to_be_read_without_a_script(opened: Any) -> None:
    page = opened(run_of(), java_script_enabled=False).page
    assert page.locator("#matrix tbody tr").count() == 3
    assert not page.locator("#controls").is_visible()


def test_a_class_of_300_stays_smooth(opened: Any) -> None:
    hosts = [{**(READ_ONLY if number % 3 else GOOD), "host": f"student{number}"} for number in range(300)]
    page = opened(run_of(*hosts)).page
    page.evaluate(_CLICK_AND_DRAW, "button[data-sort=name]")
    for selector in ("button[data-sort=score]", "button[data-sort='4']", "button[data-card='200']"):
        assert page.evaluate(_CLICK_AND_DRAW, selector) < _SMOOTH, selector
    page.click("#close")
    page.fill("#search", "student29")
    assert page.inner_text("#count") == "11 of 300 shown"


def test_the_worst_words_do_nothing(opened: Any) -> None:
    """No element, no script, no request comes of them: they are read as they are."""
    shown = opened(speaking(WORST))
    page = shown.page
    for number in (1, 2):
        page.click(f"button[data-card='{number}']")
        assert "<script>alert(1)</script>" in page.inner_text("#card-body")
        page.click("#close")
    assert page.locator("img").count() == 0
    assert page.locator("script:not([type])").count() == 1


def test_the_policy_stops_what_would_get_through_all_the_same(opened: Any, tmp_path: Path) -> None:
    shown = opened(run_of(GOOD))
    shown.page.evaluate(
        "const made = document.createElement('script'); made.textContent = 'window.bad = 1';"
        "document.body.append(made)"
    )
    assert shown.page.evaluate("window.bad") is None
    assert "Content Security Policy" in "".join(shown.wrong)
    shown.wrong.clear()


@given(TEXTS)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_text_adds_markup(words: str) -> None:
    page, plain = render_page(speaking(words)), render_page(speaking("x"))
    for mark in ("<", "<script", "</script", "<!--"):
        assert page.count(mark) == plain.count(mark)
    assert not raw_controls(page, {"\n", *JOINERS})
