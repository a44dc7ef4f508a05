"""Cron schedules as CronJobs have them: five fields, or a word such as `@hourly`.

The rules and the sentences are those of the library that Kubernetes uses (robfig/cron v3,
`ParseStandard`): a day of the month and a day of the week that are both restricted are
alternatives; a time that a clock change leaves out is left out.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
EVERY = "@every "
UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(h|ms|us|µs|ns|m|s)")
YEARS_AHEAD = 5


class CronError(ValueError):
    """What is wrong with a schedule."""


class Schedule(ABC):
    """Moments that come again and again."""

    @abstractmethod
    def next(self, after: datetime) -> datetime | None:
        """The first moment later than `after`, in UTC; None if there is none in five years."""


@dataclass(frozen=True)
class Interval(Schedule):
    """`@every`: a fixed time after the last, in whole seconds."""

    length: timedelta

    def next(self, after: datetime) -> datetime | None:
        """One interval later."""
        return after.replace(microsecond=0) + self.length


@dataclass(frozen=True)
class Field:
    """The values that one field allows; a star says nothing, which matters for days."""

    values: frozenset[int]
    star: bool = False


@dataclass(frozen=True)
class Calendar(Schedule):
    """The five fields, in one time zone."""

    minute: Field
    hour: Field
    day: Field
    month: Field
    weekday: Field
    zone: tzinfo

    def next(self, after: datetime) -> datetime | None:
        """The first minute that all fields allow and that the clock of the zone shows."""
        local = after.astimezone(self.zone).replace(tzinfo=None, second=0, microsecond=0)
        moment = local + timedelta(minutes=1)
        while moment.year <= local.year + YEARS_AHEAD:
            skipped = self._skip(moment)
            if skipped is not None:
                moment = skipped
                continue
            found = moment.replace(tzinfo=self.zone).astimezone(UTC)
            exists = found.astimezone(self.zone).replace(tzinfo=None) == moment
            if exists and found > after:
                return found
            moment += timedelta(minutes=1)
        return None

    def _skip(self, moment: datetime) -> datetime | None:
        """The next moment to look at when a field does not allow this one."""
        midnight = moment.replace(hour=0, minute=0)
        if moment.month not in self.month.values:
            return (midnight.replace(day=1) + timedelta(days=32)).replace(day=1)
        if not self._allows_day(moment):
            return midnight + timedelta(days=1)
        if moment.hour not in self.hour.values:
            return moment.replace(minute=0) + timedelta(hours=1)
        if moment.minute not in self.minute.values:
            return moment + timedelta(minutes=1)
        return None

    def _allows_day(self, moment: datetime) -> bool:
        by_month = moment.day in self.day.values
        by_week = moment.isoweekday() % 7 in self.weekday.values
        if self.day.star or self.weekday.star:
            return by_month and by_week
        return by_month or by_week


def parse(text: str, zone: str = "") -> Schedule:
    """The schedule that a text means, in a named time zone or in UTC. Raises CronError."""
    if not text:
        raise CronError("empty spec string")
    if text.startswith("@"):
        if text.startswith(EVERY):
            return Interval(_duration(text.removeprefix(EVERY), text))
        if text not in WORDS:
            raise CronError(f"unrecognized descriptor: {text}")
        text = WORDS[text]
    parts = text.split()
    if len(parts) != 5:
        raise CronError(f"expected exactly 5 fields, found {len(parts)}: [{' '.join(parts)}]")
    minute, hour, day, month, weekday = parts
    return Calendar(
        minute=_field(minute, 0, 59),
        hour=_field(hour, 0, 23),
        day=_field(day, 1, 31),
        month=_field(month, 1, 12, {name: number + 1 for number, name in enumerate(MONTHS)}),
        weekday=_field(weekday, 0, 6, {name: number for number, name in enumerate(DAYS)}),
        zone=time_zone(zone) if zone else UTC,
    )


def time_zone(name: str) -> tzinfo:
    """The time zone of the IANA database with that name. Raises CronError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise CronError(f"unknown time zone {name}") from None


def _field(text: str, least: int, most: int, names: Mapping[str, int] | None = None) -> Field:
    values: set[int] = set()
    star = False
    for part in text.split(","):
        if part:
            found, is_star = _range(part, least, most, names or {})
            values |= found
            star = star or is_star
    return Field(frozenset(values), star)


def _range(part: str, least: int, most: int, names: Mapping[str, int]) -> tuple[set[int], bool]:
    """The values of `*`, `5`, `1-5` or any of these with `/step`, and whether it is a mere star."""
    given, *steps = part.split("/")
    ends = given.split("-")
    if len(ends) > 2:
        raise CronError(f"too many hyphens: {part}")
    if len(steps) > 1:
        raise CronError(f"too many slashes: {part}")
    star = ends[0] in ("*", "?")
    if star:
        first, last = least, most
    else:
        first = _number(ends[0], names)
        last = _number(ends[1], names) if len(ends) > 1 else most if steps else first
    step = _number(steps[0], {}) if steps else 1
    if first < least:
        raise CronError(f"beginning of range ({first}) below minimum ({least}): {part}")
    if last > most:
        raise CronError(f"end of range ({last}) above maximum ({most}): {part}")
    if first > last:
        raise CronError(f"beginning of range ({first}) beyond end of range ({last}): {part}")
    if step == 0:
        raise CronError(f"step of range should be a positive number: {part}")
    return {*range(first, last + 1, step)}, star and step == 1


def _number(text: str, names: Mapping[str, int]) -> int:
    if text.lower() in names:
        return names[text.lower()]
    try:
        number = int(text)
    except ValueError:
        why = f'strconv.Atoi: parsing "{text}": invalid syntax'
        raise CronError(f"failed to parse int from {text}: {why}") from None
    if number < 0:
        raise CronError(f"negative number ({number}) not allowed: {text}")
    return number


def _duration(text: str, spec: str) -> timedelta:
    """A duration as Go spells it, at least a second."""
    if not text or DURATION.sub("", text):
        raise CronError(f'failed to parse duration {spec}: time: invalid duration "{text}"')
    seconds = sum(float(number) * UNITS[unit] for number, unit in DURATION.findall(text))
    return timedelta(seconds=max(1, int(seconds)))
