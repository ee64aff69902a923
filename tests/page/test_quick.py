"""How much a browser has to ask for before the first row stands: all files at once, none twice, and nothing else before the row."""

from __future__ import annotations

import gzip
import re
from typing import Any

import pytest
from playwright.sync_api import expect

from server.conftest import Server

from .conftest import put

VIEWS = ("/", "/queues", "/queues/quick", "/jobs", "/jobs/{job}", "/failures", "/failures/x", "/workers", "/workers/x", "/schedules")
MORE = ("/schedules/x", "/topics", "/topics/x", "/put", "/about")
ASKED = "performance.getEntriesByType('resource').map(one => [new URL(one.name).pathname, one.transferSize])"


def _asked(page: Any) -> list[tuple[str, int]]:
    return [(str(path), int(size)) for path, size in page.evaluate(ASKED)]


@pytest.mark.parametrize("path", [*VIEWS, *MORE])
def test_the_page_names_all_modules_of_its_view(look: Any, server: Server, path: str) -> None:
    (job,) = put(server, "quick")
    page = look(server, refused=(404,))  # not all of them are there
    page.goto(path.format(job=job))
    page.locator("main h1").wait_for()
    named = page.evaluate("[...document.querySelectorAll('link[rel=modulepreload]')].map(one => new URL(one.href).pathname)")
    wanted = {one for one, _ in _asked(page) if one.endswith(".js")}
    assert wanted == {*named, *(one for one in wanted if one.endswith("/charts.js"))}, "charts may come later"


def test_what_one_came_for_is_asked_once_and_first(page: Any, server: Server) -> None:
    put(server, "quick", 3)
    told: list[str] = []
    page.on("request", lambda request: told.append(request.url.removeprefix(server.where)))
    page.goto("/queues/quick")
    page.locator("tr[data-job]").first.wait_for()
    expect(page.get_by_role("heading", name="What holds it up")).to_be_visible()
    asked = [one for one in told if one.startswith("/v1/") and "/events" not in one]
    lists = "/v1/jobs?queue=quick&limit=50"
    assert sorted(asked[:2]) == [lists, "/v1/me"], asked
    assert asked.count(lists) == 1, asked
    before = asked[: asked.index("/v1/queues/quick/why")]
    assert not any("history" in one or "workers" in one for one in before[:2]), asked


def test_a_browser_that_has_the_files_asks_for_none(page: Any, server: Server) -> None:
    put(server, "quick")
    for _ in range(2):
        page.goto("/jobs?queue=quick")
        page.locator("tr[data-job]").first.wait_for()
    sizes = {path: size for path, size in _asked(page) if path.startswith("/page/")}
    assert len(sizes) > 5
    assert not any(sizes.values()), sizes


def test_the_first_row_comes_with_few_requests_and_bytes(page: Any, server: Server) -> None:
    put(server, "quick", 50)
    page.goto("/jobs?queue=quick")
    page.locator("tr[data-job]").first.wait_for()
    asked = [(path, size) for path, size in _asked(page) if path not in ("/v1/totals", "/v1/events")]
    assert len(asked) <= 9, asked
    assert sum(size for path, size in asked if path.startswith("/page/")) < 30_000, asked


def test_a_file_keeps_for_as_long_as_it_is_what_it_was(server: Server) -> None:
    shell = server.ask("GET", "/jobs", token="").body.decode()
    (path,) = re.findall(r'src="(/page/[0-9a-f]+/app.js)"', shell)
    ours = server.ask("GET", path, token="")
    assert "immutable" in ours.headers["cache-control"]
    other = server.ask("GET", "/page/0123456789abcdef/app.js", token="")
    assert (other.body, other.headers["cache-control"]) == (ours.body, "no-cache")
    assert server.ask("GET", path.replace("app.js", "x.js"), token="").status == 404


def test_files_are_packed_for_those_who_unpack(server: Server) -> None:
    plain = server.ask("GET", "/page/style.css", token="")
    small = server.ask("GET", "/page/style.css", token="", Accept_Encoding="gzip, br")
    assert small.headers["content-encoding"] == "gzip"
    assert small.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(small.body) == plain.body
    assert small.headers["etag"] != plain.headers["etag"]
    again = server.ask("GET", "/page/style.css", token="", Accept_Encoding="gzip", If_None_Match=small.headers["etag"])
    assert (again.status, again.body) == (304, b"")
