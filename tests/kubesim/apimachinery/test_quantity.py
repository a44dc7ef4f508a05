"""Quantities are numbers with suffixes."""

from decimal import Decimal

import pytest

from kubesim.apimachinery.quantity import parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", "1"),
        ("100m", "0.1"),
        ("1.5", "1.5"),
        (".5", "0.5"),
        ("64Mi", "67108864"),
        ("1Gi", "1073741824"),
        ("2k", "2000"),
        ("3E", "3000000000000000000"),
        ("1e3", "1000"),
        ("1E3", "1000"),
        ("250u", "0.00025"),
        ("-1", "-1"),
        (2, "2"),
    ],
)
def test_parse(text, expected):
    assert parse(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "Mi", "1 Gi", "1KB", "one", "1m5", "--1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="is not a quantity"):
        parse(text)
