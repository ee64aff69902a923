"""For all tests: services that may be missing, and the rule that no test leaves a process behind."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

import servers
from ropeway.sight.here import here
from ropeway.worker.figures import at_work

MARK = "ROPEWAY_TEST_RUN"


# -- services: a test marked service("postgresql") gets its URL by the fixture service_url: $ROPEWAY_TEST_POSTGRESQL, or a server of our own


def service_variable(name: str) -> str:
    """The environment variable that says where a service is."""
    return f"ROPEWAY_TEST_{name.upper()}"


def missing_service(name: str) -> str:
    """Why this service cannot be used, empty when it can."""
    url = os.environ.get(service_variable(name), "")
    if not url:
        try:
            url = os.environ[service_variable(name)] = servers.shared(name)
        except servers.Missing as missing:
            return str(missing)
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "127.0.0.1", parts.port or 0), timeout=5):
            return ""
    except OSError as error:
        return f"no {name} at {parts.hostname}:{parts.port}: {error}"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A missing service skips at home and fails in CI: there, a skipped test is a test that nobody runs."""
    for marker in item.iter_markers("service"):
        if not marker.args:
            pytest.fail("say which: pytest.mark.service('postgresql')", pytrace=False)
        for name in marker.args:
            why = missing_service(name)
            if why and os.environ.get("CI", "").lower() in {"", "0", "false"}:
                pytest.skip(why)
            elif why:
                pytest.fail(f"{why} (in CI a missing service is a failure)", pytrace=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with tests that are marked slow go first. A crew keeps the file that it has begun, so one of them at the end would leave the
    other crews with nothing to do."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def service_url(request: pytest.FixtureRequest) -> str:
    """The URL of the service that the test is marked with."""
    marker = request.node.get_closest_marker("service")
    assert marker, "mark the test: pytest.mark.service('postgresql')"
    return os.environ[service_variable(marker.args[0])]


# -- the caller's own settings: no test may depend on them, or write to a store of theirs


@pytest.fixture(scope="session", autouse=True)
def _nobodys_settings() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ROPEWAY_") and not name.startswith("ROPEWAY_TEST_")]:
            patch.delenv(name)
        patch.delenv(
            "PYTHONDONTWRITEBYTECODE", raising=False
        )  # or each of the thousands of processes that tests start compiles it all anew
        yield


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c_is_heard() -> None:
    """A shell starts what it runs in the background with SIGINT ignored, and every process that a test starts would inherit that: then
    what the tests say of Ctrl-C is not true."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _no_log_outlives_a_test() -> Iterator[None]:
    """Where the log goes and what makes its records is as it was at first, whatever a command line or the fixture of a file has set up
    in this process. Else pytest would give our logger its own handler in the next test, as it does where nothing propagates: and that
    one raises where we only tell of a broken event."""
    yield
    for logger in (logging.getLogger("ropeway"), logging.getLogger("uvicorn")):
        logger.handlers, logger.propagate = [], True
        logger.setLevel(logging.NOTSET)  # not the attribute: loggers remember what they are enabled for until one is told a level
    logging.setLogRecordFactory(logging.LogRecord)


@pytest.fixture(autouse=True)
def _workers_of_one_test_are_not_seen_by_the_next() -> Iterator[None]:
    """A worker that a test made by hand and never sent home stays in the lists that the process shows of itself."""
    lists = at_work, here().workers
    kept = [[*one] for one in lists]
    yield
    for one, before in zip(lists, kept, strict=True):
        one[:] = before  # type: ignore[index]


# -- processes: each one that a test starts carries the mark of this run in its environment, whoever its parent is by then


@pytest.fixture(scope="session", autouse=True)
def _no_process_is_left_behind() -> Iterator[None]:
    mark = uuid4().hex
    before = os.environ.get(MARK)
    os.environ[MARK] = mark
    yield
    if before is None:
        os.environ.pop(MARK, None)
    else:
        os.environ[MARK] = before
    left = [shown for shown in _marked(f"{MARK}={mark}".encode()) if "resource_tracker" not in shown]
    assert not left, "processes left behind:\n" + "\n".join(left)


def _marked(mark: bytes) -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if int(entry.name) != os.getpid() and mark in (entry / "environ").read_bytes().split(b"\0"):
                yield f"{entry.name} {(entry / 'cmdline').read_bytes().replace(bytes(1), b' ').decode(errors='replace')[:160]}"
        except OSError:
            continue  # gone, or not ours
