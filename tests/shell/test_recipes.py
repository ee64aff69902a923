"""The recipes of the manuals nq(1) and tsp(1): each run with the real tool and with ropeway, and the same is seen.

On a store of one's own (a folder, SQLite) ropeway runs them by itself, as those two do; then on stores that hosts share, with two workers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from engines import place

from .conftest import Store, Yard, alive, until
from .tools import Nq, Ours, Tool, Tsp

Recipe = Callable[[Any, Yard], Any]


def build(tool: Tool, yard: Yard) -> Any:
    """Targets one after the other, without occupying the terminal; then a look at the output."""
    yard.hold("clean")
    ids = [tool.put("./step", name) for name in ("clean", "depends", "all")]
    yard.sees("begin clean")
    before = [tool.over(job) for job in ids]
    yard.release("clean")
    tool.wait_all()
    return before, [tool.over(job) for job in ids], yard.log(), [tool.output(job) for job in ids]


def downloads(tool: Tool, yard: Yard) -> Any:
    """Queues of their own for what is not to wait for each other."""
    yard.hold("iso")
    first = tool.put("./step", "iso", queue="net")
    yard.sees("begin iso")
    tool.put("./step", "paper")
    yard.sees("end paper")
    yard.release("iso")
    until(lambda: "end iso" in yard.log(), "the download is done")
    tool.wait_all()
    return bool(first), yard.log()


def seen_while_it_runs(tool: Tool, yard: Yard) -> Any:
    """What it prints can be read before it has ended, and each run has an output of its own."""
    yard.hold("one")
    one, two = tool.put("./step", "one"), tool.put("./step", "two")
    until(lambda: "one has begun" in tool.output(one), "its output is seen")
    running = tool.over(one)
    yard.release("one")
    tool.wait(one, two)
    return running, tool.output(one), tool.output(two)


def exit_codes(tool: Tool, yard: Yard) -> Any:
    """Each is kept."""
    ids = [tool.put("./step", str(code), str(code)) for code in (0, 3, 100)]
    yard.sees("end 100")
    tool.wait(*ids)
    return [tool.code(job) for job in ids]


def cancelled(tool: Tool, yard: Yard) -> Any:
    """A job that waits is taken out, and never runs."""
    yard.hold("a")
    first, second, third = (tool.put("./step", name) for name in "abc")
    yard.sees("begin a")
    tool.remove(second)
    yard.release("a")
    tool.wait(first, third)
    return yard.log()


def killed(tool: Tool, yard: Yard) -> Any:
    """A whole group of processes, and the next one has its turn."""
    victim = tool.put("sh", "-c", "sleep 300 & echo $! > child.tmp; mv child.tmp child; wait")
    after = tool.put("./step", "next")
    child = int(until(lambda: (yard.folder / "child").exists() and (yard.folder / "child").read_text(), "it runs"))
    tool.kill(victim)
    code = tool.wait(victim)
    tool.wait(after)
    until(lambda: not alive(child), "its child has ended")
    return code, yard.log()


def again(tool: Tool, yard: Yard) -> Any:
    """A job that has ended is run once more."""
    job = tool.put("./step", "twice")
    tool.wait(job)
    tool.again(job)
    tool.wait_all()
    return yard.log()


def knows_itself(tool: Tool, yard: Yard) -> Any:
    """A job finds its own id in its environment."""
    job = tool.put("sh", "-c", 'echo "${NQJOBID:-$ROPEWAY_ID}" > id')
    tool.wait(job)
    return (yard.folder / "id").read_text().strip() == job.rpartition("/")[2]


def chain(tool: Tool, yard: Yard) -> Any:
    """Only after success; what was not run counts as failed for what comes after it."""
    a = tool.put("./step", "a")
    b = tool.put("./step", "b", "1", after=a)
    c = tool.put("./step", "c", after=b)
    d = tool.put("./step", "d", after=c)
    e = tool.put("./step", "e")
    tool.wait_all()
    return yard.log(), [tool.code(job) for job in (a, b, c, d, e)]


def slots(tool: Tool, yard: Yard) -> Any:
    """Two at once."""
    tool.slots(2)
    yard.hold("a", "b", "c")
    for name in "abc":
        tool.put("./step", name)
    yard.sees("begin a")
    yard.sees("begin b")
    two = sorted(yard.log())
    yard.release("a")
    yard.sees("begin c")
    yard.release("b", "c")
    tool.wait_all()
    return two, sorted(yard.log())


def wide(tool: Tool, yard: Yard) -> Any:
    """One that takes two of three slots, and one that takes all of them."""
    tool.slots(3)
    yard.hold("a", "two", "all", "b")
    tool.put("./step", "a")
    tool.put("./step", "two", takes=2)
    yard.sees("begin a")
    yard.sees("begin two")
    tool.put("./step", "all", takes=3)
    yard.release("a")
    yard.sees("end a")
    yard.release("two")
    yard.sees("begin all")
    tool.put("./step", "b")
    yard.release("all")
    yard.sees("begin b")
    yard.release("b")
    tool.wait_all()
    return [line for line in yard.log() if line not in ("begin a", "begin two")]


def urgent(tool: Tool, yard: Yard) -> Any:
    """The next one out."""
    yard.hold("a")
    _, _, third = (tool.put("./step", name) for name in "abc")
    yard.sees("begin a")
    tool.urgent(third)
    yard.release("a")
    tool.wait_all()
    return [line for line in yard.log() if line.startswith("begin")]


def foreground(tool: Tool, yard: Yard) -> Any:
    """In its turn, but waited for: with the exit code of the command."""
    tool.put("./step", "before")
    return tool.foreground("./step", "now", "7"), yard.log()


def labelled(tool: Tool, yard: Yard) -> Any:
    """The list shows label and command."""
    tool.wait(tool.put("./step", "x", label="nightly"))
    return ["nightly" in tool.listing(), "./step x" in tool.listing()]


def apart(tool: Tool, yard: Yard) -> Any:
    """What it says on standard error is kept by itself, also where it ends badly."""
    job = tool.put("sh", "-c", "echo out; echo err >&2; echo more; exit 3", apart=True)
    together = tool.put("sh", "-c", "echo out; echo err >&2")
    tool.wait(job, together)
    return tool.output(job), tool.errors(job), tool.code(job), sorted(tool.output(together).split())


IN_ORDER = ["begin clean", "end clean", "begin depends", "end depends", "begin all", "end all"]
SEEN: dict[Recipe, Any] = {
    build: ([False] * 3, [True] * 3, IN_ORDER, [f"{name} has begun" for name in ("clean", "depends", "all")]),
    downloads: (True, ["begin iso", "begin paper", "end paper", "end iso"]),
    seen_while_it_runs: (False, "one has begun", "two has begun"),
    exit_codes: [0, 3, 100],
    cancelled: ["begin a", "end a", "begin c", "end c"],
    killed: (255, ["begin next", "end next"]),
    again: ["begin twice", "end twice"] * 2,
    knows_itself: True,
    chain: (["begin a", "end a", "begin b", "end b", "begin e", "end e"], [0, 1, 255, 255, 0]),
    slots: (["begin a", "begin b"], sorted(f"{what} {name}" for what in ("begin", "end") for name in "abc")),
    wide: ["end a", "end two", "begin all", "end all", "begin b", "end b"],
    urgent: ["begin a", "begin c", "begin b"],
    foreground: (7, ["begin before", "end before", "begin now", "end now"]),
    labelled: [True, True],
    apart: ("out\nmore", "err", 3, ["err", "out"]),
}
OF_NQ = [build, downloads, seen_while_it_runs, exit_codes, cancelled, killed, again, knows_itself]
OF_TSP = [build, seen_while_it_runs, exit_codes, cancelled, killed, chain, slots, wide, urgent, foreground, labelled]
# Debian's tsp 1.0.1 dies at -E before it has run anything: what its manual says of it is held against ours alone.
OF_ITS_MANUAL = [apart]
NEEDS_NO_LIMIT = {urgent, slots}  # the first cannot be on a queue that is at its limit, the second sets one


def name_of(recipe: Recipe) -> str:
    return recipe.__name__


@pytest.mark.parametrize("recipe", OF_NQ, ids=name_of)
def test_with_the_real_nq(recipe: Recipe, yard: Yard) -> None:
    assert recipe(Nq(yard), yard) == SEEN[recipe]


@pytest.mark.parametrize("recipe", OF_TSP, ids=name_of)
def test_with_the_real_task_spooler(recipe: Recipe, yard: Yard) -> None:
    tool = Tsp(yard)
    try:
        assert recipe(tool, yard) == SEEN[recipe]
    finally:
        tool.end()


@pytest.mark.parametrize("recipe", SEEN, ids=name_of)
def test_on_a_folder_of_ones_own(recipe: Recipe, yard: Yard, own: Store) -> None:
    assert recipe(Ours(own), yard) == SEEN[recipe]


@pytest.mark.parametrize("recipe", [build, cancelled, chain, killed], ids=name_of)
def test_on_a_database_file_of_ones_own(recipe: Recipe, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(f"sqlite:{yard.folder}/jobs.db?durability=os", monkeypatch)
    try:
        assert recipe(Ours(store), yard) == SEEN[recipe]
    finally:
        yard.end()
        store.end()


ON_HOSTS = [recipe for recipe in SEEN if recipe not in (urgent, wide)]


@contextmanager
def two_workers(engine: str, folder: Path) -> Iterator[str]:
    """A store that others share, with two workers, as on two hosts: they share nothing but the store."""
    with place(engine, folder) as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        store = Store(url, patch)
        for _ in range(2):
            store.worker(*map(name_of, ON_HOSTS), "net", "--allow-commands", "-j", "4")
        yield url
        store.end()


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with two_workers("postgresql", tmp_path_factory.mktemp("hosts")) as url:
        yield url


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with two_workers("redis", tmp_path_factory.mktemp("hosts")) as url:
        yield url


def on_hosts(recipe: Recipe, yard: Yard, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each recipe has a queue of its own."""
    monkeypatch.setenv("ROPEWAY_QUEUE", recipe.__name__)
    store = Store(url, monkeypatch)
    if recipe not in NEEDS_NO_LIMIT:
        store.shell.ok("limit", recipe.__name__, "--running", "1")
    try:
        assert recipe(Ours(store, limited=True), yard) == SEEN[recipe]
    finally:
        yard.let_go()
        store.end()


@pytest.mark.service("postgresql")
@pytest.mark.parametrize("recipe", ON_HOSTS, ids=name_of)
def test_on_postgresql_with_two_workers(recipe: Recipe, yard: Yard, postgres: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_hosts(recipe, yard, postgres, monkeypatch)


@pytest.mark.service("redis")
@pytest.mark.parametrize("recipe", [build, chain, killed, seen_while_it_runs], ids=name_of)
def test_on_redis_with_two_workers(recipe: Recipe, yard: Yard, redis: str, monkeypatch: pytest.MonkeyPatch) -> None:
    on_hosts(recipe, yard, redis, monkeypatch)
