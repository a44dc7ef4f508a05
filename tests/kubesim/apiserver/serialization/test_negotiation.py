"""What an Accept header leads to."""

import gzip
import json

import pytest
import yaml

from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.request import Request
from kubesim.apiserver.serialization.negotiation import PLAIN, Form, form_of, negotiate

JSON = "application/json"
TABLE = f"{JSON};as=Table;v=v1;g=meta.k8s.io"
PARTIAL = f"{JSON};as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
PARTIAL_LIST = f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", PLAIN),
        ("*/*", PLAIN),
        ("text/html, */*;q=0.1", PLAIN),
        ("application/vnd.kubernetes.protobuf", PLAIN),
        (f"{TABLE},{JSON};as=Table;v=v1beta1;g=meta.k8s.io,{JSON}", Form("Table")),
        (f"{JSON};as=Table;v=v1beta1;g=meta.k8s.io", Form("Table", "v1beta1")),
        (f"{JSON},{TABLE}", PLAIN),
        (f"{TABLE};q=0.5,{JSON};q=0.9", PLAIN),
        (f"application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,{TABLE}", Form("Table")),
        (f"{JSON};as=Sketch;v=v1;g=meta.k8s.io,{JSON}", PLAIN),
        ("application/yaml", Form(yaml=True)),
        (f"{JSON};pretty=1", Form(indented=True)),
    ],
)
def test_the_first_form_that_is_spoken_wins(accept, form):
    assert negotiate(accept) == form


@pytest.mark.parametrize("accept", ["text/html", f"{JSON};as=Sketch;v=v1;g=meta.k8s.io"])
def test_nothing_spoken_is_refused(accept):
    with pytest.raises(StatusError, match="application/json, application/yaml") as refused:
        negotiate(accept)
    assert refused.value.code == 406


def test_a_watch_is_not_spoken_in_yaml():
    with pytest.raises(StatusError, match="application/json;stream=watch"):
        negotiate("application/yaml", streams=True)


def test_people_get_json_that_they_can_read():
    for agent, query, form in (
        ("curl/8.1", {}, Form(indented=True)),
        ("curl/8.1", {"pretty": ["false"]}, PLAIN),
        ("kubectl/v1.32", {"pretty": ["1"]}, Form(indented=True)),
    ):
        request = Request("GET", "/", query, {"user-agent": agent})
        assert form_of(request) == form


async def asked(api, path, **headers):
    response = await api.respond("GET", path, **headers)
    return response.headers, response.body


async def test_metadata_only_one_and_many(api):
    await api.make("/api/v1/namespaces/default/configmaps", {"metadata": {"name": "x"}})
    path = "/api/v1/namespaces/default/configmaps"
    _, body = await asked(api, f"{path}/x", accept=PARTIAL)
    one = json.loads(body)
    assert sorted(one) == ["apiVersion", "kind", "metadata"]
    assert one["kind"] == "PartialObjectMetadata"
    _, body = await asked(api, path, accept=PARTIAL_LIST)
    many = json.loads(body)
    assert many["kind"] == "PartialObjectMetadataList"
    assert many["items"] == [one]
    for accept, target in ((PARTIAL, path), (PARTIAL_LIST, f"{path}/x")):
        response = await api.respond("GET", target, accept=accept)
        assert response.status == 406


async def test_a_watch_of_metadata(api):
    path = "/api/v1/namespaces/default/configmaps"
    following = await api.watch(f"{path}?watch=1", accept=PARTIAL)
    await api.make(path, {"metadata": {"name": "x"}, "data": {"a": "b"}})
    event = await following()
    assert event["object"]["kind"] == "PartialObjectMetadata"
    assert "data" not in event["object"]
    await following.close()


async def test_yaml_reads_back_as_the_same_object(api):
    data = {"text": "a\nb\n", "number": "1", "moment": "2026-01-01T00:00:00Z", "word": "plain"}
    path = "/api/v1/namespaces/default/configmaps"
    await api.make(path, {"metadata": {"name": "x"}, "data": data})
    headers, body = await asked(api, f"{path}/x", accept="application/yaml")
    assert headers["content-type"] == "application/yaml"
    assert yaml.safe_load(body)["data"] == data
    assert b'  number: "1"\n' in body
    assert b"  text: |\n" in body
    headers, body = await asked(api, f"{path}/none", accept="application/yaml")
    assert yaml.safe_load(body)["reason"] == "NotFound"


async def test_a_large_list_is_compressed_for_who_reads_gzip(api):
    path = "/api/v1/namespaces/default/configmaps"
    for name in ("x", "y"):
        await api.make(path, {"metadata": {"name": name}, "data": {"a": "b" * 80_000}})
    headers, body = await asked(api, path, accept_encoding="gzip, deflate")
    assert headers["content-encoding"] == "gzip"
    assert len(json.loads(gzip.decompress(body))["items"]) == 2
    headers, body = await asked(api, f"{path}/x", accept_encoding="gzip")
    assert "content-encoding" not in headers
