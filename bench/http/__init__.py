"""The server over HTTP: `./dev bench --http`. As ratios to a bare Starlette endpoint under the same uvicorn, and to beanstalkd.

All rows of a measure are asked in turn, slice by slice, in one run; what is shown is the median. beanstalkd and wrk come from the system's
packages; without them their rows are left out, and that is said.
"""

from __future__ import annotations

from .run import main

__all__ = ["main"]
