"""`bridge`: what comes from elsewhere becomes jobs, and jobs and messages go elsewhere."""

from __future__ import annotations

from typing import Any

import click

from .opening import introspect_option
from .params import complete_queue, duration_option, pass_session
from .root import verb
from .session import Session
from .verdict import USAGE, Failure

EXAMPLE = """\
ropeway bridge syslog: logs                        # UDP and TCP on 127.0.0.1:5514: *.* @@127.0.0.1:5514 in rsyslog
ropeway bridge syslog:/run/app/log logs            # a socket such as /dev/log
logger -n 127.0.0.1 -P 5514 -p mail.err 'disk full' && ropeway get logs
ropeway bridge webhook:https://shop.example.org/hooks --topic 'orders.#' --group shop --secret-file shop.key
ropeway bridge webhook:http://127.0.0.1:9000/jobs thumbs --allow 127.0.0.1:9000 -j 8"""

_SYSLOG = {"priority": "-p", "task": "--task", "ttl": "--ttl", "keep": "--keep", "anyone": "--open"}
_WEBHOOK = {
    "topics": "--topic", "group": "--group", "secret_file": "--secret-file", "secret_env": "--secret-env", "allow": "--allow",
    "jobs": "-j", "run_timeout": "--run-timeout", "retries": "--retries", "backoff": "--backoff", "drain": "--drain",
}  # fmt: skip


@verb("bridge", example=EXAMPLE)
@click.argument("place", metavar="syslog:...|webhook:URL")
@click.argument("queues", metavar="[QUEUE]...", nargs=-1, shell_complete=complete_queue)
@click.option("-p", "--priority", type=click.IntRange(0, 99), help="syslog: of the jobs, 0 (first) to 99; 50.")
@click.option("--task", metavar="NAME", help="syslog: the registered function that the jobs run.")
@duration_option("--ttl", help="syslog: drop a line that nobody has taken by then.")
@duration_option("--keep", help="syslog: how long done jobs stay.")
@click.option("--open", "anyone", is_flag=True, help="syslog: listen on an address that is not loopback: whoever reaches it can put lines.")
@click.option(
    "--topic", "topics", multiple=True, metavar="PATTERN", help="webhook: the messages of these topics; * is a word, # any number."
)
@click.option("--group", metavar="NAME", help="webhook: the durable group that they wait in; made if it is not there.")
@click.option(
    "--secret-file", metavar="FILE", help="webhook: sign with the secrets in it, a line each: whsec_ and base64 of 24 to 64 bytes."
)
@click.option("--secret-env", metavar="VARIABLE", help="webhook: sign with the secret in that environment variable.")
@click.option("--allow", multiple=True, metavar="HOST[:PORT]|NET", help="webhook: only these are reached, and they may be private.")
@click.option("-j", "--jobs", type=click.IntRange(1, 1000), metavar="N", help="webhook: so many deliveries at once; 4.")
@duration_option("--run-timeout", help="webhook: how long one delivery may take; 15s.")
@click.option("--retries", type=click.IntRange(min=1), metavar="N", help="webhook: attempts in all; 17, which take a day.")
@duration_option("--backoff", help="webhook: longest pause after the first failure, doubled with each one up to 6h; 5s.")
@click.option("--drain", is_flag=True, help="webhook: end when nothing is due and no retry is waiting.")
@introspect_option
@pass_session
def bridge_command(session: Session, place: str, queues: tuple[str, ...], **options: Any) -> int:
    """Join a store to what is elsewhere: lines of syslog become jobs, jobs leave as webhooks.

    syslog: puts a job for each line that comes in. The body is JSON: facility, severity, time, host, app, pid, id, data and message, as far
    as the line says them. Facility and severity are headers as well.

    webhook:URL is a worker that POSTs each job of the queues, or each message of the group, byte for byte. Answered with 2xx it is done;
    with 410 it is buried; anything else is tried again, not before Retry-After, and buried when --retries are used up. Redirects are not
    followed. Headers tell webhook-id (the same at each attempt, so that a receiver can drop what came twice), webhook-timestamp,
    webhook-signature (with a secret, as the Standard Webhooks say it), Ropeway-Topic or Ropeway-Queue, and Ropeway-Attempt.

    Only public addresses are reached, and only https://, unless --allow names the host. Start it twice, and both share the work.
    """
    if place.startswith("webhook:"):
        _only(options, _SYSLOG, "syslog:")
        from .hooking import hook

        return hook(session, place.removeprefix("webhook:"), queues, options)
    _only(options, _WEBHOOK, "webhook:")
    if len(queues) != 1:
        raise Failure(USAGE, "syslog: goes into one queue: say which; nothing was started. As in: ropeway bridge syslog: logs")
    from .bridging import bridge

    return bridge(session, place, queues[0], options)


def _only(options: dict[str, Any], others: dict[str, str], whose: str) -> None:
    if wrong := [flag for name, flag in others.items() if options[name] not in (None, False, ())]:
        raise Failure(USAGE, f"{wrong[0]} is for {whose}; nothing was started")
