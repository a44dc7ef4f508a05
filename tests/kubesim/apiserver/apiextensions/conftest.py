"""A server that looks after its CustomResourceDefinitions, and one of them."""

import asyncio
import copy
from contextlib import asynccontextmanager

import pytest

from kubesim.apiserver.apiextensions import controllers

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
SPEC = {
    "type": "object",
    "required": ["color"],
    "properties": {
        "color": {"type": "string", "enum": ["red", "green"], "default": "red"},
        "replicas": {"type": "integer", "minimum": 1, "maximum": 10, "default": 1},
        "tags": {"type": "array", "items": {"type": "string"}},
        "maybe": {"type": "string", "nullable": True},
    },
}


def definition(**spec):
    status = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    properties = {"spec": copy.deepcopy(SPEC), "status": status}
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}},
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Size", "type": "integer", "jsonPath": ".spec.replicas"},
            {"name": "Tags", "type": "string", "jsonPath": ".spec.tags", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
    }
    names = {"plural": "gadgets", "kind": "Gadget", "shortNames": ["gd"]}
    defaults = {
        "group": "ext.example.com",
        "scope": "Namespaced",
        "names": names,
        "versions": [version],
    }
    made = defaults | spec
    name = f"{made['names']['plural']}.{made['group']}"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": name},
        "spec": made,
    }


@pytest.fixture
def make_definition():
    return definition


@pytest.fixture
def with_definitions(api):
    """`async with with_definitions(definition, …) as api`: they are served when it begins."""

    @asynccontextmanager
    async def make(*definitions):
        work = controllers.run(api.client, api.server.resources, api.clock)
        task = asyncio.create_task(work)
        try:
            await api.clock.advance(0)
            for each in definitions:
                await api.make(DEFINITIONS, each)
            await api.clock.advance(0)
            yield api
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return make
