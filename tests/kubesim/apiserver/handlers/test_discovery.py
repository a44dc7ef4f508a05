"""Discovery, version, health and OpenAPI: what clients ask before anything else."""

import json

import pytest

from kubesim.api.served import Resources
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.handlers.discovery import Discovery
from kubesim.apiserver.handlers.openapi import OpenAPI
from kubesim.apiserver.request import Request, UserInfo

USER = UserInfo("jane")
RESOURCES = Resources()
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v={};as=APIGroupDiscoveryList"


async def ask(path, *, accept="application/json", **query):
    request = Request(
        "GET", path, {key: [value] for key, value in query.items()}, {"accept": accept}
    )
    for endpoint in (Discovery(RESOURCES, lambda: "127.0.0.1:6443"), OpenAPI(RESOURCES)):
        response = await endpoint(request, USER)
        if response:
            return response
    return None


async def get(path, **options):
    response = await ask(path, **options)
    return json.loads(response.body)


@pytest.mark.parametrize("slash", ["", "/"])
async def test_paths_may_end_with_a_slash(slash):
    assert (await get(f"/version{slash}"))["minor"] == "37"
    assert (await get(f"/api{slash}"))["versions"] == ["v1"]
    assert (await get(f"/api/v1{slash}"))["groupVersion"] == "v1"


async def test_the_plain_and_the_aggregated_form_name_the_same_resources():
    accept = f"{AGGREGATED.format('v2')},{AGGREGATED.format('v2beta1')},application/json"
    aggregated = set()
    for root in ("/api", "/apis"):
        for group in (await get(root, accept=accept))["items"]:
            for version in group["versions"]:
                for resource in version["resources"]:
                    aggregated.add((group["metadata"]["name"], resource["resource"]))
    plain = {("", r["name"]) for r in (await get("/api/v1"))["resources"]}
    for group in (await get("/apis"))["groups"]:
        path = f"/apis/{group['preferredVersion']['groupVersion']}"
        plain |= {(group["name"], r["name"]) for r in (await get(path))["resources"]}
    assert {(g, name) for g, name in plain if "/" not in name} == aggregated
    assert aggregated == {(r.group, r.plural) for r in RESOURCES}


@pytest.mark.parametrize("version", ["v2", "v2beta1"])
async def test_the_aggregated_form_is_labelled_as_what_it_is(version):
    response = await ask("/apis", accept=f"{AGGREGATED.format(version)},application/json")
    assert response.headers["content-type"] == AGGREGATED.format(version)
    assert json.loads(response.body)["apiVersion"] == f"apidiscovery.k8s.io/{version}"


async def test_a_resource_is_described_for_people_too():
    resources = {r["name"]: r for r in (await get("/apis/apps/v1"))["resources"]}
    assert resources["deployments"]["shortNames"] == ["deploy"]
    assert resources["deployments"]["categories"] == ["all"]
    assert resources["deployments/scale"]["group"] == "autoscaling"


async def test_what_is_not_served_is_not_found():
    assert await ask("/apis/resource.k8s.io") is None
    assert await ask("/apis/apps/v1beta1") is None
    assert await ask("/nope") is None


async def test_health_can_be_asked_in_detail():
    assert (await ask("/livez")).body == b"ok"
    assert (await ask("/readyz/etcd")).body == b"ok"
    assert await ask("/readyz/nope") is None
    assert b"[+]etcd ok\n" in (await ask("/readyz", verbose="")).body


async def test_every_kind_has_its_schema_and_says_that_fields_are_checked():
    for name, entry in (await get("/openapi/v3"))["paths"].items():
        path = entry["serverRelativeURL"].partition("?")[0]
        document = await get(path)
        assert path == f"/openapi/v3/{name}"
        references = set(_references(document))
        assert references <= {
            f"#/components/schemas/{n}" for n in document["components"]["schemas"]
        }
        for operations in document["paths"].values():
            if "patch" in operations:
                parameters = {p["name"] for p in operations["patch"]["parameters"]}
                assert {"dryRun", "fieldValidation"} <= parameters


async def test_a_document_keeps_its_hash():
    assert await get("/openapi/v3") == await get("/openapi/v3")


async def test_the_old_form_of_the_schema_is_empty_for_kubectl_and_refused_to_others():
    accept = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
    assert (await ask("/openapi/v2", accept=accept)).body == b""
    with pytest.raises(StatusError) as refused:
        await ask("/openapi/v2")
    assert refused.value.code == 406


def _references(value):
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)
