"""The entry point of `ropeway` and of `python -m ropeway.cli`."""

from __future__ import annotations

import os
import signal
import sys

INTERRUPTED = 130  # as in verdict.py, which is not loaded yet


def main() -> None:
    """Run the command line of this process and leave it with the exit code."""
    heard = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # else whoever started us wants it ignored
    if heard:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # nothing was begun: die of it at once, with no traceback out of an import
    _take_the_first_three()
    if "_ROPEWAY_COMPLETE" in os.environ:
        from .completion import answer

        sys.exit(answer())
    from .root import run

    try:
        if heard:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        code = run(sys.argv[1:])
    except KeyboardInterrupt:  # just before or after the part where run answers for it
        code = INTERRUPTED
    if f"{__package__}.working" in sys.modules:  # a worker may have run other people's code, which may want to tidy up
        sys.exit(code)
    os._exit(code)  # all is flushed and closed: taking the interpreter down in order costs a tenth of a put


def _take_the_first_three() -> None:
    """Whoever started us may have closed a standard stream. Its number must not go to a file of the store, and what is written to a
    stdout that is not there must fail: a job is not done when it was printed nowhere."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.open(os.devnull, os.O_RDONLY), mode, encoding="utf-8"))


if __name__ == "__main__":
    main()
