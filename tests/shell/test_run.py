"""`run`, `wait`, `log` and `kill` as they are typed: what is kept of the caller, who comes to work, and how they end."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest

from ropeway.cli import attending
from ropeway.cli.attending import Attendant, attend
from ropeway.cli.own import Watch
from ropeway.cli.session import Session
from ropeway.shell.command import bytes_of, unpack
from ropeway.shell.private import shared_because

from .conftest import Store, Yard, alive, until


def command_of(store: Store, job: str) -> Any:
    (entry,) = store.shell.store.browse(_ids(job))
    return unpack(entry.job.body)


def _ids(*ids: str) -> Any:
    from ropeway.store import Query

    return Query(ids=ids, limit=None)


# -- what is kept


def test_secrets_of_the_environment_are_not_kept(yard: Yard, shared: Store, own: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MY_TOKEN", "LC_TIME", "OTHER"):
        monkeypatch.setenv(name, f"value of {name}")
    monkeypatch.setattr("ropeway.cli.own.see_to_it", lambda *_: None)
    (yard.folder / "spool").chmod(0o700)
    kept = command_of(own, own.run("-E", "MY_TOKEN", "-E", "NEW=1=2", "--", "true"))
    assert {"PATH", "LC_TIME", "MY_TOKEN", "NEW", "ROPEWAY_URL"} <= kept.env.keys()
    assert not {"AWS_SECRET_ACCESS_KEY", "OTHER"} & kept.env.keys()
    assert (kept.whole, kept.env["NEW"], bytes_of(kept.cwd)) == (True, "1=2", os.fsencode(yard.folder))
    assert {"AWS_SECRET_ACCESS_KEY", "OTHER"} <= command_of(own, own.run("--all-env", "--", "true")).env.keys()
    (yard.folder / "spool").chmod(0o770)
    elsewhere = command_of(shared, shared.run("-E", "MY_TOKEN", "-C", "/tmp", "--", "true"))
    assert {name for name in elsewhere.env if not name.startswith(("LC_", "LANG"))} <= {"MY_TOKEN", "TZ"}
    assert (elsewhere.whole, elsewhere.umask, bytes_of(elsewhere.cwd)) == (False, -1, b"/tmp")


def test_the_values_of_variables_are_not_shown(shared: Store) -> None:
    job = shared.run("-E", "MY_TOKEN=hush", "-L", "x", "--", "echo", "a b")
    for args in (("show", job), ("show", job, "-o", "json"), ("show", job, "-o", "table"), ("jobs",), ("jobs", "-o", "table")):
        answer = shared.shell.ok(*args)
        assert "hush" not in answer.out
        assert "echo 'a b'" in answer.out
    assert "MY_TOKEN" in shared.shell.ok("show", job).row["env"]


def test_what_cannot_be_meant_is_refused(own: Store, yard: Yard) -> None:
    for args, code, said in [
        (("run",), 2, "behind --"),
        (("run", "--"), 2, "behind --"),
        (("run", "-d", "1m", "--at", "08:00", "--", "true"), 2, "not both"),
        (("run", "-E", "NOT_THERE", "--", "true"), 2, "NOT_THERE"),
        (("run", "--", "a\0b"), 2, "NUL"),
        (("run", "--after", "nobody", "--", "true"), 3, "no command with the label 'nobody'"),
        (("run", "--after", "0" * 32, "--", "true"), 3, "there is no job"),
        (("run", "-u", "memory:", "--", "true"), 2, "ends with this command"),
        (("kill", "last"), 3, "there is no command"),
        (("log",), 3, "there is no command"),
        (("wait", "0" * 32), 3, "there is no job"),
    ]:
        answer = own(*args)
        assert (answer.code, said in answer.err) == (code, True), answer
        assert "nothing was" in answer.err
    assert own.shell.store.queues() == []
    plain = own.shell.put("default", "x")
    for args, said in (
        (("log", plain), "is no command"),
        (("kill", plain), "ropeway cancel"),
        (("run", "--after", plain, "--", "true"), "--keep"),
    ):
        answer = own(*args)
        assert answer.code in (2, 3)
        assert said in answer.err
    answer = own("kill", plain, "-s", "NOPE")
    assert (answer.code, "no signal" in answer.err) == (2, True)


# -- who works


def test_where_others_may_write_nothing_starts_by_itself(yard: Yard, shared: Store) -> None:
    job = shared.run("--", "touch", "ran")
    answer = shared("run", "--", "true", terminal=True)
    assert "ropeway work default --allow-commands" in answer.err
    assert list(yard.state.rglob("*.lock")) == []
    assert shared.workers() == []
    assert shared("wait", "--test", job).code == 1
    shared.worker("default", "--allow-commands")
    assert shared("wait", job).code == 0
    assert (yard.folder / "ran").exists()
    assert shared.shell.ok("log", job).out == ""


@pytest.mark.parametrize("url", ["redis://h/0", "postgresql://h/d", "http://h", "amqp:?", "memory:", "dir:/no/such", "dir:/proc"])
def test_a_store_that_is_not_ones_own(url: str) -> None:
    if url == "dir:/proc" and os.geteuid() == 0:
        url = "dir:/tmp"
    assert shared_because(url)


def test_a_worker_with_leave_takes_commands_beside_its_own(shared: Store, yard: Yard) -> None:
    shell, plain = shared.run("--", "touch", "ran"), shared.shell.put("default", "x", "--keep", "1h")
    answer = shared("work", "default", "--drain", "--", "touch", "other")
    assert answer.code == 0
    assert (yard.folder / "other").exists()
    assert not (yard.folder / "ran").exists(), "without leave it is left alone"
    shared.shell.put("default", "y")
    (yard.folder / "other").unlink()
    assert shared("work", "default", "--drain", "--allow-commands", "--", "touch", "other").code == 0
    assert (yard.folder / "ran").exists()
    assert (yard.folder / "other").exists()
    assert shared("wait", shell, plain).code == 0


def test_what_others_put_by_another_door_does_not_run_by_itself(own: Store, yard: Yard) -> None:
    from ropeway.shell.command import CONTENT_TYPE

    mine = own.run("--", "true")
    (entry,) = own.shell.store.browse(_ids(mine))
    stolen = [f"-Hropeway-seal={entry.job.headers['ropeway-seal']}"]
    body = '{"argv": ["touch", "pwned"], "cwd": "' + str(yard.folder) + '"}'
    others = [own.shell.put("default", body, "--type", CONTENT_TYPE, *more) for more in ([], stolen, ["-Hropeway-seal=x"])]
    others.append(own.shell.put("default", entry.job.body.decode(), "--type", CONTENT_TYPE, *stolen))
    assert own("wait", *others).code == 10
    assert {one.error[:20] for one in own.shell.store.browse(_ids(*others))} == {"it was not put here "}
    assert (own("wait", mine).code, (yard.folder / "pwned").exists()) == (0, False)
    assert (yard.state / "ropeway" / "shell.key").stat().st_mode & 0o777 == 0o600


def test_work_without_anything_to_run_says_what_there_is(shared: Store) -> None:
    for args in (("work", "q"), ("work", "q", "--allow-commands", "--timeout", "1s"), ("work", "q", "--allow-commands", "--reload")):
        answer = shared(*args)
        assert (answer.code, "nothing was started" in answer.err) == (2, True), answer


def test_the_worker_that_came_by_itself_goes_when_there_is_nothing_to_do(own: Store, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.cli.own._start", lambda *_: None)
    monkeypatch.setattr(attending, "IDLE", 0.3)
    monkeypatch.setattr(attending, "LOOK", 0.05)
    job = own.run("--", "sh", "-c", "sleep 0.5; echo done")
    session = Session()
    try:
        attendant = Attendant(session, "default")
        assert (attendant.run(), attendant.left) == (0, True)
    finally:
        session.close()
    assert own.shell.ok("log", job).out == "done\n"


def test_a_command_that_comes_as_the_worker_leaves_is_run(own: Store, yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ropeway.cli.own._start", lambda *_: None)
    monkeypatch.setattr(attending, "IDLE", 0.1)
    monkeypatch.setattr(attending, "LOOK", 0.05)
    jobs: list[str] = []
    leave = Watch.leave

    def late(watch: Watch) -> None:
        """Somebody puts a command who still sees the watch held."""
        if not jobs:
            jobs.append("")  # the put looks for the watch too
            jobs[0] = own.run("--", "true")
        leave(watch)

    monkeypatch.setattr(Watch, "leave", late)
    session = Session()
    try:
        assert attend(session, "default") == 0
    finally:
        session.close()
    assert own("wait", jobs[0]).code == 0


def test_one_worker_comes_for_many_commands_at_once(own: Store, yard: Yard) -> None:
    yard.hold("a")
    starts = [own.start("run", "-o", "id", "--", "./step", name) for name in "abc"]
    ids = [process.communicate(timeout=60)[0].decode().strip() for process in starts]
    yard.sees("begin a") if "begin a" in yard.log() else until(lambda: yard.log(), "one runs")
    yard.let_go()
    assert own("wait", *ids).code == 0
    assert len(own.workers()) == 1
    assert [line.split()[0] for line in yard.log()] == ["begin", "end"] * 3, "one after the other"


def test_after_a_crash_of_the_worker_whoever_waits_brings_another(own: Store, yard: Yard) -> None:
    yard.hold("a")
    job = own.run("--", "./step", "a")
    yard.sees("begin a")
    (worker,) = own.workers()
    os.kill(worker["pid"], signal.SIGKILL)
    until(lambda: not alive(worker["pid"]), "it is dead")
    yard.let_go()
    assert own("wait", job).code == 0
    assert yard.log()[-2:] == ["begin a", "end a"]


# -- output


def test_on_a_terminal_output_steers_nothing(own: Store, yard: Yard) -> None:
    script = r"printf '\033[2Jcleared\007 \377\303\n50%%\r100%%\n\342\200\256txt'"
    job = own.run("--", "sh", "-c", script)
    own("wait", job)
    raw = b"\x1b[2Jcleared\x07 \xff\xc3\n50%\r100%\n\xe2\x80\xaetxt"
    assert own("log", job).stdout == raw, "a pipe gets what was printed"
    shown = own("log", job, terminal=True).out
    assert shown == "\\x1b[2Jcleared\\x07 \\xff\\xc3\n50%\n100%\n\\u202etxt\n"
    assert own("log", job, "--raw", terminal=True).stdout == raw
    assert own("log", job, "-n", "1").stdout == b"\xe2\x80\xaetxt"
    assert own("log", job, "-n", "2").stdout == b"50%\r100%\n\xe2\x80\xaetxt"
    assert own("log", job, "-n", "0").stdout == b""
    path = Path(own("log", job, "--path").out.strip())
    assert path.read_bytes() == raw


def test_run_stays_with_the_command_and_ctrl_c_leaves_it_alone(own: Store, yard: Yard) -> None:
    yard.hold("a")
    staying = own.start("run", "-f", "--", "./step", "a", "5")
    assert staying.stdout is not None
    assert staying.stdout.readline() == b"a has begun\n"
    staying.send_signal(signal.SIGINT)
    out, err = staying.communicate(timeout=60)
    assert (staying.returncode, out) == (130, b"")
    assert b"the job goes on. To see it: ropeway log " in err
    assert yard.log() == ["begin a"]
    following = own.start("log", "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == b"a has begun\n"
    yard.let_go()
    assert following.wait(60) == 0
    assert own("wait", "last").code == 5


def test_a_shared_store_keeps_the_output_for_other_hosts(shared: Store, yard: Yard) -> None:
    shared.worker("default", "--allow-commands", "-j", "2")
    yard.hold("a")
    job = shared.run("--", "./step", "a")
    following = shared.start("log", job, "-f")
    assert following.stdout is not None
    assert following.stdout.readline() == b"a has begun\n"
    yard.let_go()
    assert following.wait(60) == 0
    big = shared.run("--", "sh", "-c", "head -c 3000000 /dev/zero; echo; echo end")
    shared("wait", big)
    answer = shared("log", big)
    assert answer.stdout.endswith(b"\0\nend\n")
    assert len(answer.stdout) <= 1 << 20
    assert f"{3_000_005 - len(answer.stdout):,} bytes of the output are missing" in answer.err
    assert shared("log", big, "-n", "1").stdout == b"end\n"
    assert shared("log", big, "--path").code == 3


# -- kill


def test_a_signal_that_ends_nothing_ends_nothing(own: Store, yard: Yard) -> None:
    job = own.run("-L", "it", "--", "sh", "-c", 'trap "echo heard; exit 4" USR1; echo ready; while :; do sleep 0.05; done')
    until(lambda: "ready" in own("log", job).out, "it is ready")
    own.shell.ok("kill", "it", "-s", "usr1")
    assert own("wait", "it").code == 4
    assert own("log", "it").out.endswith("heard\n")
    answer = own("kill", "it")
    assert (answer.code, "has ended: exit 4" in answer.err) == (6, True)


def test_killed_with_tries_left_it_is_not_tried_again(own: Store, yard: Yard) -> None:
    yard.hold("a")
    job = own.run("--retries", "5", "--", "./step", "a")
    yard.sees("begin a")
    own.shell.ok("kill", job, "-s", "9")
    assert own("wait", job).code == 137
    assert yard.log() == ["begin a"]


def test_a_job_that_is_named_in_two_ways_is_one(own: Store, yard: Yard) -> None:
    yard.hold("a")
    job = own.run("-L", "build", "--", "./step", "a")
    yard.sees("begin a")
    assert len(own.shell.ok("kill", "build", job, "last").rows) == 1
    assert [row["id"] for row in own("wait", job, "build", "last").rows] == [job]


def test_taken_back_before_it_began_it_ends_as_if_killed(own: Store, yard: Yard) -> None:
    yard.hold("a")
    own.run("--slots", "1", "--", "./step", "a")  # the queue is at its limit
    waits = own.run("--", "./step", "b")
    after = own.run("--after", waits, "--", "./step", "c")
    yard.sees("begin a")
    own.shell.ok("kill", waits)
    yard.let_go()
    assert own("wait", waits).code == 143
    assert own("wait", after).code == 10
    assert yard.log() == ["begin a", "end a"]


def test_what_is_kept_apart_comes_out_apart(own: Store, yard: Yard) -> None:
    """`run -f` gives each stream its own way out; the file of the errors can be named; who did not ask for it is told so."""
    answer = own("run", "-f", "--apart", "--", "sh", "-c", "echo out; echo err >&2; exit 4")
    assert (answer.code, answer.out.strip()) == (4, "out")
    assert own("log", "--stderr", "-f").out == "err\n"
    assert Path(own("log", "--stderr", "--path").out.strip()).read_text() == "err\n"
    (row,) = own("jobs", "--state", "dead").rows
    assert row["error"] == "exit 4: err"
    job = own.run("--", "true")
    own("wait", job)
    refused = own("log", job, "--stderr")
    assert refused.code == 3
    assert "--apart" in refused.err


def test_what_run_follows_goes_to_each_stream(own: Store, yard: Yard) -> None:
    process = own.start("run", "-f", "--apart", "--", "sh", "-c", "echo out; echo err >&2")
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, b"out\n", b"err\n")


def test_one_that_is_not_kept_is_followed_to_its_end(own: Store, yard: Yard) -> None:
    for code in (0, 3):
        process = own.start("run", "-f", "--keep", "0", "--", "sh", "-c", f"echo out; exit {code}")
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (code, b"out\n"), err


def test_nothing_can_come_after_the_good_end_of_one_that_is_not_kept(own: Store, yard: Yard) -> None:
    yard.hold("a")
    first = own.run("--keep", "0", "--", "./step", "a")
    answer = own("run", "--after", first, "--", "./step", "b")
    assert (answer.code, "nothing was put" in answer.err) == (3, True), answer
    after = own.run("--after-any", first, "--", "./step", "b")
    yard.let_go()
    assert own("wait", after).code == 0


def test_the_output_of_several(own: Store, yard: Yard) -> None:
    yard.hold("a")
    a = own.run("--", "./step", "a")
    yard.sees("begin a")
    b, c = own.run("--", "./step", "b"), own.run("-p", "10", "--", "./step", "c")
    with open("seen", "wb") as file:
        looking = own.start("log", "--all", "-f", stdout=file)
    seen = yard.folder / "seen"
    until(lambda: b"a has begun" in seen.read_bytes(), "it shows the one that runs")
    yard.let_go()
    assert looking.wait(60) == 0
    heads = [f"==> {job}  ./step {name} <==\n{name} has begun\n" for job, name in ((a, "a"), (c, "c"), (b, "b"))]
    assert seen.read_text() == "\n".join(heads)
    assert own("log", b, a, "-q").out == "b has begun\na has begun\n"
    ended = own.shell.ok("jobs", "-o", "jsonl").out.encode()
    assert own("log", "-", stdin=ended).out.count("==>") == 3
    assert own("log", "--all").code == 3  # nothing is left to do
    assert own("log", "--all", a).code == 2


def test_what_is_kept_apart_in_a_store_is_read_from_there(shared: Store, yard: Yard) -> None:
    shared.worker("default", "--allow-commands")
    job = shared.run("--apart", "--", "sh", "-c", "echo out; echo err >&2")
    assert shared("wait", job).code == 0
    assert (shared("log", job).out, shared("log", job, "--stderr").out) == ("out\n", "err\n")


def test_its_output_is_handed_on_once_it_has_ended_however(own: Store, yard: Yard) -> None:
    """The recipe of the guide for mail, with a file for the mail."""
    first = own.run("-L", "it", "--", "sh", "-c", "echo printed; exit 2")
    tool = f"{sys.executable} -m ropeway"
    second = own.run("--after-any", "it", "--", "sh", "-c", f"{tool} log it | cat > mail")
    assert own("wait", first, second).code == 2
    assert (yard.folder / "mail").read_text() == "printed\n"
