"""A browser, a server of its own, and what a page must never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from server.conftest import Server, Start, starter

__all__ = ["starter"]

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), "")


@pytest.fixture(scope="module")
def server(starter: Start) -> Server:
    return starter()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for a module. Without one the tests skip at home and fail in CI."""
    if not CHROMIUM:
        if os.environ.get("CI", "") not in ("", "0", "false"):
            pytest.fail("there is no chromium; ./dev test installs it")
        pytest.skip("there is no chromium; install it to see these tests run")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any, server: Server) -> Iterator[Any]:
    """A page that is signed in. Whatever it opens, logs as an error or violates fails the test."""
    wrong: list[str] = []
    context = chromium.new_context(
        http_credentials={"username": "me", "password": server.token}, viewport={"width": 1280, "height": 720}, base_url=server.where
    )
    made = context.new_page()
    made.set_default_timeout(60_000)
    made.on("dialog", lambda dialog: (wrong.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    made.on("pageerror", lambda error: wrong.append(f"error: {error}"))
    made.on(
        "console", lambda message: wrong.append(message.text) if message.type == "error" and "status of 4" not in message.text else None
    )
    made.on("request", lambda request: None if request.url.startswith((server.where, "data:")) else wrong.append(f"asked {request.url}"))
    yield made
    context.close()
    assert not wrong
