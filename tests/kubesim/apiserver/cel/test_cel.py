"""CEL: what expressions mean, and what is said of those that mean nothing."""

import pytest

from kubesim.apiserver.cel import CELError, CompileError, compiled

SELF = {
    "replicas": 3,
    "min": 1,
    "max": 5,
    "names": ["a", "b"],
    "labels": {"x": "1"},
    "text": "hello",
    "ratio": 1.5,
    "on": True,
    "foo-bar": 1,
    "namespace": "ns",
    "when": "2020-01-01T00:00:00Z",
    "nothing": None,
}


def evaluate(text, variables=None):
    return compiled(text, {"self"}).evaluate({"self": SELF} if variables is None else variables)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1 + 2 * 3", 7),
        ("(1 + 2) * 3", 9),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("1.0 / 2.0", 0.5),
        ("-self.replicas", -3),
        ("'a' + \"b\"", "ab"),
        (r"r'\d' == '\\d'", True),
        (r"'\u0041\n'", "A\n"),
        ("0x10", 16),
        ("[1, 2] + [3]", [1, 2, 3]),
        ("{'a': 1}['a']", 1),
        ("true ? 1 : 2 + 3", 1),
        ("1 == 1.0", True),
        ("1 == 1u", True),
        ("'1' == 1", False),
        ("self.nothing == null", True),
        ("type(1) == int", True),
        ("self.min <= self.replicas && self.replicas <= self.max", True),
        ("!self.on || self.on", True),
        ("self.nope == 1 || true", True),
        ("false && self.nope == 1", False),
        ('"x" in self.labels', True),
        ('"c" in self.names', False),
        ("has(self.replicas) && !has(self.nope)", True),
        ("self.foo__dash__bar", 1),
        ("self.__namespace__", "ns"),
        ("self.?nope.orValue(7)", 7),
        ("self.?labels.x.hasValue()", True),
        ("self[?'nope'].hasValue()", False),
        ("self.?replicas.optMap(r, r + 1).value()", 4),
        ("cel.bind(x, 5, x + x)", 10),
    ],
)
def test_the_language(text, value):
    found = evaluate(text)
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.names.all(n, size(n) == 1)", True),
        ("self.names.exists(n, n == 'b')", True),
        ("self.names.exists_one(n, n < 'c')", False),
        ("self.names.map(n, n + '!')", ["a!", "b!"]),
        ("self.names.map(n, n == 'a', n + '1')", ["a1"]),
        ("self.names.filter(n, n != 'a')", ["b"]),
        ("self.labels.all(k, self.labels[k] == '1')", True),
        ("[0, 1].exists(x, 1 / x == 1)", True),
        ("[1, 0].all(x, 1 / x == 2)", False),
    ],
)
def test_the_macros(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("self.text.startsWith('he')", True),
        ("self.text.endsWith('lo') && self.text.contains('ell')", True),
        ("self.text.matches('^h.*o$')", True),
        ("size(self.text) == self.text.size()", True),
        ("self.text.upperAscii()", "HELLO"),
        ("self.text.substring(1, 3)", "el"),
        ("self.text.indexOf('l')", 2),
        ("self.text.replace('l', 'L')", "heLLo"),
        ("'a,b,c'.split(',', 2)", ["a", "b,c"]),
        ("['a', 'b'].join('-')", "a-b"),
        ("'%s is %d'.format(['a', 5])", "a is 5"),
        ("'abc'.find('b.')", "bc"),
        ("int('5') + 1", 6),
        ("string(5) + string(true)", "5true"),
        ("double(3)", 3.0),
        ("[3, 1, 2].min() + [1, 2].sum()", 4),
        ("[1, 2, 2].isSorted()", True),
        ("[1, 1].distinct()", [1]),
        ("timestamp(self.when) < timestamp('2021-01-01T00:00:00Z')", True),
        ("timestamp(self.when).getFullYear()", 2020),
        ("duration('1h') > duration('59m')", True),
        ("timestamp(self.when) + duration('1h') > timestamp(self.when)", True),
        ("quantity('1Gi').isGreaterThan(quantity('500Mi'))", True),
        ("isQuantity('1x')", False),
        ("quantity('500m').add(quantity('500m')) == quantity('1')", True),
        ("sets.contains([1, 2], [2])", True),
    ],
)
def test_the_functions(text, value):
    assert evaluate(text) == value


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("self.nope", "no such key: nope"),
        ("self.names[5]", "index out of bounds: 5"),
        ("self.labels['y']", "no such key: y"),
        ("1 / 0", "division by zero"),
        ("9223372036854775807 + 1", "integer overflow"),
        ("'a' < 1", "no such overload"),
        ("1 + 1.0", "no such overload"),
        ("1 && true", "no such overload"),
        ("self.text.matches('(')", "error parsing regexp"),
        ("int('x')", "invalid syntax"),
        ("optional.none().value()", "dereference"),
    ],
)
def test_what_has_no_value(text, problem):
    with pytest.raises(CELError, match=problem.replace("(", r"\(")):
        evaluate(text)


def test_an_expression_that_would_never_end_is_given_up():
    items = list(range(1100))
    with pytest.raises(CELError, match="cost limit exceeded"):
        evaluate("self.all(a, self.all(b, a + b >= 0))", {"self": items})


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "foo",
            "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo\n | ^",
        ),
        ("self.x.bogus()", "undeclared reference to 'bogus'"),
        ("[1].all(x, y)", "undeclared reference to 'y'"),
        ("1 +", "Syntax error: mismatched input '<EOF>'"),
        ("(1", "mismatched input '<EOF>' expecting ')'"),
        ("self..x", "expecting IDENTIFIER"),
        ("'open", "token recognition error"),
        ("has(self)", "invalid argument to has() macro"),
        ("[1].all(1, true)", "argument must be a simple name"),
        ("(" * 300 + "1" + ")" * 300, "recursion limit"),
        ("1" + " + 1" * 2000, "recursion limit"),
    ],
)
def test_what_is_no_expression(text, problem):
    with pytest.raises(CompileError) as refused:
        compiled(text, {"self"})
    assert problem in str(refused.value)
