"""The page in a browser, where one is installed: it sorts, filters, opens a site, and nothing breaks out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from atomsight.report import Report
from chromium import launch, needs_browser

api = pytest.importorskip("playwright.sync_api")
pytestmark = needs_browser


@pytest.fixture
def view(made: Report) -> Iterator[Any]:
    with api.sync_playwright() as playwright:
        browser = launch(playwright)
        page = browser.new_page()
        page.messages = []
        page.on("console", lambda message: page.messages.append(message.text))
        page.on("pageerror", lambda error: page.messages.append(str(error)))
        page.goto(made.path.as_uri())
        yield page
        browser.close()


def test_the_page_moves(view: Any) -> None:
    elements = view.locator(".table[id$='-elements']").first
    elements.locator("th button").first.click()
    names = elements.locator("tbody td:first-child").all_inner_texts()
    assert names == sorted(names)
    assert elements.locator("th").first.get_attribute("aria-sort") == "ascending"

    sites = view.locator(".table[id$='-sites']")
    true = sites.locator("tbody td:nth-child(3)").first.inner_text()
    sites.locator("input").fill(f"true:{true}")
    assert set(sites.locator("tbody td:nth-child(3)").all_inner_texts()) == {true}
    sites.locator("tbody button").first.click()
    dialog = view.locator("dialog")
    assert dialog.locator("h3").inner_text().startswith(sites.locator("tbody button").first.inner_text())
    assert dialog.locator("tbody tr").count() == 4
    view.keyboard.press("Escape")
    assert not dialog.is_visible()

    view.locator(".confusion rect.cell").first.click()
    assert sites.locator("input").input_value().startswith("true:")
    view.locator("#theme").click()
    assert view.evaluate("document.documentElement.dataset.theme") in ("dark", "light")
    assert view.evaluate("window.broken") is None
    assert view.messages == []
