"""The Python of the guides runs as it stands: each page from top to bottom, in one namespace, in a folder of its own."""

from __future__ import annotations

import sys
import types
from pathlib import Path

import pytest

from house.blocks import agrees, blocks

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGES = ["codecs", "executor", "hooks", "order"]


@pytest.mark.parametrize("name", PAGES)
def test_what_the_page_shows_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    page = GUIDES / f"{name}.md"
    module = types.ModuleType(f"guide_{name}")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    shown = [block for block in blocks(page.read_text()) if block.kind in ("python", "text")]
    assert len([block for block in shown if block.kind == "python"]) >= 2
    for block in shown:
        if block.kind == "text":
            printed = capsys.readouterr().out
            assert agrees(block.text, printed), f"{name} line {block.line} shows\n{block.text}\nbut it prints\n{printed}"
            continue
        capsys.readouterr()
        code = compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True)
        exec(code, module.__dict__)
