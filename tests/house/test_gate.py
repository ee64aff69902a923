"""No code runs out of a job: nothing on the data path can unpickle, evaluate, import by a name it was given, or start a shell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from .tree import Module, modules

# Modules whose loading can run what the bytes say, and calls that run text or fetch code by a name.
MODULES = frozenset({"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "yaml", "code", "codeop", "runpy", "imp"})
CALLS = frozenset({"eval", "exec", "compile", "__import__", "import_module", "execfile", "system", "popen", "getoutput", "getstatusoutput"})
METHODS_OF_RE = frozenset({"compile"})  # re.compile is no compile

# (file, what): why it is safe there. None of these names comes out of a job.
REASONED: dict[tuple[str, str], str] = {
    (
        "codecs/pickle.py",
        "pickle",
    ): "reached only by the codec's name, which both ends must have written down; never by a content type alone",
    ("codecs/yaml.py", "yaml"): "a SafeLoader, which makes plain data and nothing else, and reads no aliases",
    ("stores/__init__.py", "import_module"): "the module's name stands in the table of engines, the URL only chooses the row",
    ("cli/root.py", "import_module"): "the room's name stands in the table of commands, the command line only chooses the row",
}

# A door that loads the operator's own --app MODULE:BROKER: named on the command line, by whoever starts the worker.
APP_LOADERS = ("cli/", "worker/")


def dangers(module: Module) -> Iterator[tuple[str, int]]:
    """What this module could run that it was not written with: (name, line)."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in MODULES:
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            if node.module.partition(".")[0] in MODULES:
                yield node.module, node.lineno
        elif isinstance(node, ast.Call):
            yield from _call(node)


def _call(node: ast.Call) -> Iterator[tuple[str, int]]:
    name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr if isinstance(node.func, ast.Attribute) else ""
    of_re = isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name) and node.func.value.id == "re"
    if name in CALLS and not (of_re and name in METHODS_OF_RE):
        yield name, node.lineno
    if any(key.arg == "shell" and not (isinstance(key.value, ast.Constant) and key.value.value is False) for key in node.keywords):
        yield "shell=", node.lineno


def test_no_code_runs_out_of_a_job() -> None:
    found = []
    for module in modules().values():
        for what, line in dangers(module):
            reasoned = (module.shown, what) in REASONED
            if not reasoned and not (what == "import_module" and module.shown.startswith(APP_LOADERS)):
                found.append(f"{module.shown}:{line} {what}")
    assert not found, "\n".join(found)


def test_an_app_is_loaded_in_one_place_only() -> None:
    loaders = {
        module.shown
        for module in modules().values()
        if module.shown.startswith(APP_LOADERS)
        for what, _ in dangers(module)
        if what == "import_module" and (module.shown, what) not in REASONED
    }
    assert len(loaders) <= 1, f"one door for --app, so that one place is to be read: {sorted(loaders)}"


def test_every_exception_is_still_there() -> None:
    for shown, what in REASONED:
        module = next(module for module in modules().values() if module.shown == shown)
        assert what in {name for name, _ in dangers(module)}, f"{shown} has no {what} any more: take it off the list"


@pytest.mark.parametrize(
    "text",
    [
        "import pickle",
        "from marshal import loads",
        "eval(x)",
        "importlib.import_module(name)",
        "os.system(x)",
        "run(x, shell=True)",
        "run(x, shell=flag)",
    ],
)
def test_the_gate_sees(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(text + "\n")
    assert len(list(dangers(Module(file, tmp_path)))) == 1


@pytest.mark.parametrize("text", ["re.compile('a')", "run(x, shell=False)", "import json", "x.decode()"])
def test_the_gate_lets_pass(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    file.write_text(text + "\n")
    assert list(dangers(Module(file, tmp_path))) == []
