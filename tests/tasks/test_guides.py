"""The Python of the guides runs as it stands: each page from top to bottom, in one namespace, in a folder of its own."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from house.blocks import blocks

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGES = ["hooks"]


@pytest.mark.parametrize("name", PAGES)
def test_what_the_page_shows_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page = GUIDES / f"{name}.md"
    module = types.ModuleType(f"guide_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    shown = [block for block in blocks(page.read_text()) if block.kind == "python"]
    assert len(shown) >= 2
    for block in shown:
        code = compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True)
        exec(code, module.__dict__)
