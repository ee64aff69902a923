"""What the guides to schedules and to unique jobs show is done as they show it."""

from __future__ import annotations

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from .conftest import until

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


@pytest.mark.parametrize("page", ["schedules", "unique"])
def test_the_python_of_the_page_runs(page: str) -> None:
    names: dict[str, Any] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", (GUIDES / f"{page}.md").read_text(), re.MULTILINE | re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, page, "exec"), names)
    if page == "schedules":
        worker = names["worker"]
        thread = threading.Thread(target=worker.run)
        thread.start()
        try:
            until(lambda: len(names["ran"]) >= 2)
        finally:
            worker.stop()
            thread.join(30)
        assert {word for _, word in names["ran"]} == {"hello"}
        assert [schedule.name for schedule in names["schedules"].browse()] == ["greeting", "nightly"]
    names["broker"].close()
