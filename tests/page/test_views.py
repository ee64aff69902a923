"""Each view by its typed address: in both themes without a violation that axe finds, and without scrolling sideways at 320 pixels."""

from __future__ import annotations

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

import ropeway
from server.conftest import Server

from .conftest import HOSTILE, fail, put, until, url_of

VIEWS = {
    "/": "Overview",
    "/queues?name=view": "Queues",
    "/queues/view": "view",
    "/jobs?queue=view&state=dead": "Jobs",
    "/jobs/{dead}": "Job {dead}",
    "/jobs/{running}": "Job {running}",
    "/jobs/" + 32 * "0": "Job " + 32 * "0",
    "/failures": "Failures",
    "/failures/{failure}": "Failure of send",
    "/workers": "Workers",
    "/workers/{worker}?view=stacks": "Worker {worker}",
    "/workers/{worker}?view=metrics": "Worker {worker}",
    "/schedules": "Schedules",
    "/schedules/nightly": "nightly",
    "/topics": "Topics",
    "/topics/orders.new": "Topic orders.new",
    "/put": "Put a job",
    "/put?from={dead}": "Edit and put again",
    "/about": "About",
}


@pytest.fixture(scope="module")
def names(server: Server, worker: str, home: Any) -> dict[str, str]:
    """What the addresses speak of."""
    with ropeway.connect(url_of(home), config=False) as broker:
        broker.schedules.put("nightly", "0 3 * * mon-fri", "view", {"report": 1}, tz="Europe/Berlin")
    put(server, "view", 3, body='{{"to": "ada", "list": [1, {{"a": null}}]}}', task="send")
    dead = fail(server, "view", "SMTPError: 451 try again later")
    (running,) = put(server, "tasks", task="slow", body='["views"]')
    until(lambda: server.ask("GET", f"/v1/jobs/{running}").json.get("progress"), "the progress of a job")
    failures = server.ask("GET", "/v1/failures?queue=view").json["failures"]
    return {"dead": dead, "running": running, "failure": failures[0]["fingerprint"], "worker": worker}


@pytest.mark.parametrize("path", VIEWS)
def test_a_view_by_its_address(look: Any, server: Server, names: dict[str, str], path: str) -> None:
    page = look(server, refused=(404,), color_scheme="light")
    page.goto(path.format(**names))
    expect(page.locator("h1")).to_have_text(VIEWS[path].format(**names))
    expect(page.locator("#link")).to_have_text("live")
    expect(page.locator("main").get_by_text("…", exact=True)).to_have_count(0)
    assert page.title().endswith(" - ropeway")
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        only = {"runOnly": ["color-contrast"]} if theme == "dark" else {}  # all else is the same in both
        found = Axe().run(page, options=only).response
        assert len(found["passes"]) > (0 if only else 10), "axe has looked"
        assert [(one["id"], [node["html"][:200] for node in one["nodes"]]) for one in found["violations"]] == []
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "it reflows"
    small = page.evaluate(
        "[...document.querySelectorAll('main button, main input, main select, header button, header nav a')]"
        ".filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 24).map(one => one.outerHTML)"
    )
    assert small == [], "each can be hit with a finger"


def test_a_running_job_and_its_progress(page: Any, server: Server, names: dict[str, str]) -> None:
    page.goto(f"/jobs/{names['running']}")
    expect(page.locator("progress")).to_have_attribute("value", "0.75")
    expect(page.get_by_role("heading", name="Why it still runs")).to_be_visible()
    expect(page.locator(".why li").first).to_be_visible()


def test_a_worker_from_inside(page: Any, server: Server, names: dict[str, str]) -> None:
    page.goto("/workers")
    page.locator(f"tr[data-worker='{names['worker']}'] th a").click()
    expect(page.locator("main .state").first).to_have_text("▶ busy")
    expect(page.get_by_role("link", name=names["running"])).to_be_visible()
    page.get_by_role("button", name="stacks", exact=True).click()
    expect(page.locator(".inspected")).to_contain_text("shop_of_page.py")
    assert "view=stacks" in page.url
    page.get_by_role("button", name="jobs", exact=True).click()
    expect(page.locator(".inspected")).to_contain_text(names["running"])
    page.get_by_role("button", name="metrics", exact=True).click()
    expect(page.locator(".inspected")).to_contain_text("MiB")


