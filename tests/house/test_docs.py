"""The documentation knows the code: every public name, command and setting has its place, and every link leads somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import ropeway

from .tree import HOME, project_files

DOCS = HOME / "docs"
PAGES = sorted(project_files(".md"))
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
CODE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(page: str) -> set[str]:
    """The anchors that headings get."""
    heads = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=[page.relative_to(HOME).as_posix() for page in PAGES])
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(CODE.sub("", page.read_text())):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        where, _, anchor = target.partition("#")
        file = (page.parent / where).resolve() if where else page
        assert file.exists(), f"{page.relative_to(HOME)}: {target}"
        assert not anchor or anchor in anchors(file.read_text()), f"{page.relative_to(HOME)}: no heading for {target}"


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([a-z][\w/-]+)$", (DOCS / "index.md").read_text(), re.MULTILINE))
    there = {page.relative_to(DOCS).with_suffix("").as_posix() for page in project_files(".md") if page.is_relative_to(DOCS)}
    assert there - {"index"} == listed


def test_the_public_door_has_about_twenty_names() -> None:
    assert 15 <= len(ropeway.__all__) <= 36  # errors are a third of them
    assert len(set(ropeway.__all__)) == len(ropeway.__all__)
    for name in ropeway.__all__:
        assert getattr(ropeway, name, None) is not None, name


def test_every_public_name_is_in_the_reference() -> None:
    pages = (DOCS / "reference" / "python.md").read_text() + (DOCS / "reference" / "errors.md").read_text()
    told = set(re.findall(r"^\.\. auto\w+:: (\w+)(?:\(\))?$", pages, re.MULTILINE))
    missing = [name for name in ropeway.__all__ if name not in told and name != "__version__"]
    assert not missing, f"no place in docs/reference: {missing}"
    assert not (gone := told - set(ropeway.__all__)), f"in the reference, not in the package: {gone}"


def test_the_reference_of_commands_is_the_one_of_the_code() -> None:
    made = subprocess.run([sys.executable, "-m", "ropeway.cli.reference"], capture_output=True, text=True, timeout=60, check=False)
    assert made.returncode == 0, made.stderr
    assert (DOCS / "reference" / "commands.md").read_text() == made.stdout, (
        "type: .venv/bin/python -m ropeway.cli.reference > docs/reference/commands.md"
    )


def test_every_command_that_the_pages_show_exists() -> None:
    from ropeway.cli.commands import ROOMS

    for page in PAGES:
        for block in re.findall(r"^```(?:sh)?\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            for command in re.findall(r"(?:^|[|&;] *)ropeway (?:-u \S+ |-\S+ )*([a-z]+)\b", block, re.MULTILINE):
                assert command in ROOMS, f"{page.relative_to(HOME)}: there is no ropeway {command}"


def test_the_pages_read_like_people() -> None:
    """No adjectives that only sell."""
    sold = re.compile(
        r"\b(?:blazing|powerful|seamless\w*|robust|effortless\w*|cutting-edge|world-class|lightning|revolutionary|simply)\b", re.IGNORECASE
    )
    for page in PAGES:
        found = sold.search(page.read_text())
        assert not found, f"{page.relative_to(HOME)}: {found[0] if found else ''}"
