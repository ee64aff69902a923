"""What is done to all that fit: the count is named first, a batch at a time, and it can be stopped; and what a job logs."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from server.conftest import Server

from .conftest import put, until


def _put_many(server: Server, queue: str, count: int) -> None:
    for at in range(0, count, 1000):
        lines = b"\n".join(b'{"n": %d}' % n for n in range(at, min(at + 1000, count)))
        assert server.ask("POST", f"/v1/queues/{queue}/jobs", lines, Content_Type="application/x-ndjson").status == 201


def test_all_that_fit_are_moved_and_called_back(page: Any, server: Server) -> None:
    _put_many(server, "sweep.a", 1203)
    page.goto("/jobs?queue=sweep.a")
    page.get_by_label("Move all to").fill("sweep.b")
    page.get_by_role("button", name="Move all 1,203").click()
    expect(page.get_by_text("Move 1,203 jobs to sweep.b?")).to_be_visible()
    page.get_by_role("button", name="Move all 1,203").click()
    expect(page.locator("#said")).to_contain_text("Move: 1,203 of 1,203 jobs.", timeout=30_000)
    assert server.ask("GET", "/v1/queues/sweep.b").json["ready"] == 1203
    page.goto("/jobs?queue=sweep.b")
    page.get_by_role("button", name="Cancel all 1,203").click()
    expect(page.get_by_text("Call 1,203 jobs back?")).to_be_visible()
    page.get_by_role("button", name="Keep").click()
    page.get_by_role("button", name="Cancel all 1,203").click()
    page.get_by_role("button", name="Cancel all 1,203").click()
    expect(page.locator("#said")).to_contain_text("Cancel: 1,203 of 1,203 jobs.", timeout=30_000)
    assert server.ask("GET", "/v1/queues/sweep.b").json["ready"] == 0


def test_a_move_without_a_queue_moves_nothing_and_one_of_many_can_be_stopped(page: Any, server: Server) -> None:
    _put_many(server, "stop.a", 3000)
    page.goto("/jobs?queue=stop.a")
    page.get_by_role("button", name="Move all 3,000").click()
    expect(page.locator("#said")).to_contain_text("nothing was moved")

    def slowly(route: Any) -> None:
        page.get_by_role("button", name="Stop").click()  # while the first batch is under way
        route.continue_()

    page.route("**/v1/jobs/cancel", slowly, times=1)
    page.get_by_role("button", name="Cancel all 3,000").click()
    page.get_by_role("button", name="Cancel all 3,000").click()
    expect(page.locator("#said")).to_contain_text("Cancel: 1,000 of 3,000 jobs; then you stopped it.", timeout=30_000)
    assert server.ask("GET", "/v1/queues/stop.a").json["ready"] == 2000


def test_a_job_shows_what_it_logs_while_it_runs_and_where_it_failed(page: Any, server: Server, worker: str) -> None:
    (slow,) = put(server, "tasks", body='["ada"]', task="slow", keep="1h")
    until(lambda: server.ask("GET", f"/v1/jobs/{slow}").json["state"] == "running", "the run")
    page.goto(f"/jobs/{slow}")
    expect(page.get_by_label("Log lines")).to_contain_text("WARNING shop: at work on ada")
    server.post("/v1/jobs/cancel", {"ids": [slow]})
    (boom,) = put(server, "tasks", body='["hot"]', task="boom")
    until(lambda: server.ask("GET", f"/v1/jobs/{boom}").json["state"] == "dead", "the end")
    page.goto(f"/jobs/{boom}")
    page.get_by_text("Log, 1 line").click()
    expect(page.locator(".timeline")).to_contain_text("ERROR shop: about to fail")
