"""Each file is one room: it says what it is for, it is not too large, and what others may use in it is explained."""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator

import pytest

import ropeway

from .tree import HOME, Module, modules, project_files

LINES = 450  # near 400, ask which two ideas the file holds
CROWDED = 400


def test_no_room_is_too_large() -> None:
    sizes = {path.relative_to(HOME).as_posix(): len(path.read_text().splitlines()) for path in project_files(".py")}
    assert len(sizes) > 30
    too_large = {name: lines for name, lines in sizes.items() if lines > LINES}
    assert not too_large, f"two rooms would be clearer than one: {too_large}"


@pytest.mark.filterwarnings("default")
def test_crowded_rooms_are_named() -> None:
    for path in project_files(".py"):
        lines = len(path.read_text().splitlines())
        if lines > CROWDED:
            warnings.warn(f"{path.relative_to(HOME)} has {lines} lines: which two ideas does it hold?", stacklevel=1)


def test_every_file_says_what_it_is_for() -> None:
    silent = []
    for path in project_files(".py"):
        text = path.read_text()
        doc = ast.get_docstring(ast.parse(text)) if text.strip() else ""
        if not doc or len(doc.splitlines()[0].split()) < 3:
            silent.append(path.relative_to(HOME).as_posix())
    assert not silent, f"the first line of each says what the file is for: {silent}"


def undocumented(module: Module) -> Iterator[str]:
    """The public functions and classes of a module that have no docstring, one-liners left out."""
    for node in module.tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and wants_words(node):
            yield f"{module.shown}:{node.lineno} {node.name}"


def wants_words(node: ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Public, without a docstring, and more than one statement whose names say it all. Overloads are explained by what they overload."""
    if node.name.startswith("_") or ast.get_docstring(node):
        return False
    marks = {getattr(mark, "id", getattr(mark, "attr", "")) for mark in node.decorator_list}
    return len(node.body) > 1 and not marks & {"overload", "override"}


def test_what_others_may_use_is_explained() -> None:
    silent = [line for module in modules().values() for line in undocumented(module)]
    assert not silent, "no docstring:\n" + "\n".join(silent)


def test_every_method_of_the_public_api_is_explained() -> None:
    """By itself, or by the class it overrides: what help() shows."""
    silent = []
    for name in ropeway.__all__:
        thing = getattr(ropeway, name)
        if not isinstance(thing, type) or issubclass(thing, BaseException):
            continue
        for method, value in vars(thing).items():
            plain = inspect.isfunction(value) or isinstance(value, property | classmethod | staticmethod)
            if plain and not method.startswith("_") and not inspect.getdoc(getattr(thing, method)):
                silent.append(f"{name}.{method}")
    assert not silent, f"no docstring: {silent}"
