"""The guide to the numbers knows every metric and every part of the report, and what it shows runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from house.blocks import blocks
from ropeway.broker import Broker
from ropeway.history.scale import BOUNDS
from ropeway.history.tally import MOST
from ropeway.link import Link
from ropeway.metrics import FAMILIES, row
from ropeway.report import WINDOWS, report
from ropeway.server.exposing import MOST as MOST_QUEUES

PAGE = (Path(__file__).parents[2] / "docs" / "guides" / "metrics.md").read_text()


def test_every_metric_has_its_row() -> None:
    lines = PAGE.splitlines()
    missing = [row(name) for name in FAMILIES if row(name) not in lines]
    assert not missing, "put these into docs/guides/metrics.md:\n" + "\n".join(missing)
    told = set(re.findall(r"^\| `(ropeway_\w+)` \|", PAGE, re.MULTILINE))
    assert told == set(FAMILIES)


def test_names_are_as_prometheus_wants_them() -> None:
    for name, family in FAMILIES.items():
        assert (family.kind == "counter") == name.endswith("_total"), name
        assert re.fullmatch(r"[a-z][a-z0-9_]*", name) and family.means.endswith(".")


def test_the_report_is_told_whole() -> None:
    with Broker(Link("memory:"), config=False) as broker:
        broker.queue("mails").put(b"")
        told = report(broker.link)
    for part in (*told, *told["fleet"], *(name for name in told["queues"]["mails"]["windows"]["5m"] if "_p" not in name)):
        assert f"`{part}`" in PAGE or part == "at", part
    assert all(f"`{name}`" in PAGE for name in WINDOWS)


def test_the_numbers_in_the_text_are_those_of_the_code() -> None:
    assert f"a scale of {len(BOUNDS)} steps" in PAGE
    assert f"tells {MOST} tasks apart" in PAGE
    assert f"tells {MOST_QUEUES} queues apart" in PAGE


def test_what_it_shows_runs(capsys: pytest.CaptureFixture[str]) -> None:
    shown = [block for block in blocks(PAGE) if block.kind in ("python", "text")]
    names: dict[str, object] = {}
    for block in shown:
        if block.kind == "python":
            exec(compile(block.text, "metrics.md", "exec"), names)
        else:
            assert capsys.readouterr().out == block.text
    broker = names["broker"]
    assert isinstance(broker, Broker) and broker.link.tracing is not None
    broker.close()
