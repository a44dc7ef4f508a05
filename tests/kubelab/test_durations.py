"""Durations as Go spells them."""

import pytest

from kubelab.durations import seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [("6m", 360), ("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), (".5h", 1800), (45, 45)],
)
def test_a_duration_is_read_as_go_reads_it(text, value):
    assert seconds(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["", "6", "6 m", "m", "-1m", "1d", "6m!"])
def test_what_is_none_is_named(text):
    with pytest.raises(ValueError, match="is no duration"):
        seconds(text)
