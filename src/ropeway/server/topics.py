"""Topics over HTTP: publish, listen by server-sent events, and the groups that stand behind.

Who publishes needs the role produce on the topic's name. Who listens needs consume: a topic that is named as it is must be within the
grant, and of what a pattern means only those topics are told that are.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.responses import Response

from ..broker import Broker
from ..bus import MESSAGE_LIMIT
from ..errors import BadValue
from ..group import Group
from ..ids import check_id
from ..job import BYTES, JSON
from ..message import Message
from ..names import shown
from ..store import Counts
from ..topic import apublish
from ..topics import check_patterns, check_topic
from . import asking
from .answers import said
from .asking import BATCH
from .doors import Call, Door
from .grants import Grant, Role
from .news import CLIENTS, EventStream, News
from .problems import Refusal
from .putting import BULK_LIMIT, LINES, headers_of


def doors(broker: Broker, news: News) -> list[Door]:
    """The doors of this family."""

    async def publish(call: Call) -> Response:
        topic = check_topic(call.path_params["t"])
        may_publish(call.grant, topic)
        given = asking.query(call, {"id"})
        kind = call.heads.get(b"content-type", BYTES.encode()).decode("latin-1")
        headers, now = headers_of(call), broker.link.clock.now()
        if kind.partition(";")[0].strip().lower() == LINES:
            if "id" in given:
                raise BadValue("no two messages can share an id; nothing was published")
            lines = [line for line in (await asking.body(call, BULK_LIMIT)).split(b"\n") if line.strip()]
            _check_lines(lines)
            messages = [Message(topic, broker.link.new_id(), line, JSON, headers, now) for line in lines]
            await apublish(broker.link, messages)
            return said({"ids": [message.id for message in messages]}, 201)
        body = await asking.body(call, MESSAGE_LIMIT)
        own = check_id(given["id"]) if "id" in given else ""
        message = Message(topic, own or broker.link.new_id(), body, kind, headers, now)
        await apublish(broker.link, [message], once=bool(own))
        return said({"id": message.id}, 201)

    async def events(call: Call) -> Response:
        patterns = check_patterns(call.path_params["t"].split(","))
        may_listen(call.grant, patterns)
        exact = asking.query(call, {"body"}).get("body", "text")
        if exact not in ("text", "base64"):
            raise BadValue(f"body is text or base64, not {shown(exact)}; nothing was done")
        if news.crowded:
            raise Refusal(503, f"{CLIENTS} listen here already; nothing was done. Try again later", Retry_After="10")
        client = await news.join(patterns, call.grant, call.headers.get("last-event-id", ""))
        return EventStream(news, client, call.still, exact=exact == "base64")

    async def show(call: Call) -> Response:
        asking.query(call, ())
        groups = broker.groups
        found, counts, kept = await asyncio.gather(groups.abrowse(), groups.acounts(), groups.aretained())
        rows = [
            _group_row(group, counts[group.name]) for group in found if group.name in counts and call.grant.may(Role.OBSERVE, group.queue)
        ]
        return said({"groups": rows, "retained": [{"pattern": one.pattern, "keep": one.keep} for one in kept]})

    live = "What is published, live: server-sent events"
    return [
        Door("POST", "/v1/topics/{t}", Role.PRODUCE, publish, says="Publish a message, its body as it stands; or many, as lines of JSON"),
        Door("GET", "/v1/topics/{t}/events", Role.CONSUME, events, says=live, changes=False, lasts=True),
        Door("GET", "/v1/topics", Role.OBSERVE, show, says="The durable groups, and how far each is behind", changes=False),
    ]


def _group_row(group: Group, counts: Counts) -> dict[str, Any]:
    return {
        "name": group.name,
        "patterns": group.patterns,
        "keep": group.keep,
        "source": group.source,
        "created": group.created,
        "queue": group.queue,
        "lag": counts.ready + counts.delayed + counts.running,
        "dead": counts.dead,
    }


def may_publish(grant: Grant, topic: str) -> None:
    """Refusal unless it may."""
    if not grant.may(Role.PRODUCE, topic):
        raise Refusal(403, f"this token has no right to {Role.PRODUCE} on {shown(topic)}; nothing was published")


def may_listen(grant: Grant, patterns: Sequence[str]) -> None:
    """Refusal when one of the patterns can mean nothing that it may hear."""
    for pattern in patterns:
        if not grant.may(Role.CONSUME) or ("*" not in pattern and "#" not in pattern and not grant.may(Role.CONSUME, pattern)):
            raise Refusal(403, f"this token has no right to {Role.CONSUME} on {shown(pattern)}; nothing was done")


def _check_lines(lines: list[bytes]) -> None:
    if len(lines) > BATCH:
        raise Refusal(413, f"{len(lines)} lines are over the limit of {BATCH} a request; nothing was published")
    for number, line in enumerate(lines, 1):
        if len(line) > MESSAGE_LIMIT:
            raise Refusal(413, f"line {number} is over the limit of {MESSAGE_LIMIT} bytes; nothing was published")
        try:
            msgspec.json.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise Refusal(400, f"line {number} is no JSON: {error}; nothing was published") from None
