"""The page in a real browser: each view, live, by keyboard; and hostile words that stay text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from page.conftest import browser

from .conftest import Run

HOSTILE = """
import asyncio, logging
WORDS = "\\"><img src=x onerror=alert(1)><script>alert(2)</script>'--{{7*7}}\\u202e\\x1b[31m"
page.state[WORDS] = WORDS
page.state["phase"] = "warm"
page.count(WORDS)
print(WORDS)
print("an ordinary line", flush=True)
logging.getLogger(WORDS).warning("%s", WORDS)
lock = threading.Lock(); lock.acquire()
threading.Thread(target=lock.acquire, name=WORDS, daemon=True).start()
def burns():
    while True: sum(range(1000))
threading.Thread(target=burns, name="burner", daemon=True).start()
async def main():
    async def waits(): await asyncio.Event().wait()
    task = asyncio.create_task(waits(), name=WORDS)
    while not os.path.exists("go"):
        page.state["phase"] = "cold" if os.path.exists("change") else "warm"
        await asyncio.sleep(0.05)
asyncio.run(main())
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Of this module, and gone before the next."""
    with browser() as found:
        yield found


@pytest.fixture
def view(chromium: Any, run: Run) -> Iterator[tuple[Any, Any]]:
    """The program, and a browser in front of its page. What the page opens, logs as an error or violates fails the test."""
    program = run(HOSTILE)
    wrong: list[str] = []
    context = chromium.new_context(viewport={"width": 1280, "height": 720})
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: None if request.url.startswith((program.address, "data:")) else wrong.append(f"asked {request.url}"))
    page.goto(program.url)
    yield program, page
    context.close()
    assert not wrong


def test_every_view_and_nothing_hostile_becomes_markup(view: tuple[Any, Any]) -> None:
    _, page = view
    expect(page.locator("h1")).to_have_text("State")
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("main")).to_contain_text("onerror=alert(1)")
    seen = {
        "Jobs": "Jobs: none.",
        "Stacks": "waits for a lock",
        "Output": "an ordinary line",
        "Logs": "WARNING",
        "Metrics": "ROPEWAY_TEST_RUN",
        "Flame": "burns",
    }
    for name, words in seen.items():
        page.get_by_role("link", name=name, exact=True).click()
        expect(page.locator("h1")).to_have_text(name)
        expect(page.locator("main")).to_contain_text(words)
        assert page.locator("main img, main script, main iframe").count() == 0
        assert page.locator("main section").count() == 1
    expect(page.locator("svg.flame rect").first).to_be_visible()
    page.get_by_role("link", name="Stacks", exact=True).click()
    box = page.locator("details", has_text="thread burner")
    box.locator("summary").click()
    expect(box.locator("li").first).to_contain_text("burns")


def test_it_is_live_until_it_is_paused_and_says_when_the_process_has_gone(view: tuple[Any, Any]) -> None:
    program, page = view
    expect(page.locator("main")).to_contain_text("warm")
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#link")).to_have_text("paused")
    program.go_on("change")
    page.get_by_role("button", name="Go on").click()
    expect(page.locator("main")).to_contain_text("cold")
    page.keyboard.press("Tab")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "it reflows"
    for _ in range(2):
        page.locator("#theme").click()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_process_that_is_gone_is_said_to_be(chromium: Any, run: Run) -> None:
    program = run("wait_for('go')\n")
    context = chromium.new_context()
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(program.url)
    expect(page.locator("h1")).to_have_text("State")
    program.go_on()
    assert program.end() == 0
    expect(page.locator("#link")).to_have_text("lost", timeout=60_000)
    expect(page.locator("#said")).to_have_text("The process does not answer.")
    context.close()
