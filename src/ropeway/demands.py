"""What every engine demands of its arguments, said once: an engine calls these before it does anything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from msgspec.structs import replace

from .durations import LONGEST
from .errors import BadBody, BadName, BadValue, Unsupported
from .job import HIGHEST, LATEST, LOWEST, PRIORITY, Attempt, Job, State, check_job
from .names import check_name, shown
from .notes import NOTE_LIMIT
from .store import Ack, Entry, Feature, Handback, Limits, Query

SHORTEST_LEASE = 1e-9
RESULT_LIMIT = 1024 * 1024
REASON_LIMIT = 1000
NOTE_KEY_LIMIT = 160
MOST_AT_ONCE = 1_000_000  # that a limit may allow
MOST_ATTEMPTS = 99_999  # that a job can bring along: the directory's names have five digits for them


def check_seconds(value: object, what: str, least: float = 0.0) -> None:
    """A number of seconds from `least` to a hundred years."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= LONGEST:
        raise BadValue(f"{shown(value)} is no {what}: it is a number of seconds, up to 100 years; nothing was done")


def check_lease(lease: object) -> None:
    check_seconds(lease, "lease", SHORTEST_LEASE)


def check_limit(limit: object) -> None:
    """How many a claim asks for."""
    if type(limit) is not int or limit < 1:
        raise BadValue(f"a claim's limit is a whole number from 1 up, not {shown(limit)}; nothing was claimed")


def check_acks(acks: Sequence[Ack]) -> None:
    for ack in acks:
        if ack.keep is not None:
            check_seconds(ack.keep, "keep")
        if ack.result is not None and (type(ack.result) is not bytes or len(ack.result) > RESULT_LIMIT):
            raise BadBody(f"a result is bytes, {RESULT_LIMIT} at most; nothing was acked")


def check_limits(limits: Limits) -> None:
    """How many of a queue, and of a lane, may run at once."""
    for what, number, least in (("running", limits.running, 0), ("lane", limits.lane, 1)):
        if type(number) is not int or not least <= number <= MOST_AT_ONCE:
            raise BadValue(f"the limit {what} is a whole number from {least} to {MOST_AT_ONCE}, not {shown(number)}; nothing was limited")


def check_handbacks(handbacks: Sequence[Handback], max_body: int | None = None) -> None:
    for handback in handbacks:
        check_seconds(handback.delay, "delay")
        if handback.edit is not None:
            check_job(handback.edit, max_body)
            if handback.edit.source is not None:
                raise BadBody("a job is edited with a body of bytes, not with one that is streamed; nothing was given back")
        priority = handback.priority
        if priority is not None and (type(priority) is not int or not HIGHEST <= priority <= LOWEST):
            raise BadValue(f"priority {shown(priority)} is not a whole number from {HIGHEST} to {LOWEST}; nothing was given back")


def edited(job: Job, edit: Job) -> Job:
    """The job with the content of `edit` (Handback.edit): what a producer says anew, in the place that it has."""
    return replace(
        job,
        body=edit.body,
        content_type=edit.content_type,
        headers=dict(edit.headers),
        ttl=edit.ttl,
        keep=edit.keep,
        task=edit.task,
        size=-1,
        digest="",
        source=None,
    )


def check_query(query: Query) -> None:
    """The queues and the limit of a query; its cursor is the engine's own to check."""
    for name in query.queues or ():
        check_name(name)
    if query.limit is not None and (type(query.limit) is not int or query.limit < 0):
        raise BadValue(f"a limit is a whole number from 0 up, or None, not {shown(query.limit)}; nothing was done")


def check_reason(reason: object) -> None:
    """Why a queue is switched off."""
    if not isinstance(reason, str):
        raise BadValue(f"a reason is text, not {shown(reason)}; nothing was switched")
    if len(reason) > REASON_LIMIT:
        raise BadValue(f"a reason is at most {REASON_LIMIT} characters; nothing was switched")


def check_note_key(key: object) -> str:
    """A note's key: names joined by slashes, 160 characters at most."""
    if not isinstance(key, str) or len(key) > NOTE_KEY_LIMIT:
        raise BadName(f"{shown(key)} is no key for a note; nothing was noted")
    for word in key.split("/"):
        check_name(word, "note")
    return key


def check_note(key: object, value: object, lifetime: object) -> None:
    """A note whole: its key, at most 64 KiB of bytes, and a lifetime above nothing."""
    check_note_key(key)
    if type(value) is not bytes or len(value) > NOTE_LIMIT:
        raise BadBody(f"a note is at most {NOTE_LIMIT} bytes; nothing was noted")
    if isinstance(lifetime, bool) or not isinstance(lifetime, int | float) or not 0 < lifetime <= LONGEST:
        raise BadValue(f"{shown(lifetime)} is no lifetime of a note: more than 0 seconds, up to 100 years; nothing was noted")


