"""Durations as Go and kubectl spell them: "6m", "1h30m", "1.5s", "300ms"."""

import re

UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
PART = r"(\d+(?:\.\d*)?|\.\d+)(h|ms|m|s|us|µs|ns)"


def seconds(duration: float | str) -> float:
    """Return the seconds of a duration; a number is seconds. Raises ValueError."""
    if not isinstance(duration, str):
        return duration
    if not re.fullmatch(f"(?:{PART})+", duration):
        raise ValueError(f'{duration!r} is no duration: write "6m", "1h30m", "45s" or "300ms"')
    return sum(float(number) * UNITS[unit] for number, unit in re.findall(PART, duration))
