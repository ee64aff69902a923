"""Procrastinate, used as its pages show: a sync app that defers, and a worker on its async connector."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from procrastinate import App, PsycopgConnector, SyncPsycopgConnector

from ...work import Item


class Procrastinate:
    """The task is async and does nothing, so ten of them at once cost no threads."""

    def __init__(self, place: str, durability: str) -> None:
        logging.getLogger("procrastinate").setLevel(logging.WARNING)  # a line for each job otherwise
        self._place = place
        self._started: Callable[[int], None] = lambda _: None
        self._app = App(connector=SyncPsycopgConnector(conninfo=place))
        self._noop = self._with_task(self._app)
        self._app.open()
        if not self._app.connector.execute_query_one("select to_regclass('procrastinate_jobs') is not null as there")["there"]:
            self._app.schema_manager.apply_schema()

    def _with_task(self, app: App) -> Any:
        @app.task(name="noop", queue="mails")
        async def noop(n: int, to: str, text: str) -> None:
            self._started(n)

        return noop

    def put(self, work: list[Item]) -> None:
        defer = self._noop.defer
        for one in work:
            defer(**one.value)

    def bulk(self, work: list[Item], size: int) -> None:
        for start in range(0, len(work), size):
            self._noop.batch_defer(*[one.value for one in work[start : start + size]])

    def tell(self, one: Item) -> None:
        self._noop.defer(**one.value)

    def serve(self, started: Callable[[int], None]) -> None:
        self._app.close()
        app = App(connector=PsycopgConnector(conninfo=self._place))
        self._started = started
        self._with_task(app)
        app.run_worker(queues=["mails"], concurrency=10, delete_jobs="always", install_signal_handlers=False)

    def close(self) -> None:
        self._app.close()
