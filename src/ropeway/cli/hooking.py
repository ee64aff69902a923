"""What `bridge webhook:` does: checks the address and the secrets, makes the group, and runs a worker that sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..bridges.signing import Secrets
from ..bridges.target import Target
from ..bridges.webhook import WebhookRunner
from ..group import PREFIX
from ..log import setup
from ..names import check_name
from ..names import check_patterns as check_queues
from ..retry import Retry
from ..topics import check_patterns
from ..url import hidden
from ..worker import Worker
from .hearing import join
from .output import say
from .session import Session
from .verdict import USAGE, Failure

ATTEMPTS, BASE, CAP, JITTER = 17, 5.0, 6 * 3600.0, 0.2  # a receiver that was away for a day has missed nothing
AT_ONCE = 4


def hook(session: Session, url: str, queues: Sequence[str], options: dict[str, Any]) -> int:
    """Send until stopped or drained; the exit code is the worker's."""
    _check(queues, options)
    target = Target(url, options["allow"])
    target.check()
    secrets = None
    if options["secret_file"] or options["secret_env"]:
        secrets = Secrets(file=options["secret_file"] or "", variable=options["secret_env"] or "")
    timeout = {} if options["run_timeout"] is None else {"timeout": options["run_timeout"]}
    runner = WebhookRunner(target, secrets, **timeout)
    retry = Retry(options["retries"] or ATTEMPTS, base=BASE if options["backoff"] is None else options["backoff"], cap=CAP, jitter=JITTER)
    setup(level="error" if session.quiet else "debug" if session.verbose else None)
    if options["group"]:
        join(session, options["group"], options["topics"])
        queues = [PREFIX + options["group"]]
    worker = Worker(session.link, None, queues, pool=runner, concurrency=options["jobs"] or AT_ONCE, retry=retry, drain=options["drain"])
    if not session.quiet:
        what = f"group {options['group']}" if options["group"] else " ".join(queues)
        say(f"webhooks of {what} of {hidden(session.link.url)} go to {target}{'' if secrets else ', not signed'}")
    return worker.run()


def _check(queues: Sequence[str], options: dict[str, Any]) -> None:
    if options["topics"] and not options["group"]:
        raise Failure(USAGE, "--topic needs --group NAME, where the messages wait until they are sent; nothing was started")
    if bool(queues) == bool(options["group"]):
        raise Failure(
            USAGE,
            "send what? Give queues, or a durable group with topics (--topic 'orders.#' --group shop), not both; nothing was started",
        )
    if options["secret_file"] and options["secret_env"]:
        raise Failure(USAGE, "give --secret-file or --secret-env, not both; nothing was started")
    if options["topics"]:
        check_patterns(options["topics"])
    if options["group"]:
        check_name(options["group"], "group")
    check_queues(queues)
