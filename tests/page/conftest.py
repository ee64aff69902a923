"""One browser, one server and one worker for all tests of the page, and what a page must never do."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server.conftest import Server

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")
HOSTILE = "\"><img src=x onerror=alert(1)><script>alert(2)</script>'--</textarea>{{7*7}}${7*7}\u202e\x1b[31m"

APP = """
import datetime, logging, threading
from typing import Annotated, Literal
import msgspec
import ropeway
from ropeway import current_claim

broker = ropeway.connect({url!r}, config=False)
log = logging.getLogger("shop")
hold = threading.Event()


@broker.task(queue="tasks", keep="1h")
def fine(n):
    return {{"half": n / 2}}


@broker.task(queue="tasks")
def mail(
    user_id: int,
    to: list[str],
    *,
    lang: Literal["de", "en"] = "en",
    at: datetime.date | None = None,
    tries: Annotated[int, msgspec.Meta(ge=1)] = 3,
):
    "Send one mail."


@broker.task(queue="tasks", retry=1)
def boom(text):
    log.error("about to fail")
    raise ValueError(text)


@broker.task(queue="tasks", keep="1h")
def slow(text):
    current_claim().progress([3, 4])
    log.warning("at work on %s", text)
    while not current_claim().lost.wait(0.05):
        pass
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, *args: str, port: int = 0) -> Iterator[Server]:
    """A server on the store in that folder, until the block ends."""
    command = [sys.executable, "-m", "ropeway.cli", "-u", url_of(folder), "serve", "-b", f"127.0.0.1:{port}", *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "XDG_STATE_HOME": str(folder)})
    assert process.stderr is not None
    line = process.stderr.readline()
    assert " at http" in line, line + process.stderr.read()
    file = folder / "ropeway" / "server-token"
    found = Server(process, line.rpartition(" at ")[2].strip(), file.read_text().strip() if file.exists() else "")
    try:
        yield found
    finally:
        if process.poll() is None:
            found.stop()
        process.stderr.close()


def url_of(folder: Path) -> str:
    return f"dir:{folder}/spool?durability=os"


def until(look: Callable[[], Any], what: str) -> Any:
    """What `look` answers, as soon as that is something."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come")


@pytest.fixture(scope="package")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("page")


@pytest.fixture(scope="package")
def server(home: Path) -> Iterator[Server]:
    with serving(home) as found:
        yield found


@pytest.fixture(scope="package")
def worker(home: Path, server: Server) -> Iterator[str]:
    """The id of a worker of the queue `tasks`, with the tasks fine, mail, boom and slow."""
    (home / "shop_of_page.py").write_text(APP.format(url=url_of(home)))
    command = [sys.executable, "-m", "ropeway.cli", "-u", url_of(home), "work", "--app", "shop_of_page:broker", "tasks"]
    process = subprocess.Popen(command, cwd=home, env={**os.environ, "PYTHONPATH": str(home)}, stderr=subprocess.DEVNULL)
    try:
        yield str(until(lambda: server.ask("GET", "/v1/workers").json["workers"], "the worker")[0]["id"])
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()


@contextmanager
def browser() -> Iterator[Any]:
    """A browser, until the block ends: as long as it is there, its own event loop runs in this thread, and nobody else's can. Without one
    the tests skip at home and fail in CI."""
    if not CHROMIUM:
        if os.environ.get("CI", "") not in ("", "0", "false"):
            pytest.fail("there is no chromium; ./dev test installs it")
        pytest.skip("there is no chromium; install it to see these tests run")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        found = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield found
        found.close()


@pytest.fixture(scope="package")
def chromium() -> Iterator[Any]:
    """One browser for all tests of the page."""
    with browser() as found:
        yield found


Look = Callable[..., Any]


@pytest.fixture
def look(chromium: Any) -> Iterator[Look]:
    """Opens pages at a server, signed in with a token ("": not). Whatever one opens elsewhere, logs as an error or violates fails the
    test; `refused`: statuses
    and errors that the test provokes."""
    wrong: list[str] = []
    made: list[Any] = []

    def begin(server: Server, token: str | None = None, refused: tuple[object, ...] = (), **more: Any) -> Any:
        context = chromium.new_context(viewport={"width": 1280, "height": 720}, base_url=server.where, **more)
        made.append(context)
        given = server.token if token is None else token
        if given:
            context.add_init_script(
                f"if (!sessionStorage.getItem('ropeway-token')) sessionStorage.setItem('ropeway-token', {json.dumps(given)})"
            )
        page = context.new_page()
        page.set_default_timeout(30_000)

        def heard(message: Any) -> None:
            if message.type in ("error", "warning") and not any(f"{told}" in message.text for told in refused):
                wrong.append(f"{message.type}: {message.text}")

        page.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", heard)
        page.on(
            "request", lambda request: None if request.url.startswith((server.where, "data:")) else wrong.append(f"asked {request.url}")
        )
        return page

    yield begin
    for context in made:
        context.close()
    assert not wrong


@pytest.fixture
def page(look: Look, server: Server) -> Any:
    """A page that is signed in, at the server of all."""
    return look(server)


def put(server: Server, queue: str, count: int = 1, body: str = '{{"to": "ada-{n}@example.org"}}', **query: str) -> list[str]:
    """Put jobs; their ids."""
    from urllib.parse import urlencode

    path = f"/v1/queues/{queue}/jobs?{urlencode(query)}"
    made = [server.ask("POST", path, body.format(n=n).encode(), Content_Type="application/json").json["id"] for n in range(count)]
    return [str(one) for one in made]


def fail(server: Server, queue: str, error: str) -> str:
    """Claim the first job of the queue, and give it up."""
    (job,) = server.ask("POST", f"/v1/queues/{queue}/claims").json
    assert server.post("/v1/bury", {"receipts": [job["receipt"]], "error": error}).status == 200
    return str(job["id"])
