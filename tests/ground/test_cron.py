"""When schedules are due: expressions, what is no expression, and the days on which clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ropeway.cron import NAMED, Cron, cron
from ropeway.errors import BadValue

BERLIN = "Europe/Berlin"
# north and south, gaps at midnight, half an hour, and none at all
ZONES = ["UTC", BERLIN, "America/New_York", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "Pacific/Chatham"]

moments = st.integers(0, 2_200_000_000).map(float)
zones = st.sampled_from(ZONES)
minutes, hours = st.integers(0, 59), st.integers(0, 23)
expressions = st.one_of(
    st.tuples(minutes, hours).map(lambda t: f"{t[0]} {t[1]} * * *"),
    st.tuples(minutes, hours, hours).map(lambda t: f"{t[0]} {t[1]},{t[2]} * * *"),
    st.integers(1, 59).map(lambda n: f"*/{n} * * * *"),
    st.tuples(minutes, st.integers(1, 28)).map(lambda t: f"{t[0]} 4 {t[1]} * *"),
    st.tuples(minutes, st.sampled_from(["mon", "tue-fri", "sun", "1,3", "7", "fri#2", "5L"])).map(lambda t: f"{t[0]} * * * {t[1]}"),
    st.sampled_from(["0 0 29 2 *", "0 0 L * *", "0 12 LW * *", "5 0 31 1,12 *", *NAMED]),
    st.integers(1, 100_000).map(lambda n: f"every {n}s"),
)


def at(text: str, zone: str = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def told(moment: float, zone: str = BERLIN) -> str:
    return datetime.fromtimestamp(moment, ZoneInfo(zone)).strftime("%m-%dT%H:%M%z")


@settings(max_examples=300, deadline=None)
@given(expressions, zones, moments)
def test_next_and_previous_are_each_others_inverse(text: str, zone: str, moment: float) -> None:
    schedule = cron(text, zone)
    tick = schedule.next(moment)
    assert tick > moment
    assert tick % 1 == 0
    assert schedule.previous(tick + 0.5) == tick
    before = schedule.previous(tick)
    assert before is None or before <= moment
    if before is not None:
        assert schedule.next(before) == tick


@settings(max_examples=60, deadline=None)
@given(minutes, hours, zones, st.integers(1990, 2037))
def test_a_time_of_day_comes_once_a_day_whatever_the_clocks_do(minute: int, hour: int, zone: str, year: int) -> None:
    """The property that a nightly job wants: no night without, no night with two."""
    begin, end = at(f"{year}-01-01T00:00", zone), at(f"{year + 1}-01-01T00:00", zone)
    days = []
    for tick in cron(f"{minute} {hour} * * *", zone).ticks(begin - 1):
        if tick >= end:
            break
        days.append(datetime.fromtimestamp(tick, ZoneInfo(zone)).date())
    first = date(year, 1, 1)
    assert days == [first + timedelta(days=n) for n in range((date(year + 1, 1, 1) - first).days)]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), zones, moments)
def test_a_star_follows_the_time_that_passes(step: int, zone: str, moment: float) -> None:
    """Against each minute of two days, looked at one by one."""
    moment -= moment % 60
    local = ((m, datetime.fromtimestamp(m, ZoneInfo(zone))) for m in (moment + 60 * n for n in range(1, 2 * 24 * 60)))
    wanted = [m for m, there in local if there.minute % step == 0]
    assert cron(f"*/{step} * * * *", zone).first(len(wanted), moment) == wanted


@pytest.mark.parametrize(
    ("text", "forward", "back"),
    [
        ("30 2 * * *", ["03-28T03:00+0200"], ["10-31T02:30+0200"]),
        ("0,30 2 * * *", ["03-28T03:00+0200"], ["10-31T02:00+0200", "10-31T02:30+0200"]),
        ("0 2,3 * * *", ["03-28T03:00+0200"], ["10-31T02:00+0200", "10-31T03:00+0100"]),
        ("0 3 * * *", ["03-28T03:00+0200"], ["10-31T03:00+0100"]),
        ("*/30 2 * * *", [], ["10-31T02:00+0200", "10-31T02:30+0200", "10-31T02:00+0100", "10-31T02:30+0100"]),
        ("0 */2 * * *", ["03-28T04:00+0200"], ["10-31T02:00+0200", "10-31T02:00+0100", "10-31T04:00+0100"]),
    ],
)
def test_the_table_of_the_guide(text: str, forward: list[str], back: list[str]) -> None:
    for day, wanted in (("2027-03-28", forward), ("2027-10-31", back)):
        ticks = []
        for tick in Cron(text, BERLIN).ticks(at(f"{day}T00:30")):
            if tick > at(f"{day}T04:30"):
                break
            ticks.append(told(tick))
        assert ticks == wanted


def test_started_within_the_second_of_two_equal_hours() -> None:
    second = datetime(2027, 10, 31, 1, 10, tzinfo=UTC).timestamp()  # 02:10 in Berlin, for the second time
    assert told(Cron("30 2 * * *", BERLIN).next(second)) == "11-01T02:30+0100"


def test_every_counts_from_1970() -> None:
    assert Cron("every 10s").first(3, 1_800_000_001.0) == [1_800_000_010.0, 1_800_000_020.0, 1_800_000_030.0]
    assert Cron("every 10s").next(1_800_000_010.0) == 1_800_000_020.0
    assert Cron("every 10s").previous(1_800_000_010.0) == 1_800_000_000.0
    assert Cron("every 10s", BERLIN).next(5.0) == 10.0
    assert Cron("EVERY  1h30m") == Cron("every 1h30m")


def test_names_and_spaces() -> None:
    assert Cron(" @Daily ", BERLIN).next(at("2027-05-01T12:00")) == at("2027-05-02T00:00")
    assert Cron("0  9 *   * mon-fri").text == "0 9 * * mon-fri"


def test_before_1970_there_was_nothing() -> None:
    assert Cron("0 0 1 1 *").previous(1.0) == 0.0
    assert Cron("0 0 1 1 *").previous(0.0) is None
    assert Cron("every 1d").previous(0.0) is None


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", "is no schedule"),
        ("x" * 300, "is no schedule"),
        (5, "is no schedule"),
        ("* * * *", "4 fields"),
        ("* * * * * *", "6 fields"),
        ("60 * * * *", "minute"),
        ("* 24 * * *", "hour"),
        ("* * 0 * *", "day-of-month"),
        ("* * * 13 *", "month"),
        ("* * * * 8", "day-of-week"),
        ("* * * * mom", "day-of-week"),
        ("*/0 * * * *", "minute"),
        ("5-1 * * * *", "minute"),
        ("* * * * 5L/2", "day-of-week"),
        ("\uff11 * * * *", "minute"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 */31 * 1#5", "never comes"),
        ("@reboot", "there are @yearly"),
        ("every", "period"),
        ("every 0.5s", "at least 1 s"),
        ("every 1.5s", "whole seconds"),
        ("every -1s", "period"),
        ("every now and then", "period"),
        ("everyone", "period"),
    ],
)
def test_what_is_no_schedule_is_said(text: str, hint: str) -> None:
    with pytest.raises(BadValue, match="othing was done") as caught:
        Cron(text)
    assert hint in str(caught.value)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "../../etc/passwd", "Europe", "x" * 300, "a\0b", 5])
def test_what_is_no_zone_is_said(zone: str) -> None:
    with pytest.raises(BadValue, match="is no time zone"):
        Cron("@daily", zone)


@settings(max_examples=200, deadline=None)
@given(st.text("0123456789*/,-#LW@ abcmonjan", max_size=30))
def test_whatever_is_typed_is_a_schedule_or_a_clear_error(text: str) -> None:
    try:
        assert Cron(text).next(1_800_000_000.0) > 1_800_000_000.0
    except BadValue as error:
        assert "nothing was done" in str(error).lower()
