"""The lobby: one connection, and the way to everything that it leads to."""

from __future__ import annotations

import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypedDict, TypeVar, Unpack, overload

from .aio import twin
from .clock import SYSTEM, Clock
from .durations import Duration
from .errors import ConfigError, Unsupported
from .events import Listener
from .handle import Handle
from .ids import check_id
from .link import Link
from .names import check_name
from .notes import Notes
from .queue import Queue
from .retry import Retry
from .store import Counts, Feature, Store
from .stores import ENGINES
from .url import hidden, parse_url

if TYPE_CHECKING:
    from .calls.asking import NamedOptions
    from .carry import Carried
    from .config import Config
    from .executor import QueueExecutor
    from .groups import Groups
    from .history.reading import HistoryRow
    from .listening import Listening
    from .schedule import CatchUp
    from .schedules import Schedules
    from .server.mounted import Auth, Dashboard
    from .tasks import BatchOptions, Decorate, DecorateBatch, Task, TaskOptions, Tasks
    from .tasks.subscribing import GroupOptions
    from .tasks.ticking import Scheduled
    from .topic import Topic
    from .why import Why
    from .worker import CommandRunner, Worker
    from .worker.fleet import Member

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


def connect(url: str | None = None, *, clock: Clock = SYSTEM, name: str = "", config: str | bool = True) -> Broker:
    """A Broker for the store that `url` names. Opens nothing until first use.

    Without a URL: $ROPEWAY_URL, else the current context of the configuration, else a folder of the user's own (`ropeway check` says
    which and why). `name` is how this process is called where its claims are shown. `config` is the path of a configuration
    file to take settings from; True finds it as the command line does, False takes none.
    Raises ConfigError for a URL or configuration that cannot be understood.
    """
    if not url:
        from .config import where

        url, _ = where(None)
    return Broker(Link(url, clock, name=name), config=config)


class WorkerOptions(TypedDict, total=False):
    """What `Broker.worker` hands to Worker; durations are seconds or text such as "30s"."""

    concurrency: int  # jobs at once; 4, in an event loop 100
    pool: str | CommandRunner  # thread, process, async or uvloop
    lease: Duration
    grace: Duration  # what running jobs get after a stop
    drain: bool  # end when nothing is left to do
    max_jobs: int | None  # end after that many runs
    retry: Retry
    progress: bool
    max_memory: int | None  # bytes: end, when the jobs have, once the process has grown so large; each child of a process pool likewise
    max_jobs_per_child: int | None  # a process of the pool is replaced after so many


