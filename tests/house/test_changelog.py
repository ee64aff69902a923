"""The change log knows the version that the code says it is."""

from __future__ import annotations

import re

from .tree import HOME, modules


def version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"', modules()[""].text, re.MULTILINE)
    assert found
    return found[1]


def test_the_current_version_has_its_section() -> None:
    headings = re.findall(r"^## (\S+)", (HOME / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings, "no section at all"
    assert headings[0] == version(), f"the code is {version()}, the newest section of CHANGELOG.md is {headings[0]}"


def test_the_newest_section_says_something() -> None:
    text = (HOME / "CHANGELOG.md").read_text()
    section = re.split(r"^## ", text, flags=re.MULTILINE)[1]
    assert len(section.split()) > 20
