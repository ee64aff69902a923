"""Why, over HTTP: the same causes as on the command line, and nothing of queues that a token may not see."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .conftest import Server, Start

OPERATOR, CLERK = "operator-operator-operator", "clerk-clerk-clerk-clerk"
TOKENS = f"""
[[token]]
name = "operator"
token = "{OPERATOR}"
produce = ["*"]
operate = ["*"]
observe = ["*"]

[[token]]
name = "clerk"
token = "{CLERK}"
observe = ["mails"]
"""


@pytest.fixture(scope="module")
def guarded(starter: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    file = Path(tmp_path_factory.mktemp("tokens")) / "tokens.toml"
    file.write_text(TOKENS)
    file.chmod(0o600)
    return starter("--token-file", str(file))


def put(server: Server, queue: str) -> str:
    answer = server.ask("POST", f"/v1/queues/{queue}/jobs", b"x", token=OPERATOR)
    assert answer.status == 201
    return str(answer.json["id"])


def test_a_job_and_its_queue(guarded: Server) -> None:
    job = put(guarded, "mails")
    assert guarded.post("/v1/queues/mails/pause", {"claim": True, "reason": "deploy"}, token=OPERATOR).status == 204
    found = guarded.ask("GET", f"/v1/jobs/{job}/why", token=CLERK).json
    assert (found["id"], found["queue"], found["state"]) == (job, "mails", "ready")
    assert [one["code"] for one in found["causes"]] == ["claim-stopped", "no-worker"]
    assert "deploy" in found["causes"][0]["text"]
    assert found["causes"][0]["unblock"] == "ropeway resume --claim mails"
    queue = guarded.ask("GET", "/v1/queues/mails/why", token=CLERK).json
    assert (queue["queue"], queue["causes"][0]["code"]) == ("mails", "claim-stopped")


def test_what_a_token_may_not_see_is_not_there(guarded: Server) -> None:
    job = put(guarded, "secret")
    hidden = guarded.ask("GET", f"/v1/jobs/{job}/why", token=CLERK)
    never = guarded.ask("GET", f"/v1/jobs/{job[:-4]}0000/why", token=CLERK)
    assert (hidden.status, hidden.json["causes"][0]["code"], hidden.json["queue"]) == (200, "gone", "")
    ages = re.compile(r"made \S+ ago")
    same = [ages.sub("", str(answer.json).replace(one, "")) for answer, one in ((hidden, job), (never, f"{job[:-4]}0000"))]
    assert same[0] == same[1]
    assert "spool" not in same[0], "nor where the store is"
    assert guarded.ask("GET", f"/v1/jobs/{job}/why?queue=secret", token=CLERK).status == 403
    assert guarded.ask("GET", "/v1/queues/secret/why", token=CLERK).status == 403
    assert guarded.ask("GET", f"/v1/jobs/{job}/why", token=OPERATOR).json["causes"][0]["code"] == "no-worker"


def test_what_is_asked_wrongly(guarded: Server) -> None:
    assert guarded.ask("GET", "/v1/jobs/nonsense/why", token=OPERATOR).status == 400
    assert guarded.ask("GET", f"/v1/jobs/{'0' * 32}/why?other=1", token=OPERATOR).status == 400
    assert guarded.ask("POST", f"/v1/jobs/{'0' * 32}/why", b"", token=OPERATOR).status == 405
