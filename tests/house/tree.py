"""The source tree as the house tests read it: each module parsed once, with its name, its lines and its imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

HOME = Path(__file__).resolve().parents[2]
SOURCE = HOME / "src" / "ropeway"


class Import(NamedTuple):
    """One import of one of our own modules. `lazy`: inside a function. `typing`: under TYPE_CHECKING only."""

    module: str  # dotted, below ropeway: "stores.memory"; "" is the package itself
    line: int
    lazy: bool
    typing: bool


class Module:
    """One source file. `name` is dotted below ropeway: "stores.memory"; a package goes by its own name, ropeway itself by ""."""

    def __init__(self, path: Path, root: Path = SOURCE) -> None:
        self.path = path
        self.text = path.read_text()
        self.tree = ast.parse(self.text, str(path))
        parts = list(path.relative_to(root).with_suffix("").parts)
        self.is_package = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_package else parts)
        self.shown = path.relative_to(root).as_posix()

    @property
    def package(self) -> list[str]:
        """The parts of the package that relative imports start from."""
        parts = self.name.split(".") if self.name else []
        return parts if self.is_package else parts[:-1]

    def imports(self, known: frozenset[str]) -> Iterator[Import]:
        """Every import of our own, wherever it stands. `known` tells a submodule from a name inside a module."""
        yield from self._imports(self.tree, known, lazy=False, typing=False)

    def _imports(self, node: ast.AST, known: frozenset[str], *, lazy: bool, typing: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.ImportFrom):
                for target in self._from(child, known):
                    yield Import(target, child.lineno, lazy, typing)
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    top, _, rest = alias.name.partition(".")
                    if top == "ropeway":
                        yield Import(rest, child.lineno, lazy, typing)
            elif isinstance(child, ast.If) and _is_type_checking(child.test):
                for part in child.body:
                    yield from self._imports(ast.Module([part], []), known, lazy=inside, typing=True)
                for part in child.orelse:
                    yield from self._imports(ast.Module([part], []), known, lazy=inside, typing=typing)
            else:
                yield from self._imports(child, known, lazy=inside, typing=typing)

    def _from(self, node: ast.ImportFrom, known: frozenset[str]) -> Iterator[str]:
        if node.level:
            package = self.package
            base = package[: len(package) - (node.level - 1)]
        elif node.module and node.module.partition(".")[0] == "ropeway":
            base = []
        else:
            return
        named = (node.module or "").split(".")
        if not node.level:
            named = named[1:]
        stem = ".".join([*base, *(part for part in named if part)])
        for alias in node.names:
            below = f"{stem}.{alias.name}".lstrip(".")
            yield below if below in known else stem


def _is_type_checking(test: ast.expr) -> bool:
    return (isinstance(test, ast.Name) and test.id == "TYPE_CHECKING") or (isinstance(test, ast.Attribute) and test.attr == "TYPE_CHECKING")


@cache
def modules() -> dict[str, Module]:
    """Every module of the package, by name."""
    found = (Module(path) for path in sorted(SOURCE.rglob("*.py")))
    return {module.name: module for module in found}


@cache
def names() -> frozenset[str]:
    return frozenset(modules())


def project_files(*suffixes: str) -> Iterator[Path]:
    """The project's own text files with one of these suffixes, built and installed things left out."""
    apart = {
        ".git",
        ".venv",
        "_build",
        "__pycache__",
        ".mypy_cache",
        ".ruff_cache",
        ".pytest_cache",
        ".hypothesis",
        "dist",
        "build",
        ".ropeway",
    }
    for path in sorted(HOME.rglob("*")):
        if path.suffix in suffixes and path.is_file() and not apart.intersection(path.relative_to(HOME).parts):
            yield path
