"""The guide to calls does what it says: its blocks are run in order, with a worker beside them."""

from __future__ import annotations

import contextlib
import io
import sys
import threading
from pathlib import Path
from types import ModuleType

import pytest

from house.blocks import agrees, blocks
from ropeway.worker import Worker

PAGE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "calls.md"


def test_what_the_guide_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shown = blocks(PAGE.read_text())
    first, *others = shown
    assert first.text.startswith("# shop.py")
    shop = ModuleType("shop")
    monkeypatch.setitem(sys.modules, "shop", shop)
    (tmp_path / "shop.py").write_text(first.text)
    exec(compile(first.text, str(tmp_path / "shop.py"), "exec"), vars(shop))
    broker = shop.broker
    worker: Worker = broker.worker("default")
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        printed = ""
        ran = compared = 0
        for block in others:
            where = f"{PAGE.name}:{block.line}"
            if block.kind == "python":
                out = io.StringIO()
                with contextlib.redirect_stdout(out):
                    exec(compile(block.text, where, "exec"), vars(shop))
                printed, ran = out.getvalue(), ran + 1
            elif block.kind == "text":
                assert agrees(block.text, printed), f"{where}: {printed!r}"
                compared += 1
        assert ran >= 9
        assert compared >= 7
    finally:
        worker.stop()
        thread.join(30)
        broker.close()
