"""What is hidden, by name and by shape; and what is not."""

from __future__ import annotations

import pytest

from ropeway.sight.board import plain
from ropeway.sight.secrets import GONE, censored, command_line, environment, is_secret

NAMES = """
    DB_PASSWORD PGPASSWORD MYSQL_PWD API_KEY api-key apikey AWS_SECRET_ACCESS_KEY AWS_ACCESS_KEY_ID GITHUB_TOKEN token AUTH_KEY PIN SALT
    SESSION_COOKIE PRIVATE_PEM SENTRY_DSN KEY SIGNING_KEY ENCRYPTION_KEY CONNECTION_STRING passphrase my_credentials SSH_PASS Authorization
"""
PLAIN_NAMES = """
    PATH HOME USER LANG PWD OLDPWD SHELL EDITOR KEYBOARD MONKEY PASSENGERS TOKYO HOSTNAME XDG_SESSION_ID VIRTUAL_ENV phase workers
"""


@pytest.mark.parametrize("name", NAMES.split())
def test_these_names_hide_what_stands_behind_them(name: str) -> None:
    assert is_secret(name)
    assert environment({name: "hunter"}) == {name: GONE}


@pytest.mark.parametrize("name", PLAIN_NAMES.split())
def test_these_do_not(name: str) -> None:
    assert not is_secret(name)
    assert environment({name: "hunter"}) == {name: "hunter"}


SHAPES = [
    "AK" + "IAIOSFODNN7EXAMPLE",
    "gh" + "p_16C7e42F292c6912E7710c838347Ae178B4a",
    "github_pat_11ABCDEFG0abcdefghijkl_mnopqrstuv",
    "glpat-abcdefghij1234567890",
    "xoxb-123456789012-abcdefghijkl",
    "sk-proj-abcdefghij1234567890",
    "sk_live_abcdefghij1234567890",
    "AIzaSyA-abcdefghijklmnopqrstuvwxyz12345",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "-----BEGIN RSA " + "PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----",
    "Bearer abcdef123456",
    "Basic dXNlcjpodW50ZXI=",
]


@pytest.mark.parametrize("secret", SHAPES)
def test_these_shapes_are_hidden_wherever_they_stand(secret: str) -> None:
    kept = secret.split()[-1] if secret.startswith(("Bearer", "Basic")) else secret
    assert kept not in censored(f"before {secret} after")
    assert kept not in environment({"X": f"a {secret}"})["X"]
    assert kept not in " ".join(command_line(["prog", secret, f"--x={secret}"]))
    assert kept not in str(plain({"deep": [secret]}))


URLS = [
    "postgresql://me:hunter22@host/db",
    "redis://:hunter22@host:6379/0",
    "amqp://u:p@hunter22@host",
    "https://host/x?token=hunter22&y=1",
    "https://host/x?api_secret=hunter22",
]


@pytest.mark.parametrize("url", URLS)
def test_passwords_in_urls(url: str) -> None:
    for text in (
        censored(f"connecting to {url}, now"),
        environment({"DATABASE_URL": url})["DATABASE_URL"],
        command_line(["x", f"--url={url}"])[1],
    ):
        assert "hunter22" not in text
        assert "host" in text


def test_by_chance() -> None:
    for drawn in (
        "q8ZK2mW5xV1bN4tY7uI0",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "YWJjZGVmZ2hpams5OTg3NjU0MzIxMAo=",
    ):
        assert environment({"X": drawn}) == {"X": GONE}
        assert command_line(["prog", drawn, f"--x={drawn}"]) == ["prog", GONE, f"--x={GONE}"]
    for plain_one in (
        "/usr/lib/python3.11/site-packages",
        "en_US.UTF-8",
        "web-1.eu-west-1.internal.example",
        "a sentence with 20 words",
        "1234567890123456789012",
    ):
        assert environment({"X": plain_one}) == {"X": plain_one}


def test_the_word_behind_an_option_that_names_a_secret() -> None:
    assert command_line(["x", "--password", "abc", "--token", "-v", "--name", "ada"]) == [
        "x",
        "--password",
        GONE,
        "--token",
        "-v",
        "--name",
        "ada",
    ]


def test_it_is_quick_whatever_the_text() -> None:
    """Nothing in it may take quadratic time: the text is the program's."""
    from time import process_time

    for text in (
        "a" * 200_000,
        "://" * 50_000,
        "password" * 20_000,
        "eyJ" * 60_000,
        "=" * 100_000,
        "Bearer " * 30_000,
        ("-----BEGIN " + "PRIVATE KEY-----") * 5000,
    ):
        start = process_time()
        censored(text)
        command_line([text])
        assert process_time() - start < 2.0, text[:20]
