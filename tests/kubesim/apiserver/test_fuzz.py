"""Random objects, made from the published schema, sent to every route: none breaks the server.

What is sent has mostly the right types, for a wrong one is refused before anything interesting
happens; but any value may be empty, extreme, absurd or missing.
"""

import json
import random

import pytest

from kubesim.api import schema
from kubesim.apiserver.request import Request, UserInfo
from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster
from kubesim.kubeadm.bootstrap import bootstrap

ADMIN = UserInfo("admin", groups=("system:masters",))
ROUNDS = 4
WORDS = (
    *("", "a", "x", "web", "a-b", "A_b", "a b", "-", ".", "..", "/", "/x", "../x", "a/b", "a.b/c"),
    *("None", "Always", "Never", "In", "NotIn", "Exists", "DoesNotExist", "Gt", "Equal", "TCP"),
    *("UDP", "Foo", "ClusterIP", "NodePort", "LoadBalancer", "ExternalName", "RollingUpdate"),
    *("Recreate", "OnDelete", "10.0.0.1", "300.1.1.1", "::1", "10.0.0.0/8", "* * * * *", "@daily"),
    *("99 99 * * *", "True", "False", "Unknown", "cpu", "memory", "limits.cpu", "metadata.name"),
    *("example.com/x", "v1", "apps/v1", "Pod", "Node", "\u00e9", "\n", "x" * 300, "50%", "150%"),
    *("ReadWriteOnce", "Block", "Delete", "Retain", "NoSchedule", "NoExecute", "Prefix", "Exact"),
    "default",
)
NUMBERS = (0, 1, -1, 2, 80, 443, 30080, 65535, 65536, 2**31 - 1, -(2**31), 3600, 10)
QUANTITIES = ("0", "1", "-1", "100m", "1Gi", "1.5", "1e3", "9E", "1e30", "0.0001", 5, 2.5, "x")
TIMES = ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.123456Z", "1970-01-01T00:00:00Z", "now", "")
NAMES = ("a", "b", "web")
QUERIES = (
    {},
    {"dryRun": ["All"]},
    {"fieldValidation": ["Strict"]},
    {"limit": ["1"]},
    {"labelSelector": ["a=b,c in (d,e),!f"]},
    {"fieldSelector": ["metadata.name=a"]},
    {"watch": ["1"], "timeoutSeconds": ["1"]},
    {"fieldManager": ["fuzz"], "force": ["true"]},
    {"gracePeriodSeconds": ["0"]},
    {"propagationPolicy": ["Foreground"]},
)
ACCEPTS = (
    "application/json",
    "application/yaml",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
)
PATCHES = (
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)


