"""The log: one event a line whatever is in it, no secrets, text or JSON."""

from __future__ import annotations

import io
import json
import logging
import math
import re

import pytest

from ropeway.errors import ConfigError
from ropeway.log import censored, chosen, setup

HOSTILE = "mail\r\nFAKE 2026-01-01 INFO\x1b[2J\u2028next\x00 \x9b1m end"


@pytest.fixture(autouse=True)
def _nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROPEWAY_LOG", raising=False)


def written(mode: str, *args: object, **more: object) -> str:
    out = io.StringIO()
    setup(mode, "debug", out)
    logging.getLogger("ropeway.worker").warning(*args, **more)  # type: ignore[arg-type]
    return out.getvalue()


@pytest.mark.parametrize("mode", ["text", "json"])
def test_one_event_is_one_line(mode: str) -> None:
    text = written(mode, "put %s", HOSTILE, extra={"queue": HOSTILE})
    assert len(text.splitlines()) == 1
    assert not [c for c in text.rstrip("\n") if not c.isprintable()]
    if mode == "json":
        event = json.loads(text)
        assert event["level"] == "warning"
        assert "\\x1b[2J" in event["text"]
        assert event["queue"].startswith("mail\\r\\nFAKE")


def test_text_lines_have_time_level_and_fields() -> None:
    text = written("text", "it happened", extra={"queue": "mails", "count": 3, "why": 'a "b"'})
    assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z WARNING ropeway\.worker: it happened queue=mails count=3 why=", text)


@pytest.mark.parametrize("mode", ["text", "json"])
def test_secrets_are_not_logged(mode: str) -> None:
    text = written(
        mode,
        "connected to %s with Authorization: Bearer abcdef123456 and password=hunter2 and {'api_key': 'hunter2'}",
        "postgresql://bob:hunter2@db/jobs?token=hunter2",
        extra={"token": "hunter2", "auth": "Basic aHVudGVyMg=="},
    )
    assert "hunter2" not in text
    assert "abcdef123456" not in text
    assert "aHVudGVyMg" not in text
    assert "bob" in text
    assert censored("the queue is called tokens; 5 passwords") == "the queue is called tokens; 5 passwords"


def test_a_traceback_is_kept_and_tamed() -> None:
    def failing() -> None:
        raise ValueError(f"no {HOSTILE} password=hunter2")

    for mode in ("text", "json"):
        out = io.StringIO()
        setup(mode, "debug", out)
        try:
            failing()
        except ValueError:
            logging.getLogger("ropeway").exception("it failed")
        text = out.getvalue()
        assert "hunter2" not in text
        assert "in failing" in text
        assert not [c for c in text.replace("\n", "") if not c.isprintable()]
        if mode == "json":
            assert "in failing" in json.loads(text)["traceback"]
        else:
            assert all(line.startswith("  | ") for line in text.splitlines()[1:])


def test_a_long_event_is_cut_and_a_broken_one_is_not_lost() -> None:
    assert len(written("text", "x" * 100_000)) < 10_000
    assert "one two" in written("text", "one %s two %s", "three") or "one %s two" in written("text", "one %s two %s", "three")
    event = json.loads(written("json", "n", extra={"n": math.nan, "o": object(), "level": "planted"}))
    assert event["n"] == "nan"
    assert event["level"] == "warning"  # a field cannot take the place of the log's own


def test_the_environment_chooses(monkeypatch: pytest.MonkeyPatch) -> None:
    assert chosen("") == ("text", "info")
    assert chosen("json") == ("json", "info")
    assert chosen("JSON,debug") == ("json", "debug")
    assert chosen("error:text") == ("text", "error")
    with pytest.raises(ConfigError, match="loud"):
        chosen("loud")
    monkeypatch.setenv("ROPEWAY_LOG", "json,error")
    out = io.StringIO()
    setup(stream=out)
    logging.getLogger("ropeway").warning("not this")
    logging.getLogger("ropeway").error("this")
    assert [json.loads(line)["text"] for line in out.getvalue().splitlines()] == ["this"]
    with pytest.raises(ConfigError):
        setup(level="loud")


def test_set_up_twice_logs_once() -> None:
    out = io.StringIO()
    setup("text", "info", out)
    setup("text", "info", out)
    logging.getLogger("ropeway").info("once")
    assert out.getvalue().count("once") == 1


def test_what_a_line_is_about_stands_in_fields_of_json_only() -> None:
    about = {"job": "0" * 32, "queue": "mails", "seconds": 0.25, "token": "hunter2", "error": HOSTILE}
    event = json.loads(written("json", "job %s is dead", "0" * 32, extra={"about": about, "host": "web"}))
    assert (event["job"], event["queue"], event["seconds"], event["host"]) == ("0" * 32, "mails", 0.25, "web")
    assert event["token"] == "***" and event["error"].isprintable()
    text = written("text", "job is dead", extra={"about": about, "host": "web"})
    assert "host=web" in text and "queue=" not in text, "the text says it in words already"
    assert "about" not in json.loads(written("json", "x", extra={"about": "no dictionary"}))


def test_the_log_of_a_worker_in_json() -> None:
    from ropeway.broker import Broker
    from ropeway.errors import Discard
    from ropeway.link import Link

    out = io.StringIO()
    setup("json", "debug", out)
    with Broker(Link("memory:"), config=False) as broker:

        @broker.task(queue="mails")
        def send(number: int) -> None:
            if number:
                raise Discard("no such user")

        good, bad = send.map([0, 1])
        broker.worker("mails", drain=True).run()
    events = [json.loads(line) for line in out.getvalue().splitlines()]
    ended = {event["job"]: event for event in events if event.get("outcome") in ("done", "buried")}
    assert (ended[good.id]["outcome"], ended[good.id]["queue"], ended[good.id]["attempt"]) == ("done", "mails", 1)
    (dead,) = [event for event in events if event.get("outcome") == "dead"]
    assert (dead["job"], dead["level"], dead["error"], dead["logger"]) == (bad.id, "warning", "no such user", "ropeway.worker")
