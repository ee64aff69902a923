"""A persistent command for tests: companion.py STARTS. Each start adds a line to that file; the body of a job says what to do."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path

with Path(sys.argv[1]).open("a") as starts:
    starts.write(f"{os.getpid()}\n")
print("ready, and this is no answer", flush=True)

for line in sys.stdin:
    job = json.loads(line)
    what = job.get("body", "")
    if what == "die":
        os._exit(3)
    answers = {
        "bad": "{nonsense",
        "unknown": '{"verdict": "good"}',
        "verb": '{"verb": "burn"}',
        "other": '{"id": "another"}',
        "error": '{"error": "smtp busy"}',
        "snooze": '{"verb": "nack", "delay": "1h", "error": "later"}',
        "bury": '{"verb": "bury", "error": "no such user"}',
        "twice": "{}\n{}",
        "huge": '{"result": "' + "x" * 200_000 + '"}',
        "show": json.dumps({"result": job, "id": job["id"]}),
    }
    if what == "hang":
        threading.Event().wait(60)
    if what == "chat":
        print("some words\nmore words", flush=True)
    print(answers.get(what, "{}"), flush=True)
Path(sys.argv[1] + ".left").write_text("well")
