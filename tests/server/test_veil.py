"""What of a job's content is shown to whom: secrets only to who may do everything on the queue, and claims as they were put."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import ropeway
from ropeway.config import HIDDEN
from ropeway.errors import NotAllowed
from ropeway.server.veil import Veil

from .conftest import Server, Start

TOKENS = """
[[token]]
name = "all"
token = "this-token-may-everything"
produce = ["*"]
consume = ["*"]
operate = ["*"]
observe = ["*"]

[[token]]
name = "wall"
token = "this-token-may-only-look"
observe = ["*"]
produce = ["other"]

[[token]]
name = "hand"
token = "this-token-may-take-jobs"
consume = ["*"]
"""
ALL, WALL, HAND = "this-token-may-everything", "this-token-may-only-look", "this-token-may-take-jobs"
BODY = b'{"user": "ada",  "Password": "hunter2", "deep": [{"api-key": 7, "note": null}], "access_token": null}'
HIDDEN_BODY = {"user": "ada", "Password": "***", "deep": [{"api-key": "***", "note": None}], "access_token": None}


@pytest.fixture(scope="module")
def server(starter: Start, tmp_path_factory: pytest.TempPathFactory) -> Server:
    file = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    file.write_text(TOKENS)
    file.chmod(0o600)
    return starter("--token-file", str(file))


def _put(server: Server, queue: str, body: bytes, kind: str = "application/json", **headers: str) -> str:
    return str(server.ask("POST", f"/v1/queues/{queue}/jobs", body, token=ALL, Content_Type=kind, **headers).json["id"])


def test_names_of_secrets_are_known_however_they_are_written() -> None:
    veil = Veil(HIDDEN)
    assert all(map(veil.hides, ("password", "DB_PASSWORD", "apiKey", "api-key", "X-Api.Key", "refresh_token", "Authorization", "pwd")))
    assert not any(map(veil.hides, ("user", "pass", "key", "to", "path", "")))
    assert not Veil(()).hides("password")


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        (BODY, "application/json", msgspec.json.encode(HIDDEN_BODY)),
        (b'{"a":  1}', "application/json", b'{"a":  1}'),
        (b"login password=hunter2&user=ada", "text/plain", b"login password=***&user=ada"),
        (b'{"token": "abc", broken', "application/json", b'{"token": "***", broken'),
        (b"api_key: s3cr3t\nuser: ada\n", "application/yaml", b"api_key: ***\nuser: ada\n"),
        (b"\xff\xfe\x00", "application/octet-stream", b""),
        (msgspec.msgpack.encode({"secret": 1, "n": 2}), "application/msgpack", msgspec.msgpack.encode({"secret": "***", "n": 2})),
        (b"", "application/json", b""),
        (b"[" * 5000 + b"]" * 5000, "application/json", None),
        (b'{"password":' * 200 + b"1" + b"}" * 200, "application/json", b'{"password":"***"}'),
        (b'{"a":' * 100 + b'{"password": 1}' + b"}" * 100, "application/json", None),
    ],
)
def test_a_body_without_its_secrets(body: bytes, kind: str, shown: bytes | None) -> None:
    told = Veil(HIDDEN).content(body, kind)
    assert shown is None or told == shown
    assert b"hunter2" not in told
    assert b'"password": 1' not in told


def test_who_only_looks_sees_no_secrets_and_who_may_everything_sees_all(server: Server) -> None:
    job_id = _put(server, "q", BODY, **{"Ropeway-H-Authorization": "Bearer abcdef", "Ropeway-H-Tenant": "7"})
    row = server.ask("GET", f"/v1/jobs/{job_id}", token=WALL).json
    assert json.loads(row["body"]) == HIDDEN_BODY
    assert row["headers"] == {"authorization": "***", "tenant": "7", "ropeway-redacted": "body"}
    (listed,) = server.ask("GET", "/v1/jobs?queue=q", token=WALL).json["jobs"]
    assert json.loads(listed["body"]) == HIDDEN_BODY
    assert b"hunter2" not in server.ask("GET", f"/v1/jobs/{job_id}/body", token=WALL).body
    assert b"hunter2" not in server.ask("GET", "/status/q?with_desc=1", token=WALL).body
    for path in (f"/v1/jobs/{job_id}", "/v1/jobs?queue=q"):
        assert b"hunter2" in server.ask("GET", path, token=ALL).body
    assert server.ask("GET", f"/v1/jobs/{job_id}/body", token=ALL).body == BODY
    assert server.ask("GET", f"/v1/jobs/{job_id}", token=ALL).json["headers"] == {"authorization": "Bearer abcdef", "tenant": "7"}


def test_a_claim_is_as_it_was_put(server: Server) -> None:
    _put(server, "claimed", BODY)
    answer = server.ask("POST", "/v1/queues/claimed/claims", token=HAND)
    assert BODY in answer.body


def test_a_search_does_not_find_what_is_hidden(server: Server) -> None:
    _put(server, "sought", BODY)
    for text, there in (("hunter2", 0), ("hunt", 0), ("ada", 1)):
        assert len(server.ask("GET", f"/v1/jobs?queue=sought&q={text}", token=WALL).json["jobs"]) == there
        assert server.ask("GET", f"/v1/totals?queue=sought&q={text}", token=WALL).json["totals"]["ready"] == there
        assert len(server.ask("GET", f"/v1/jobs?queue=sought&q={text}", token=ALL).json["jobs"]) == 1


def test_what_cannot_be_told_is_not_shown(server: Server) -> None:
    job_id = _put(server, "bytes", b"\xff\x00\x01", "application/octet-stream")
    row = server.ask("GET", f"/v1/jobs/{job_id}", token=WALL).json
    assert "body" not in row
    assert "body_base64" not in row
    assert row["size"] == 3
    assert server.ask("GET", f"/v1/jobs/{job_id}/body", token=WALL).status == 403
    large = _put(server, "bytes", b'{"password": "hunter2", "x": "' + b"x" * 20_000 + b'"}')
    assert b"hunter2" not in server.ask("GET", f"/v1/jobs/{large}", token=WALL).body
    assert b"hunter2" not in server.ask("GET", f"/v1/jobs/{large}/body", token=WALL).body


def test_the_engine_hides_it_too_and_nothing_is_carried_so(server: Server, tmp_path: Path) -> None:
    _put(server, "far", BODY)
    source = server.where.replace("://", f"://:{WALL}@")
    with ropeway.connect(source, config=False) as looking:
        (entry,) = looking.queue("far").browse()
        assert json.loads(entry.job.body) == HIDDEN_BODY
        assert not looking.queue("far").browse(text="hunter2")
        with ropeway.connect(f"dir:{tmp_path}/copy", config=False) as target:
            with pytest.raises(NotAllowed, match="may do everything"):
                looking.copy(target, "far")
            assert target.queue("far").counts().ready == 0
    with ropeway.connect(server.where.replace("://", f"://:{HAND}@"), config=False) as working:
        assert working.queue("far").browse()[0].job.body == BODY


def test_the_setting_names_what_is_hidden(starter: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "tokens.toml"
    file.write_text(TOKENS)
    file.chmod(0o600)
    (tmp_path / "ropeway.toml").write_text('[server]\nredact = ["iban*"]\n')
    monkeypatch.setenv("ROPEWAY_CONFIG", str(tmp_path / "ropeway.toml"))
    server = starter("--token-file", str(file))
    job_id = _put(server, "q", b'{"password": "seen", "IBAN-code": "DE1"}')
    row = server.ask("GET", f"/v1/jobs/{job_id}", token=WALL).json
    assert json.loads(row["body"]) == {"password": "seen", "IBAN-code": "***"}


def test_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ropeway.toml").write_text('[server]\nredact = [" "]\n')
    with pytest.raises(ropeway.ConfigError, match=r"server\.redact"):
        _ = ropeway.connect("memory:", config=str(tmp_path / "ropeway.toml")).config
