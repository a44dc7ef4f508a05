"""The published schema as kubesim carries it, and what is read from it."""

import gzip
import json
import runpy
from pathlib import Path

import pytest

from kubesim.api import schema
from kubesim.api.quantities import canonical
from kubesim.api.resources import RESOURCES, named

ROOT = Path(__file__).parents[3]


def test_the_definitions_are_what_the_tool_cuts():
    pytest.importorskip("kubernetes_validate")
    tool = runpy.run_path(str(ROOT / "tools" / "cut_openapi.py"))
    packed = (ROOT / "kubesim" / "api" / "definitions.json.gz").read_bytes()
    assert json.loads(gzip.decompress(packed)) == tool["cut"](tool["published_definitions"]())


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda resource: resource.full_name)
def test_every_resource_and_subresource_has_a_type(resource):
    kind = schema.type_of(resource.group, resource.version, resource.kind)
    assert "metadata" in kind.fields
    for subresource in resource.subresources:
        if subresource.version:
            schema.type_of(subresource.group, subresource.version, subresource.kind)


def test_a_place_says_how_its_value_merges():
    pod = schema.type_of("", "v1", "Pod").fields["spec"]
    containers = pod.fields["containers"]
    assert (containers.list_type, containers.list_map_keys) == ("map", ("name",))
    assert (containers.merge_key, containers.strategies) == ("name", ("merge",))
    assert pod.fields["nodeSelector"].atomic
    strategy = schema.type_of("apps", "v1", "Deployment").fields["spec"].fields["strategy"]
    assert strategy.strategies == ("retainKeys",)


def test_a_resource_is_stored_where_the_real_server_stores_it():
    assert named("pods").prefix == "/registry/pods/"
    assert named("services").prefix == "/registry/services/specs/"
    assert named("endpoints").prefix == "/registry/services/endpoints/"
    assert named("nodes").prefix == "/registry/minions/"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (1, "1"),
        ("1000m", "1"),
        (0.5, "500m"),
        ("0.1", "100m"),
        ("1500m", "1500m"),
        ("100000", "100k"),
        ("1024Mi", "1Gi"),
        ("1.5Gi", "1536Mi"),
        ("1536", "1536"),
        ("0.5Ki", "512"),
        ("1e3", "1e3"),
        ("12E", "12E"),
        ("0", "0"),
        ("0Gi", "0"),
        ("-1", "-1"),
        ("1n", "1n"),
        ("0.1n", "1n"),
        ("128974848", "128974848"),
        ("12345678901234567890123", "12345678901234567890123"),
    ],
)
def test_a_quantity_has_one_spelling(given, expected):
    assert canonical(given) == expected


@pytest.mark.parametrize(
    "given", ["", "x", "1x", "1 Gi", "Mi", "1.2.3", "--1", "1e99", "1e9999999999999999999"]
)
def test_what_is_no_quantity(given):
    with pytest.raises(ValueError, match="quantity"):
        canonical(given)
