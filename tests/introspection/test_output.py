"""Output goes out byte for byte whatever becomes of the program, and its end is shown; memory stays bounded."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
from pathlib import Path

from .conftest import Run, until

EVERYTHING = """
print("from Python")
sys.stdout.flush()
os.write(1, b"from a descriptor\\n")
import ctypes
libc = ctypes.CDLL(None)
libc.puts(b"from C")
libc.fflush(None)
os.system("echo from a child; echo and its stderr >&2")
print("half a line", end="", flush=True)
wait_for("go")
print(" and the rest")
"""


def test_python_c_code_descriptors_and_children_are_heard_and_pass(run: Run) -> None:
    program = run(EVERYTHING)
    until(lambda: program.view("output")["stdout"].get("open") == "half a line")
    seen = program.view("output")
    assert seen["heard"] == "descriptors"
    assert seen["stdout"]["lines"] == ["from Python", "from a descriptor", "from C", "from a child"]
    assert seen["stderr"]["lines"] == ["and its stderr"]
    until(lambda: program.out().endswith(b"half a line"), "it has passed while the program runs")
    program.go_on()
    assert program.end() == 0
    assert program.out() == b"from Python\nfrom a descriptor\nfrom C\nfrom a child\nhalf a line and the rest\n"
    assert program.err() == "and its stderr\n"


def test_when_the_program_has_ended_all_is_in_its_file(run: Run) -> None:
    """Not a moment later: whoever waits for the program reads the file next."""
    program = run("for number in range(200_000): print(number)\n")
    assert program.end() == 0
    assert program.out() == b"".join(b"%d\n" % number for number in range(200_000))
    until(lambda: not program.helpers())


BYTES = """
import hashlib, random
draw = random.Random(7)
sum = hashlib.sha256()
for _ in range(300):
    data = draw.randbytes(draw.randrange(1, 60_000))
    sum.update(data)
    view = memoryview(data)
    while view:
        view = view[os.write(1, view):]
open("sum", "w").write(sum.hexdigest())
"""


def test_any_bytes_pass_as_they_are(run: Run) -> None:
    program = run(BYTES)
    assert program.end() == 0
    assert hashlib.sha256(program.out()).hexdigest() == (program.folder / "sum").read_text()


KILLED = """
line = b"x" * 99 + b"\\n"
number = 0
while True:
    os.write(1, b"%015d " % number + line)
    number += 1
    if number == 5000: open("warm", "w").close()
    {end}
"""


def test_nothing_is_lost_when_it_is_killed(run: Run) -> None:
    program = run(KILLED.format(end=""))
    until((program.folder / "warm").exists)
    os.kill(program.pid, signal.SIGKILL)
    assert program.end() == -signal.SIGKILL
    until(lambda: not program.helpers(), "what passes it on ends when all has passed")
    lines = program.out().split(b"\n")
    assert len(lines) > 5000
    assert all(int(line.split()[0]) == number for number, line in enumerate(lines[:-2])), "in order, none missing"


def test_nothing_is_lost_at_a_sudden_exit(run: Run) -> None:
    program = run(KILLED.format(end="if number == 6000: os._exit(3)"))
    assert program.end() == 3
    until(lambda: not program.helpers())
    assert program.out().count(b"\n") == 6000


OUTLIVES = """
import subprocess
subprocess.Popen(["sh", "-c", "while [ ! -e go ]; do sleep 0.02; done; echo from beyond; touch done"], start_new_session=True)
print("the parent ends")
"""


def test_a_child_that_outlives_it_goes_on_printing(run: Run) -> None:
    program = run(OUTLIVES)
    assert program.end() == 0
    assert program.helpers()
    program.go_on()
    until((program.folder / "done").exists)
    until(lambda: not program.helpers(), "it ends with the last one that prints")
    assert program.out() == b"the parent ends\nfrom beyond\n"


EXECS = """
print("before", flush=True)
os.execv(sys.executable, [sys.executable, "-c", "import os; print('after, as pid', os.getpid())"])
"""


def test_another_program_in_its_place_goes_on_printing(run: Run) -> None:
    program = run(EXECS)
    assert program.end() == 0
    until(lambda: not program.helpers())
    assert program.out() == b"before\nafter, as pid %d\n" % program.pid


FORKS = """
pid = os.fork()
if pid == 0:
    print("the child")
    from ropeway.introspection.page import current
    assert current() is None
    again = ropeway.introspect()
    print("its own page", again.url != page.url)
    again.close()
    print("and goes on", flush=True)
    os._exit(0)
