"""What is hostile stays text: bodies, headers, keys, errors, results, names of workers and hosts, progress, log lines, addresses."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import expect

import ropeway
from ropeway.worker.fleet.notice import Current, Notice, pack
from server.conftest import Server

from .conftest import HOSTILE, put, until, url_of

TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


def _clean(page: Any) -> None:
    assert page.locator("main img, main script, main iframe, main object").count() == 0
    assert page.evaluate("window.pwned === undefined")
    assert not TURNS.search(page.locator("main").inner_text()), "a text turns the direction of what stands beside it"
    assert page.evaluate("[...document.querySelectorAll('main a')].every(a => /^https?:$/.test(a.protocol))")


@pytest.mark.parametrize("kind", ["text/plain", "text/html", "application/json"])
def test_a_job(page: Any, server: Server, kind: str) -> None:
    body = json.dumps({HOSTILE: [HOSTILE, {"__proto__": HOSTILE}]}) if kind == "application/json" else HOSTILE
    key = "%22%3E%3Cimg%20src%3Dx%20onerror%3Dalert(1)%3E"
    queue = f"hostile-{kind[5:9].strip('/')}"
    made = server.ask(
        "POST",
        f"/v1/queues/{queue}/jobs?key={key}&lane={key}",
        body.encode(),
        Content_Type=kind,
        **{"Ropeway-H-x": "<script>alert(3)</script>", "Ropeway-H-onclick": "javascript:alert(4)"},
    )
    (job,) = server.ask("POST", f"/v1/queues/{queue}/claims").json
    server.post("/v1/bury", {"receipts": [job["receipt"]], "error": HOSTILE})
    page.goto(f"/jobs/{made.json['id']}")
    expect(page.locator(".value" if kind == "application/json" else "pre.body")).to_contain_text("onerror=alert(1)")
    expect(page.locator(".history")).to_contain_text("<script>alert(2)</script>")
    expect(page.locator(".why")).to_contain_text("alert(2)")
    _clean(page)
    page.get_by_role("link", name="Edit and put again").click()
    expect(page.get_by_role("textbox", name="Body", exact=True)).not_to_have_value("")
    _clean(page)
    for path in (f"/jobs?q={key}", f"/jobs?queue={queue}", f"/failures?queue={queue}", "/"):
        page.goto(path)
        expect(page.locator("tr[data-job], tr[data-failure], .attention li").first).to_be_visible()
        _clean(page)
    page.goto(f"/failures?queue={queue}")
    page.locator("tr[data-failure] th a").click()
    expect(page.locator("h1")).to_contain_text("Failure")
    _clean(page)


def test_a_worker_and_what_it_tells(page: Any, server: Server, home: Any, worker: str) -> None:
    """Notes are written by whoever can write to the store, and so are not to be believed."""
    (running,) = put(server, "tasks", task="slow", body=json.dumps([HOSTILE]).replace("{", "{{").replace("}", "}}"))
    until(lambda: server.ask("GET", f"/v1/jobs/{running}").json.get("progress"), "the job")
    stranger = Notice(
        HOSTILE[:60], HOSTILE, 1, "", 1.0, 1e10, version=HOSTILE, state=HOSTILE, patterns=[HOSTILE], queues=["x"], pool=HOSTILE
    )
    stranger.id = "stranger"
    stranger.jobs = [Current("javascript:alert(1)", HOSTILE, HOSTILE, 1.0)]
    with ropeway.connect(url_of(home), config=False) as broker:
        broker.notes.note("worker/stranger", pack(stranger), 60.0)
        page.goto("/workers")
        expect(page.locator("tr[data-worker=stranger]")).to_contain_text("onerror=alert(1)")
        _clean(page)
        page.goto("/workers/stranger")
        expect(page.locator("main")).to_contain_text("javascript:alert(1)")
        _clean(page)
        broker.notes.forget("worker/stranger")
    for view in ("jobs", "stacks", "logs", "output"):
        page.goto(f"/workers/{worker}?view={view}")
        expect(page.locator(".inspected dl").first).to_be_visible()
        _clean(page)


def test_results_and_progress(page: Any, server: Server, worker: str, home: Any) -> None:
    with ropeway.connect(url_of(home), config=False) as broker:
        job = broker.queue("results").put("x", keep="1h")
        claim = broker.queue("results").claim()
        assert claim is not None
        claim.progress({"<img src=x onerror=alert(1)>": HOSTILE})
        page.goto(f"/jobs/{job.id}")
        expect(page.locator(".progress")).to_contain_text("onerror=alert(1)")
        _clean(page)
        claim.ack({"x": HOSTILE})
    expect(page.get_by_role("heading", name="Result")).to_be_visible()
    _clean(page)


def test_an_address(look: Any, server: Server) -> None:
    page = look(server, refused=(400, 404))
    bad = "%3Cimg%20src=x%20onerror=alert(1)%3E"
    for path in (
        f"/queues/{bad}",
        f"/jobs/{bad}",
        f"/failures/{bad}",
        f"/workers/{bad}",
        f"/schedules/{bad}",
        f"/topics/{bad}",
        f"/jobs?queue={bad}",
        f"/put?queue={bad}",
        "/queues/%E0%A4%A",
    ):
        page.goto(path)
        expect(page.locator("h1")).to_be_visible()
        _clean(page)
    page.goto(f"/queues/{bad}")
    expect(page.locator("h1")).to_have_text("<img src=x onerror=alert(1)>")


def test_a_large_body_does_not_stop_the_page(page: Any, server: Server) -> None:
    many = json.dumps({"list": list(range(1500)), "text": "x" * 6000})
    made = server.ask("POST", "/v1/queues/large/jobs", many, Content_Type="application/json").json["id"]
    page.goto(f"/jobs/{made}")
    page.locator("summary", has_text="1,500 items").scroll_into_view_if_needed()
    expect(page.get_by_role("button", name="1,400 more")).to_be_visible()
    page.get_by_role("button", name="1,400 more").click()
    expect(page.get_by_role("button", name="1,300 more")).to_be_visible()
    huge = server.ask("POST", "/v1/queues/large/jobs", b"\xff" * 100_000, Content_Type="application/octet-stream").json["id"]
    page.goto(f"/jobs/{huge}")
    expect(page.locator("main")).to_contain_text("98 KiB that are no text, or too large to show here.")
