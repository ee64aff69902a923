"""check_job: every field keeps its rule, or the job is refused whole."""

from __future__ import annotations

import pytest
from hypothesis import given

from ropeway.durations import LONGEST
from ropeway.errors import BadBody, BadName, BadValue, RopewayError
from ropeway.job import HIGHEST, LOWEST, Checked, Job, check_each, check_job, check_jobs

from .test_codec import jobs

ID = "0" * 32
REFUSED = [
    (BadName, {"queue": "../up"}),
    (BadName, {"queue": None}),
    (BadName, {"id": "../up"}),
    (BadName, {"id": "A" * 32}),
    (BadName, {"id": ID + "\n"}),
    (BadName, {"id": None}),
    (BadName, {"key": None}),
    (BadName, {"key": "\0"}),
    (BadName, {"task": "a b"}),
    (BadName, {"task": None}),
    (BadName, {"lane": "x" * 2000}),
    (BadName, {"headers": None}),
    (BadName, {"headers": {"a": None}}),
    (BadValue, {"content_type": "a\nb"}),
    (BadValue, {"content_type": "ä"}),
    (BadValue, {"content_type": "x" * 257}),
    (BadValue, {"content_type": None}),
    (BadValue, {"once": 1}),
    (BadValue, {"priority": -1}),
    (BadValue, {"priority": 100}),
    (BadValue, {"priority": "5"}),
    (BadValue, {"priority": False}),
    (BadValue, {"delay": -0.1}),
    (BadValue, {"delay": LONGEST * 2}),
    (BadValue, {"delay": float("nan")}),
    (BadValue, {"ttl": float("inf")}),
    (BadValue, {"keep": "1"}),
    (BadValue, {"created": -1.0}),
    (BadValue, {"due": float("nan")}),
    (BadValue, {"due": 1e300}),
    (BadBody, {"body": "text"}),
    (BadBody, {"body": bytearray(b"x")}),
    (BadBody, {"body": None}),
    (BadBody, {"body": b"12345678901"}),
]


@pytest.mark.parametrize(("error", "fields"), REFUSED, ids=lambda value: ascii(value)[:40])
def test_refused(error: type[RopewayError], fields: dict[str, object]) -> None:
    with pytest.raises(error) as caught:
        check_job(Job(**{"id": ID, "queue": "q", **fields}), max_body=10)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "fields",
    [{}, {"priority": HIGHEST}, {"priority": LOWEST}, {"body": b"1234567890"}, {"content_type": ""}, {"delay": 1}, {"delay": LONGEST}],
    ids=str,
)
def test_accepted(fields: dict[str, object]) -> None:
    job = Job(**{"id": ID, "queue": "q", **fields})  # type: ignore[arg-type]
    assert check_job(job, max_body=10) is job


@given(jobs)
def test_any_job_is_accepted_or_refused_with_an_error_of_ours(job: Job) -> None:
    try:
        assert check_job(job) is job
    except (BadName, BadBody, BadValue):
        pass


def test_a_job_expires_by_its_ttl() -> None:
    assert Job(ID, "q", created=100.0, ttl=5.0).expires() == 105.0
    assert Job(ID, "q", created=100.0).expires() == float("inf")


@pytest.mark.parametrize(("error", "fields"), REFUSED, ids=str)
def test_one_bad_job_among_many_is_refused_and_none_is_vouched_for(error: type[RopewayError], fields: dict[str, object]) -> None:
    good = Job(ID, "q")
    bad = Job(**{"id": ID, "queue": "q", **fields})  # type: ignore[arg-type]
    for check in (check_each, check_jobs):
        with pytest.raises(error):
            check([good, bad], 10)


def test_jobs_that_were_checked_are_known_by_their_class_and_looked_at_again_for_a_lower_limit() -> None:
    checked = check_jobs([Job(ID, "q", b"12345"), Job(ID, "q", b"12")], 10)
    assert (type(checked), checked.size, checked.largest) == (Checked, 7, 5)
    assert check_jobs(checked, 5) is checked
    for check in (check_each, check_jobs):
        with pytest.raises(BadBody):
            check(checked, 4)
