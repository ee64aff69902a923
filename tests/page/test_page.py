"""What people see and do: queues live, jobs, one job, the switches, put; by keyboard too; and hostile bodies that stay text."""

from __future__ import annotations

import os
from typing import Any

import pytest
from playwright.sync_api import expect

from house.tree import HOME
from server.conftest import Server
from server.test_classic import put

PICTURES = HOME / "docs" / "pictures"
HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'--</textarea>{{7*7}}${7*7}\u202e\x1b[31m"


def _picture(page: Any, name: str) -> None:
    """The pictures of the README are made here, when they are asked for."""
    if os.environ.get("PICTURES"):
        page.screenshot(path=PICTURES / f"{name}.png")


def _fill(server: Server, queue: str, count: int, **query: str) -> list[str]:
    words = "&".join(f"{name}={value}" for name, value in query.items())
    return [put(server, f"/v1/queues/{queue}/jobs?{words}", f'{{"to": "ada-{n}@example.org"}}').json["id"] for n in range(count)]


def _fail(server: Server, queue: str, error: str) -> str:
    (job,) = server.ask("POST", f"/v1/queues/{queue}/claims").json
    server.post("/v1/bury", {"receipts": [job["receipt"]], "error": error})
    return str(job["id"])


def test_numbers_change_while_one_looks(page: Any, server: Server) -> None:
    _fill(server, "live", 3)
    page.goto("/")
    row = page.locator("tr[data-queue=live]")
    expect(row.locator("td.ready")).to_have_text("3")
    _fill(server, "live", 2)
    expect(row.locator("td.ready")).to_have_text("5")
    _fail(server, "live", "smtp busy")
    expect(row.locator("td.dead")).to_have_text("1")
    expect(page.locator("#link")).to_have_text("live")


def test_pausing_the_page_keeps_it_still(page: Any, server: Server) -> None:
    _fill(server, "still", 1)
    page.goto("/queues")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("1")
    page.keyboard.press("p")
    expect(page.locator("#link")).to_have_text("paused")
    _fill(server, "still", 1)
    page.wait_for_function("() => fetch('/v1/queues/still').then((r) => r.json()).then((row) => row.ready === 2)")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("1")
    page.keyboard.press("p")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("2")


def test_the_operator_pauses_resumes_requeues_and_purges(page: Any, server: Server) -> None:
    _fill(server, "ops", 3)
    _fail(server, "ops", "bad address")
    page.goto("/queues/ops")
    page.get_by_label("Reason").fill("deploy")
    page.get_by_role("button", name="Pause", exact=True).last.click()
    expect(page.locator("main")).to_contain_text("claim stopped deploy")
    assert server.ask("POST", "/v1/queues/ops/claims").status == 423
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("main .state.open")).to_be_visible()
    page.get_by_role("button", name="Requeue the dead").click()
    expect(page.locator("#said")).to_have_text("Requeue the dead: 1 jobs.")
    page.get_by_role("button", name="Purge").click()
    page.get_by_role("button", name="Keep").click()
    assert server.ask("GET", "/v1/queues/ops").json["ready"] == 3, "asked, and kept"
    page.get_by_role("button", name="Purge").click()
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("#said")).to_have_text("Purge: 3 jobs.")
    assert server.ask("GET", "/v1/queues/ops").json["ready"] == 0


def test_jobs_by_state_and_by_text(page: Any, server: Server) -> None:
    _fill(server, "list", 4)
    dead = _fail(server, "list", "SMTP 451")
    page.goto("/jobs?queue=list")
    expect(page.locator("tr[data-job]")).to_have_count(4)
    page.get_by_role("link", name="dead").click()
    expect(page.locator("tr[data-job]")).to_have_count(1)
    assert "state=dead" in page.url
    page.get_by_label("error").fill("nothing of the kind")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No job fits.")).to_be_visible()
    page.go_back()
    page.locator(f"tr[data-job='{dead}'] a").click()
    expect(page.locator("h1")).to_contain_text(dead)
    expect(page.locator(".history")).to_contain_text("SMTP 451")
    _picture(page, "job")


def test_a_choice_of_jobs_is_requeued_and_deleted(page: Any, server: Server) -> None:
    _fill(server, "choice", 3, delay="1h")
    page.goto("/jobs?queue=choice")
    expect(page.locator("tr[data-job]")).to_have_count(3)
    for box in page.locator("tr[data-job] input").all()[:2]:
        box.check()
    page.get_by_role("button", name="Requeue").click()
    expect(page.locator("#said")).to_have_text("Requeue: 2 of 2 jobs.")
    expect(page.locator("tr[data-job] .state.ready")).to_have_count(2)
    page.locator("tr[data-job] input").first.check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Delete 1 jobs?")).to_be_visible()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("tr[data-job]")).to_have_count(2)


