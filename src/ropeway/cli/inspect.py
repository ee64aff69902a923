"""`inspect`: what a process shows of itself."""

from __future__ import annotations

import click

from .params import duration_option, pass_session
from .root import verb
from .session import Session

EXAMPLE = """\
ropeway inspect                        # the processes of yours that have a page
ropeway inspect 7203 jobs              # by pid: what each job does now
ropeway inspect web1-7203 stacks       # by the id of a worker, on any host: it is asked through its orders
ropeway inspect 7203 output -f         # what it prints, as it comes
ropeway inspect 7203 page              # the address of its page, with the token in it"""

WHATS = ("state", "jobs", "stacks", "output", "logs", "metrics", "page")


@verb("inspect", example=EXAMPLE)
@click.argument("target", metavar="[PID|WORKER|ADDR]", required=False)
@click.argument("what", metavar="[state|jobs|stacks|output|logs|metrics|page]", type=click.Choice(WHATS), default="state")
@click.option("-f", "--follow", is_flag=True, help="Go on: new lines and records as they come, other views each second.")
@duration_option("--wait", default=2.0, help="How long a process on this host may take to answer; a worker elsewhere has 10s at least; 2s.")
@pass_session
def inspect_command(session: Session, target: str | None, what: str, follow: bool, wait: float) -> int:
    """Look into a process: its state, jobs, stacks, output, logs, and what it costs.

    A process is found by its pid when it has a page (ropeway.introspect(), --introspect) or is a worker of the store; a worker by its id,
    which may be cut short; a page by its address. Of a process on this host that does not answer it is told what the kernel knows, and
    where its threads stand. Exit 3 when there is no such process, 124 when it does not answer.
    """
    from .inspecting import inspect, list_pages

    if target is None:
        return list_pages(session)
    return inspect(session, target, what, follow=follow, wait=wait)
