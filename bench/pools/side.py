"""One side, in its own environment: `fill NAME COUNT` puts the jobs, `work NAME` is the worker."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Any

NAP = float(os.environ.get("POOLS_NAP", "0"))
URL = os.environ.get("POOLS_URL", "")
_file = os.open(os.environ.get("POOLS_FILE", os.devnull), os.O_WRONLY | os.O_APPEND)


def run(n: int) -> None:
    """The job of those who block."""
    if NAP:
        time.sleep(NAP)
    os.write(_file, b".")


async def arun(n: int) -> None:
    """The job of those who await."""
    if NAP:
        await asyncio.sleep(NAP)
    os.write(_file, b".")


def fill(name: str, count: int) -> None:
    from redis import Redis

    Redis.from_url(URL).flushdb()
    getattr(_side(name), "fill")(count)  # noqa: B009 - each side has its own


def work(name: str) -> None:
    _side(name).work(name)


def _side(name: str) -> Any:
    from importlib import import_module

    return import_module(f"bench.pools.{name.partition(' ')[0]}_side")


if __name__ == "__main__":
    fill(sys.argv[2], int(sys.argv[3])) if sys.argv[1] == "fill" else work(sys.argv[2])