def test_a_worker_is_paused_resumed_and_resized(page: Any, server: Server, names: dict[str, str]) -> None:
    page.goto(f"/workers/{names['worker']}")
    page.get_by_role("main").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("#said")).to_contain_text("Pause: ")
    until(lambda: server.ask("GET", "/v1/workers").json["workers"][0]["state"] == "paused", "the pause")
    page.get_by_role("button", name="Resume").click()
    until(lambda: server.ask("GET", "/v1/workers").json["workers"][0]["state"] != "paused", "the end of the pause")
    page.get_by_label("Slots").last.fill("7")
    page.get_by_role("button", name="Resize").click()
    until(lambda: server.ask("GET", "/v1/workers").json["workers"][0]["slots"] == 7, "the new size")


def test_a_schedule_is_read_run_paused_and_deleted(look: Any, server: Server, home: Any) -> None:
    page = look(server, refused=(404,))
    with ropeway.connect(url_of(home), config=False) as broker:
        broker.schedules.put("hourly", "30 * * * *", "planned", {"report": 1}, tz="Asia/Tokyo")
    page.goto("/schedules")
    page.locator("tr[data-schedule=hourly]").get_by_role("button", name="Run now").click()
    expect(page.locator("#said")).to_contain_text("Run now: put as job")
    assert server.ask("GET", "/v1/queues/planned").json["ready"] == 1
    page.get_by_role("link", name="hourly").click()
    expect(page.locator("main")).to_contain_text("At minute 30 of every hour, in Asia/Tokyo")
    expect(page.locator("ol").first.locator("li")).to_have_count(3)
    page.get_by_role("main").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("main")).to_contain_text("None while it is paused.")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("ol").first.locator("li")).to_have_count(3)
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("h1")).to_have_text("Schedules")
    expect(page.locator("tr[data-schedule=hourly]")).to_have_count(0)


def test_the_history_is_drawn_walked_through_and_listed(page: Any, server: Server, home: Any) -> None:
    """From rows that workers have written; the last minute may still be on its way, so the rows are written by one that has ended."""
    with ropeway.connect(url_of(home), config=False) as broker:

        @broker.task(queue="drawn", retry=1)
        def half(n: int) -> None:
            assert n % 2

        for n in range(10):
            half.put(n)
        broker.worker("drawn", drain=True).run()
    page.goto("/queues/drawn")
    chart = page.get_by_role("slider", name="Ended; arrow keys move through time")
    expect(chart).to_be_visible()
    chart.focus()
    page.keyboard.press("End")
    for _ in range(3):
        if "done 5, tried again 0, dead 5" in str(chart.get_attribute("aria-valuetext")):
            break
        page.keyboard.press("ArrowLeft")
    expect(page.locator("figure output").first).to_contain_text("done 5, tried again 0, dead 5")
    page.get_by_role("button", name="Show as table").first.click()
    expect(page.get_by_role("table", name="Ended, as a table").locator("tbody tr")).not_to_have_count(0)
    page.get_by_role("button", name="24h").click()
    expect(page.get_by_role("button", name="24h")).to_have_attribute("aria-pressed", "true")
    page.goto("/")
    expect(page.get_by_text("done, 24 h")).to_be_visible()


def test_a_topic_is_heard_live_and_published_to(page: Any, server: Server, home: Any) -> None:
    with ropeway.connect(url_of(home), config=False) as broker:
        broker.groups.add("billing", "orders.*")
        page.goto("/topics/orders.new")
        expect(page.locator("main")).to_contain_text("live; 0 heard")
        server.ask("POST", "/v1/topics/orders.new", json.dumps({"id": 7, "text": HOSTILE}), Content_Type="application/json")
        expect(page.locator(".messages li")).to_have_count(1)
        expect(page.locator(".messages")).to_contain_text("onerror=alert(1)")
        server.ask("POST", "/v1/topics/orders.new", b"\xff\x00", Content_Type="application/octet-stream")
        server.ask("POST", "/v1/topics/orders.old", b"not this one")
        page.get_by_role("textbox", name="Message").fill("{")
        page.get_by_role("button", name="Publish").click()
        expect(page.locator("#said")).to_contain_text("nothing was published")
        page.get_by_role("textbox", name="Message").fill('{"from": "the page"}')
        page.get_by_role("button", name="Publish").click()
        expect(page.locator(".messages li")).to_have_count(3)
        expect(page.locator(".messages li").first).to_contain_text("the page")
        assert page.locator("main img, main script").count() == 0
        page.goto("/topics")
        expect(page.locator("tr[data-group=billing] td.number").first).to_have_text("4")
        page.get_by_label("Topic or pattern").fill("orders.#")
        page.keyboard.press("Enter")
        expect(page.locator("h1")).to_have_text("Topic orders.#")
        expect(page.get_by_role("button", name="Publish")).to_have_count(0)