def test_put_by_hand(page: Any, server: Server) -> None:
    page.goto("/put")
    page.get_by_label("Queue").fill("hand")
    page.get_by_label("Body", exact=True).last.fill("{")
    page.get_by_role("button", name="Put").click()
    expect(page.locator("#said")).to_contain_text("nothing was put")
    page.get_by_label("Body", exact=True).last.fill('{"to": "ada"}')
    page.get_by_label("Priority").fill("7")
    page.get_by_role("button", name="Put").click()
    expect(page.locator("h1")).to_contain_text("Job")
    (job,) = server.ask("POST", "/v1/queues/hand/claims").json
    assert (job["body"], job["priority"]) == ({"to": "ada"}, 7)


def test_by_keyboard_alone(page: Any, server: Server) -> None:
    _fill(server, "keys", 1)
    page.goto("/")
    expect(page.locator("tr[data-queue=keys]")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("j")
    expect(page.locator("h1")).to_have_text("Jobs")
    page.keyboard.press("/")
    page.keyboard.type("ada-0")
    page.keyboard.press("Enter")
    assert page.url.endswith("/jobs?q=ada-0")
    expect(page.locator("tr[data-job]").first).to_be_visible()
    page.keyboard.press("Tab")  # the skip link is the first stop of a page that was just loaded
    page.goto("/queues")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/json"])
def test_what_is_hostile_stays_text(page: Any, server: Server, kind: str) -> None:
    import json

    body = json.dumps({"x": HOSTILE}) if kind == "application/json" else HOSTILE
    key = "%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    made = server.ask(
        "POST",
        f"/v1/queues/hostile-{kind[5:9].strip('/')}/jobs?key={key}",
        body.encode(),
        Content_Type=kind,
        **{"Ropeway-H-x": "<script>alert(3)</script>"},
    )
    (job,) = server.ask("POST", f"/v1/queues/hostile-{kind[5:9].strip('/')}/claims").json
    server.post("/v1/bury", {"receipts": [job["receipt"]], "error": HOSTILE})
    page.goto(f"/jobs/{made.json['id']}")
    expect(page.locator("pre.body")).to_contain_text("onerror=alert(1)")
    expect(page.locator(".history")).to_contain_text("<script>alert(2)</script>")
    assert page.locator("main img, main script").count() == 0
    page.goto(f"/jobs?q={'%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E'}")
    expect(page.locator("tr[data-job]").first).to_be_visible()
    assert page.locator("main img, main script").count() == 0
    page.goto("/queues/%3Cimg%20src=x%20onerror=alert(1)%3E")
    expect(page.locator("h1")).to_have_text("<img src=x onerror=alert(1)>")


def test_both_themes_and_a_narrow_window(page: Any, server: Server) -> None:
    for queue, count in (("mails", 12), ("pictures", 5), ("reports", 2)):
        _fill(server, queue, count)
    _fail(server, "mails", "SMTP 451 4.7.1: try again later")
    page.goto("/queues")
    expect(page.locator("tr[data-queue=reports]")).to_be_visible()
    page.locator("input[aria-label='Filter queues']").fill("")
    _picture(page, "queues")
    for wanted in ("light", "dark"):
        page.keyboard.press("Escape")
        page.locator("#theme").click()
        assert page.evaluate("document.documentElement.dataset.theme") == wanted
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(20, 25, 26)"
    _picture(page, "queues-dark")
    page.set_viewport_size({"width": 320, "height": 640})
    assert page.evaluate("document.documentElement.scrollWidth") <= 320, "it reflows"


def test_nothing_is_shown_without_the_token(chromium: Any, server: Server) -> None:
    context = chromium.new_context(base_url=server.where)
    for path in ("/", "/queues", "/page/app.js", "/v1/events"):
        assert context.request.get(path).status == 401
    context.close()


def test_the_first_load_is_small(page: Any, server: Server) -> None:
    sizes: list[int] = []
    page.on(
        "response",
        lambda response: sizes.append(len(response.body())) if "/v1/" not in response.url and response.url.startswith("http") else None,
    )
    page.goto("/")
    expect(page.locator("#link")).to_have_text("live")
    assert sum(sizes) < 60_000
    assert len(sizes) <= 12