class Apart:
    """An engine that is no database of the application's, so that no transaction can hold both."""

    url: str

    def join(self, tx: Any) -> NoReturn:  # noqa: ARG002 - refused whatever it is
        raise Unsupported(
            f"{self.url} is no database, so no transaction of yours can hold its jobs; nothing was done. Use sqlite:, postgresql: or "
            "mysql: with the database of the application, or leave tx= out"
        )

    def transaction(self, tx: Any) -> NoReturn:
        self.join(tx)

    def ring(self, queues: Sequence[str]) -> NoReturn:  # noqa: ARG002 - refused whatever they are
        raise Unsupported(f"{self.url} rings by itself with each put; nothing was done")


# What of an entry needs which feature of the store that it is brought to, in the words of the refusal.
_NEEDS: dict[Feature, tuple[str, Callable[[Entry], bool]]] = {
    Feature.PRIORITY: ("its priority", lambda entry: entry.job.priority != PRIORITY),
    Feature.DELAY: ("its moment to come", lambda entry: entry.state is State.DELAYED),
    Feature.KEYS: ("its unique key", lambda entry: bool(entry.job.key) or entry.job.once),
    Feature.KEEP: ("that it is kept when done", lambda entry: entry.state is State.DONE or bool(entry.job.keep)),
    Feature.LANES: ("its lane", lambda entry: bool(entry.job.lane)),
    Feature.HISTORY: ("the history of its attempts", lambda entry: bool(entry.history)),
    Feature.STREAM: ("a body that is streamed", lambda entry: entry.job.source is not None),
}


def lacking(entry: Entry, features: frozenset[Feature]) -> dict[Feature, str]:
    """What a store with these features could not keep of the job, each with the words for it; empty when all of it can be brought."""
    return {feature: what for feature, (what, wanted) in _NEEDS.items() if feature not in features and wanted(entry)}


def check_entries(entries: Sequence[Entry], features: frozenset[Feature], max_body: int | None = None) -> None:
    """What `bring` demands: sound jobs, sound pasts, and a store that has room for all of it."""
    for entry in entries:
        job = check_job(entry.job, max_body)
        _check_past(entry)
        if job.size >= 0 and job.source is None and not job.body and job.size:
            raise BadBody(f"the body of job {job.id} did not come with it; nothing was stored. Give it as the job's source")
    for entry in entries:
        if missing := lacking(entry, features):
            raise Unsupported(
                f"job {entry.job.id} cannot be kept here as it is: this engine has no {' and no '.join(missing)} "
                f"({', '.join(missing.values())}); nothing was stored"
            )


def _check_past(entry: Entry) -> None:
    """The state, the counts, the history and the result of an entry that comes from elsewhere."""
    if not isinstance(entry.state, State):
        raise BadValue(f"{shown(entry.state)} is no state; nothing was stored")
    for what, count in (("attempts", entry.attempts), ("deaths", entry.deaths)):
        if type(count) is not int or not 0 <= count <= MOST_ATTEMPTS:
            raise BadValue(f"{what} are a whole number from 0 to {MOST_ATTEMPTS}, not {shown(count)}; nothing was stored")
    _check_moment(entry.due, "due")
    if type(entry.history) is not list or not all(type(one) is Attempt for one in entry.history):
        raise BadValue(f"a history is a list of attempts, not {shown(entry.history)}; nothing was stored")
    for one in entry.history:
        texts = (one.worker, one.outcome, one.error, one.traceback, one.log)
        if type(one.number) is not int or not 0 <= one.number < 1 << 53 or not all(type(text) is str for text in texts):
            raise BadValue(f"{shown(one)} is no attempt; nothing was stored")
        _check_moment(one.started, "start of an attempt")
        _check_moment(one.ended, "end of an attempt")
    if entry.result is not None and (type(entry.result) is not bytes or len(entry.result) > RESULT_LIMIT):
        raise BadBody(f"a result is bytes, {RESULT_LIMIT} at most; nothing was stored")
    if type(entry.result_type) is not str:
        raise BadBody(f"the type of a result is text, not {shown(entry.result_type)}; nothing was stored")


def _check_moment(value: object, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LATEST:
        raise BadValue(f"{shown(value)} is no {what}: it is a moment of this age, in seconds since 1970; nothing was stored")


def arrival(entry: Entry, now: float) -> float:
    """When a job that is brought is due, or died, or may be forgotten."""
    if entry.state is State.RUNNING:
        return entry.job.due or entry.job.created or now
    return entry.due or (now if entry.state is State.DONE else entry.job.due or entry.job.created or now)
