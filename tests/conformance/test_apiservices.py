"""APIServices, and the old ComponentStatus."""

import secrets

import pytest
from kubernetes import client

from kubelab import waiting


@pytest.fixture
def registrations(cluster):
    return client.ApiregistrationV1Api(cluster.api_client())


def test_every_version_that_is_served_has_a_local_service(cluster, registrations):
    registered = {service.metadata.name for service in registrations.list_api_service().items}
    groups = client.ApisApi(cluster.api_client()).get_api_versions().groups
    built_in = [group for group in groups if not group.name.endswith(".example.com")]
    served = {f"{version.version}.{group.name}" for group in built_in for version in group.versions}
    assert served - registered == {n for n in served if n.endswith(".apiregistration.k8s.io")}
    assert "v1." in registered


def test_a_local_service_is_always_available(registrations):
    found = registrations.read_api_service("v1.apps")
    condition = found.status.conditions[0]
    assert (condition.type, condition.status, condition.reason, condition.message) == (
        "Available",
        "True",
        "Local",
        "Local APIServices are always available",
    )
    assert found.metadata.labels == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert (found.spec.group_priority_minimum, found.spec.version_priority) == (17800, 15)
    assert found.spec.service is None


def test_the_core_group_has_a_service_too(registrations):
    spec = registrations.read_api_service("v1.").spec
    assert (spec.version, spec.group_priority_minimum, spec.version_priority) == ("v1", 18000, 1)


@pytest.fixture
def remote():
    def make(group, **spec):
        given = {
            "group": group,
            "version": "v1",
            "groupPriorityMinimum": 100,
            "versionPriority": 10,
            "insecureSkipTLSVerify": True,
            "service": {"namespace": "default", "name": "nobody-is-here"},
        }
        return {"metadata": {"name": f"v1.{group}"}, "spec": given | spec}

    return make


def test_a_service_that_is_not_there_is_not_available(registrations, remote):
    group = f"x{secrets.token_hex(4)}.example.com"
    registrations.create_api_service(remote(group))

    def condition():
        found = registrations.read_api_service(f"v1.{group}").status
        return found.conditions and found.conditions[0]

    try:
        found = waiting.until(condition)
        assert (found.status, found.reason) == ("False", "ServiceNotFound")
        assert found.message == 'service/nobody-is-here in "default" is not present'
    finally:
        registrations.delete_api_service(f"v1.{group}")


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"versionPriority": 1001}, "spec.versionPriority"),
        ({"groupPriorityMinimum": 20001}, "spec.groupPriorityMinimum"),
        ({"service": {"namespace": "default", "name": ""}}, "spec.service.name"),
        ({"version": "v2"}, "metadata.name"),
    ],
)
def test_what_a_service_may_not_say(registrations, remote, refusal, spec, field):
    status = refusal(registrations.create_api_service, remote("x.example.com", **spec))
    assert status["code"] == 422
    assert field in {cause["field"] for cause in status["details"]["causes"]}


def test_kubectl_lists_api_services(kubectl):
    heading, row = kubectl("get", "apiservices", "v1.apps").splitlines()
    assert heading.split() == ["NAME", "SERVICE", "AVAILABLE", "AGE"]
    assert row.split()[:3] == ["v1.apps", "Local", "True"]


def test_component_statuses_are_listed_and_deprecated(cluster, core):
    answer = core.list_component_status_with_http_info()
    assert {item.metadata.name for item in answer[0].items} == {
        "scheduler",
        "controller-manager",
        "etcd-0",
    }
    assert "v1 ComponentStatus is deprecated in v1.19+" in answer[2]["warning"]


def test_a_component_status_is_read_by_name(core, refusal):
    etcd = core.read_component_status("etcd-0")
    assert [(c.type, c.status) for c in etcd.conditions] == [("Healthy", "True")]
    status = refusal(core.read_component_status, "nobody")
    assert status["code"] == 500
    assert status["message"] == "Component not found: nobody"


def test_kubectl_prints_component_statuses(kubectl):
    heading, *rows = kubectl("get", "cs").splitlines()
    assert heading.split() == ["NAME", "STATUS", "MESSAGE", "ERROR"]
    statuses = {row.split()[0]: row.split()[1] for row in rows}
    assert set(statuses) == {"scheduler", "controller-manager", "etcd-0"}
    assert statuses["etcd-0"] == "Healthy"
