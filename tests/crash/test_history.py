"""The checker is checked: a history for each broken promise, planted, is found, and an honest one close to it is not."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from ropeway.testing.history import KINDS, Verdict, judge
from ropeway.testing.ledger import Ledger, Line, read

INF = float("inf")


class Story:
    """Builds a history, one line after another; `at` goes up by one with each."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def say(self, who: str, what: str, *ids: str, receipts: tuple[str, ...] = (), **more: object) -> Story:
        self.lines.append(Line(float(len(self.lines) + 1), who, what, list(ids), receipts=list(receipts), **more))  # type: ignore[arg-type]
        return self

    def put(self, *ids: str, outcome: str = "ok", who: str = "p") -> Story:
        self.say(who, "put.call", *ids, digests=["d"] * len(ids))
        return self.say(who, f"put.{outcome}", *ids) if outcome else self

    def claim(
        self, job: str, receipt: str, who: str = "w", attempt: int = 1, until: float = INF, called: float = 0.0, body: str = "d"
    ) -> Story:
        return self.say(
            who,
            "claim",
            job,
            receipts=(receipt,),
            attempts=[attempt],
            untils=[until],
            digests=[body],
            called=called or len(self.lines) + 0.5,
        )

    def settle(self, verb: str, receipt: str, outcome: str = "ok", who: str = "w", **more: object) -> Story:
        self.say(who, f"{verb}.call", receipts=(receipt,))
        return self.say(who, f"{verb}.{outcome}", receipts=(receipt,), **more) if outcome else self

    def kill(self, who: str) -> Story:
        return self.say("nemesis", "kill", victim=who)

    def judged(self, **left: str) -> Verdict:
        return judge(self.lines, left)


def kinds(verdict: Verdict) -> list[str]:
    return [one.kind for one in verdict.violations]


def test_an_honest_run_is_silent() -> None:
    story = Story().put("a", "b", "c")
    story.claim("a", "r1").settle("ack", "r1")
    story.claim("b", "r2").settle("nack", "r2").claim("b", "r3", attempt=2, who="v").settle("ack", "r3", who="v")
    story.claim("c", "r4").settle("bury", "r4")
    verdict = story.judged(c="dead")
    assert verdict
    assert verdict.figures["put.ok"] == 3
    assert verdict.figures["ack.ok"] == 2
    assert verdict.figures["redelivered"] == 1
    assert not judge([]).violations


# -- lost


def test_lost_before_anyone_had_it() -> None:
    assert kinds(Story().put("a").judged()) == ["lost"]
    assert not kinds(Story().put("a").judged(a="ready"))


def test_lost_after_it_was_handed_out() -> None:
    story = Story().put("a").claim("a", "r").kill("w")
    assert kinds(story.judged()) == ["lost"]
    assert not kinds(story.judged(a="running"))


def test_lost_by_a_nack() -> None:
    assert kinds(Story().put("a").claim("a", "r").settle("nack", "r").judged()) == ["lost"]


def test_an_ack_that_was_refused_ends_nothing() -> None:
    assert kinds(Story().put("a").claim("a", "r").settle("ack", "r", "lost").judged()) == ["lost"]


def test_an_ack_without_an_outcome_may_have_ended_it() -> None:
    story = Story().put("a").claim("a", "r").settle("ack", "r", "").kill("w")
    assert not kinds(story.judged())
    assert not kinds(story.judged(a="ready"))


def test_a_put_without_an_outcome_may_be_there_or_not() -> None:
    for outcome in ("", "unknown"):
        assert not kinds(Story().put("a", outcome=outcome).kill("p").judged())
        assert not kinds(Story().put("a", outcome=outcome).kill("p").claim("a", "r").settle("ack", "r").judged())


# -- phantom and corrupt


def test_phantom() -> None:
    assert kinds(Story().claim("a", "r").settle("ack", "r").judged()) == ["phantom"]
    assert kinds(Story().judged(a="ready")) == ["phantom"]
    assert kinds(Story().put("a", outcome="refused").claim("a", "r").settle("ack", "r").judged()) == ["phantom"]


def test_a_put_repeated_after_an_unknown_outcome_is_no_phantom() -> None:
    assert not kinds(Story().put("a", outcome="unknown").put("a").claim("a", "r").settle("ack", "r").judged())


def test_corrupt() -> None:
    assert kinds(Story().put("a").claim("a", "r", body="other").settle("ack", "r").judged()) == ["corrupt"]


# -- held twice


def test_held_twice() -> None:
    story = Story().put("a").claim("a", "r1").claim("a", "r2", who="v", attempt=2)
    assert kinds(story.judged(a="running")) == ["held twice"]


def test_held_twice_within_one_long_hold() -> None:
    story = Story().put("a").claim("a", "r1").claim("a", "r2", who="v", attempt=2).settle("nack", "r2", who="v")
    story.claim("a", "r3", who="u", attempt=3)
    assert kinds(story.judged(a="running")) == ["held twice", "held twice"]


def test_a_kill_ends_the_victims_hold() -> None:
    story = Story().put("a").claim("a", "r1").kill("w").claim("a", "r2", who="v", attempt=2)
    assert not kinds(story.judged(a="running"))


def test_what_a_victim_wrote_after_the_kill_was_decided_is_no_hold() -> None:
    story = Story().put("a").kill("w").claim("a", "r1").claim("a", "r2", who="v", attempt=2)
    assert not kinds(story.judged(a="running"))


