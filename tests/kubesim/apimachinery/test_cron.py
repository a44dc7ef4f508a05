"""Cron schedules: which moments they mean, and what is no schedule."""

from datetime import UTC, datetime

import pytest

from kubesim.apimachinery.cron import CronError, parse


def at(text):
    return datetime.fromisoformat(f"{text}:00+00:00")


@pytest.mark.parametrize(
    ("schedule", "after", "following"),
    [
        ("* * * * *", "2026-11-27T10:00", "2026-11-27T10:01"),
        ("*/15 * * * *", "2026-11-27T10:50", "2026-11-27T11:00"),
        ("5/20 * * * *", "2026-11-27T10:26", "2026-11-27T10:45"),
        ("0 9-17/4 * * MON-FRI", "2026-11-27T17:00", "2026-11-30T09:00"),
        ("30 4 1,15 * *", "2026-11-27T10:00", "2026-12-01T04:30"),
        ("0 0 13 * FRI", "2026-11-27T10:00", "2026-12-04T00:00"),  # either day
        ("0 0 */2 * FRI", "2026-11-28T00:00", "2026-11-29T00:00"),
        ("0 0 29 feb ?", "2026-11-27T10:00", "2028-02-29T00:00"),
        ("59 23 31 12 *", "2026-12-31T23:59", "2027-12-31T23:59"),
        ("@hourly", "2026-11-27T10:00", "2026-11-27T11:00"),
        ("@weekly", "2026-11-27T10:00", "2026-11-29T00:00"),
        ("@monthly", "2026-11-27T10:00", "2026-12-01T00:00"),
        ("@every 1h30m", "2026-11-27T10:00", "2026-11-27T11:30"),
    ],
)
def test_the_next_moment(schedule, after, following):
    assert parse(schedule).next(at(after)) == at(following)


def test_a_moment_that_never_comes():
    assert parse("0 0 31 2 *").next(datetime(2026, 1, 1, tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("after", "following"),
    [
        ("2026-03-28T02:00", "2026-03-30T00:30"),  # on the 29th there was no 02:30 in Berlin
        ("2026-10-24T02:00", "2026-10-25T00:30"),  # the first of two 02:30
        ("2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_clock_changes(after, following):
    assert parse("30 2 * * *", "Europe/Berlin").next(at(after)) == at(following)


@pytest.mark.parametrize(
    ("schedule", "message"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("* 9-5 * * *", "beginning of range (9) beyond end of range (5): 9-5"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("1/2/3 * * * *", "too many slashes: 1/2/3"),
        (
            "x * * * *",
            'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax',
        ),
        ("@noon", "unrecognized descriptor: @noon"),
    ],
)
def test_what_is_no_schedule(schedule, message):
    with pytest.raises(CronError) as refused:
        parse(schedule)
    assert str(refused.value) == message