assert os.waitpid(pid, 0)[1] == 0
try:
    os.wait()
except ChildProcessError:
    print("no child of mine is left")
wait_for("go")
"""


def test_a_fork_prints_where_its_parent_does_and_may_have_a_page_of_its_own(run: Run) -> None:
    program = run(FORKS)
    lines = until(lambda: program.view("output")["stdout"]["lines"])
    assert lines[0] == "the child"
    program.go_on()
    assert program.end() == 0, program.err()
    assert program.out() == b"the child\nits own page True\nand goes on\nno child of mine is left\n"


CLOSES = """
before = os.fstat(1).st_ino, os.fstat(2).st_ino, len(os.listdir("/proc/self/fd")), threading.active_count()
page.close()
assert (os.fstat(1).st_ino, os.fstat(2).st_ino) != before[:2]
for _ in range(3):
    with ropeway.introspect() as again:
        print("inside", flush=True)
    os.write(1, b"outside\\n")
first = len(os.listdir("/proc/self/fd")), threading.active_count()
with ropeway.introspect(): pass
assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == first, (first, os.listdir("/proc/self/fd"))
import stat
assert stat.S_ISREG(os.fstat(1).st_mode) and stat.S_ISREG(os.fstat(2).st_mode)
assert not os.listdir(os.environ["XDG_STATE_HOME"] + "/ropeway/processes")
"""


def test_closing_puts_everything_back(run: Run) -> None:
    program = run(CLOSES)
    assert program.end() == 0, program.err()
    assert program.out() == b"inside\noutside\n" * 3


def test_when_what_passes_it_on_is_killed_the_program_prints_by_itself(run: Run) -> None:
    program = run("print('one', flush=True)\nwait_for('go')\nfor n in range(1000): print(n)\nsys.stdout.flush()\nwait_for('end')\n")
    until(lambda: program.out() == b"one\n")
    (helper,) = program.helpers()
    os.kill(helper, signal.SIGKILL)
    until(lambda: program.view("output")["heard"] == "nothing")
    program.go_on()
    until(lambda: program.out().count(b"\n") == 1001)
    program.go_on("end")
    assert program.end() == 0


def test_when_the_reader_goes_away_the_program_is_told_as_ever(run: Run) -> None:
    reader, writer = os.pipe()
    program = run("while True: os.write(1, b'line\\n')\n", stdout=writer)
    os.close(writer)
    assert os.read(reader, 5) == b"line\n"
    os.close(reader)
    assert program.end() != 0
    assert "BrokenPipeError" in program.err()


MANY = """
for _ in range(200):
    print("\\n".join("a line of some thirty characters %d" % n for n in range(5000)))
    sys.stderr.write("y" * 1_000_000)
    sys.stderr.flush()
