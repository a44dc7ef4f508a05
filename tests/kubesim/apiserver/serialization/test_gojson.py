"""JSON, and Go's words for what is none."""

import pytest

from kubesim.apiserver.serialization import gojson, gotext


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("", "unexpected end of JSON input"),
        ("[1,", "unexpected end of JSON input"),
        ("garbage", "invalid character 'g' looking for beginning of value"),
        ("{} x", "invalid character 'x' after top-level value"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b"}', "invalid character '\"' after object key:value pair"),
        ("[1 2]", "invalid character '2' after array element"),
        ("[1,]", "invalid character ']' looking for beginning of value"),
        ('"a\x01"', r"invalid character '\x01' in string literal"),
        ('"\\x"', "invalid character 'x' in string escape code"),
        ('"\\u12g"', r"invalid character 'g' in \u hexadecimal character escape"),
        ("[-a]", "invalid character 'a' in numeric literal"),
        ("[1.a]", "invalid character 'a' after decimal point in numeric literal"),
        ("[1ea]", "invalid character 'a' in exponent of numeric literal"),
        ("01", "invalid character '1' after top-level value"),
        ("trux", "invalid character 'x' in literal true (expecting 'e')"),
        ("[NaN]", "invalid character 'N' looking for beginning of value"),
        ("{'a'", r"invalid character '\'' looking for beginning of object key string"),
        ("[" * 100_000, "exceeded max depth"),
        ("1e999", "json: cannot unmarshal number 1e999 into Go value of type float64"),
    ],
)
def test_what_is_no_json_is_told_as_go_tells_it(text, told):
    with pytest.raises(gojson.JSONError) as refused:
        gojson.loads(text.encode())
    assert str(refused.value) == told


def test_a_key_that_is_there_twice_is_remembered():
    read = gojson.loads(b'{"a": 1, "b": 2, "a": 3}')
    assert read == {"a": 3, "b": 2}
    assert read.repeated == ["a"]


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("not base64!", 3),
        ("abc", 0),
        ("abcde", 4),
        ("ab=c", 2),
        ("=abc", 0),
        ("ab=", 3),
        ("YQ==YQ==", 4),
        ("YWI=\n\nx", 6),
    ],
)
def test_where_base64_goes_wrong(text, at):
    assert gotext.base64_problem(text) == f"illegal base64 data at input byte {at}"


@pytest.mark.parametrize("text", ["", "YQ==", "YWI=", "YWJj", "YQ\n==\n"])
def test_base64(text):
    assert gotext.base64_problem(text) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("now", 'cannot parse "now" as "2006"'),
        ("2024-01-01", 'cannot parse "" as "T"'),
        ("2024-01-01T00:00:00", 'cannot parse "" as "Z07:00"'),
        ("2024-13-01T00:00:00Z", "month out of range"),
        ("2023-02-29T00:00:00Z", "day out of range"),
        ("2024-01-01T00:00:00Zx", 'extra text: "x"'),
        ("2024-02-29T23:59:59.5+02:00", ""),
    ],
)
def test_moments(text, told):
    assert gotext.time_problem(text).endswith(told)
    assert bool(gotext.time_problem(text)) is bool(told)


def test_values_are_shown_as_go_prints_them():
    value = {"b": [1, "x", None], "a": {"c": True}}
    assert gotext.shown(value) == "map[a:map[c:true] b:[1 x <nil>]]"