def test_a_lease_that_ran_out_ends_a_hold() -> None:
    story = Story().put("a").claim("a", "r1", until=3.5).claim("a", "r2", who="v", attempt=2)
    assert not kinds(story.judged(a="running"))
    story = Story().put("a").claim("a", "r1", until=4.5).claim("a", "r2", who="v", attempt=2)
    assert kinds(story.judged(a="running")) == ["held twice"]


def test_an_extended_lease_holds_on() -> None:
    story = Story().put("a").claim("a", "r1", until=3.5).settle("extend", "r1", untils=[50.0]).claim("a", "r2", who="v", attempt=2)
    assert kinds(story.judged(a="running")) == ["held twice"]
    story = Story().put("a").claim("a", "r1", until=3.5).settle("extend", "r1", "lost").claim("a", "r2", who="v", attempt=2)
    assert not kinds(story.judged(a="running"))


def test_a_hold_ends_when_its_settling_begins() -> None:
    story = Story().put("a").claim("a", "r1").say("w", "nack.call", receipts=("r1",)).claim("a", "r2", who="v", attempt=2)
    story.say("w", "nack.ok", receipts=("r1",))
    assert not kinds(story.judged(a="running"))


# -- after the ack


def test_handed_out_again_after_its_ack() -> None:
    story = Story().put("a").claim("a", "r1").settle("ack", "r1").claim("a", "r2", who="v", attempt=2)
    assert kinds(story.judged()) == ["again after ack"]


def test_a_claim_that_began_before_the_ack_answered_may_be_written_late() -> None:
    """Held, lost its lease, and was descheduled before its line; then another ran the job to its end."""
    story = Story().put("a").claim("a", "r2", who="v", attempt=2).settle("ack", "r2", who="v")
    story.claim("a", "r1", who="w", attempt=1, until=2.9, called=2.5)
    assert not kinds(story.judged())


def test_still_in_the_store_after_its_ack() -> None:
    story = Story().put("a").claim("a", "r1").settle("ack", "r1")
    assert kinds(story.judged(a="ready")) == ["again after ack"]
    assert not kinds(story.judged(a="done"))


def test_acked_twice() -> None:
    story = Story().put("a").claim("a", "r1", until=3.5).claim("a", "r2", who="v", attempt=2)
    story.settle("ack", "r2", who="v").settle("ack", "r1")
    assert "acked twice" in kinds(story.judged())


# -- fencing and attempts


@pytest.mark.parametrize("verb", ["ack", "nack", "bury", "extend"])
def test_a_stale_receipt_that_counted(verb: str) -> None:
    story = Story().put("a").claim("a", "r1", until=3.5).claim("a", "r2", who="v", attempt=2)
    assert kinds(story.settle(verb, "r1").judged(a="ready")) in (["stale write"], ["again after ack", "stale write"])


@pytest.mark.parametrize("verb", ["ack", "nack", "bury", "extend"])
def test_a_stale_receipt_that_was_refused(verb: str) -> None:
    story = Story().put("a").claim("a", "r1", until=3.5).claim("a", "r2", who="v", attempt=2)
    assert not kinds(story.settle(verb, "r1", "lost").judged(a="running"))


def test_one_attempt_given_twice() -> None:
    story = Story().put("a").claim("a", "r1").kill("w").claim("a", "r2", who="v", attempt=1).settle("ack", "r2", who="v")
    assert kinds(story.judged()) == ["attempt twice"]


def test_every_kind_of_violation_was_planted_here() -> None:
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []


# -- the ledger


def test_lines_come_back_by_time_over_all_processes(tmp_path: Path) -> None:
    one, other = Ledger(tmp_path, "one"), Ledger(tmp_path, "two")
    one.write("put.call", ids=["a"], digests=["d"])
    other.write("claim", ids=["a"], receipts=["r"], attempts=[1], untils=[5.0], called=0.5)
    one.write("put.ok", ids=["a"])
    lines = read(tmp_path)
    assert [(line.who, line.what) for line in lines] == [("one", "put.call"), ("two", "claim"), ("one", "put.ok")]
    assert lines[1].untils == [5.0]
    assert [line.at for line in lines] == sorted(line.at for line in lines)


def test_a_torn_last_line_is_passed_over_and_no_other(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path, "one")
    ledger.write("put.call", ids=["a"])
    whole = (tmp_path / "one.jsonl").read_bytes()
    (tmp_path / "one.jsonl").write_bytes(whole + whole[:-5])
    assert len(read(tmp_path)) == 1
    (tmp_path / "one.jsonl").write_bytes(whole[:-5] + b"\n" + whole)
    with pytest.raises(msgspec.DecodeError):
        read(tmp_path)


def test_a_line_is_one_write(tmp_path: Path) -> None:
    """Two who write to one file at once never mix: what O_APPEND gives."""
    pids = []
    for who in ("x", "y"):
        pid = os.fork()
        if not pid:
            try:
                ledger = Ledger(tmp_path, "shared")
                for _ in range(300):
                    ledger.write("put.call", ids=[who * 32] * 20)
            finally:
                os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)
    assert len(read(tmp_path)) == 600


def test_an_ack_that_was_asked_for_again_may_have_been_done_at_first() -> None:
    """The first answer never came, and the second is no: the job has gone all the same."""
    story = Story().put("a").claim("a", "r").settle("ack", "r", outcome="").settle("ack", "r", outcome="lost")
    assert not story.judged().violations
    assert kinds(Story().put("a").claim("a", "r").settle("ack", "r", outcome="lost").judged()) == ["lost"]
