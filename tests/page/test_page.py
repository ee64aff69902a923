"""What people see and do with queues and jobs: live numbers, the switches, lists and choices, put; by keyboard too."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

import ropeway
from house.tree import HOME
from ropeway.clock import SystemClock
from server.conftest import Server

from .conftest import fail, put, url_of

PICTURES = HOME / "docs" / "pictures"


def _picture(page: Any, name: str) -> None:
    """The pictures of the README and the guides are made here, when they are asked for."""
    if os.environ.get("PICTURES"):
        page.wait_for_timeout(1200)
        page.screenshot(path=PICTURES / f"{name}.png")


def test_numbers_change_while_one_looks(page: Any, server: Server) -> None:
    put(server, "live", 3)
    page.goto("/queues")
    row = page.locator("tr[data-queue=live]")
    expect(row.locator("td.ready")).to_have_text("3")
    put(server, "live", 2)
    expect(row.locator("td.ready")).to_have_text("5")
    fail(server, "live", "smtp busy")
    expect(row.locator("td.dead")).to_have_text("1")
    expect(page.locator("#link")).to_have_text("live")


def test_the_overview_tells_what_needs_a_look(page: Any, server: Server) -> None:
    put(server, "over", 2)
    fail(server, "over", "no route")
    server.post("/v1/queues/over/pause", {"claim": True, "reason": "deploy"})
    page.goto("/")
    expect(page.locator(".attention")).to_contain_text("1 dead job in over")
    expect(page.locator(".attention")).to_contain_text("over is switched off for claims: deploy")
    expect(page.locator(".totals dd.dead")).not_to_have_text("0")
    page.get_by_role("link", name="1 dead job in over").click()
    expect(page.locator("h1")).to_have_text("Failures")
    expect(page.locator("tr[data-failure]")).to_have_count(1)
    server.post("/v1/queues/over/resume")


def test_pausing_the_page_keeps_it_still(page: Any, server: Server) -> None:
    put(server, "still")
    page.goto("/queues")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("1")
    page.keyboard.press("p")
    expect(page.locator("#link")).to_have_text("paused")
    put(server, "still")
    token = "{headers: {Authorization: `Bearer ${sessionStorage.getItem('ropeway-token')}`}}"
    page.wait_for_function(f"() => fetch('/v1/queues/still', {token}).then((r) => r.json()).then((row) => row.ready === 2)")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("1")
    page.keyboard.press("p")
    expect(page.locator("tr[data-queue=still] td.ready")).to_have_text("2")


def test_the_operator_pauses_resumes_requeues_and_purges(page: Any, server: Server) -> None:
    put(server, "ops", 3)
    fail(server, "ops", "bad address")
    page.goto("/queues/ops")
    page.get_by_label("Reason").fill("deploy")
    page.get_by_role("main").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator("main")).to_contain_text("claim stopped deploy")
    assert server.ask("POST", "/v1/queues/ops/claims").status == 423
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("main .state.open")).to_be_visible()
    page.get_by_role("button", name="Requeue the dead").click()
    expect(page.get_by_text("Make 1 dead job ready now?")).to_be_visible()
    page.get_by_role("button", name="Requeue the dead").click()
    expect(page.locator("#said")).to_contain_text("Requeue the dead: 1 job.")
    page.get_by_role("button", name="Purge").click()
    page.get_by_role("button", name="Keep").click()
    assert server.ask("GET", "/v1/queues/ops").json["ready"] == 3, "asked, and kept"
    page.get_by_role("button", name="Purge").click()
    expect(page.get_by_role("button", name="Purge")).to_be_disabled()
    page.get_by_label("Write ops to confirm").fill("ops")
    page.get_by_role("button", name="Purge").click()
    expect(page.locator("#said")).to_contain_text("Purge: 3 jobs.")
    assert server.ask("GET", "/v1/queues/ops").json["ready"] == 0


def test_limits_are_set(page: Any, server: Server) -> None:
    put(server, "limited")
    page.goto("/queues/limited")
    field = page.get_by_label("At once, 0: any number").first
    expect(field).to_have_value("0")
    field.fill("3")
    page.get_by_role("button", name="Set limits").click()
    expect(page.locator("#said")).to_contain_text("Limits: done.")
    assert server.ask("GET", "/v1/queues/limited").json["limits"] == {"running": 3, "lane": 1}


def test_queues_are_sorted_filtered_and_grouped_in_the_address(page: Any, server: Server) -> None:
    put(server, "sort.small", 1)
    put(server, "sort.large", 6)
    page.goto("/queues?name=sort.")
    expect(page.locator("tbody tr")).to_have_count(2)
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "sort.large")
    page.get_by_role("button", name="ready", exact=True).click()
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "sort.large")
    page.get_by_role("button", name="ready", exact=True).click()
    expect(page.locator("tbody tr").first).to_have_attribute("data-queue", "sort.small")
    assert "sort=ready" in page.url
    page.get_by_label("one row for names that begin alike").check()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.locator("tbody tr td.ready")).to_have_text("7")
    page.reload()
    expect(page.locator("tbody tr td.ready")).to_have_text("7")


def test_jobs_by_state_and_by_text(page: Any, server: Server) -> None:
    put(server, "list", 4)
    dead = fail(server, "list", "SMTP 451")
    page.goto("/jobs?queue=list")
    expect(page.locator("tr[data-job]")).to_have_count(4)
    expect(page.get_by_role("link", name="ready 3")).to_be_visible()
    page.get_by_role("link", name="dead 1").click()
    expect(page.locator("tr[data-job]")).to_have_count(1)
    assert "state=dead" in page.url
    page.get_by_label("error").fill("nothing of the kind")
    page.get_by_role("button", name="Filter").click()
    expect(page.get_by_text("No job fits.")).to_be_visible()
    page.go_back()
    page.locator(f"tr[data-job='{dead}'] th a").click()
    expect(page.locator("h1")).to_contain_text(dead)
    expect(page.locator(".history")).to_contain_text("SMTP 451")


def test_long_lists_come_by_key_and_new_rows_wait_to_be_asked_for(page: Any, server: Server) -> None:
    lines = b"\n".join(b'{"n": %d}' % n for n in range(70))
    server.ask("POST", "/v1/queues/long/jobs", lines, Content_Type="application/x-ndjson")
    page.goto("/jobs?queue=long")
    expect(page.locator("tr[data-job]")).to_have_count(50)
    page.get_by_role("button", name="More").click()
    expect(page.locator("tr[data-job]")).to_have_count(70)
    ids = page.locator("tr[data-job]").evaluate_all("rows => rows.map(row => row.dataset.job)")
    assert len(set(ids)) == 70
    put(server, "long", 2, priority="1")
    expect(page.get_by_role("button", name="2 new: show")).to_be_visible()
    expect(page.locator("tr[data-job]")).to_have_count(70)
    page.get_by_role("button", name="2 new: show").click()
    expect(page.locator("tr[data-job]")).to_have_count(50)


def test_a_choice_of_jobs_is_requeued_moved_and_deleted(page: Any, server: Server) -> None:
    put(server, "choice", 3, delay="1h")
    page.goto("/jobs?queue=choice")
    expect(page.locator("tr[data-job]")).to_have_count(3)
    for box in page.locator("tr[data-job] input").all()[:2]:
        box.check()
    page.get_by_role("button", name="Requeue 2").click()
    expect(page.locator("#said")).to_contain_text("Requeue: 2 of 2 jobs.")
    expect(page.locator("tr[data-job] .state.ready")).to_have_count(2)
    page.locator("tr[data-job] input").first.check()
    page.get_by_role("button", name="Delete 1").click()
    expect(page.get_by_text("Delete 1 job? This cannot be undone.")).to_be_visible()
    page.get_by_role("button", name="Delete 1").click()
    expect(page.locator("tr[data-job]")).to_have_count(2)
    page.get_by_label("Choose all that are shown").check()
    page.get_by_label("Move to").fill("chosen")
    page.get_by_role("button", name="Move 2").click()
    expect(page.locator("#said")).to_contain_text("Move: 2 of 2 jobs.")
    assert server.ask("GET", "/v1/totals?queue=chosen").json["totals"]["ready"] == 1


def test_all_that_fit_with_their_number_first(page: Any, server: Server) -> None:
    lines = b"\n".join(b'{"n": %d}' % n for n in range(60))
    server.ask("POST", "/v1/queues/every/jobs?delay=1h", lines, Content_Type="application/x-ndjson")
    page.goto("/jobs?queue=every&state=delayed")
    expect(page.locator("tr[data-job]")).to_have_count(50)
    page.get_by_role("button", name="Requeue all 60").click()
    expect(page.get_by_text("Make 60 jobs ready now?")).to_be_visible()
    page.get_by_role("button", name="Requeue all 60").click()
    expect(page.locator("#said")).to_contain_text("Requeue: 60 of 60 jobs.")
    page.goto("/jobs?queue=every&q=%22n%22%3A%205")
    page.get_by_role("button", name="Delete all 11").click()
    page.get_by_role("button", name="Delete all 11").click()
    expect(page.locator("#said")).to_contain_text("Delete: 11 of 11 jobs.")
    assert server.ask("GET", "/v1/queues/every").json["ready"] == 49


def test_one_job_whole(look: Any, server: Server) -> None:
    page = look(server, refused=(404,))  # at its end the job is gone
    (made,) = put(
        server,
        "whole",
        body='{{"to": "ada@example.org", "list": [1, {{"deep": {{"deeper": true}}}}]}}',
        delay="1h",
        lane="ada",
        priority="7",
    )
    page.goto(f"/jobs/{made}")
    expect(page.locator(".value")).to_contain_text('"ada@example.org"')
    page.get_by_text("{ 1 field }").first.click()
    expect(page.locator(".value")).to_contain_text('"deep"')
    page.get_by_role("button", name="Show as text").click()
    expect(page.locator("pre.body")).to_contain_text('"deeper": true')
    expect(page.get_by_role("heading", name="Why it waits")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save").click()
    assert b'"deeper"' in saved.value.path().read_bytes()
    page.get_by_role("button", name="Run now").click()
    expect(page.locator("main .state.ready")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("The job has left the store")).to_be_visible()
    assert server.ask("GET", f"/v1/jobs/{made}").status == 404


def test_a_job_as_a_command_does_the_same(look: Any, server: Server) -> None:
    import shlex
    import subprocess
    import sys

    body = """{{"it's": "a \\"body\\" $HOME `id` \\u00e9"}}"""
    (made,) = put(server, "copied", body=body, key="k'1", lane="l 2", priority="3", task="send")
    page = look(server, permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/jobs/{made}")
    page.get_by_role("button", name="Copy as command").click()
    expect(page.locator("#said")).to_contain_text("Copied")
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[:2] == ["ropeway", "put"]
    words[words.index("copied")] = "copy"
    env = {**os.environ, "ROPEWAY_URL": server.where.replace("http://", f"http://:{server.token}@")}
    done = subprocess.run([sys.executable, "-m", "ropeway.cli", *words[1:]], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    old, new = (server.ask("POST", f"/v1/queues/{queue}/claims").json[0] for queue in ("copied", "copy"))
    same = ("body", "key", "priority", "task")
    assert {name: old[name] for name in same} == {name: new[name] for name in same}


def test_put_by_hand(page: Any, server: Server) -> None:
    page.goto("/put")
    page.get_by_label("Queue").fill("hand")
    page.get_by_role("textbox", name="Body", exact=True).fill("{")
    page.get_by_role("button", name="Put").click()
    expect(page.locator("#said")).to_contain_text("nothing was put")
    page.get_by_role("textbox", name="Body", exact=True).fill('{"to": "ada"}')
    page.get_by_label("Priority").fill("7")
    page.get_by_text("Headers").click()
    page.get_by_label("One a line").fill("tenant: 7\nkind: a b")
    page.get_by_role("button", name="Put", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Job")
    (job,) = server.ask("POST", "/v1/queues/hand/claims").json
    assert (job["body"], job["priority"], job["headers"]) == ({"to": "ada"}, 7, {"tenant": "7", "kind": "a b"})


def test_edit_and_put_again(page: Any, server: Server) -> None:
    (old,) = put(server, "again", body='{{"to": "adda"}}', task="send", lane="x")
    fail(server, "again", "no such address")
    page.goto(f"/jobs/{old}")
    page.get_by_role("link", name="Edit and put again").click()
    expect(page.get_by_role("textbox", name="Body", exact=True)).to_have_value('{"to": "adda"}')
    page.get_by_role("textbox", name="Body", exact=True).fill('{"to": "ada"}')
    page.get_by_role("button", name="Put", exact=True).click()
    expect(page.locator("h1")).to_contain_text("Job")
    (job,) = server.ask("POST", "/v1/queues/again/claims").json
    assert (job["body"], job["task"]) == ({"to": "ada"}, "send")
    assert job["id"] != old
    assert server.ask("GET", f"/v1/jobs/{old}").json["state"] == "dead", "the old one stays"


def test_by_keyboard_alone(look: Any, server: Server) -> None:
    page = look(server, refused=(404,))
    put(server, "keys", 2)
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Overview")
    for keys, title in (
        ("gj", "Jobs"),
        ("gf", "Failures"),
        ("gw", "Workers"),
        ("gs", "Schedules"),
        ("gt", "Topics"),
        ("go", "Overview"),
        ("gq", "Queues"),
    ):
        for key in keys:
            page.keyboard.press(key)
        expect(page.locator("h1")).to_have_text(title)
    page.keyboard.press("/")
    page.keyboard.type("ada-0")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("Jobs")
    assert page.url.endswith("/jobs?q=ada-0")
    page.goto("/queues/keys")
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    for _ in range(40):  # on to the switch of the queue, and a job of it
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent") == "Purge":
            break
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("placeholder", "keys")
    page.keyboard.type("keys")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#said")).to_contain_text("Purge: 2 jobs.")
    expect(page.locator(":focus")).to_have_text("Purge")


def test_the_keys_are_shown_and_can_be_switched_off(page: Any) -> None:
    page.goto("/")
    expect(page.locator("h1")).to_have_text("Overview")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("pause, or go on")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.goto("/about")
    page.get_by_label("keys such as g q").uncheck()
    page.locator("main").click()
    for key in "gq?p":
        page.keyboard.press(key)
    expect(page.locator("h1")).to_have_text("About")
    expect(page.locator("#link")).to_have_text("live")


def test_failures_are_gathered_retried_and_discarded(look: Any, server: Server) -> None:
    page = look(server, refused=(404,))
    put(server, "fail", 5, task="send")
    for n in range(4):
        fail(server, "fail", f"SMTPError: 451 4.7.{n}: ada-{n}@example.org is busy")
    fail(server, "fail", "ValueError: no address")
    page.goto("/failures?queue=fail")
    expect(page.locator("tr[data-failure]")).to_have_count(2)
    many = page.locator("tr[data-failure]").first
    expect(many.locator("td").first).to_have_text("4")
    expect(many).to_contain_text("SMTPError: … …: … is busy")
    many.get_by_role("button", name="Retry all").click()
    expect(page.get_by_text("Make 4 jobs ready now?")).to_be_visible()
    many.get_by_role("button", name="Retry all").click()
    expect(page.locator("#said")).to_contain_text("Retry: 4 jobs.")
    expect(page.locator("tr[data-failure]")).to_have_count(1)
    page.locator("tr[data-failure] th a").click()
    expect(page.locator("main p.error")).to_have_text("ValueError: no address")
    expect(page.locator("tr[data-job]")).to_have_count(1)
    page.get_by_role("button", name="Discard").click()
    page.get_by_role("button", name="Discard").click()
    expect(page.locator("#said")).to_contain_text("Discard: 1 job.")
    assert server.ask("GET", "/v1/queues/fail").json | {"oldest": None} == server.ask("GET", "/v1/queues/fail").json | {
        "oldest": None,
        "ready": 4,
        "dead": 0,
    }


class _Earlier(SystemClock):
    """The clock of the machine, set back; what a job takes is added."""

    def __init__(self, back: float) -> None:
        self._more = -back
        self._boot = 0.0

    def now(self) -> float:
        return super().now() + self._more

    def boot(self) -> float:
        return super().boot() + self._boot

    def take(self, seconds: float) -> None:
        self._more += seconds
        self._boot += seconds


def _an_hour_of_work(home: Path) -> None:
    """A worker of `mails` in each minute of the last hour, by a clock of its own."""
    chance = random.Random(7)
    for minute in range(58, 0, -1):
        clock = _Earlier(60.0 * minute)
        with ropeway.connect(url_of(home), clock=clock, config=False) as broker:

            @broker.task(queue="mails", retry=1)
            def send(address: str, took: float, clock: _Earlier = clock) -> None:
                clock.take(took)
                if took > 0.9:
                    raise ConnectionError(f"SMTP 451 4.7.1: {address} is busy, try again later")

            for n in range(chance.randint(6, 14) + minute // 6 % 3 * 5):
                send.put(f"ada-{n}@example.org", chance.expovariate(6.0))
            broker.worker("mails", drain=True, concurrency=1).run()


def _some_seconds(page: Any, server: Server, name: str) -> None:
    """So that the line of the last minute is one: jobs come and go while one looks."""
    if os.environ.get("PICTURES") and name.startswith("queues"):
        for n in range(24):
            put(server, ("mails", "mails", "reports.daily", "pictures")[n % 4], 1 + n % 3, task="send")
            if n % 5 == 4:
                done = server.ask("POST", "/v1/queues/mails/claims?limit=7").json
                server.post("/v1/ack", {"receipts": [one["receipt"] for one in done]})
            page.wait_for_timeout(1000)


def test_pictures(look: Any, server: Server, worker: str, home: Path) -> None:
    if os.environ.get("PICTURES"):
        _an_hour_of_work(home)
    for queue, count in (("mails", 12), ("pictures", 5), ("reports.daily", 2), ("reports.weekly", 1)):
        put(server, queue, count, task="send")
    fail(server, "mails", "ConnectionError: SMTP 451 4.7.1: ada-3@example.org is busy, try again later")
    for scheme, pictures in (("light", {"/": "overview", "/queues": "queues"}), ("dark", {"/queues": "queues-dark"})):
        page = look(server, color_scheme=scheme)
        for path, name in pictures.items():
            page.goto(path)
            expect(page.locator("#link")).to_have_text("live")
            _some_seconds(page, server, name)
            _picture(page, name)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 25, 26)"
    page = look(server)
    page.goto("/jobs?state=dead&queue=mails")
    page.locator("tr[data-job] th a").last.click()
    expect(page.locator(".history").last).to_contain_text("SMTP 451")
    expect(page.get_by_role("heading", name="Why it ended so")).to_be_visible()
    _picture(page, "job")
    page.goto("/failures")
    expect(page.locator("tr[data-failure]").first).to_be_visible()
    _picture(page, "failures")
