"""YAML as another spelling of JSON."""

import pytest

from kubesim.apiserver.serialization import goyaml


def test_what_python_reads_in_its_own_way_is_read_as_go_reads_it():
    text = b"a: 80:80\nb: 2024-01-01\nc: 0777\nd: yes\n1: x\ne: 1e3\nf: 0x10\ng: 1.5\nh: ~\n"
    assert goyaml.loads(text) == {
        "a": "80:80",
        "b": "2024-01-01",
        "c": 0o777,
        "d": True,
        "1": "x",
        "e": 1000,
        "f": 16,
        "g": 1.5,
        "h": None,
    }


def bomb():
    lines = ["a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in ("ab", "bc", "cd", "de", "ef", "fg", "gh"):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]")
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"a: [", "line 1: did not find expected node content"),
        (b"a: b\n c: d", "line 2: mapping values are not allowed in this context"),
        (bomb(), "excessive aliasing"),
        (b"a: &x [*x]", "contains itself"),
        (b"[" * 100_000, "max depth"),
        (b"- " * 100_000, "max depth"),
        (b"a: .inf", "unsupported value"),
        (b"? [a]\n: b", "key"),
        (b"\xff\xfe\x00", "control characters"),
        (b"a: !!python/object:os.system {}", "could not determine a constructor"),
    ],
)
def test_what_is_no_object_is_refused(text, told):
    with pytest.raises(goyaml.YAMLError, match=told):
        goyaml.loads(text)
