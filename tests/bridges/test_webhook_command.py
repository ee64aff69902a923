"""The command: real processes, of which one is killed while it delivers."""

from __future__ import annotations

import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import ropeway

from .receiver import always, receiving

SECRET = "whsec_" + "c2VjcmV0" * 4


@contextmanager
def sender(url: str, *args: str, env: dict[str, str] | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The process, once it says where it sends to; ended afterwards, and well unless it was killed."""
    command = [sys.executable, "-m", "ropeway", "bridge", *args]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env={**os.environ, "ROPEWAY_URL": url, **(env or {})})
    assert process.stderr is not None
    first = process.stderr.readline().decode()
    assert first.startswith("webhooks of "), first + process.stderr.read().decode()
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=40)
    assert process.returncode in (0, -signal.SIGKILL), told.decode()


def test_killed_while_it_delivers_nothing_is_lost(tmp_path: Path) -> None:
    """The receiver has read the first messages, and has not answered, when the sender is killed. What it had in its hands comes again, by
    the same ids; what waited comes too."""
    url = f"dir:{tmp_path}/spool?durability=os"
    killed = threading.Event()

    def script(_: int) -> tuple[int, dict[str, str], bytes]:
        killed.wait(60)
        return 200, {}, b""

    with receiving(script) as receiver, ropeway.connect(url) as broker:
        args = [f"webhook:{receiver.url}", "--group", "shop", "--allow", "127.0.0.1", "-j", "2"]
        with sender(url, *args, "--topic", "orders.#") as first:
            sent = {broker.topic("orders.created").publish({"id": number}).id for number in range(6)}
            assert receiver.came.acquire(timeout=30)
            assert receiver.came.acquire(timeout=30)
            first.kill()
            first.wait(20)
        interrupted = [got.headers["webhook-id"] for got in receiver.got]
        killed.set()
        with sender(url, *args):
            end = time.monotonic() + 60
            while broker.queue("_group.shop").counts().running or len(broker.queue("_group.shop")):
                assert time.monotonic() < end
                time.sleep(0.02)
        came = [got.headers["webhook-id"] for got in receiver.got]
    assert len(interrupted) == 2
    assert set(came) == sent
    assert sorted(came) == sorted([*sent, *interrupted])
    again = [got for got in receiver.got if got.headers["webhook-id"] in interrupted]
    assert sorted(got.headers["Ropeway-Attempt"] for got in again) == ["1", "1", "2", "2"]


def test_a_queue_signed_by_a_variable_and_what_is_said_of_it(tmp_path: Path) -> None:
    url = f"dir:{tmp_path}/spool?durability=os"
    with receiving(always(200)) as receiver, ropeway.connect(url) as broker:
        broker.queue("thumbs").put("x")
        where = receiver.url.replace("hooks", "SLACK-LIKE-KEY")
        command = ["bridge", f"webhook:{where}", "thumbs", "--allow", f"127.0.0.1:{receiver.port}", "--drain", "--secret-env", "HOOK"]
        env = {**os.environ, "ROPEWAY_URL": url, "HOOK": SECRET}
        ended = subprocess.run([sys.executable, "-m", "ropeway", "-v", *command], capture_output=True, timeout=60, env=env)
        assert ended.returncode == 0, ended.stderr
        (got,) = receiver.got
        assert got.headers["webhook-signature"].startswith("v1,")
        said = ended.stdout + ended.stderr
        assert f"webhooks of thumbs of dir:{tmp_path}/spool?durability=os go to http://127.0.0.1:{receiver.port}/...".encode() in said
        assert b"SLACK-LIKE-KEY" not in said
        assert SECRET.encode() not in said


def test_over_tls_to_a_name_whose_certificate_is_checked(tmp_path: Path) -> None:
    """By the address that was judged, and under the name of the URL. A certificate that nobody vouches for is refused; one that the system
    trusts is taken, unless it is another's."""
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    pem, key = str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:localhost", "-keyout", key, "-out", pem], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, key)
    url = f"dir:{tmp_path}/spool?durability=os"
    with receiving(always(200), context) as receiver, ropeway.connect(url) as broker:

        def send(host: str, **env: str) -> tuple[int, list[str]]:
            broker.queue("thumbs").put("x")
            where = [f"webhook:https://{host}:{receiver.port}/", "thumbs", "--allow", host, "--drain", "--retries", "1"]
            whole = {**os.environ, "ROPEWAY_URL": url, **env}
            ended = subprocess.run([sys.executable, "-m", "ropeway", "-q", "bridge", *where], capture_output=True, timeout=60, env=whole)
            errors = [entry.history[-1].error for entry in broker.queue("thumbs").browse(state="dead")]
            broker.queue("thumbs").delete(state="dead")
            return ended.returncode, errors

        code, errors = send("localhost")
        assert (code, "CERTIFICATE_VERIFY_FAILED" in errors[0]) == (10, True)
        assert send("localhost", SSL_CERT_FILE=pem) == (0, [])
        code, errors = send("127.0.0.1", SSL_CERT_FILE=pem)
        assert (code, "CERTIFICATE_VERIFY_FAILED" in errors[0]) == (10, True)
        assert [got.body for got in receiver.got] == [b"x"]


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (["webhook:https://localhost/", "q"], b"--allow localhost"),
        (["webhook:http://hook.example.org/", "q"], b"Take https://"),
        (["webhook:https://127.0.0.1/", "q"], b"no public address"),
        (["webhook:https://hook.example.org/"], b"send what?"),
        (["webhook:https://hook.example.org/", "q", "--group", "g"], b"not both"),
        (["webhook:https://hook.example.org/", "--topic", "a.#"], b"--group NAME"),
        (["webhook:https://hook.example.org/", "q", "--open"], b"--open is for syslog:"),
        (["webhook:https://hook.example.org/", "q", "--secret-env", "NOT_THERE"], b"no variable"),
        (["webhook:https://hook.example.org/", "q", "--run-timeout", "0"], b"timeout of 0"),
        (["webhook:https://hook.example.org/", "--group", "none"], b"there is no group"),
        (["syslog:", "q", "--allow", "x"], b"--allow is for webhook:"),
        (["syslog:"], b"say which"),
        (["imap:", "q"], b"no source"),
    ],
)
def test_what_is_refused(args: list[str], why: bytes, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ropeway", "-u", f"dir:{tmp_path}/spool", "bridge", *args]
    ended = subprocess.run(command, capture_output=True, timeout=30)
    assert ended.returncode in (2, 3), ended.stderr
    assert why in ended.stderr
    assert b"nothing" in ended.stderr