print("the last one", flush=True)
wait_for("go")
"""


def _memory(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_memory_is_bounded_by_a_million_lines_and_by_a_line_without_end(run: Run) -> None:
    program = run(MANY, stderr=subprocess.DEVNULL)
    until(lambda: program.view("output")["stdout"]["lines"][-1:] == ["the last one"])
    (helper,) = program.helpers()
    assert _memory(helper) < 48 << 20
    assert _memory(program.pid) < 96 << 20
    seen = program.view("output")
    assert len(seen["stdout"]["lines"]) == 1000
    assert seen["stdout"]["first"] == 1_000_001 - 1000
    assert seen["stderr"]["lines"] == []
    assert len(seen["stderr"]["open"]) < 5000
    assert "bytes more" in seen["stderr"]["open"]


HOSTILE = """
os.write(1, b"\\x1b[31mred\\x00\\xff\\xfe \\xe2\\x80\\xae <script>alert(1)</script>\\r\\n")
os.write(1, b"password=hunter22 postgresql://me:hunter22@host/db Bearer abcdefghijk\\n")
wait_for("go")
"""


def test_hostile_bytes_are_shown_as_text_and_secrets_are_not(run: Run) -> None:
    program = run(HOSTILE)
    until(lambda: len(program.view("output")["stdout"]["lines"]) == 2)
    answer = program.ask("/output.json")
    first, second = answer.json["stdout"]["lines"]
    assert first == "\x1b[31mred\x00\\xff\\xfe \u202e <script>alert(1)</script>\r"
    assert b"hunter22" not in answer.body
    assert "Bearer ***" in second
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


STREAMS = """
print("by the stream")
sys.stdout.buffer.write(b"by its buffer\\n")
sys.stdout.flush()
os.write(1, b"past it\\n")
wait_for("go")
page.close()
assert "write" not in vars(sys.stdout.buffer)
print("still there")
"""


def test_by_streams_nothing_is_put_in_between(run: Run) -> None:
    program = run(STREAMS, "output='streams'")
    seen = until(lambda: (found := program.view("output"))["stdout"]["lines"] and found)
    assert (seen["heard"], seen["stdout"]["lines"]) == ("streams", ["by the stream", "by its buffer"])
    assert not program.helpers()
    program.go_on()
    assert program.end() == 0, program.err()
    assert program.out() == b"by the stream\nby its buffer\npast it\nstill there\n"


def test_a_terminal_stays_one(run: Run) -> None:
    import pty

    master, slave = pty.openpty()
    try:
        program = run("print(sys.stdout.isatty(), os.isatty(1), flush=True)\nwait_for('go')\n", stdout=slave)
        os.close(slave)
        assert until(lambda: program.view("output")["stdout"]["lines"]) == ["True True"]
        assert os.read(master, 100) == b"True True\r\n"
        assert program.view("output")["heard"] == "both"
        program.go_on()
        assert program.end() == 0
    finally:
        os.close(master)


def test_what_is_new_comes_by_itself(run: Run) -> None:
    import http.client
    import json

    program = run("print('first', flush=True)\nwait_for('go')\nprint('second', flush=True)\nwait_for('end')\n")
    until(lambda: program.view("output")["stdout"]["lines"])
    host, _, rest = program.url.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=60)
    connection.request("GET", f"/{rest}/output.json?follow")
    response = connection.getresponse()
    assert response.getheader("content-type") == "text/event-stream; charset=utf-8"

    def heard() -> dict[str, object]:
        while not (line := response.fp.readline()).startswith(b"data: "):
            assert line
        found: dict[str, object] = json.loads(line[6:])
        return found

    assert heard() == {"stream": "stdout", "n": 0, "line": "first"}
    program.go_on()
    assert heard() == {"stream": "stdout", "n": 1, "line": "second"}
    program.go_on("end")
    assert response.fp.read() is not None, "it ends with the program"
    connection.close()
    assert program.end() == 0


LEADS = """
print("to the first", flush=True)
elsewhere = os.open("elsewhere", os.O_WRONLY | os.O_CREAT)
os.dup2(elsewhere, 1)
page.close()
print("to the other")
"""


def test_what_the_program_has_led_elsewhere_stays_there(run: Run) -> None:
    program = run(LEADS)
    assert program.end() == 0, program.err()
    assert program.out() == b"to the first\n"
    assert (program.folder / "elsewhere").read_bytes() == b"to the other\n"
