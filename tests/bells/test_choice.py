"""The option `bell` of a URL, and its secret, which is never shown."""

from __future__ import annotations

import pytest
from rich.pretty import pretty_repr

from ropeway.bells.choice import read_choice
from ropeway.errors import BadValue, ConfigError
from ropeway.stores import open_store
from ropeway.url import parse_url

SECRET = "correct horse battery"


@pytest.mark.parametrize(
    ("text", "host", "first", "last", "far"),
    [
        ("udp://127.0.0.1:4711", "127.0.0.1", 4711, 4774, False),
        ("udp://127.0.0.1:4711-4712", "127.0.0.1", 4711, 4712, False),
        ("udp://127.0.0.1:0", "127.0.0.1", 0, 0, False),
        ("udp://127.0.0.1", "127.0.0.1", 0, 0, False),
        ("udp://localhost:4711", "127.0.0.1", 4711, 4774, False),
        ("udp://[::1]:65535", "::1", 65535, 65535, False),
        ("udp://0.0.0.0:4711", "0.0.0.0", 4711, 4774, True),
        ("udp://[::]:4711/", "::", 4711, 4774, True),
        ("udp://192.0.2.7:65500", "192.0.2.7", 65500, 65535, True),
        ("udp://[2001:DB8::7]", "2001:db8::7", 0, 0, True),
        ("udp://worker-1.example.org:4711", "worker-1.example.org", 4711, 4774, True),
    ],
)
def test_over_udp(text: str, host: str, first: int, last: int, far: bool) -> None:
    choice = read_choice({"bell": text})
    assert (choice.kind, choice.host, choice.first, choice.last, choice.far, choice.secret) == ("udp", host, first, last, far, b"")


@pytest.mark.parametrize("options", [{}, {"bell": "on"}, {"bell": "off"}])
def test_without(options: dict[str, str]) -> None:
    choice = read_choice(options)
    assert (choice.kind, choice.far) == (options.get("bell", "on"), False)


@pytest.mark.parametrize(
    "text",
    [
        "", "yes", "ON", "udp", "udp:", "udp://", "udp://:4711", "tcp://127.0.0.1:1", "udp://127.0.0.1:", "udp://127.0.0.1:65536",
        "udp://127.0.0.1:5-4", "udp://127.0.0.1:0-9", "udp://127.0.0.1:1-65536", "udp://::1:4711", "udp://[::1", "udp://127.0.0.1:1/x",
        "udp://[127.0.0.1]:1", "udp://1.2.3:4", "udp://256.0.0.1:4", "udp://12345:1", "udp://*:4711", "udp://a b:1", "udp://-a:1",
        "udp://255.255.255.255:1", "udp://224.0.0.1:1", "udp://[ff02::1]:1", "udp://[fe80::1]:1", "udp://169.254.1.1:1", "udp://a@b:1",
        "udp://127.0.0.1:1\n", "udp://" + "a" * 300, "udp://127.0.0.1:123456",
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_no_choice(text: str) -> None:
    with pytest.raises(BadValue, match="nothing was opened"):
        read_choice({"bell": text})
    with pytest.raises(ConfigError, match="nothing was opened"):
        parse_url("memory:?bell=" + text.replace("\n", "%0A").replace("&", "%26"), {"memory": frozenset()})


def test_the_secret_is_given_or_found(monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_choice({"bell_secret": SECRET}).secret == SECRET.encode()
    monkeypatch.setenv("ROPEWAY_BELL_SECRET", SECRET)
    assert read_choice({"bell": "udp://127.0.0.1:1"}).secret == SECRET.encode()
    assert read_choice({"bell_secret": SECRET[::-1]}).secret == SECRET[::-1].encode()


def test_the_secret_is_shown_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    url = parse_url("memory:?bell=udp://127.0.0.1:4711&bell_secret=" + SECRET.replace(" ", "%20"), {"memory": frozenset()})
    assert url.bell_choice.secret == SECRET.encode()
    for shown in (repr(url.bell_choice), str(url.bell_choice), pretty_repr(url.bell_choice), repr(url), url.text, pretty_repr(url)):
        assert "correct" not in shown
    for short in ("correct", ""):
        with pytest.raises(ConfigError, match="16 to 1024") as caught:
            parse_url(f"memory:?bell_secret={short}", {"memory": frozenset()})
        assert "correct" not in str(caught.value)
    monkeypatch.setenv("ROPEWAY_BELL_SECRET", "correct")
    with pytest.raises(ConfigError, match=r"\$ROPEWAY_BELL_SECRET has 7") as caught:
        parse_url("memory:", {"memory": frozenset()})
    assert "correct" not in str(caught.value)


@pytest.mark.parametrize("url", ["memory:", "dir:spool"])
def test_engines_of_one_process_or_folder_ring_no_udp(url: str) -> None:
    with pytest.raises(ConfigError, match="give bell=on or bell=off; nothing was opened"):
        open_store(f"{url}?bell=udp://127.0.0.1:4711")
