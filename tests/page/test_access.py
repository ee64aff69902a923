"""Who may look and who may act: signing in, tokens that may less, a server that changes nothing; and how much a first look loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import expect

from server.conftest import Server

from .conftest import put, serving

ROLES = """
[[token]]
name = "desk"
token = "the-desk-has-this-token"
observe = ["orders"]
operate = ["orders"]

[[token]]
name = "wall"
token = "the-wall-has-this-token"
observe = ["*"]
"""


def test_a_page_without_a_token_asks_for_it(look: Any, server: Server) -> None:
    put(server, "secret")
    page = look(server, token="", refused=(401,))
    page.goto("/queues/secret")
    expect(page.locator("h1")).to_have_text("Sign in")
    assert "secret" not in page.locator("main").inner_text()
    page.get_by_label("Token").fill("x" * 43)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("This token is not known here")
    page.get_by_label("Token").fill(server.token)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("secret")
    expect(page.locator("#link")).to_have_text("live")
    assert server.token not in page.url
    assert server.token not in page.content()
    assert page.context.cookies() == [], "nothing that a browser would send by itself"
    page.goto("/about")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("h1")).to_have_text("Sign in")
    page.goto("/queues")
    expect(page.locator("h1")).to_have_text("Sign in")


def test_a_token_is_kept_in_one_tab(look: Any, server: Server) -> None:
    page = look(server)
    page.goto("/queues")
    expect(page.locator("#link")).to_have_text("live")
    assert page.evaluate("Object.values(localStorage).join() + document.cookie").find(server.token) == -1


def test_what_is_open_tells_nothing(look: Any, server: Server) -> None:
    page = look(server, token="", refused=(401,))
    answers = {
        path: page.request.get(path).status for path in ("/", "/queues", "/page/app.js", "/page/x.js", "/v1/events", "/v1/me", "/?queue=x")
    }
    assert answers == {"/": 200, "/queues": 200, "/page/app.js": 200, "/page/x.js": 404, "/v1/events": 401, "/v1/me": 401, "/?queue=x": 401}


def test_a_token_sees_what_it_may_and_no_more(look: Any, tmp_path: Path) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(ROLES + '[[token]]\nname = "all"\ntoken = "all-of-it-is-for-this-one"\nproduce = ["*"]\n')
    file.chmod(0o600)
    with serving(tmp_path, "--token-file", str(file)) as server:
        server.token = "all-of-it-is-for-this-one"
        put(server, "orders", 2)
        (other,) = put(server, "mails")
        desk = look(server, token="the-desk-has-this-token", refused=(403, 404, "ERR_CONNECTION"))
        desk.goto("/queues")
        expect(desk.locator("tbody tr")).to_have_count(1)
        expect(desk.get_by_role("link", name="Put", exact=True)).to_have_count(0)
        desk.goto("/queues/orders")
        expect(desk.get_by_role("button", name="Purge")).to_be_visible()
        expect(desk.get_by_role("link", name="Put a job here")).to_have_count(0)
        desk.goto(f"/jobs/{other}")
        expect(desk.locator("main")).to_contain_text("there is no job")
        wall = look(server, token="the-wall-has-this-token", refused=("ERR_CONNECTION",))
        wall.goto("/queues/orders")
        expect(wall.locator("tr[data-job]")).to_have_count(2)
        expect(wall.locator("main").get_by_role("button", name="Purge")).to_have_count(0)
        expect(wall.locator("tr[data-job] input")).to_have_count(0)
        wall.locator("tr[data-job] th a").first.click()
        expect(wall.get_by_role("button", name="Copy as command")).to_be_visible()
        expect(wall.get_by_role("button", name="Delete")).to_have_count(0)


def test_where_nothing_may_be_changed_nothing_offers_it(look: Any, tmp_path: Path) -> None:
    with serving(tmp_path, "--no-auth") as server:
        put(server, "orders")
    with serving(tmp_path, "--no-auth", "--read-only") as server:
        page = look(server, token="", refused=("ERR_CONNECTION",))
        page.goto("/")
        expect(page.locator("h1")).to_have_text("Overview")
        expect(page.locator("#link")).to_have_text("live")
        page.goto("/queues/orders")
        expect(page.locator("tr[data-job]")).to_have_count(1)
        expect(page.get_by_role("button", name="Purge")).to_have_count(0)
        expect(page.get_by_role("link", name="Put a job here")).to_have_count(0)


def test_the_first_look_is_small(page: Any) -> None:
    sizes: dict[str, int] = {}

    def came(response: Any) -> None:
        if "/v1/" not in response.url and response.url.startswith("http"):
            sizes[response.url] = len(response.body())

    page.on("response", came)
    page.goto("/queues")
    expect(page.locator("#link")).to_have_text("live")
    assert sum(sizes.values()) < 60_000, sizes
    assert len(sizes) <= 9, sizes


def test_the_page_stays_within_its_lines() -> None:
    from ropeway.server import pages

    files = [file for file in (Path(pages.__file__).parent / "page").iterdir() if file.suffix in (".js", ".css")]
    assert sum(len(file.read_text().splitlines()) for file in files) < 3500
    for file in files:
        text = file.read_text()
        assert not any(word in text for word in ("innerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function")), file.name


def test_files_that_did_not_change_are_not_sent_again(server: Server) -> None:
    first = server.ask("GET", "/page/app.js", token="")
    again = server.ask("GET", "/page/app.js", token="", If_None_Match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert "script-src 'self'" in first.headers["content-security-policy"]


def test_who_only_looks_sees_no_secrets(look: Any, tmp_path: Path) -> None:
    (tmp_path / "tokens.toml").write_text(ROLES)
    (tmp_path / "tokens.toml").chmod(0o600)
    all_tokens = tmp_path / "tokens.toml"
    all_tokens.write_text(ROLES + '\n[[token]]\nname = "all"\ntoken = "the-boss-has-this-token"\n' + 'produce = ["*"]\n')
    with serving(tmp_path, "--token-file", str(all_tokens)) as server:
        body = b'{"user": "ada", "password": "hunter2"}'
        made = server.ask("POST", "/v1/queues/orders/jobs", body, token="the-boss-has-this-token", Content_Type="application/json")
        page = look(server, token="the-wall-has-this-token")
        page.goto(f"/jobs/{made.json['id']}")
        expect(page.locator("main")).to_contain_text('password": "***"')
        expect(page.locator("main")).to_contain_text("stands for what only those see who may do everything")
        assert "hunter2" not in page.content()
        expect(page.get_by_role("button", name="Copy as command")).to_have_count(0)
        page.goto("/jobs")
        expect(page.locator("tr[data-job]")).to_contain_text("***")
        assert "hunter2" not in page.content()
