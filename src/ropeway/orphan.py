"""A process of ours that is nobody's child: it outlives whoever started it, and needs nobody to wait for its end."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence

# Started by us, it would stay a zombie until we end, however long that is. The shell in between ends at once, and init waits for the rest.
_BETWEEN = ("/bin/sh", "-c", '"$@" </dev/null >/dev/null 2>>"$0" & echo $!')


def start(command: Sequence[str], log: str, env: Mapping[str, str], cwd: str | None = None) -> int:
    """Start that command, detached from terminal, session and parent; its errors are added to the file `log`. Its pid.
    Raises OSError when nothing was started."""
    try:
        done = subprocess.run(  # noqa: S603 - our callers' own commands
            [*_BETWEEN, log, *command], env=env, cwd=cwd, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
        )
    except subprocess.CalledProcessError as error:
        raise OSError(f"{command[0]} ended at once with {error.returncode}") from None
    return int(done.stdout)