class Broker:
    """One connection. May be used from any thread, any event loop, and after a fork; as a context manager it closes itself."""

    def __init__(self, link: Link, *, config: str | bool = True) -> None:
        parse_url(link.url, {scheme: row[3] for scheme, row in ENGINES.items()})  # said now, not at the first put
        self._link = link
        self._where = config
        self._config: Config | None = None
        self._tasks: Tasks | None = None
        link.settings_of = lambda queue: self.config.queue(queue)
        link.configured = lambda: self.config.configured()
        link.limits = lambda: self.config.limits()

    @property
    def url(self) -> str:
        """Where the jobs are, without secrets."""
        return hidden(self._link.url)

    @property
    def link(self) -> Link:
        """What the handles of this connection share; for those who build on ropeway."""
        return self._link

    @property
    def store(self) -> Store:
        """The engine itself, opened now if it was not; for those who build on ropeway."""
        return self._link.store

    @property
    def notes(self) -> Notes:
        """Small shared facts with a lifetime."""
        return self._link.store.notes

    @property
    def config(self) -> Config:
        """The settings that this connection goes by. Raises ConfigError when the file cannot be understood."""
        if self._config is None:
            from .config import Config, current, load

            self._config = current() if self._where is True else load(self._where) if self._where else Config()
        return self._config

    @overload
    def queue(self, name: str, *, codec: str | None = None, accept: Sequence[str] | None = None) -> Queue[Any]: ...
    @overload
    def queue(self, name: str, type: type[T], *, codec: str | None = None, accept: Sequence[str] | None = None) -> Queue[T]: ...
    @overload
    def queue(self, name: str, type: Any, *, codec: str | None = None, accept: Sequence[str] | None = None) -> Queue[Any]: ...

    def queue(self, name: str, type: Any = Any, *, codec: str | None = None, accept: Sequence[str] | None = None) -> Queue[Any]:  # noqa: A002
        """The queue of that name. `type`: what its bodies are; they are checked when one is put and when one is read. `codec`: how they are
        written (json, msgpack, yaml, raw, pickle), `accept`: codecs that are read as well; else as the configuration says, or json.

        Raises BadName, BadValue for a type or codec that is none, ConfigError when what the codec needs is not installed."""
        return Queue(self._link, name, type, codec=codec, accept=accept)

    def queues(self) -> list[str]:
        """The names of all queues that exist, sorted."""
        return self._link.store.queues()

    def counts(self, queues: Sequence[str] | None = None) -> dict[str, Counts]:
        """The numbers of these queues, or of all."""
        return self._link.store.counts(queues)

    def handle(self, queue: str, job_id: str) -> Handle[Any]:
        """The handle of a job whose queue and id are known; it need not exist."""
        return Handle(self._link, check_name(queue), check_id(job_id))

    def dashboard(self, auth: Auth, *, read_only: bool = False) -> Dashboard:
        """The server as an ASGI application, to be mounted: `app.mount("/queues", broker.dashboard(auth=may))`. `auth` is given the request
        (or the WebSocket's), and answers, awaited if need be, what its sender may do: None for nothing, or roles with queue patterns,
        `{"observe": ["*"], "operate": ["mails"]}`. `read_only`: nobody may change anything.

        Raises ConfigError without `auth`, or when ropeway's extra `server` is not installed."""
        try:
            from .server.mounted import Dashboard
        except ImportError as error:
            raise ConfigError(f"a dashboard needs {error.name}, which is not installed; type: pip install 'ropeway[server]'") from None
        return Dashboard(self, auth, read_only=read_only)

    @property
    def tasks(self) -> Tasks:
        """The functions that are registered with this connection."""
        if self._tasks is None:
            from .tasks import Tasks

            self._tasks = Tasks(self._link, queues=self.queue)
        return self._tasks

    @overload
    def task(self, function: Callable[P, Coroutine[Any, Any, T]], /) -> Task[P, T, Coroutine[Any, Any, T]]: ...
    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R, R]: ...
    @overload
    def task(self, **options: Unpack[BatchOptions]) -> DecorateBatch: ...
    @overload
    def task(self, **options: Unpack[TaskOptions]) -> Decorate: ...
    def task(self, *function: Any, **options: Any) -> Any:
        """Make a task of a function: `@broker.task` or `@broker.task(queue="mails", timeout="30s")`, see Tasks.task."""
        return self.tasks.task(*function, **options)

    def include(self, *registries: Tasks) -> None:
        """Take in tasks that were registered without a store, with a `Tasks()` of their own module: they are put here from now on, and
        workers of this broker run them. See Tasks.include."""
        self.tasks.include(*registries)

    def call(
        self,
        task: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        queue: str = "",
        **options: Unpack[NamedOptions],
    ) -> Any:
        """Call a task by its name and wait for what it returns, for callers that do not have the function: `broker.call("add", [1, 2],
        timeout="2s")`. `queue`: where it is put; the task's own if it is registered here, else "default". Raises what `Task.call` raises;
        that the arguments do not fit the function is said by the worker, as RemoteError.
        """
        from .calls.asking import begin, named

        job, target, what = named(self.queue, queue or self._queue_of(task), task, args, kwargs or {}, options)
        return begin(self._link, job, lambda job: target.put_jobs((job,)), what).result()

    async def acall(
        self,
        task: str,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        queue: str = "",
        **options: Unpack[NamedOptions],
    ) -> Any:
        """The awaitable twin of `call`. Cancelled: the job is called back."""
        from .calls.asking import abegin, named

        job, target, what = named(self.queue, queue or self._queue_of(task), task, args, kwargs or {}, options)
        return await (await abegin(self._link, job, lambda job: target.aput_jobs((job,)), what)).aresult()

    def _queue_of(self, task: str) -> str:
        known = self.tasks.get(task)
        return known.queue if known else "default"

    def topic(self, name: str) -> Topic:
        """The topic of that name: `broker.topic("orders.created").publish({"id": 1})`. Raises BadName for what is no name."""
        from .topic import Topic

        return Topic(self._link, name)

    def listen(self, *patterns: str, buffer: int = 1000, replay: Duration | None = None, after: str | None = None) -> Listening:
        """Hear the messages of the topics that the patterns mean, from now on: `with broker.listen("orders.*") as news: for message in
        news: ...`. `*` is one word between dots, `#` any number of them. At most once: what is published while nobody listens is gone.

        `buffer`: how many messages may wait for the program; the oldest of more are dropped, and counted in `missed`. `replay`: first what
        was published so lately and is retained, `after`: what is retained behind the message of that id. Raises BadValue for what is no
        pattern, Unsupported on an engine that cannot tell who listens.
        """
        from .listening import Listening

        return Listening(self._link, patterns, buffer=buffer, replay=replay, after=after)

    def subscribe(
        self, *patterns: str, group: str | None = None, buffer: int | None = None, **options: Unpack[GroupOptions]
    ) -> Callable[[F], F]:
        """Have the function called with each message whose topic the patterns mean: `@broker.subscribe("orders.*", group="mailer")`.

        With a `group` it is durable: all workers of the group share its messages, and each message is handled at least once, with the
        retries, timeouts and history of every task. Workers with this function make the group when they start, and add its queue to
        theirs. Without one, the function is called in each worker of this program, while it runs, from a thread of its own; what it
        raises is logged. The function takes the Message; where it says another type, the body as that:
        `def on_order(order: Order)`. It stays what it is, and may be a coroutine function.
        Raises BadValue or BadName for what cannot be subscribed.
        """
        return self.tasks.subscribe(*patterns, group=group, buffer=buffer, **options)

    @property
    def groups(self) -> Groups:
        """The durable groups of this store, and what is retained: look, add, edit, replay, delete."""
        from .groups import Groups

        return Groups(self._link)

    @property
    def schedules(self) -> Schedules:
        """The schedules of this store: look, add, edit, pause, run, delete."""
        from .schedules import Schedules

        return Schedules(self._link)

    def cron(
        self,
        expression: str,
        *,
        name: str = "",
        tz: str = "UTC",
        catch_up: CatchUp = "last",
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Scheduled:
        """Run a task at each tick of the expression: five cron fields, @hourly and the like, or "every 10s", in the time zone `tz`.

        Put it above `@broker.task(...)`, or above a plain function, which becomes a task. The schedule is called as the task, or `name`;
        it is written into the store by each worker that starts with this broker, and any worker plants its runs: ten workers, one run
        a tick. `catch_up` says what becomes of ticks at which no worker was there: "none" are dropped, "last" gives one run for all of
        them, "all" a run for each, 100 at most. `args` and `kwargs` are what it is called with.
        Raises BadValue for an expression, zone or policy that is none, and for a second schedule of that name.
        """
        return self.tasks.cron(expression, name=name, tz=tz, catch_up=catch_up, args=args, kwargs=kwargs)

    def worker(self, *patterns: str, **options: Unpack[WorkerOptions]) -> Worker:
        """A worker for the queues that the patterns mean, in their order; $ROPEWAY_QUEUE or "default" when none are given.
        `mails=3` gives a queue a weight, see the guide to workers. Its `run()` works until it is stopped. What is not said here comes from
        [worker] of the configuration."""
        from .worker import Worker
        from .worker.fleet.weights import split

        patterns = patterns or (os.environ.get("ROPEWAY_QUEUE") or "default",)
        split(patterns)
        chosen: dict[str, Any] = {**self.config.worker.options(), **options}
        return Worker(self._link, self.tasks, patterns, **chosen)

    def workers(self) -> list[Member]:
        """The workers of this store, by id: what each last told of itself (`seen`), and a way to give it orders. Dead ones of this host are
        struck off, those of other hosts leave the list when they have been silent for too long."""
        from .worker.fleet import workers

        return workers(self._link)

    def pause(self, reason: str = "") -> None:
        """Pause everything: no worker of this store starts a job until `resume`; what runs goes on. Raises BadValue for a reason of more
        than 1,000 characters. `Queue.pause` is for one queue."""
        from .worker.fleet.switch import pause

        pause(self._link, reason)

    def resume(self) -> None:
        """Go on, after `pause`. Queues that were paused by themselves stay so."""
        from .worker.fleet.switch import resume

        resume(self._link)

    def paused(self) -> str | None:
        """The reason for which everything is paused, perhaps empty; None when it is not."""
        from .worker.fleet.switch import paused

        return paused(self._link.store)

    def history(self, span: Duration = "1h", queue: str | None = None, task: str | None = None) -> list[HistoryRow]:
        """What ended in the last `span`, by minute, queue and task; by hour when the span is over 6 hours, up to 8 days. Workers and
        servers write it each minute, so it lags by as much; restarts do not end it. `queue`, `task`: only of these. Empty on an engine
        without notes. Raises BadValue for a span that no history covers."""
        from .history.reading import history

        return history(self._link, span, queue, task)

    def why(self, job_id: str, queue: str | None = None) -> Why:
        """Why this job is not running, and what will unblock it: the causes, what decides first. Looks, and changes nothing. `queue`: where
        it is looked for first; anywhere without. Raises BadName for what is no id, Unsupported on an engine that cannot show its jobs."""
        from .why import why

        return why(self._link, job_id, queue)

    def why_queue(self, queue: str) -> Why:
        """What holds this queue up: its bottleneck. Looks, and changes nothing. Raises BadName for what is no name of a queue."""
        from .why import why_queue

        return why_queue(self._link, queue)

    def executor(self, queue: str | None = None, *, keep: Duration = "1h") -> QueueExecutor:
        """A `concurrent.futures.Executor` whose workers are those of this store: `with broker.executor() as pool: pool.submit(task, 42)`.
        Takes tasks of this broker and their functions. `queue`: where they are put, else each where its task says; `keep`: how long a
        result waits until its future has read it, where the task does not say."""
        from .executor import QueueExecutor

        return QueueExecutor(self._link, self.tasks, queue, keep=keep)

    @contextmanager
    def inline(self) -> Iterator[None]:
        """`with broker.inline(): ...` runs each task right where it is put, in this process, before `put` answers: for tests and for trying
        things out. It goes through the store as ever (arguments as bytes, retries, results), and what the function raises, `put` raises.

        What is delayed, held up by its lane or a limit, or put with `tx=` waits as ever. Raises Unsupported on an engine that cannot
        hand out one job by its id."""
        from .worker.here import Here

        if Feature.PICK not in self._link.store.features:
            raise Unsupported(f"{self.url} cannot hand out one job by its id, which inline mode needs; nothing was done")
        before, here = self.tasks.here, Here(self._link, self.tasks)
        self.tasks.here = here
        try:
            yield
        finally:
            self.tasks.here = before
            here.close()

    def copy(self, target: Broker, *patterns: str, running: bool = False) -> list[Carried]:
        """Copy the jobs of the queues that the patterns mean, or all, into the store of another connection, as they stand: ids, priority,
        moments, attempts, history, results, states and switches. This store is left as it is; what is there already stays as it is
        there, so the same call may be repeated.

        `running`: also jobs that run now; they wait there, with the attempt counted. Without it they raise Conflict. Raises Unsupported
        for what that store cannot keep, before anything is done. What each queue answers is worth a look: jobs stay out (`refused`)
        when live jobs there hold their keys.
        """
        from .carry import copy, meant

        return copy(self.store, target.store, meant(self.store, patterns), running=running)

    def transaction(self, tx: Any) -> AbstractContextManager[None]:
        """`with broker.transaction(connection): ...` commits at the end, rolls back after an exception, and then wakes the workers for
        what was put with `tx=connection`. For plain connections to MariaDB, which cannot tell of a commit; all others do without.

        Raises BadValue for what is no connection to this database with a transaction open, Unsupported on an engine without one.
        """
        return self._link.store.transaction(tx)

    def ring(self, *queues: str) -> None:
        """Wake a worker that waits for each of these queues, once jobs were committed by `tx=` or by your own SQL: see the guide on
        transactions for when that is of use. Always harmless."""
        self._link.store.ring([check_name(queue) for queue in queues])

    def on(self, listener: Listener) -> None:
        """Tell `listener` of every event (events.Event) of this connection from now on. What it raises is passed over."""
        self._link.on(listener)

    def close(self) -> None:
        """Let go of the store. What is claimed stays claimed until its lease ends. May be called twice."""
        self._link.close()

    alisten = twin(listen)
    acopy = twin(copy)
    aring = twin(ring)
    aworkers = twin(workers)
    ahistory = twin(history)
    apause = twin(pause)
    aresume = twin(resume)
    apaused = twin(paused)
    awhy = twin(why)
    awhy_queue = twin(why_queue)
    aqueues = twin(queues)
    acounts = twin(counts)

    async def aclose(self) -> None:
        """The awaitable twin of `close`: what was put and is awaited is settled first."""
        import asyncio

        await asyncio.to_thread(self.close)

    def __enter__(self) -> Broker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    async def __aenter__(self) -> Broker:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"<Broker {self.url}>"
