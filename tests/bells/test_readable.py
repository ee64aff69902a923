"""Waiting for descriptors, whatever their number: a busy server has thousands."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest

from ropeway.bells.place import readable

SOURCE = Path(__file__).resolve().parent.parent.parent / "src" / "ropeway"


def test_a_descriptor_above_what_select_takes() -> None:
    most, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most < 2100:
        pytest.skip(f"this machine allows {most} open files")
    read, write = os.pipe()
    high = 2000
    os.dup2(read, high)
    try:
        assert readable([high], 0) == []
        os.write(write, b"x")
        assert readable([high, read], 1) == [high, read]
        with os.fdopen(os.dup(high), "rb") as file:
            assert readable([file], None) == [file]
    finally:
        for fd in (read, write, high):
            os.close(fd)


def test_nothing_in_the_product_uses_select() -> None:
    """But for the process that passes output on, which has a handful of descriptors and imports nothing of ours."""
    assert [path.name for path in SOURCE.rglob("*.py") if "select.select(" in path.read_text()] == ["tail.py"]
