"""Imports only point down, engines do not know each other, the ground floor touches nothing outside, and nothing goes in circles."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from .floors import EXCEPTIONS, FLOORS, GROUND_MAY_IMPORT, SIDE_ROOM, engine_of, floor_of
from .tree import Module, modules, names


def broken_rules(module: Module, known: frozenset[str]) -> list[str]:
    """Each import of this module that the floors forbid, as one line."""
    out = []
    side = module.name.split(".")[0] == SIDE_ROOM
    here = floor_of(module.name)
    for got in module.imports(known):
        if got.typing or (module.name, got.module) in EXCEPTIONS or got.module == module.name:
            continue
        where = f"{module.shown}:{got.line} imports {got.module or 'ropeway itself'}"
        there = floor_of(got.module)
        doors = floor_of("")
        assert doors is not None
        if got.module.split(".")[0] == SIDE_ROOM:
            if not side and (here is None or here < doors):
                out.append(f"{where}: only the doors may know the testing room")
        elif there is None:
            out.append(f"{where}: no floor in the table has it")
        elif side:
            if there >= doors and got.module != "":
                out.append(f"{where}: testing may use what is below the doors")
        elif here is not None and there > here:
            out.append(f"{where}: that is upwards")
        elif here is not None and here == there and engine_of(module.name) != engine_of(got.module) and engine_of(got.module):
            out.append(f"{where}: engines do not know each other")
    return out


def test_every_module_has_its_floor() -> None:
    homeless = [m.shown for m in modules().values() if floor_of(m.name) is None and m.name.split(".")[0] != SIDE_ROOM]
    assert not homeless, f"give each a floor in tests/house/floors.py: {homeless}"


def test_the_table_has_no_empty_rooms() -> None:
    rooms = [room for floor in FLOORS.values() for room in floor if room]
    missing = [room for room in rooms if room not in names()]
    assert not missing, f"in the table, not in the house: {missing}"


@pytest.mark.parametrize("floor", FLOORS)
def test_the_design_page_shows_every_room(floor: str) -> None:
    page = (Path(__file__).parents[2] / "docs" / "design.md").read_text()
    (row,) = [line for line in page.splitlines() if line.startswith(f"| {floor} |")]
    rooms = [room for room in FLOORS[floor] if room.isidentifier() and room != "__main__"]
    missing = [room for room in rooms if f"`{room}`" not in row and f"`{room}/`" not in row]
    assert not missing, f"docs/design.md, the row of {floor}: {missing}"


def test_imports_only_point_down() -> None:
    broken = [line for module in modules().values() for line in broken_rules(module, names())]
    assert not broken, "\n".join(broken)


def test_every_exception_is_still_needed_and_reasoned() -> None:
    for (importer, imported), reason in EXCEPTIONS.items():
        assert len(reason) > 20, f"{importer} -> {imported}: say why"
        assert imported in {got.module for got in modules()[importer].imports(names())}, f"{importer} no longer imports {imported}"
    assert len(EXCEPTIONS) <= 3, "with many exceptions it is no rule"


@pytest.mark.parametrize("name", FLOORS["ground"])
def test_the_ground_floor_is_pure(name: str) -> None:
    module = modules()[name]
    outside = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            outside |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            outside.add(node.module.partition(".")[0])
    assert not outside - GROUND_MAY_IMPORT, (
        f"{module.shown} takes {sorted(outside - GROUND_MAY_IMPORT)}; the ground floor has no I/O and no clock"
    )


def test_nothing_imports_in_circles() -> None:
    """At import time, that is: what stands inside a function or under TYPE_CHECKING may point back."""
    graph = {
        module.name: {got.module for got in module.imports(names()) if not got.lazy and not got.typing and got.module != module.name}
        for module in modules().values()
    }
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name in done:
            return
        for target in sorted(graph.get(name, ())):
            visit(target, (*path, name))
        done.add(name)

    for name in sorted(graph):
        visit(name, ())


def test_inside_the_package_imports_are_relative() -> None:
    absolute = [
        f"{module.shown}:{node.lineno}"
        for module in modules().values()
        if module.name.split(".")[0] != SIDE_ROOM
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == "ropeway")
        or (isinstance(node, ast.Import) and any(alias.name.partition(".")[0] == "ropeway" for alias in node.names))
    ]
    assert not absolute, f"write them relative: {absolute}"


PLANTED = {
    "upwards": ("queue.py", "from .broker import Broker\n", "upwards"),
    "upwards inside a function": ("job.py", "def f():\n    from . import store\n", "upwards"),
    "upwards by the full name": ("job.py", "import ropeway.store\n", "upwards"),
    "between engines": ("stores/memory.py", "from .directory import names\n", "engines do not know"),
    "testing from below": ("queue.py", "from .testing import clock\n", "only the doors"),
    "testing knows a door": ("testing/x.py", "from ..cli import main\n", "below the doors"),
}


@pytest.mark.parametrize("case", PLANTED)
def test_the_rule_sees_what_it_forbids(case: str, tmp_path: Path) -> None:
    where, text, expected = PLANTED[case]
    file = tmp_path / where
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    known = names() | {"broker", "store", "queue", "stores.directory", "stores.directory.names", "testing", "testing.clock", "cli"}
    found = broken_rules(Module(file, tmp_path), frozenset(known))
    assert len(found) == 1
    assert expected in found[0]


def test_the_rule_lets_types_pass(tmp_path: Path) -> None:
    file = tmp_path / "job.py"
    file.write_text("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .store import Store\n")
    assert broken_rules(Module(file, tmp_path), names()) == []
    assert "ropeway" not in sys.stdlib_module_names
