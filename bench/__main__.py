"""`python -m bench [ENGINE]`: measure, print the tables and the targets, and write both with a picture into bench/results.

It takes some ten minutes an engine; `--quick` a few, for a look. Other work on the machine spoils the figures, and less so the ratios:
what is compared is asked in turn, slice by slice, in this one run.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from . import calls, docs, fleet, lines, pools
from .conduct import Samples, conduct
from .figures import Figures
from .measures import Measure, measures
from .picture import picture
from .places import Place, places
from .report import machine, measured, verdicts
from .servers import NoServer, own_redis
from .systems import ENGINES, OURS
from .systems.urls import is_built

RESULTS = Path(__file__).resolve().parent / "results"


def main() -> int:
    options = arguments()
    if options.docs:
        return docs.write(options.engine, Path(options.results))
    if options.http:
        from . import http  # the server's libraries are needed for nothing else

        return http.main(options.above, 3 if options.quick else 9)
    if options.topics is not None:
        from . import topics

        return topics.main(options.topics, options.above, 3 if options.quick else 9)
    if options.groups is not None:
        from . import groups

        return groups.main(options.groups, options.above, 3 if options.quick else 9)
    if options.watch is not None:
        from . import watching

        return watching.main(options.watch, options.above, quick=options.quick)
    if options.calls:
        return calls.main(options.above)
    if options.lines:
        return lines.main()
    if options.pools:
        with own_redis(options.server, options.above) as server:
            return pools.main(server.room("os"))
    if options.fleet:
        return fleet.main(options.engine, options.fleet, options.server, options.above)
    known = measures(options.engine, options.full)
    if unknown := set(options.only or ()) - {m.name for m in known}:
        print(f"no measure {' '.join(sorted(unknown))}; there are: {' '.join(m.name for m in known)}", file=sys.stderr)
        return 2
    chosen = [m for m in known if not options.only or m.name in options.only]
    if not is_built(options.engine):
        print(f"ropeway has no {options.engine} engine yet: floors and peers only\n")
        chosen = [m._replace(rows=[row for row in m.rows if row.spec["system"] not in OURS]) for m in chosen]
    if options.rows:
        chosen = [m._replace(rows=[row for row in m.rows if row.label in options.rows or row.label == m.reference]) for m in chosen]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was set up is taken down
    try:
        run(options, [m for m in chosen if m.rows])
    except NoServer as error:
        print(f"nothing was measured: {error}", file=sys.stderr)
        return 1
    return 0


def run(options: argparse.Namespace, chosen: list[Measure]) -> None:
    """All measures on all places, told as they come, and kept."""
    engine = options.engine
    taken: dict[str, dict[str, Samples]] = {}
    about: dict[str, str] = {}
    began, load = time.time(), os.getloadavg()[0]
    with places(engine, options.disk, options.above, options.server, options.full) as used:
        for measure in chosen:
            for place in used:
                about[place.name] = place.what
                samples = conduct(measure, place, options.repeat, lambda text: print(text, flush=True))
                taken.setdefault(place.name, {})[measure.name] = samples
                show(measure, place, Figures(taken[place.name]))
    for name, of_place in taken.items():
        print(f"\n{about[name]}\n")
        print("\n".join(verdicts(engine, Figures(of_place))), flush=True)
    told = {"engine": engine, "machine": machine(engine), "places": about, "began": began, "seconds": time.time() - began}
    told |= {"load": [load, os.getloadavg()[0]], "options": {"repeat": options.repeat, "full": options.full}, "samples": taken}
    keep(told, Path(options.results))


def show(measure: Measure, place: Place, figures: Figures) -> None:
    print(f"\n{place.what}\n")
    print("\n".join(measured(measure, figures)), flush=True)


def keep(told: dict[str, Any], folder: Path) -> None:
    """Everything into JSON, and a picture of it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = told["engine"]
    (folder / f"{name}.json").write_text(json.dumps(told) + "\n")
    (folder / f"{name}.svg").write_text(picture(told))
    print(f"\nwritten: {folder / name}.json and {name}.svg")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("engine", nargs="?", default="directory", choices=ENGINES, help="which engine (directory)")
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", action="store_true", help="five rounds, for a look")
    size.add_argument("--full", action="store_true", help="also with 1,000,000 jobs waiting")
    parser.add_argument("--repeat", type=int, help="rounds (21; 9 for an engine with peers that need a process a slice)")
    parser.add_argument("--only", nargs="+", metavar="MEASURE", help="only these measures")
    parser.add_argument("--rows", nargs="+", metavar="ROW", help="only these rows, and those that they are compared with")
    parser.add_argument(
        "--disk", choices=("plain", "journal"), help="directory, sqlite: only there; else on both (the journaled takes root)"
    )
    parser.add_argument("--server", metavar="URL", help="postgres, mariadb: the server, without a database; else the one on this machine")
    parser.add_argument("--above", default="/var/tmp" if os.path.isdir("/var/tmp") else tempfile.gettempdir(), help="where to make folders")
    parser.add_argument("--results", default=str(RESULTS), help="where to write")
    parser.add_argument("--docs", action="store_true", help="write the last run's tables into docs/benchmarks; measures nothing")
    parser.add_argument("--calls", action="store_true", help="directory: count the system calls of each verb instead (takes strace)")
    parser.add_argument("--http", action="store_true", help="the server: over HTTP and WebSocket, beside a bare endpoint and beanstalkd")
    parser.add_argument("--groups", nargs="*", metavar="URL", help="messages a second to a durable group, beside puts and the bare way")
    parser.add_argument("--watch", nargs="*", metavar="URL", help="files a watched folder makes jobs of, beside bulk puts of the paths")
    parser.add_argument("--topics", nargs="*", metavar="URL", help="messages a second to those who listen, beside the bare way")
    parser.add_argument("--lines", action="store_true", help="the line notifier, beside the bare loop and Redis, instead")
    parser.add_argument("--pools", action="store_true", help="redis: whole workers, pool by pool, on jobs of 0, 1 and 10 ms instead")
    parser.add_argument("--fleet", type=int, nargs="?", const=20, metavar="N", help="what N idle workers (20) ask of the server instead")
    options = parser.parse_args()
    options.repeat = options.repeat or (5 if options.quick else 21 if options.engine == "directory" else 9)
    return options


if __name__ == "__main__":
    sys.exit(main())
