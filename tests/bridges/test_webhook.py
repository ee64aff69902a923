"""Webhooks as they are sent: a worker of its own kind, over real HTTP, and what becomes of each job by the answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import ropeway
from ropeway import Broker, Retry
from ropeway.bridges.signing import Secrets
from ropeway.bridges.target import Target
from ropeway.bridges.webhook import WebhookRunner
from ropeway.store import Entry
from ropeway.worker import Worker

from .receiver import Got, Receiver, always, in_turn, receiving

KEY = b"k" * 32
SECRET = "whsec_" + base64.b64encode(KEY).decode()


@pytest.fixture
def broker() -> Iterator[Broker]:
    with ropeway.connect("memory:") as made:
        yield made


def send(broker: Broker, receiver: Receiver, queue: str = "hooks", **more: Any) -> int:
    """Send all that waits, with three tries that follow at once; the exit code."""
    options = {name: more.pop(name) for name in ("secrets", "timeout") if name in more}
    runner = WebhookRunner(Target(receiver.url, ["127.0.0.1"]), **options)
    settings = {"retry": Retry(3, base=0.01), "concurrency": 4, "drain": True, **more}
    return Worker(broker.link, None, [queue], pool=runner, **settings).run()


def dead(broker: Broker, queue: str = "hooks") -> list[Entry]:
    return list(broker.queue(queue).browse(state="dead"))


def said(entry: Entry) -> list[str]:
    """The errors of its history."""
    return [attempt.error for attempt in entry.history]


def test_a_job_byte_for_byte_with_its_headers(broker: Broker) -> None:
    body, trace = bytes(range(256)) * 40, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"tenant": "7", "traceparent": trace, "who": "Jürgen", "bad(name": "x", "ropeway-reply-to": "_reply." + "0" * 32}
    handle = broker.queue("hooks").put(body, headers=headers)
    before = int(time.time())
    with receiving(always(204)) as receiver:
        assert send(broker, receiver) == 0
    (got,) = receiver.got
    assert (got.path, got.body) == ("/hooks?x=1", body)
    told = got.headers
    assert before <= int(told["webhook-timestamp"]) <= int(time.time())
    assert told["webhook-id"] == handle.id
    assert (told["Ropeway-Queue"], told["Ropeway-Attempt"], told["Content-Type"]) == ("hooks", "1", "application/octet-stream")
    assert (told["Ropeway-H-tenant"], told["traceparent"]) == ("7", trace)
    assert told["Ropeway-H-who"].encode("latin-1").decode() == "Jürgen"
    assert "webhook-signature" not in told
    assert not [name for name in told if "reply" in name.lower() or "bad" in name]
    assert broker.queue("hooks").counts().running == len(broker.queue("hooks")) == 0


def _signed(got: Got, key: bytes = KEY) -> bool:
    """Whether the receiver's own reckoning agrees, as the Standard Webhooks tell it."""
    what = f"{got.headers['webhook-id']}.{got.headers['webhook-timestamp']}.".encode() + got.body
    mine = "v1," + base64.b64encode(hmac.new(key, what, hashlib.sha256).digest()).decode()
    return any(hmac.compare_digest(mine, one) for one in got.headers["webhook-signature"].split())


