"""Store URLs: taken apart strictly, shown without their secrets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.errors import ConfigError
from ropeway.url import hidden, parse_url

OWN = {"dir": frozenset({"mode"}), "memory": frozenset(), "postgresql": frozenset({"schema", "sslpassword"}), "https": frozenset({"token"})}


def test_the_parts() -> None:
    url = parse_url(
        "dir:/var/spool/my%20jobs?namespace=a.b&durability=os&acks=full&require=K&poll=2m&bell=off&timeout=5&dead_keep=7d&mode=660", OWN
    )
    assert (url.scheme, url.rest, url.namespace, url.durability, url.acks, url.require) == (
        "dir",
        "/var/spool/my jobs",
        "a.b",
        "os",
        "full",
        "K",
    )
    assert (url.poll, url.bell, url.timeout, url.dead_keep, url.more) == (120.0, "off", 5.0, 604800.0, {"mode": "660"})


def test_the_defaults() -> None:
    url = parse_url("memory:", OWN)
    assert (url.scheme, url.rest, url.namespace, url.durability, url.acks, url.require) == ("memory", "", "", "full", "os", "")
    assert (url.poll, url.bell, url.timeout, url.dead_keep, url.more) == (None, "on", 30.0, 0.0, {})


@pytest.mark.parametrize("rest", ["spool", "./a/b", "/", "a:b", "ä", "~/x", "a#b", ""])
def test_a_path_is_kept_as_it_is(rest: str) -> None:
    assert parse_url(f"dir:{rest}", OWN).rest == rest


def test_a_path_may_hold_any_byte_but_nul() -> None:
    assert parse_url("dir:a%3Fb%25c%FF", OWN).rest == "a?b%c\udcff"
    for nul in ("dir:a%00b", "dir:a\0b"):
        with pytest.raises(ConfigError):
            parse_url(nul, OWN)


def test_an_address_is_left_to_its_engine() -> None:
    assert parse_url("postgresql://u:p%40ss@host:5432/db?schema=x", OWN).rest == "//u:p%40ss@host:5432/db"


@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("", "dir:"),
        ("spool", "dir:"),
        ("/var/spool", "dir:"),
        ("nfs:spool", "memory:"),
        ("DIR:spool", "dir:"),
        ("dir:spool?colour=red", "colour"),
        ("memory:?mode=660", "mode"),
        ("dir:spool?poll=1&poll=2", "twice"),
        ("dir:spool?poll", "name=value"),
        ("dir:spool?=1", "name=value"),
        ("dir:spool?poll=", "poll"),
        ("dir:spool?poll=often", "poll"),
        ("dir:spool?timeout=-1", "timeout"),
        ("dir:spool?durability=some", "full os"),
        ("dir:spool?require=X", "P K R"),
        ("dir:spool?acks=", "os full"),
        ("dir:spool?dead_keep=x", "dead_keep"),
        ("dir:spool?namespace=../up", "namespace"),
        ("dir:spool?bell=perhaps", "on off udp://HOST:PORT"),
        ("memory:?bell=", "on off udp://HOST:PORT"),
        ("memory:?bell_secret=short", "16"),
        (None, "dir:spool"),
        (b"dir:spool", "dir:spool"),
    ],
    ids=ascii,
)
def test_what_cannot_be_understood_is_named(url: str, word: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_url(url, OWN)
    assert word in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:hunter2@host/db",
        "postgresql://user:hunter2@host/db?schema=x",
        "postgresql://:hunter2@host/db",
        "postgresql://user:p@hunter2@host/db",
        "postgresql://user:hunter2@x@host/db",
        "postgresql://host/db?sslpassword=hunter2",
        "postgresql://host/db?schema=a&sslpassword=hunter2&timeout=5",
        "https://user:hunter2@host/?token=hunter2",
        "https://host/?token=hunter2",
    ],
)
def test_secrets_are_hidden(url: str) -> None:
    assert "hunter2" not in hidden(url)
    assert "hunter2" not in parse_url(url, OWN).text
    assert "host" in hidden(url)


@pytest.mark.parametrize("tail", ["?poll=x", "?poll=1&poll=1", "?nothing=1", "?=", "?require=Z"])
def test_secrets_are_hidden_in_errors(tail: str) -> None:
    for url in (f"postgresql://user:hunter2@host/db{tail}", f"nosuch://user:hunter2@host/db{tail}", f"https://h/{tail}&token=hunter2"):
        with pytest.raises(ConfigError) as caught:
            parse_url(url, OWN)
        assert "hunter2" not in str(caught.value)


@given(st.text())
def test_any_text_is_a_url_or_a_config_error(text: str) -> None:
    for url in (text, f"dir:{text}", f"postgresql://{text}", f"memory:?{text}"):
        try:
            parse_url(url, OWN)
        except ConfigError as error:
            assert str(error).isprintable()
