"""What a server tells Prometheus: how the queues stand, what the fleet has done, and what it has seen happen itself."""

from __future__ import annotations

from collections.abc import Callable
from threading import Lock

from ..broker import Broker
from ..errors import Unsupported
from ..events import Event
from ..history.sums import OTHER
from ..link import Link
from ..metrics import STATES, Exposition, build_info
from ..worker.fleet.members import ever, present
from ..worker.fleet.switch import paused
from .fleetwide import Fleetwide

MOST = 500  # queues that are told apart; what anybody may put into must not fill the memory
WORKER_STATES = ("idle", "busy", "paused", "quiet", "stopping")
VERBS = ("put", "claim", "ack", "nack", "bury")


class Seen:
    """What this server has seen happen since it started, fed by the events of its connection."""

    def __init__(self, broker: Broker) -> None:
        self._lock = Lock()
        self._boot = broker.link.clock.boot
        self._born = self._boot()
        self._by_queue: dict[str, dict[str, int]] = {"put": {}, "claim": {}}
        self._jobs: dict[str, int] = {}
        self._seconds: dict[str, float] = {}
        self._calls: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        broker.on(self.see)

    def see(self, event: Event) -> None:
        """Count it."""
        name, count = event.name, 0 if event.error else event.count
        with self._lock:
            self._jobs[name] = self._jobs.get(name, 0) + count
            self._seconds[name] = self._seconds.get(name, 0.0) + event.seconds
            self._calls[name] = self._calls.get(name, 0) + 1
            if event.error:
                self._failed[name] = self._failed.get(name, 0) + 1
            queues = self._by_queue.get(name)
            if queues is not None and count:
                queue = event.queue if event.queue in queues or len(queues) < MOST else OTHER
                queues[queue] = queues.get(queue, 0) + count

    def uptime(self) -> float:
        """Seconds since the start."""
        return self._boot() - self._born

    def since_start(self) -> dict[str, int]:
        """How many jobs each verb was about."""
        with self._lock:
            return {verb: self._jobs.get(verb, 0) for verb in VERBS}

    def tell(self, out: Exposition, may_see: Callable[[str], bool]) -> None:
        """All of it, of the queues that may be seen."""
        with self._lock:
            for verb, name in (("put", "ropeway_puts_total"), ("claim", "ropeway_claims_total")):
                out.add(name, {(queue,): count for queue, count in sorted(self._by_queue[verb].items()) if may_see(queue)})
            out.add("ropeway_wakeups_total", self._jobs.get("wait", 0))
            out.add("ropeway_store_calls_total", {(verb,): count for verb, count in sorted(self._calls.items())})
            out.add("ropeway_store_call_seconds_total", {(verb,): seconds for verb, seconds in sorted(self._seconds.items())})
            out.add("ropeway_store_failures_total", {(verb,): count for verb, count in sorted(self._failed.items())})


def exposition(link: Link, seen: Seen, fleet: Fleetwide, may_see: Callable[[str], bool]) -> str:
    """The whole text, of the queues that may be seen. Blocks on the store."""
    store, now, out = link.store, link.clock.now(), Exposition()
    names = [name for name in store.queues() if not name.startswith("_") and may_see(name)][:MOST]
    counts = store.counts(names) if names else {}
    out.add("ropeway_jobs", {(name, state): getattr(one, state) for name, one in counts.items() for state in STATES})
    ages = {(name,): max(0.0, now - one.oldest) if one.oldest is not None else 0.0 for name, one in counts.items()}
    out.add("ropeway_oldest_seconds", {name: round(age, 3) for name, age in ages.items()})
    switches = {(name, "put"): one.put_stopped for name, one in counts.items()}
    switches |= {(name, "claim"): one.claim_stopped for name, one in counts.items()}
    out.add("ropeway_stopped", {name: reason is not None for name, reason in sorted(switches.items())})
    out.ends({name: sums for name, sums in sorted(fleet.totals().items()) if may_see(name[0])})
    _workers(link, out)
    seen.tell(out, may_see)
    out.add("ropeway_uptime_seconds", round(seen.uptime(), 3))
    out.add("ropeway_build_info", build_info(link.url))
    return out.text()


def _workers(link: Link, out: Exposition) -> None:
    try:
        there, ever_there, why = present(link.store), ever(link.store), paused(link.store)
    except Unsupported:
        return
    out.add("ropeway_workers", {(state,): len([1 for one in there if one.state == state]) for state in WORKER_STATES})
    out.add("ropeway_workers_ever_total", ever_there)
    out.add("ropeway_slots", sum(one.slots for one in there))
    out.add("ropeway_slots_busy", sum(one.running for one in there))
    out.add("ropeway_paused", why is not None)