def test_messages_of_a_group_signed(broker: Broker, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.touch(0o600)
    file.write_text(SECRET)
    broker.groups.add("shop", ["orders.#"])
    sent = broker.topic("orders.created").publish({"id": 1}, headers={"tenant": "7"})
    broker.topic("other").publish(b"no")
    with receiving(in_turn((500, {}, b""), (200, {}, b"ok"))) as receiver:
        assert send(broker, receiver, "_group.shop", secrets=Secrets(file=str(file))) == 0
    first, again = receiver.got
    for number, got in enumerate((first, again), 1):
        assert got.body == b'{"id":1}'
        assert got.headers["webhook-id"] == sent.id
        told = {name: value for name, value in got.headers.items() if name.startswith("Ropeway-")}
        about = {"Ropeway-Topic": "orders.created", "Ropeway-Group": "shop"}
        assert told == {**about, "Ropeway-Attempt": str(number), "Ropeway-H-tenant": "7"}
        assert _signed(got)
        assert not _signed(got, b"x" * 32)


def test_a_secret_is_exchanged_without_a_restart(broker: Broker, tmp_path: Path) -> None:
    file, new = tmp_path / "key", b"n" * 24
    file.touch(0o600)
    file.write_text(SECRET)
    secrets = Secrets(file=str(file))
    broker.queue("hooks").put("1")
    with receiving(always(200)) as receiver:
        send(broker, receiver, secrets=secrets)
        file.write_text(f"whsec_{base64.b64encode(new).decode()}\n{SECRET}\n")
        broker.queue("hooks").put("2")
        send(broker, receiver, secrets=secrets)
        file.write_text("nonsense")
        broker.queue("hooks").put("3")
        send(broker, receiver, secrets=secrets)
    first, second, third = receiver.got
    assert (_signed(first), _signed(first, new)) == (True, False)
    assert (_signed(second), _signed(second, new)) == (True, True)
    assert (_signed(third), _signed(third, new)) == (True, True)


def test_gone_is_buried_at_once_with_the_reason(broker: Broker) -> None:
    broker.queue("hooks").put("x")
    with receiving(always(410, said=b"unsubscribed")) as receiver:
        send(broker, receiver)
    (entry,) = dead(broker)
    assert len(receiver.got) == 1
    assert said(entry) == [f"http://127.0.0.1:{receiver.port}/...: 410 Gone: unsubscribed (the receiver wants no more of this)"]


@pytest.mark.parametrize("status", [400, 404, 500, 302])
def test_others_are_tried_again_and_end_dead(broker: Broker, status: int) -> None:
    broker.queue("hooks").put("x")
    with receiving(always(status, {"Location": "http://127.0.0.1:1/secret"} if status == 302 else None, b"why\nnot")) as receiver:
        assert send(broker, receiver) == 10
    assert [got.headers["Ropeway-Attempt"] for got in receiver.got] == ["1", "2", "3"]
    (entry,) = dead(broker)
    assert len(said(entry)) == 3
    assert all(f": {status} " in text for text in said(entry))
    assert ("why not" in said(entry)[0]) == (status != 302)
    assert "secret" not in said(entry)[0]


def test_a_redirect_is_not_followed(broker: Broker) -> None:
    """S21: also not to where the list would let it."""
    with receiving(always(200)) as elsewhere, receiving(always(307, {"Location": elsewhere.url})) as receiver:
        broker.queue("hooks").put("x")
        send(broker, receiver)
    assert len(receiver.got) == 3
    assert elsewhere.got == []
    assert "redirects are not followed" in said(dead(broker)[0])[0]


def test_a_line_that_is_cut_and_one_that_is_closed(broker: Broker) -> None:
    broker.queue("hooks").put("x")
    with receiving(in_turn(None, (200, {}, b""))) as receiver:
        assert send(broker, receiver) == 0
    assert len(receiver.got) == 2


def test_connections_are_kept_and_a_closed_one_is_made_anew(broker: Broker) -> None:
    """The second reply ends its connection without a word: the third message goes over a new one, as the same attempt."""
    for number in range(4):
        broker.queue("hooks").put(str(number))
    with receiving(in_turn((200, {}, b"x" * 9000), (200, {"Connection": "close"}, b""), (200, {}, b""))) as receiver:
        assert send(broker, receiver, concurrency=1) == 0
    assert [got.body for got in receiver.got] == [b"0", b"1", b"2", b"3"]
    assert {got.headers["Ropeway-Attempt"] for got in receiver.got} == {"1"}
    ports = [got.peer[1] for got in receiver.got]
    assert ports[0] == ports[1] != ports[2] == ports[3]


def test_the_receiver_says_when_and_others_wait_too(broker: Broker) -> None:
    for number in range(3):
        broker.queue("hooks").put(str(number))
    moments: list[float] = []

    def script(number: int) -> tuple[int, dict[str, str], bytes]:
        moments.append(time.monotonic())
        return (429, {"Retry-After": "1"}, b"slowly") if number == 0 else (200, {}, b"")

    with receiving(script) as receiver:
        assert send(broker, receiver, concurrency=1) == 0
    assert receiver.got[0].body == b"0"
    assert sorted(got.body for got in receiver.got) == [b"0", b"0", b"1", b"2"]
    assert moments[1] - moments[0] >= 0.95


def test_a_worker_that_stops_while_it_is_to_wait_gives_back_uncounted(broker: Broker) -> None:
    for number in range(3):
        broker.queue("hooks").put(str(number))
    with receiving(always(503, {"Retry-After": "3600"})) as receiver:
        runner = WebhookRunner(Target(receiver.url, ["127.0.0.1"]))
        worker = Worker(broker.link, None, ["hooks"], pool=runner, concurrency=1)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert receiver.came.acquire(timeout=20)
        end = time.monotonic() + 20
        while broker.queue("hooks").counts().delayed != 1:
            assert time.monotonic() < end
            time.sleep(0.01)
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()
        assert len(receiver.got) == 1
    waiting = {bytes(entry.job.body): entry for entry in broker.queue("hooks").browse()}
    assert sorted(waiting) == [b"0", b"1", b"2"]
    assert len(waiting[b"0"].history) == 1
    assert waiting[b"0"].job.due - time.time() > 3000
    assert {len(waiting[body].history) for body in (b"1", b"2")} == {0}


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", b"HTTP/1.1 200 OK\r\nX: " + b"y" * 999])
def test_a_receiver_that_drips_is_left_in_time(broker: Broker, head: bytes) -> None:
    """One byte now and then keeps no slot beyond the timeout: not before the answer, and not in it. What has said 2xx is done."""
    door = socket.create_server(("127.0.0.1", 0))
    over = threading.Event()

    def drip() -> None:
        line, _ = door.accept()
        with line:
            line.recv(65536)
            line.sendall(head)
            while not over.wait(0.05):
                try:
                    line.sendall(b"H" if not head else b"y")
                except OSError:
                    return

    threading.Thread(target=drip, daemon=True).start()
    broker.queue("hooks").put("x")
    runner = WebhookRunner(Target(f"http://127.0.0.1:{door.getsockname()[1]}/", ["127.0.0.1"]), timeout=0.5)
    before = time.monotonic()
    Worker(broker.link, None, ["hooks"], pool=runner, drain=True, retry=Retry(1)).run()
    lasted = time.monotonic() - before
    over.set()
    door.close()
    assert lasted < 10
    if head.endswith(b"ab"):
        assert dead(broker) == []
    else:
        assert "no answer within 500ms" in said(dead(broker)[0])[0]
        assert dead(broker)[0].history[0].outcome == "timeout"


def test_who_has_said_yes_and_sends_no_body_keeps_no_slot(broker: Broker) -> None:
    broker.queue("hooks").put("x")
    with receiving(always(200, {"Content-Length": "1000"}, b"never more")) as receiver:
        before = time.monotonic()
        assert send(broker, receiver, timeout=60) == 0
        assert time.monotonic() - before < 20
    assert len(receiver.got) == 1


def test_an_endless_answer_is_read_to_a_bound_and_redacted(broker: Broker) -> None:
    broker.queue("hooks").put("x")
    text = b"token=abcdefgh12345678 \x1b[31m<b>" + b"z" * 5_000_000
    with receiving(always(500, said=text)) as receiver:
        send(broker, receiver, retry=Retry(1))
    (error,) = said(dead(broker)[0])
    assert "token=***" in error
    assert "abcdefgh" not in error
    assert "\x1b" not in error
    assert len(error) < 400


def test_what_speaks_no_http(broker: Broker) -> None:
    door = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        while True:
            try:
                line, _ = door.accept()
            except OSError:
                return
            line.sendall(b"220 mail.example.org ESMTP\r\n")
            line.close()

    threading.Thread(target=speak, daemon=True).start()
    broker.queue("hooks").put("x")
    runner = WebhookRunner(Target(f"http://127.0.0.1:{door.getsockname()[1]}/", ["127.0.0.1"]))
    Worker(broker.link, None, ["hooks"], pool=runner, drain=True, retry=Retry(2, base=0.01)).run()
    door.close()
    assert len(said(dead(broker)[0])) == 2


def test_no_more_at_once_than_asked(broker: Broker) -> None:
    for number in range(12):
        broker.queue("hooks").put(str(number))
    lock, now, most = threading.Lock(), 0, 0

    def script(_: int) -> tuple[int, dict[str, str], bytes]:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        threading.Event().wait(0.03)  # so that they overlap if they can
        with lock:
            now -= 1
        return 200, {}, b""

    with receiving(script) as receiver:
        send(broker, receiver, concurrency=3)
    assert len(receiver.got) == 12
    assert 2 <= most <= 3


def test_a_large_body_is_streamed(tmp_path: Path) -> None:
    big = tmp_path / "film"
    big.write_bytes(bytes(range(251)) * 40_000)
    with ropeway.connect(f"dir:{tmp_path}/spool?durability=os") as broker, receiving(always(200)) as receiver:
        broker.queue("hooks").put_file(str(big))
        file = tmp_path / "key"
        file.touch(0o600)
        file.write_text(SECRET)
        assert send(broker, receiver, secrets=Secrets(file=str(file))) == 0
    (got,) = receiver.got
    assert got.body == big.read_bytes()
    assert _signed(got)


def test_no_message_in_a_groups_queue_is_buried(broker: Broker) -> None:
    broker.groups.add("shop", ["orders.#"])
    job = broker.queue("hooks").job(b"x", "text/plain")
    job.queue = "_group.shop"
    assert broker.store.put([job]) == [True]
    with receiving(always(200)) as receiver:
        send(broker, receiver, "_group.shop")
    assert receiver.got == []
    assert "no message of a topic" in said(dead(broker, "_group.shop")[0])[0]


def test_the_result_of_a_job_that_is_kept(broker: Broker) -> None:
    handle = broker.queue("hooks").put("x", keep="1h")
    with receiving(always(202)) as receiver:
        send(broker, receiver)
    assert handle.result(timeout=5) == {"status": 202}


def test_a_delivery_that_the_stop_cuts_off_goes_back_uncounted(broker: Broker) -> None:
    """The grace is over while the receiver thinks: no attempt, and no word of a timeout."""
    broker.queue("hooks").put("x")
    over = threading.Event()

    def script(_: int) -> tuple[int, dict[str, str], bytes]:
        over.wait(60)
        return 200, {}, b""

    with receiving(script) as receiver:
        runner = WebhookRunner(Target(receiver.url, ["127.0.0.1"]), timeout=60)
        worker = Worker(broker.link, None, ["hooks"], pool=runner, grace=0.2)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert receiver.came.acquire(timeout=20)
        worker.stop()
        thread.join(20)
        assert not thread.is_alive()
        over.set()
    (entry,) = broker.queue("hooks").browse()
    assert list(entry.history) == []
    claim = broker.queue("hooks").claim()
    assert claim is not None
    assert claim.attempt == 1


def test_a_delivery_that_is_stopped_before_it_has_a_connection(broker: Broker) -> None:
    """As above, in the moment in which the name is being resolved."""
    broker.queue("hooks").put("x")
    asked, over = threading.Event(), threading.Event()

    def resolve(_: str, __: int) -> list[str]:
        asked.set()
        over.wait(60)
        return ["127.0.0.1"]

    with receiving(always(200)) as receiver:
        runner = WebhookRunner(Target(f"http://hook.example.org:{receiver.port}/", ["hook.example.org"], resolve), timeout=60)
        worker = Worker(broker.link, None, ["hooks"], pool=runner, grace=0.2)
        thread = threading.Thread(target=worker.run)
        thread.start()
        assert asked.wait(20)
        (run,) = worker._pool.running()
        worker.stop()
        end = time.monotonic() + 20
        while not run.verdict:
            assert time.monotonic() < end
            time.sleep(0.005)
        over.set()
        thread.join(20)
        assert not thread.is_alive()
        assert receiver.got == []
    (entry,) = broker.queue("hooks").browse()
    assert list(entry.history) == []
