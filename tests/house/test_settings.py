"""Every setting, URL option and environment variable has its row in the reference, and no row tells of one that is not there."""

from __future__ import annotations

import re

from ropeway.config import Setting, table
from ropeway.stores import ENGINES
from ropeway.url import COMMON

from .tree import HOME, modules

PAGE = (HOME / "docs" / "reference" / "settings.md").read_text()
JOB_ENVIRONMENT = frozenset(
    "ROPEWAY_" + name for name in ("ID", "ATTEMPT", "KEY", "DEADLINE", "HEADERS", "BODY", "TOPIC", "MESSAGE")
)  # told in the guide to the shell


def section(title: str) -> str:
    """The text of one section of the page."""
    return re.split(r"^## ", PAGE.partition(f"\n## {title}\n")[2], flags=re.MULTILINE)[0]


def row(setting: Setting) -> str:
    """The line that the page must hold for a setting."""
    default = f"`{setting.default}`" if setting.default else ""
    cells = [f"`{setting.name}`", setting.type, default, setting.meaning]
    return f"| {' | '.join(cells)} |".replace("|  |", "| |")


def first_cells(text: str) -> set[str]:
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_every_setting_has_its_row_as_the_code_says_it() -> None:
    rows = [row(setting) for setting in table()]
    assert len(rows) > 10
    missing = [line for line in rows if line not in PAGE.splitlines()]
    assert not missing, "put these into docs/reference/settings.md:\n" + "\n".join(missing)
    assert first_cells(section("The configuration file")) == {setting.name for setting in table()}


def test_every_option_of_a_url_has_its_row() -> None:
    own = {name for engine in ENGINES.values() for name in engine[3]}
    assert first_cells(section("The URL")) == COMMON | own


def test_every_environment_variable_has_its_row() -> None:
    used = {
        name
        for module in modules().values()
        if not module.shown.startswith("testing/")
        for name in re.findall(r"\bROPEWAY_[A-Z]+(?:_[A-Z]+)*\b", module.text)
    }
    told = first_cells(section("Environment"))
    inner = {"ROPEWAY_COMPLETE", "ROPEWAY_TEST"}
    assert "ROPEWAY_URL" in used
    assert not (missing := used - told - JOB_ENVIRONMENT - inner), f"no row: {sorted(missing)}"
    assert not (gone := told - used), f"nobody reads {sorted(gone)}"


def test_the_guide_to_the_shell_tells_what_a_command_finds() -> None:
    guide = (HOME / "docs" / "guides" / "shell.md").read_text()
    for name in JOB_ENVIRONMENT | {"ROPEWAY_QUEUE"}:
        assert name in guide
