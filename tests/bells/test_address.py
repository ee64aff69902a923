"""Addresses come out of a table that strangers may write: what is not one process's literal address is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ropeway.bells.address import LONGEST, Address, read_address


@pytest.mark.parametrize(
    ("text", "spelled", "loopback"),
    [
        ("127.0.0.1:1", "127.0.0.1:1", True),
        ("127.255.0.9:65535", "127.255.0.9:65535", True),
        ("[::1]:4711", "[::1]:4711", True),
        ("[0:0::1]:4711", "[::1]:4711", True),
        ("192.0.2.7:4711", "192.0.2.7:4711", False),
        ("10.0.0.1:53", "10.0.0.1:53", False),
        ("[2001:DB8::0:7]:4711", "[2001:db8::7]:4711", False),
        ("[fd00::2]:4711", "[fd00::2]:4711", False),
    ],
)
def test_an_address(text: str, spelled: str, loopback: bool) -> None:
    found = read_address(text)
    assert found is not None
    assert (str(found), found.loopback) == (spelled, loopback)
    assert len(spelled) <= LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "4711", "127.0.0.1", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:99999", "127.0.0.1:04711", "127.0.0.1:-1",
        "127.0.0.1:+1", "127.0.0.1:4711 ", " 127.0.0.1:4711", "127.0.0.1:4711\n", "127.0.0.1:4711\0", "127.0.0.1:\uff14711", "127.1:4711",
        "0177.0.0.1:4711", "2130706433:4711", "0x7f.0.0.1:4711", "localhost:4711", "db.example.org:4711", "::1:4711", "[127.0.0.1]:4711",
        "[::1%lo]:4711", "[fe80::1%eth0]:4711", "udp://127.0.0.1:4711",
        # an address, but of many, of nobody, or of what lies beside
        "255.255.255.255:4711", "224.0.0.1:4711", "239.1.2.3:4711", "240.0.0.1:4711", "0.0.0.0:4711", "0.1.2.3:4711", "169.254.169.254:80",
        "[::]:4711", "[ff02::1]:4711", "[ff0e::1]:4711", "[fe80::1]:4711", "[febf::1]:4711", "[::ffff:127.0.0.1]:4711",
        "[::127.0.0.1]:4711", "[" + "1" * 100 + "]:1", None, 4711, b"127.0.0.1:4711", ("127.0.0.1", 4711),
    ],
    ids=ascii,
)  # fmt: skip
def test_what_is_none(text: object) -> None:
    assert read_address(text) is None


@given(st.text() | st.from_regex(r"\[?[0-9a-fA-F:.]{1,40}\]?:[0-9]{1,6}"))
def test_whatever_it_is_it_is_read_or_refused(text: str) -> None:
    found = read_address(text)
    assert found is None or (isinstance(found, Address) and read_address(str(found)) == found)
