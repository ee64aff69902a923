"""Redis URLs: taken apart as users of redis-py expect, refused in words, shown without secrets; and TLS for real."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ropeway.errors import ConfigError, StoreError
from ropeway.stores import ENGINES, open_store
from ropeway.stores.redis.address import Address, read_address
from ropeway.testing.contract.harness import HOLDER
from ropeway.url import parse_url

from .conftest import Opener, Serve, make
from .servers import free_port

BAD = """
redis:x redis://h:0 redis://h:99999 redis://h/x redis://h/0/1 redis://h/1?db=2 redis://h?wait=x redis+sentinel://h redis+cluster://h/1
redis://h?ssl_ca_certs=x redis://h?sentinel_password=x rediss://h?ssl_cert_reqs=x redis://a%20b rediss://h?ssl_check_hostname=maybe
redis://h?bell=udp://0.0.0.0:1
""".split()  # noqa: SIM905 - more than a line of them


def read(url: str) -> Address:
    return read_address(parse_url(url, {scheme: row[3] for scheme, row in ENGINES.items()}))


@pytest.mark.parametrize(
    ("url", "kind", "hosts", "db"),
    [
        ("redis://", "redis", [("localhost", 6379)], 0),
        ("redis://db", "redis", [("db", 6379)], 0),
        ("redis://db:7000/3", "redis", [("db", 7000)], 3),
        ("redis://db?db=3", "redis", [("db", 6379)], 3),
        ("redis://[::1]:7000/", "redis", [("::1", 7000)], 0),
        ("redis+sentinel://a,b:7/mymaster/2", "sentinel", [("a", 26379), ("b", 7)], 2),
        ("redis+cluster://a:1,b", "cluster", [("a", 1), ("b", 6379)], 0),
    ],
)
def test_the_forms(url: str, kind: str, hosts: list[tuple[str, int]], db: int) -> None:
    address = read(url)
    assert (address.kind, list(address.hosts), address.db, address.tls) == (kind, hosts, db, False)
    assert read(url.replace("redis", "rediss", 1)).tls


@pytest.mark.parametrize(
    ("login", "user", "password"),
    [("", None, None), (":p@", None, "p"), ("u:p%40%2F%3A@", "u", "p@/:"), ("u@", "u", None), ("u:p@x@", "u", "p@x")],
)
def test_who_we_are(login: str, user: str | None, password: str | None) -> None:
    address = read(f"redis://{login}db/1")
    assert (address.username, address.password, address.hosts[0][0]) == (user, password, "db")


@pytest.mark.parametrize(
    "bad",
    BAD,
)
def test_what_cannot_be_understood_is_refused_without_its_secrets(bad: str) -> None:
    for url in (bad, bad.replace("://", "://u:hunter2@", 1)):
        with pytest.raises(ConfigError) as caught:
            open_store(url)
        assert "hunter2" not in str(caught.value)


def test_the_password_of_the_sentinels_is_no_part_of_what_is_shown() -> None:
    store = open_store("redis+sentinel://:hunter2@h/m?sentinel_password=hunter2")
    assert "hunter2" not in store.url
    store.close()


def test_over_tls(serve: Serve, opened: Opener, tmp_path: Path) -> None:
    if not shutil.which("openssl"):
        pytest.skip("no openssl to make a certificate with")
    for name in ("server", "other"):
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}"),
                *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", f"{tmp_path}/{name}.key", "-out", f"{tmp_path}/{name}.crt"),
            ],
            check=True,
            capture_output=True,
        )
    port = free_port()
    files = {
        "tls_cert_file": f"{tmp_path}/server.crt",
        "tls_key_file": f"{tmp_path}/server.key",
        "tls_ca_cert_file": f"{tmp_path}/server.crt",
    }
    serve(tls_port=str(port), tls_auth_clients="no", **files)
    store = opened(f"rediss://127.0.0.1:{port}?ssl_ca_certs={tmp_path}/server.crt")
    assert store.put([make(body=b"x" * 300_000) for _ in range(20)]) == [True] * 20
    assert len(store.claim(["q"], 20, 30.0, HOLDER)) == 20
    assert store.wait(["q"], 0.1) is False
    for wrong in (f"?ssl_ca_certs={tmp_path}/other.crt", ""):
        with pytest.raises(StoreError, match="cannot be reached") as caught:
            opened(f"rediss://127.0.0.1:{port}{wrong}").put([make()])
        assert caught.value.definite
    assert opened(f"rediss://127.0.0.1:{port}?ssl_cert_reqs=none").queues() == ["q"]
    with pytest.raises(StoreError):
        opened(f"redis://127.0.0.1:{port}?timeout=2s").put([make()])
