"""Selectors in their structured forms."""

import pytest

from kubesim.apimachinery.labels import has_all, matches, node_selector_matches

LABELS = {"app": "web", "tier": "front", "cores": "8"}


def expression(key, operator, *values):
    return {"key": key, "operator": operator, "values": [*values]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "back"}}, False),
        ({"matchExpressions": [expression("app", "In", "web", "db")]}, True),
        ({"matchExpressions": [expression("app", "NotIn", "web")]}, False),
        ({"matchExpressions": [expression("zone", "NotIn", "a")]}, True),
        ({"matchExpressions": [expression("tier", "Exists")]}, True),
        ({"matchExpressions": [expression("tier", "DoesNotExist")]}, False),
        (
            {"matchLabels": {"app": "web"}, "matchExpressions": [expression("zone", "Exists")]},
            False,
        ),
    ],
)
def test_label_selectors(selector, expected):
    assert matches(selector, LABELS) is expected


def test_every_wanted_label_must_be_there():
    assert has_all({"app": "web", "tier": "front"}, LABELS)
    assert not has_all({"app": "web", "zone": "a"}, LABELS)
    assert has_all({}, LABELS)


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ([], False),
        ([{}], False),
        ([{"matchExpressions": [expression("cores", "Gt", "4")]}], True),
        ([{"matchExpressions": [expression("cores", "Lt", "4")]}], False),
        ([{"matchExpressions": [expression("app", "Gt", "4")]}], False),
        ([{"matchFields": [expression("metadata.name", "In", "n1")]}], True),
        ([{"matchFields": [expression("metadata.name", "NotIn", "n1")]}], False),
        ([{}, {"matchExpressions": [expression("app", "Exists")]}], True),
        (
            [{"matchExpressions": [expression("app", "Exists"), expression("zone", "Exists")]}],
            False,
        ),
    ],
)
def test_node_selectors(terms, expected):
    node = {"metadata": {"name": "n1", "labels": LABELS}}
    assert node_selector_matches({"nodeSelectorTerms": terms}, node) is expected