class Maker:
    """Makes values of a type."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def value(self, of, depth=0):
        chance = self.random.random()
        if chance < 0.01:
            return None
        if chance < 0.02:
            return self.random.choice(("x", 5, True, [], {}, [{}], {"a": 1}))
        return getattr(self, "_" + of.kind.replace("-", "_"))(of, depth)

    def _object(self, of, depth):
        made = {}
        eager = 0.75 if depth < 2 else 0.3 if depth < 6 else 0.05
        for name, kind in of.fields.items():
            if name in ("apiVersion", "kind", "managedFields") and depth < 2:
                continue
            if self.random.random() < (0.9 if name in of.required else eager):
                made[name] = self.value(kind, depth + 1)
        return made

    def _map(self, of, depth):
        return {
            self.random.choice(WORDS): self.value(of.item, depth + 1)
            for _ in range(self.random.choice((0, 1, 2)))
        }

    def _array(self, of, depth):
        made = [self.value(of.item, depth + 1) for _ in range(self.random.choice((0, 1, 1, 2)))]
        return made + made[:1] if self.random.random() < 0.1 else made

    def _string(self, of, depth):
        return self.random.choice(WORDS)

    def _integer(self, of, depth):
        return self.random.choice(NUMBERS)

    def _boolean(self, of, depth):
        return self.random.random() < 0.5

    def _quantity(self, of, depth):
        return self.random.choice(QUANTITIES)

    def _int_or_string(self, of, depth):
        return self.random.choice((*NUMBERS, *WORDS))

    def _time(self, of, depth):
        return self.random.choice(TIMES)

    _micro_time = _time

    def _bytes(self, of, depth):
        return self.random.choice(("", "YQ==", "e30=", "not base64", "YWJj\n"))

    def _number(self, of, depth):
        return self.random.choice((0, 1.5, -1e300))

    def _json_schema(self, of, depth):
        types = ("object", "string", "array", "integer", "", "x", 5)
        made = {"type": self.random.choice(types)}
        for field in ("items", "properties", "required", "enum", "default", "allOf", "pattern"):
            if self.random.random() < 0.2:
                inner = self._json_schema(of, depth + 1) if depth < 6 else 5
                made[field] = self.random.choice((inner, [inner], {"a": inner}, "x", True))
        return made

    def _any(self, of, depth):
        return self.random.choice(({}, {"f:data": {}}, [], "x", 5, {"type": "object"}))


def metadata(maker, resource, name):
    made = {"name": name}
    if resource.namespaced:
        made["namespace"] = "default"
    of = schema.definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")
    for field in ("labels", "annotations", "finalizers", "ownerReferences", "generateName"):
        if maker.random.random() < 0.15:
            made[field] = maker.value(of.fields[field], 3)
    if maker.random.random() < 0.1:
        made["managedFields"] = maker.value(of.fields["managedFields"], 3)
    return made


def requests(maker, resource, kind_of):
    """A few requests to each route of a resource."""
    choose = maker.random.choice
    root = f"/apis/{resource.group}/{resource.version}" if resource.group else "/api/v1"
    collection = f"{root}/namespaces/default" if resource.namespaced else root
    collection += f"/{resource.plural}"
    name = choose(NAMES)
    body = maker.value(kind_of, 0)
    if isinstance(body, dict):
        body["metadata"] = metadata(maker, resource, name)
    head = {"apiVersion": resource.api_version, "kind": resource.kind}
    full = head | body if isinstance(body, dict) else body
    operations = [
        {"op": op, "path": f"/{choose(('spec', 'metadata/labels', 'status'))}", "value": body}
        for op in maker.random.sample(("add", "remove", "replace", "test"), 2)
    ]
    yield "POST", collection, full, "application/json"
    yield "GET", collection, None, ""
    yield "GET", f"{collection}/{name}", None, ""
    yield "PUT", f"{collection}/{name}", full, "application/json"
    yield "PATCH", f"{collection}/{name}", full, choose(PATCHES)
    yield "PATCH", f"{collection}/{name}", operations, "application/json-patch+json"
    for subresource in resource.subresources:
        path = f"{collection}/{name}/{subresource.name}"
        yield "GET", path, None, ""
        yield choose(("POST", "PUT")), path, full, "application/json"
        yield "PATCH", path, full, choose(PATCHES)
    if maker.random.random() < 0.3:
        yield "DELETE", f"{collection}/{name}", None, ""
    if maker.random.random() < 0.05:
        yield "DELETE", collection, None, ""


async def served():
    cluster = Cluster(clock=Clock(speed=0))
    client = cluster.client(*SUPERUSER)
    await bootstrap(client, cluster.config, address="172.18.0.2", cluster_info="", ca_pem="x")
    account = {"metadata": {"name": "default", "namespace": "default"}}
    await client.create("serviceaccounts", account)
    return cluster


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_objects_made_from_the_schema_break_nothing(seed):
    cluster = await served()
    maker = Maker(seed)
    answered = {}
    for _ in range(ROUNDS):
        for resource in list(cluster.server.resources):
            if "create" not in resource.verbs:
                continue
            kind_of = schema.type_of(resource.group, resource.version, resource.kind)
            for method, path, body, content_type in requests(maker, resource, kind_of):
                headers = {"content-type": content_type, "accept": maker.random.choice(ACCEPTS)}
                data = b"" if body is None else json.dumps(body).encode()
                query = maker.random.choice(QUERIES)
                request = Request(method, path, query, headers, data, ADMIN)
                response = await cluster.server.handle(request)
                if hasattr(response.body, "aclose"):
                    await response.body.aclose()
                elif isinstance(response.body, bytes):
                    assert b"InternalError" not in response.body, (request, response.body)
                answered[response.status] = answered.get(response.status, 0) + 1
    assert answered[200] > 100
    assert answered[201] > 20
    assert answered[422] > 100
