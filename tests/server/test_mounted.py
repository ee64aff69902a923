"""The server inside another application, under a path: who may come in is the application's to say, and every address knows the path."""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import ropeway
from ropeway.errors import ConfigError
from ropeway.server import Grant
from ropeway.server.grants import EVERYTHING

from .conftest import Server

BASE = "/admin/queues"


def may(request: HTTPConnection) -> Any:
    """As an application would: by what its own session says."""
    who = request.cookies.get("session", "")
    return {
        "boss": Grant("boss", EVERYTHING),
        "clerk": {"observe": ["*"], "produce": ["mails"]},
        "odd": {"admin": ["*"]},
    }.get(who)


async def later(request: HTTPConnection) -> Any:
    await asyncio.sleep(0)
    return may(request)


class Inner(Server):
    """The application on a real socket, in a thread of the test."""

    def __init__(self, app: Any) -> None:
        config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", ws="websockets-sansio")
        self.running = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.running.run, daemon=True)
        self.thread.start()
        while not self.running.started:
            self.thread.join(0.005)
        self.where = f"http://127.0.0.1:{self.running.servers[0].sockets[0].getsockname()[1]}"
        self.token = ""

    def end(self) -> None:
        self.running.should_exit = True
        self.thread.join(30)


@pytest.fixture(scope="module", params=[may, later], ids=["plain", "awaited"])
def app(request: pytest.FixtureRequest) -> Iterator[Inner]:
    with ropeway.connect("memory:", config=False) as broker:
        inside = broker.dashboard(auth=request.param)

        async def home(_: Any) -> PlainTextResponse:
            return PlainTextResponse("the application's own page")

        server = Inner(Starlette(routes=[Route("/", home), Mount(BASE, app=inside)]))
        yield server
        server.end()


def test_nobody_comes_in_whom_the_application_does_not_know(app: Inner) -> None:
    for path in ("/v1/queues", "/v1/jobs", "/", "/metrics", "/page/app.js", "/nothing"):
        assert app.ask("GET", BASE + path).status == 403, path
        assert app.ask("GET", BASE + path, Authorization="Bearer x", Cookie="session=stranger").status == 403
    assert app.ask("POST", f"{BASE}/v1/queues/mails/jobs", b"x").status == 403
    assert app.ask("GET", "/").body == b"the application's own page"


def test_roles_hold(app: Inner) -> None:
    clerk = {"Cookie": "session=clerk"}
    put = app.ask("POST", f"{BASE}/v1/queues/mails/jobs", b"x", **clerk)
    assert put.status == 201
    assert put.headers["location"] == f"{BASE}/v1/jobs/{put.json['id']}"
    assert app.ask("GET", put.headers["location"], **clerk).json["queue"] == "mails"
    assert app.ask("POST", f"{BASE}/v1/queues/other/jobs", b"x", **clerk).status == 403
    assert app.ask("POST", f"{BASE}/v1/queues/mails/purge", **clerk).status == 403
    assert app.ask("POST", f"{BASE}/v1/queues/mails/purge", Cookie="session=boss").json == {"count": 1}


def test_what_the_application_answers_wrongly_opens_nothing(app: Inner) -> None:
    assert app.ask("GET", f"{BASE}/v1/queues", Cookie="session=odd").status == 500


def test_a_page_of_another_site_changes_nothing_with_the_session(app: Inner) -> None:
    boss = {"Cookie": "session=boss"}
    for told in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"}):
        assert app.ask("POST", f"{BASE}/v1/queues/mails/purge", **boss, **told).status == 403, told
        for path in ("/q/mails", "/?queue=mails"):  # of old a GET takes a job, and a link sends the session along
            assert app.ask("GET", BASE + path, **boss, **told).status == 403, (path, told)
    assert app.ask("POST", f"{BASE}/v1/queues/mails/purge", **boss, Origin=app.where, Sec_Fetch_Site="same-origin").status == 200


def test_the_page_and_the_description_know_the_path(app: Inner) -> None:
    boss = {"Cookie": "session=boss"}
    page = app.ask("GET", f"{BASE}/", **boss)
    assert page.status == 200
    for line in page.body.decode().splitlines():
        for word in ("href", "src"):
            if f'{word}="/' in line:
                assert f'{word}="{BASE}/' in line, line
    assert re.search(f'src="{BASE}/page/[0-9a-f]+/app.js"', page.body.decode())
    assert app.ask("GET", f"{BASE}/page/app.js", **boss).headers["content-type"].startswith("text/javascript")
    assert app.ask("GET", f"{BASE}/queues/mails", **boss).status == 200, "a typed address of the page"
    assert app.ask("GET", f"{BASE}/openapi.json", **boss).json["servers"] == [{"url": BASE}]


def test_a_websocket_is_asked_for_as_well(app: Inner) -> None:
    from websockets.exceptions import InvalidStatus
    from websockets.sync.client import connect

    where = app.where.replace("http", "ws") + f"{BASE}/v1/ws"
    with pytest.raises(InvalidStatus):
        connect(where)
    with connect(where, additional_headers={"Cookie": "session=boss"}) as talk:
        talk.send(json.dumps({"n": 1, "op": "put", "queue": "mails", "body": 1}))
        assert json.loads(talk.recv())["n"] == 1


def test_without_auth_it_refuses() -> None:
    with ropeway.connect("memory:", config=False) as broker:
        with pytest.raises(TypeError):
            broker.dashboard()  # type: ignore[call-arg]
        with pytest.raises(ConfigError, match="auth="):
            broker.dashboard(auth=None)  # type: ignore[arg-type]


def test_read_only_changes_nothing_whoever_asks() -> None:
    with ropeway.connect("memory:", config=False) as broker:
        broker.queue("mails").put(1)
        server = Inner(Starlette(routes=[Mount(BASE, app=broker.dashboard(auth=may, read_only=True))]))
        try:
            boss = {"Cookie": "session=boss"}
            assert app_status(server, "POST", "/v1/queues/mails/purge", boss) in (404, 405)
            assert app_status(server, "GET", "/v1/queues/mails", boss) == 200
        finally:
            server.end()
        assert broker.queue("mails").counts().ready == 1


def app_status(server: Inner, method: str, path: str, told: dict[str, str]) -> int:
    return server.ask(method, BASE + path, **told).status
