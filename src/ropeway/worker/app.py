"""Where the tasks of a program are: the one door through which a program is loaded, named by whoever starts a worker and never by a job.

`ropeway work --app MODULE:NAME` comes through here, and so does each child of the process pool, which must find the same registry as its
parent did: by the name of a module that has it among its globals. A script that was started as the program itself is loaded by its path,
under another name than __main__, so that what it keeps behind `if __name__ == "__main__"` does not run again.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from msgspec import Struct

from ..errors import BadValue, ConfigError

if TYPE_CHECKING:
    from ..link import Link
    from ..tasks import Tasks

MAIN = "__ropeway_main__"  # what the script is called in a child
loading = False  # a child is at it: nobody may start a worker meanwhile

_named: WeakKeyDictionary[Any, tuple[str, str]] = WeakKeyDictionary()  # registries that came in by --app


class Place(Struct, array_like=True):
    """Where a registry is: `name` in `module`, or in the script at `script`."""

    module: str
    name: str
    script: str = ""


class App(Struct, array_like=True):
    """How to find a registry. With `whole` it is the one that stands at the one place, else one that includes those at all places. Modules
    come from these folders, and programs that look at their arguments see these."""

    places: list[Place]
    whole: bool
    folders: list[str]
    arguments: list[str]


def load(where: str) -> Any:
    """What MODULE:NAME names: the module is imported from the current folder, as `python -m` does. Raises BadValue."""
    module, colon, name = where.partition(":")
    if not module or not colon or not name:
        raise BadValue(f"{where!r} names no broker; nothing was started. Write --app MODULE:BROKER, such as shop:broker")
    sys.path.insert(0, os.getcwd())
    try:
        found = _named_in(_import(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise
        raise BadValue(f"there is no module {module!r} here or on the Python path; nothing was started") from None
    if (tasks := _tasks_of(found)) is not None:
        _named[tasks] = (module, name)
    return found


def find(tasks: Tasks) -> App:
    """How another process can find this registry: by a module, else by the registries that it only puts together, else by the script.
    Raises ConfigError when it cannot."""
    places = _places(tasks)
    if places and not places[0].script and places[0].module != "__main__":
        return App(places[:1], True, sys.path, sys.argv)  # noqa: FBT003 - a record
    parts = [_places(part)[:1] for part in tasks.parts]
    if parts and all(parts):
        return App([place for (place,) in parts], False, sys.path, sys.argv)  # noqa: FBT003 - a record
    if places:
        return App(places[:1], True, sys.path, sys.argv)  # noqa: FBT003 - a record
    raise ConfigError(
        "a process pool loads the tasks in each of its processes, and no module has these among its globals; nothing was started. "
        "Put the broker, or its Tasks(), at the top of a module, or take pool='thread'"
    )


def reload(app: App, link: Callable[[], Link]) -> Tasks:
    """The registry, in another process than `find` was called in; `link` leads to where it puts, if it has no store of its own. Raises
    whatever the program raises when it is imported."""
    global loading
    sys.path[:], sys.argv[:] = app.folders, app.arguments
    loading = True
    try:
        found = [(place, _tasks_of(_named_in(_module(place), place.name))) for place in app.places]
    finally:
        loading = False
    for place, tasks in found:
        if tasks is None:
            where = f"{place.script or place.module}: {place.name}"
            raise ConfigError(f"{where} is no broker and no Tasks() when it is loaded by another process; nothing was run")
    registries: list[Tasks] = [tasks for _, tasks in found]
    if app.whole:
        return registries[0]
    from ..tasks import Tasks

    top = Tasks(link())
    top.include(*registries)
    return top


def check_not_loading() -> None:
    """Raises ConfigError where a worker is started by the mere import of a program."""
    if loading:
        raise ConfigError(
            "this program starts a worker when it is imported, and a process pool imports it in each of its processes; nothing was run. "
            'Put that behind: if __name__ == "__main__":'
        )


def _import(module: str) -> ModuleType:
    from importlib import import_module

    return import_module(module)


def _named_in(found: Any, name: str) -> Any:
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def _tasks_of(value: Any) -> Any:
    """The registry that this is, or that this broker has; None for all else."""
    kind = type(value)
    if kind.__name__ == "Tasks" and kind.__module__.startswith("ropeway.tasks"):
        return value
    if kind.__name__ == "Broker" and kind.__module__ == "ropeway.broker":
        return value.tasks
    return None


def _module(place: Place) -> ModuleType:
    return _script(place.script) if place.script else _import(place.module)


def _places(tasks: Tasks) -> list[Place]:
    """Where this registry is among the globals of modules: those first where its functions live, and the script last."""
    if tasks in _named:
        return [Place(*_named[tasks])]
    first = {task.function.__module__ for task in tasks}
    modules = [(name, module) for name, module in list(sys.modules.items()) if isinstance(module, ModuleType)]
    modules.sort(key=lambda item: (item[0] in ("__main__", MAIN), item[0] not in first))
    return [
        place
        for module_name, module in modules
        if module_name.partition(".")[0] != "ropeway" or module_name in first
        for name, value in list(vars(module).items())
        if _tasks_of(value) is tasks and (place := _place(module, name)) is not None
    ]


def _place(module: ModuleType, name: str) -> Place | None:
    if module.__name__ not in ("__main__", MAIN):
        return Place(module.__name__, name)
    spec = getattr(module, "__spec__", None)
    if spec is not None and spec.name:  # python -m package.module
        return Place(spec.name, name)
    path = getattr(module, "__file__", None)
    return Place("__main__", name, os.path.abspath(path)) if path and os.path.isfile(path) else None  # else it was made at a prompt


def _script(path: str) -> ModuleType:
    """Run the script as a module of another name, known as __main__ too: what was defined in it is found where it says it lives."""
    if MAIN in sys.modules:
        return sys.modules[MAIN]
    from importlib.util import module_from_spec, spec_from_file_location

    spec = spec_from_file_location(MAIN, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python script; nothing was run")
    module = module_from_spec(spec)
    sys.modules[MAIN] = sys.modules["__main__"] = module
    spec.loader.exec_module(module)
    return module
