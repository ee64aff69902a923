"""The bench: its tables name what is there, a slice of it runs, and what it says of a run can be written anew."""

from __future__ import annotations

import ast
import json
from importlib.util import find_spec, resolve_name
from pathlib import Path

import pytest
from bench import environments
from bench.conduct import conduct
from bench.disks import Disk
from bench.figures import Figures
from bench.measures import Measure, measures
from bench.measures.measure import row
from bench.picture import picture
from bench.report import measured, verdicts
from bench.systems import ENGINES, systems
from bench.targets import targets

from .tree import HOME


@pytest.mark.parametrize("engine", ENGINES)
def test_every_row_has_its_class_and_its_environment(engine: str) -> None:
    """Without importing it: a peer is not installed here."""
    for name, system in systems(engine).items():
        found = find_spec(resolve_name(system.module, f"bench.systems.{engine}"))
        assert found is not None and found.origin is not None, name
        tree = ast.parse(Path(found.origin).read_text())
        assert system.attribute in {node.name for node in tree.body if isinstance(node, ast.ClassDef)}, name
        assert not system.peer or system.peer in environments.PEERS, name


@pytest.mark.parametrize("engine", ENGINES)
def test_every_target_names_a_measure_that_is_taken(engine: str) -> None:
    """A run with one figure for each row can tell of every target."""
    taken = {
        measure.name: {one.label: [{"ms": [1.0]}] if measure.unit == "ms" else [{"rate": 1.0, "cpu": 1.0}] for one in measure.rows}
        for measure in measures(engine, full=True)
    }
    figures = Figures(taken)
    assert len(list(verdicts(engine, figures))) == 2 + len(targets(engine))
    run = {"engine": engine, "machine": {"cpu": "c", "cores": 2, "system": "s", "python": "3", "versions": {}}, "places": {"server": "it"}}
    assert picture({**run, "samples": {"server": taken}}).count("<rect") > sum(len(rows) for rows in taken.values())


def test_a_slice_of_two_rows(tmp_path: Path) -> None:
    rows = [row("directory", name, name, "put", 20) for name in ("floor", "ropeway")]
    measure = Measure("put-os", "put", "jobs/s", "floor", rows)
    said: list[str] = []
    samples = conduct(measure, Disk("plain", tmp_path, "a folder", clean=True), 2, said.append)
    assert said == []
    assert {label: len(slices) for label, slices in samples.items()} == {"floor": 2, "ropeway": 2}
    assert all(one["rate"] > 0 for slices in samples.values() for one in slices)
    assert len(list(measured(measure, Figures({"put-os": samples})))) == 4
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("engine", ENGINES)
def test_the_pages_hold_the_last_run(engine: str) -> None:
    """Where there is one: the picture and the page belong to the same figures."""
    kept = HOME / "bench" / "results" / f"{engine}.json"
    if not kept.exists():
        pytest.skip(f"{engine} was not measured yet")
    run = json.loads(kept.read_text())
    page = (HOME / "docs" / "benchmarks" / f"{engine}.md").read_text()
    assert picture(run) == kept.with_suffix(".svg").read_text(), f"type: ./dev bench {engine} --docs"
    for table in verdicts(engine, Figures(run["samples"][min(run["samples"])])):
        assert table in page, f"type: ./dev bench {engine} --docs"
