"""The line to the server: lost and found again, silent while nobody looks, asked for where a stream does not come through."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from server.conftest import Server

from .conftest import free_port, put, serving


def test_a_server_that_was_away_is_found_again(look: Any, tmp_path: Path) -> None:
    """What has changed meanwhile is told whole: the numbers of another life of the server mean nothing."""
    port = free_port()
    with serving(tmp_path, port=port) as server:
        put(server, "first", 2)
        put(server, "second", 1)
        page = look(server, refused=("ERR_CONNECTION", "ERR_EMPTY", "ERR_INCOMPLETE"))
        page.goto("/queues")
        expect(page.locator("tr[data-queue=first] td.ready")).to_have_text("2")
    page.context.set_default_timeout(30_000)
    expect(page.locator("#link")).to_have_text("lost")
    expect(page.locator("#said")).to_contain_text("The connection to the server is lost")
    expect(page.locator("tr[data-queue=first] td.ready")).to_have_text("2")
    with serving(tmp_path, port=port) as server:
        put(server, "first", 3)
        expect(page.locator("#link")).to_have_text("live", timeout=30_000)
        expect(page.locator("tr[data-queue=first] td.ready")).to_have_text("5")
        expect(page.locator("tr[data-queue=second] td.ready")).to_have_text("1")
        expect(page.locator("#said")).to_contain_text("The connection is back.")


HIDE = """hidden => {
    Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def test_a_page_that_nobody_sees_asks_nothing(page: Any, server: Server) -> None:
    put(server, "hidden")
    page.clock.install()
    asked: list[str] = []
    open_now: set[Any] = set()
    page.on("request", lambda request: open_now.add(request))
    page.on("requestfinished", lambda request: open_now.discard(request))
    page.on("requestfailed", lambda request: open_now.discard(request))
    for path in ("/", "/queues/hidden", "/jobs", "/failures", "/workers", "/schedules", "/about"):
        page.goto(path)
        expect(page.locator("#link")).to_have_text("live")
        expect(page.locator("h1")).to_be_visible()
        page.evaluate(HIDE, arg=True)
        for _ in range(1000):
            if not open_now:
                break
            page.wait_for_timeout(10)
        assert not open_now, "the stream is closed, and what was asked has been answered"
        page.on("request", heard := lambda request: asked.append(request.url))
        page.clock.run_for(120_000)
        assert asked == [], path
        page.evaluate(HIDE, arg=False)
        page.wait_for_function("() => document.getElementById('link').textContent === 'live'")
        page.remove_listener("request", heard)
        assert any("/v1/events" in url for url in asked), "back, it listens again"
        asked.clear()


def test_where_the_stream_is_held_back_it_asks(page: Any, server: Server) -> None:
    """As behind a proxy that waits for the end of an answer before it hands it on."""
    put(server, "held", 2)
    page.route("**/v1/events", lambda route: None)  # never answered
    page.goto("/queues")
    expect(page.locator("tr[data-queue=held] td.ready")).to_have_text("2", timeout=15_000)
    expect(page.locator("#link")).to_have_text("polling")
    put(server, "held")
    expect(page.locator("tr[data-queue=held] td.ready")).to_have_text("3", timeout=15_000)


def test_rows_stay_under_the_hand(page: Any, server: Server) -> None:
    """A tick changes texts, never elements: what is focused or selected stays so."""
    put(server, "hand.a", 2)
    put(server, "hand.b", 1)
    page.goto("/queues?name=hand&sort=ready&down=1")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "hand.a")
    page.locator("tr[data-queue='hand.b'] a").focus()
    page.evaluate("window.row = document.querySelector(\"tr[data-queue='hand.b']\")")
    put(server, "hand.b", 4)
    expect(page.locator("tr[data-queue='hand.b'] td.ready")).to_have_text("5")
    assert page.evaluate("window.row.isConnected && window.row.contains(document.activeElement)")
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "hand.a")
    page.evaluate("document.activeElement.blur()")
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "hand.b")
