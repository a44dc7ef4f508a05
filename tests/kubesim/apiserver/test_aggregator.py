"""APIServices: one for each version that is served."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from kubesim.api.resources import Resource
from kubesim.apiserver import aggregator
from kubesim.apiserver.registry.componentstatus import statuses

APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"


@pytest.fixture
def registered(api):
    """`async with registered() as api`: what is served is registered when it begins."""

    @asynccontextmanager
    async def start():
        work = aggregator.run(api.client, api.server.resources, api.clock)
        task = asyncio.create_task(work)
        try:
            await api.clock.advance(0)
            yield api
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    return start


def available(service):
    condition = service["status"]["conditions"][0]
    return condition["status"], condition["reason"]


async def test_every_version_has_a_local_service(registered):
    async with registered() as api:
        _, listed = await api.get(APISERVICES)
        names = {service["metadata"]["name"] for service in listed["items"]}
        assert {"v1.", "v1.apps", "v1.apiextensions.k8s.io"} <= names
        assert "v1.apiregistration.k8s.io" not in names
        assert {available(service) for service in listed["items"]} == {("True", "Local")}
        _, core = await api.get(f"{APISERVICES}/v1.")
        assert core["spec"] == {
            "version": "v1",
            "groupPriorityMinimum": 18000,
            "versionPriority": 1,
        }


async def test_services_follow_what_is_served(registered):
    async with registered() as api:
        served = [Resource("widgets", "Widget", "example.com", "v1beta1")]
        api.server.resources.define("widgets.example.com", served)
        await api.clock.advance(0)
        _, found = await api.get(f"{APISERVICES}/v1beta1.example.com")
        assert found["metadata"]["labels"] == {aggregator.AUTOMANAGED: "true"}
        assert (found["spec"]["groupPriorityMinimum"], available(found)[1]) == (1000, "Local")
        api.server.resources.withdraw("widgets.example.com")
        await api.clock.advance(0)
        assert (await api.get(f"{APISERVICES}/v1beta1.example.com"))[0] == 404


async def test_a_deleted_local_service_comes_back(registered):
    async with registered() as api:
        await api.delete(f"{APISERVICES}/v1.apps")
        await api.clock.advance(0)
        assert (await api.get(f"{APISERVICES}/v1.apps"))[0] == 200


def remote(**spec):
    given = {"group": "x.io", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}
    service = {"service": {"namespace": "default", "name": "ext", "port": 443}}
    head = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}
    return {**head, "metadata": {"name": "v1.x.io"}, "spec": given | service | spec}


async def test_a_service_of_somebody_elses_is_not_available(registered):
    async with registered() as api:
        await api.make(APISERVICES, remote())
        await api.clock.advance(0)
        _, found = await api.get(f"{APISERVICES}/v1.x.io")
        assert available(found) == ("False", "ServiceNotFound")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"group": "y.io"}, "metadata.name"),
        ({"groupPriorityMinimum": 0}, "spec.groupPriorityMinimum"),
        ({"versionPriority": 1001}, "spec.versionPriority"),
        ({"service": {"namespace": "default"}}, "spec.service.name"),
        ({"service": None, "insecureSkipTLSVerify": True}, "spec.insecureSkipTLSVerify"),
    ],
)
async def test_what_a_service_may_not_say(api, spec, field):
    status, answer = await api.post(APISERVICES, remote(**spec))
    assert status == 422
    assert field in {cause["field"] for cause in answer["details"]["causes"]}


async def test_component_statuses_are_computed_and_deprecated(api):
    running = {"kube-scheduler", "etcd"}
    api.server.computed["componentstatuses"] = lambda: statuses(running.__contains__)
    response = await api.respond("GET", "/api/v1/componentstatuses")
    assert "v1 ComponentStatus is deprecated in v1.19+" in response.headers["warning"]
    _, listed = await api.get("/api/v1/componentstatuses")
    found = {item["metadata"]["name"]: item["conditions"][0] for item in listed["items"]}
    assert list(found) == ["scheduler", "controller-manager", "etcd-0"]
    assert found["scheduler"] == {"type": "Healthy", "status": "True", "message": "ok"}
    assert found["controller-manager"]["status"] == "False"
    assert "127.0.0.1:10257: connect: connection refused" in found["controller-manager"]["message"]
    assert (await api.get("/api/v1/componentstatuses/scheduler"))[0] == 200
    status, answer = await api.get("/api/v1/componentstatuses/nobody")
    assert status == 500
    assert answer["message"] == "Component not found: nobody"
