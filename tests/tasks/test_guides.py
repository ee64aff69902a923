"""The Python of the guides runs as it stands: each page from top to bottom, in one namespace, in a folder of its own. A block that begins
with the name of a file is that file, and is imported."""

from __future__ import annotations

import re
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest

from house.blocks import agrees, blocks

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
PAGES = ["codecs", "executor", "hooks", "order", "tasks", "topics"]


@pytest.mark.parametrize("name", PAGES)
def test_what_the_page_shows_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
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
        if file := re.match(r"# (\w+)\.py\n", block.text):
            (tmp_path / f"{file[1]}.py").write_text(block.text)
            monkeypatch.delitem(sys.modules, file[1], raising=False)
            import_module(file[1])
            monkeypatch.setitem(sys.modules, file[1], sys.modules.pop(file[1]))
            continue
        code = compile("\n" * block.line + block.text, str(page), "exec", dont_inherit=True)
        exec(code, module.__dict__)
