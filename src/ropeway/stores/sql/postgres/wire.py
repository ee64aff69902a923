"""One connection to PostgreSQL, by libpq as psycopg binds it: calls are sent, and their answers awaited until a deadline.

psycopg's cursors are passed by: they cost more than a statement that stores one job, they wait without end on a server that hangs, and a
`begin` that is sent along with the first statement saves a round trip.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, TypeVar

import psycopg
from psycopg import pq
from psycopg.adapt import Loader, Transformer

from ..session import Again
from .faults import UNPREPARED, Lost, Refused, one_line, raise_for

T = TypeVar("T")

GRACE = 1.0  # seconds for the server to say that it has given up what we do not wait for any longer
CHUNK = 256 * 1024  # bytes of a COPY that are handed to libpq at a time

_GOOD = {pq.ExecStatus.COMMAND_OK, pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COPY_IN, pq.ExecStatus.PIPELINE_SYNC}
_BINARY = pq.Format.BINARY


class Call(NamedTuple):
    """A statement with its values, as they go over the wire. `name`: prepared under it, empty for once."""

    text: bytes
    values: Sequence[bytes | None] | None = None
    types: Sequence[int] | None = None
    formats: Sequence[int] | None = None
    name: bytes = b""


class GivenUp(Exception):
    """Who makes the rows of a COPY has none to give: nothing is stored."""


class _Hex(Loader):
    """An id as it is written everywhere else."""

    format = _BINARY

    def load(self, data: Any) -> str:
        return bytes(data).hex()


class Wire:
    """Used by one thread at a time. `names`: whether statements may be prepared, for all connections of a store."""

    def __init__(self, connection: psycopg.Connection[Any], timeout: float, names: Names) -> None:
        connection.adapters.register_loader("uuid", _Hex)
        self.connection = connection
        self.pg = connection.pgconn
        self.broken = False
        self._names = names
        self._prepared: set[bytes] = set()
        self._timeout = timeout
        self._transformer = Transformer(connection)
        self._readable, self._either = select.poll(), select.poll()
        self._readable.register(self.pg.socket, select.POLLIN)
        self._either.register(self.pg.socket, select.POLLIN | select.POLLOUT)

    @property
    def prepares(self) -> bool:
        """Whether statements are prepared: where they are not, a call of a function is planned fastest."""
        return self._names.allowed

    # -- calls

    def ask(self, call: Call) -> list[tuple[Any, ...]]:
        """One call, and its rows. Raises Refused, Lost or Again."""
        return self._guarded(lambda: self._ask(call))

    def ask_all(self, calls: Sequence[Call]) -> list[list[tuple[Any, ...]]]:
        """Calls in one round trip; after the first that fails none is done."""
        return self._guarded(lambda: self._ask_all(calls))

    def ask_each(self, call: Call, values: Iterable[Sequence[bytes | None]]) -> None:
        """One statement with many values, in one round trip; the server reads it once."""
        self._guarded(lambda: self._ask_each(call, values))

    def copy(self, text: bytes, rows: Callable[[list[tuple[Any, ...]]], Iterable[bytes]]) -> None:
        """A script whose last statement is `copy .. from stdin`; `rows` makes what is copied out of the answer to the one before."""
        self._guarded(lambda: self._copy(text, rows))

    def status(self) -> bytes:
        """What the last call was answered with, such as `COMMIT`."""
        return self._status

    def begin_ask(self, call: Call) -> None:
        """Send a call whose answer nobody waits for; the next one reads it away."""
        self._guarded(lambda: self._begin_ask(call))

    def notices(self) -> list[bytes]:
        """The payloads of the notifications that have come."""

        def work() -> list[bytes]:
            self.stir()
            found = []
            while (one := self.pg.notifies()) is not None:
                found.append(one.extra)
            return found

        return self._guarded(work)

    # -- how

    _status = b""
    _owed = False  # an answer that nobody waits for

    def _guarded(self, work: Callable[[], T]) -> T:
        try:
            return work()
        except Refused as error:
            if error.code in UNPREPARED:
                self._names.allowed = False
            raise
        except GivenUp:
            raise
        except psycopg.Error as error:
            self.broken = True
            raise Lost(one_line(str(error))) from None
        except (Lost, Again):
            self.broken = True
            raise
        except BaseException:
            self.broken = True  # interrupted in the middle of an answer: what comes next would be misunderstood
            raise

    def _ask(self, call: Call) -> list[tuple[Any, ...]]:
        self.stir()
        self._prepare(call)
        self._send(call)
        return self._rows(self._answers()[-1])

    def _prepare(self, call: Call) -> None:
        """A round trip of its own, once: inside a pipeline nobody would know which of them had come that far before an error."""
        if call.name and self._names.allowed and call.name not in self._prepared:
            self.pg.send_prepare(call.name, call.text, call.types)
            self._answers()
            self._prepared.add(call.name)

    def _begin_ask(self, call: Call) -> None:
        self.stir()
        self._prepare(call)
        self._send(call)
        self.pg.flush()
        self._owed = True

    def _send(self, call: Call) -> None:
        if call.name in self._prepared and self._names.allowed:
            self.pg.send_query_prepared(call.name, call.values, call.formats, _BINARY)
        else:
            self.pg.send_query_params(call.text, call.values, call.types, call.formats, _BINARY)

    def _ask_all(self, calls: Sequence[Call]) -> list[list[tuple[Any, ...]]]:
        self.stir()
        for call in calls:
            self._prepare(call)
        self.pg.enter_pipeline_mode()
        for call in calls:
            self._send(call)
        answers = self._piped()
        return [self._rows(answer) for answer in answers if answer.status != pq.ExecStatus.PIPELINE_SYNC]

    def _ask_each(self, call: Call, values: Iterable[Sequence[bytes | None]]) -> None:
        self.stir()
        self._prepare(call)
        name = call.name if call.name in self._prepared and self._names.allowed else b""
        self.pg.enter_pipeline_mode()
        if not name:
            self.pg.send_prepare(b"", call.text, call.types)
        for some in values:
            self.pg.send_query_prepared(name, some, call.formats, _BINARY)
        self._piped()

    def _piped(self) -> list[pq.abc.PGresult]:
        """All answers of the pipeline, up to its end."""
        self.pg.pipeline_sync()
        end = time.monotonic() + self._timeout
        answers: list[pq.abc.PGresult] = []
        failed: pq.abc.PGresult | None = None
        while True:
            self._until_answer(end)
            answer = self.pg.get_result()
            if answer is None:
                continue
            if answer.status == pq.ExecStatus.PIPELINE_SYNC:
                break
            if answer.status not in _GOOD:
                failed = failed or answer
                if self.pg.status == pq.ConnStatus.BAD:
                    break
            answers.append(answer)
        if self.pg.status != pq.ConnStatus.BAD:
            self.pg.exit_pipeline_mode()
        if failed is not None:
            raise_for(failed)
        return answers

    def _copy(self, text: bytes, rows: Callable[[list[tuple[Any, ...]]], Iterable[bytes]]) -> None:
        self.stir()
        self.pg.send_query(text)
        end = time.monotonic() + self._timeout
        before: list[tuple[Any, ...]] = []
        while True:
            self._until_answer(end)
            answer = self.pg.get_result()
            if answer is None:
                raise Refused(b"", "the server did not take the COPY")
            if answer.status == pq.ExecStatus.COPY_IN:
                break
            if answer.status not in _GOOD:
                self._drain(end)
                raise_for(answer)
            before = self._rows(answer)
        try:
            for piece in rows(before):
                self.pg.put_copy_data(piece)
                self._flush(end)
        except BaseException as error:
            self.pg.put_copy_end(b"given up")
            self._flush(end)
            if isinstance(error, (Lost, psycopg.Error)):
                raise
            self._drain(end)
            raise
        self.pg.put_copy_end()
        self._answers()

    def _drain(self, end: float) -> None:
        while True:
            self._until_answer(end)
            if self.pg.get_result() is None:
                return

    def _answers(self) -> list[pq.abc.PGresult]:
        """All answers to what was sent, up to the last word: an error may come after the rows, when the commit fails."""
        end = time.monotonic() + self._timeout
        answers = []
        while True:
            self._until_answer(end)
            answer = self.pg.get_result()
            if answer is None:
                break
            answers.append(answer)
        for answer in answers:
            if answer.status not in _GOOD:
                raise_for(answer)
        if not answers:
            raise Lost("the connection is in a state that cannot be")
        self._status = answers[-1].command_status or b""
        return answers

    def _until_answer(self, end: float) -> None:
        """Wait until `get_result` would not block."""
        pg = self.pg
        self._flush(end)
        while pg.is_busy():
            if not self._readable.poll(max(0.0, end - time.monotonic()) * 1000):
                self._give_up(end)
            pg.consume_input()

    def _flush(self, end: float) -> None:
        while self.pg.flush():
            ready = self._either.poll(max(0.0, end - time.monotonic()) * 1000)
            if not ready:
                self._give_up(end)
            if ready[0][1] & select.POLLIN:
                self.pg.consume_input()

    def _give_up(self, end: float) -> None:
        """The time is up. Ask the server to stop what it does; when it says that it has, nothing was done."""
        if time.monotonic() > end + GRACE:
            raise Lost(f"no answer within {self._timeout:.0f} s")
        if time.monotonic() < end:
            return
        cancel = getattr(self.connection, "cancel_safe", None)
        if cancel is None:  # psycopg 3.1 has only one that may wait for ever
            raise Lost(f"no answer within {self._timeout:.0f} s")
        try:
            cancel(timeout=GRACE)
        except (psycopg.Error, OSError):
            raise Lost(f"no answer within {self._timeout:.0f} s") from None
        if not self._readable.poll(GRACE * 1000):
            raise Lost(f"no answer within {self._timeout:.0f} s")

    def stir(self) -> None:
        """Read what came unasked. A server that was stopped while we slept has said so: then nothing is sent, and nothing in doubt."""
        if self._owed:
            self._owed = False
            self._drain(time.monotonic() + self._timeout)
        try:
            for _ in range(8):
                if not self._readable.poll(0):
                    return
                self.pg.consume_input()
                while not self.pg.is_busy() and self.pg.get_result() is not None:
                    continue
        except psycopg.Error as error:
            raise Lost(one_line(str(error)), undone=True) from None
        raise Lost("the server has closed the connection", undone=True)

    def _rows(self, answer: pq.abc.PGresult) -> list[tuple[Any, ...]]:
        if not answer.ntuples:
            return []
        transformer = self._transformer
        transformer.set_pgresult(answer)
        return transformer.load_rows(0, answer.ntuples, tuple)

    def wait(self, seconds: float) -> bool:
        """Whether something comes unasked within that time."""
        return bool(self._readable.poll(max(0.0, seconds) * 1000))

    def close(self) -> None:
        self.broken = True
        self.connection.close()


class Names:
    """Whether statements may be prepared by name. Behind a pooler the next transaction may have a connection that does not know them."""

    allowed = True
