"""Reading discovery: from the server's answer to the resources that one can work with."""

from collections.abc import Iterator
from typing import Any

from kubesim.api.resources import Resource

Object = dict[str, Any]
ACCEPT = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


def preferred_resources(groups: Object) -> Iterator[Resource]:
    """Yield each resource of an APIGroupDiscoveryList in the first version that has it."""
    for group in groups["items"]:
        seen = set()
        for version in group["versions"]:
            for described in version["resources"]:
                if described["resource"] not in seen:
                    seen.add(described["resource"])
                    yield _resource(group["metadata"]["name"], version["version"], described)


def _resource(group: str, version: str, described: Object) -> Resource:
    return Resource(
        described["resource"],
        described["responseKind"]["kind"],
        group,
        version,
        namespaced=described["scope"] == "Namespaced",
        verbs=tuple(described["verbs"]),
    )
