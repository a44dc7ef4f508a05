"""Requests that no client means: each is refused with a reason, none breaks the server."""

import json
import random

import pytest

from kubesim.apiserver.request import Request, UserInfo
from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster
from kubesim.kubeadm.bootstrap import bootstrap

ADMIN = UserInfo("admin", groups=("system:masters",))
REQUESTS = 4000
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "BREW")
DEFAULT = "/api/v1/namespaces/default"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
PATHS = (
    "/",
    "//",
    "/%",
    "/api/v1//pods",
    "/api/v1/pods",
    "/api/v1/nodes",
    "/api/v1/namespaces/default/finalize",
    f"{DEFAULT}/pods",
    f"{DEFAULT}/pods/web",
    f"{DEFAULT}/pods/web/log",
    f"{DEFAULT}/pods/web/exec",
    f"{DEFAULT}/pods/web/status",
    f"{DEFAULT}/pods/web/binding",
    f"{DEFAULT}/pods/web/eviction",
    f"{DEFAULT}/pods/web/y/z",
    f"{DEFAULT}/configmaps",
    f"{DEFAULT}/configmaps/one",
    f"{DEFAULT}/events",
    f"{DEFAULT}/services",
    f"{DEFAULT}/serviceaccounts/default/token",
    "/apis/apps/v1/namespaces/default/deployments",
    "/apis/apps/v1/namespaces/default/deployments/web/scale",
    f"{RBAC}/clusterroles",
    f"{RBAC}/namespaces/default/rolebindings",
    "/apis/authorization.k8s.io/v1/subjectaccessreviews",
    "/apis/authentication.k8s.io/v1/tokenreviews",
    "/openapi/v3/x",
    "/kubesim/v1/clock/advance",
    "/kubesim/v1/images",
)
QUERIES = (
    {},
    {"limit": "-1"},
    {"limit": "many"},
    {"resourceVersion": "latest"},
    {"watch": "1", "resourceVersion": "latest"},
    {"watch": "1", "timeoutSeconds": "long"},
    {"continue": "zzz"},
    {"labelSelector": "a in ("},
    {"fieldSelector": "x"},
    {"dryRun": "Some"},
    {"fieldValidation": "Maybe"},
    {"includeObject": "Some"},
    {"tailLines": "1e9"},
    {"sinceTime": "now"},
    {"resourceVersionMatch": "Exact"},
    {"propagationPolicy": "Some"},
)
BODIES = (
    b"",
    b"{",
    b"null",
    b"5",
    b"[]",
    b"{}",
    b"\xff\xfe",
    b"a: [",
    b'{"a":' * 3000,
    b"k8s\0\x0a",
    b'{"metadata": null}',
    b'{"metadata": 5}',
    b'{"metadata": {"name": 5}}',
    b'{"metadata": {"name": "x", "labels": {"a": 1}}}',
    b'{"metadata": {"name": "x"}, "rules": [{}]}',
    b'{"metadata": {"name": "x"}, "roleRef": {}, "subjects": [{}]}',
    b'{"spec": []}',
    b'{"spec": {"containers": [null]}}',
    b'{"spec": {"resourceAttributes": 5, "user": 5, "token": 5, "audiences": 5}}',
    b'{"spec": {"expirationSeconds": "x"}}',
    b'{"target": 5, "data": {"a": {}}, "preconditions": 5}',
    b'{"seconds": NaN, "image": "../../x"}',
    b'[{"op": "remove"}, {"op": "add", "path": "/a/b/c", "value": 1}]',
)
CONTENT_TYPES = (
    "",
    "application/json",
    "application/yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
    "application/vnd.kubernetes.protobuf",
    "text/html",
    "x;;;",
)
ACCEPT = ("", "application/json;as=Table;v=v1;g=meta.k8s.io", "a;b;c,;", "text/html")


async def furnished():
    cluster = Cluster(clock=Clock(speed=0))
    client = cluster.client(*SUPERUSER)
    await bootstrap(client, cluster.config, address="172.18.0.2", cluster_info="", ca_pem="")
    for resource, name, more in (
        ("serviceaccounts", "default", {}),
        ("configmaps", "one", {}),
        ("pods", "web", {"spec": {"containers": [{"name": "c", "image": "busybox:1.36"}]}}),
    ):
        metadata = {"name": name, "namespace": "default"}
        await client.create(resource, {"metadata": metadata, **more})
    return cluster


@pytest.mark.parametrize("seed", [1, 2])
async def test_no_request_breaks_the_server(seed):
    cluster = await furnished()
    choose = random.Random(seed).choice
    for _ in range(REQUESTS):
        query = {key: [value] for key, value in {**choose(QUERIES), **choose(QUERIES)}.items()}
        headers = {"content-type": choose(CONTENT_TYPES), "accept": choose(ACCEPT)}
        request = Request(choose(METHODS), choose(PATHS), query, headers, choose(BODIES), ADMIN)
        response = await cluster.server.handle(request)
        if hasattr(response.body, "aclose"):
            await response.body.aclose()
        assert response.status != 500, request
        if response.status >= 400 and response.body.startswith(b"{"):
            status = json.loads(response.body)
            assert "paths" in status or (status["message"] and status["code"] == response.status)
