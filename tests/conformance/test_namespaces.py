"""Namespaces: those there are from the start, what is in a new one, and how one ends."""

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from kubelab import waiting

WAIT = 90
BUILT_IN = ("default", "kube-node-lease", "kube-public", "kube-system")


@pytest.fixture
def fresh(core, namespace):
    """Makes a namespace that the test may delete, and deletes it if the test has not."""
    name = f"{namespace}-own"
    core.create_namespace({"metadata": {"name": name}})
    yield name
    try:
        core.delete_namespace(name)
    except ApiException as error:
        if error.status not in (404, 409):
            raise


def gone(core, name):
    return name not in {each.metadata.name for each in core.list_namespace().items}


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_namespaces_of_a_new_cluster(core, name):
    found = core.read_namespace(name)
    assert found.status.phase == "Active"
    assert found.spec.finalizers == ["kubernetes"]


@pytest.mark.since("1.21", "KEP-2161, kubernetes.io/metadata.name")
@pytest.mark.parametrize("name", BUILT_IN)
def test_a_namespace_is_labelled_with_its_name(core, name):
    assert core.read_namespace(name).metadata.labels["kubernetes.io/metadata.name"] == name


def test_a_new_namespace_gets_an_account_and_the_clusters_certificate(core, fresh):
    waiting.until(
        lambda: (
            [a.metadata.name for a in core.list_namespaced_service_account(fresh).items]
            == ["default"]
        ),
        timeout=WAIT,
    )
    waiting.until(
        lambda: (
            "kube-root-ca.crt"
            in {each.metadata.name for each in core.list_namespaced_config_map(fresh).items}
        ),
        timeout=WAIT,
    )
    data = core.read_namespaced_config_map("kube-root-ca.crt", fresh).data
    assert data["ca.crt"].startswith("-----BEGIN CERTIFICATE-----")


def test_the_default_account_comes_back_when_it_is_deleted(core, fresh):
    waiting.until(lambda: core.list_namespaced_service_account(fresh).items != [], timeout=WAIT)
    old = core.list_namespaced_service_account(fresh).items[0].metadata.uid
    core.delete_namespaced_service_account("default", fresh)
    waiting.until(
        lambda: any(
            each.metadata.uid != old for each in core.list_namespaced_service_account(fresh).items
        ),
        timeout=WAIT,
    )


def test_the_clusters_certificate_is_put_right_when_it_is_changed(core, fresh):
    name = "kube-root-ca.crt"
    waiting.until(lambda: core.list_namespaced_config_map(fresh).items != [], timeout=WAIT)
    right = core.read_namespaced_config_map(name, fresh).data
    core.patch_namespaced_config_map(name, fresh, {"data": {"ca.crt": "wrong"}})
    waiting.until(lambda: core.read_namespaced_config_map(name, fresh).data == right, timeout=WAIT)


def test_what_is_in_a_namespace_goes_with_it(core, fresh):
    core.create_namespaced_config_map(fresh, {"metadata": {"name": "one"}})
    core.create_namespaced_secret(fresh, {"metadata": {"name": "one"}})
    core.delete_namespace(fresh)
    waiting.until(lambda: gone(core, fresh), timeout=WAIT)


def test_a_finalizer_in_a_namespace_keeps_it_terminating_and_says_why(core, fresh):
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    core.create_namespaced_config_map(fresh, held)
    core.delete_namespace(fresh)
    kind = "NamespaceFinalizersRemaining"

    def waits():
        found = {each.type: each for each in core.read_namespace(fresh).status.conditions or ()}
        return kind in found and found[kind].status == "True"

    waiting.until(waits, timeout=WAIT)
    status = core.read_namespace(fresh).status
    assert status.phase == "Terminating"
    told = next(each for each in status.conditions if each.type == kind)
    assert told.reason == "SomeFinalizersRemain"
    assert "example.com/hold in 1 resource instances" in told.message
    core.patch_namespaced_config_map("held", fresh, {"metadata": {"finalizers": None}})
    waiting.until(lambda: gone(core, fresh), timeout=WAIT)


def test_nothing_is_created_in_a_terminating_namespace(core, fresh, refusal):
    held = {"metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    core.create_namespaced_config_map(fresh, held)
    core.delete_namespace(fresh)
    waiting.until(lambda: core.read_namespace(fresh).status.phase == "Terminating", timeout=WAIT)
    status = refusal(core.create_namespaced_config_map, fresh, {"metadata": {"name": "late"}})
    assert status["reason"] == "Forbidden"
    assert "because it is being terminated" in status["message"]
    assert status["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    core.patch_namespaced_config_map("held", fresh, {"metadata": {"finalizers": None}})


def test_nothing_is_created_in_a_namespace_that_does_not_exist(core, refusal):
    status = refusal(core.create_namespaced_config_map, "nowhere", {"metadata": {"name": "one"}})
    assert (status["reason"], status["message"]) == (
        "NotFound",
        'namespaces "nowhere" not found',
    )


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
def test_some_namespaces_may_not_be_deleted(core, refusal, name):
    status = refusal(core.delete_namespace, name)
    assert status["reason"] == "Forbidden"
    expected = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert status["message"] == expected


@pytest.mark.parametrize("name", ["Upper", "under_score", "dotted.name", "-dash", "x" * 64])
def test_a_namespace_is_named_like_a_host(core, refusal, name):
    status = refusal(core.create_namespace, {"metadata": {"name": name}})
    assert status["reason"] == "Invalid"
    assert status["details"]["causes"][0]["field"] == "metadata.name"


def test_a_name_is_free_in_another_namespace(core, namespace, fresh, refusal):
    body = {"metadata": {"name": "same"}}
    core.create_namespaced_config_map(namespace, body)
    core.create_namespaced_config_map(fresh, body)
    assert refusal(core.create_namespaced_config_map, fresh, body)["reason"] == "AlreadyExists"


def test_get_namespaces_shows_their_phase(kubectl):
    heading, *rows = kubectl("get", "namespaces").splitlines()
    assert heading.split() == ["NAME", "STATUS", "AGE"]
    found = {row.split()[0]: row.split()[1] for row in rows}
    assert all(found[name] == "Active" for name in BUILT_IN)


def test_leases_of_nodes_live_in_their_own_namespace(cluster, core):
    leases = client.CoordinationV1Api(cluster.api_client())
    found = {each.metadata.name for each in leases.list_namespaced_lease("kube-node-lease").items}
    assert found == {node.metadata.name for node in core.list_node().items}


def test_anybody_may_read_what_tells_where_the_cluster_is(rbac):
    name = "kubeadm:bootstrap-signer-clusterinfo"
    rule = rbac.read_namespaced_role(name, "kube-public").rules[0]
    assert (rule.verbs, rule.resources, rule.resource_names) == (
        ["get"],
        ["configmaps"],
        ["cluster-info"],
    )
    subject = rbac.read_namespaced_role_binding(name, "kube-public").subjects[0]
    assert (subject.kind, subject.name) == ("User", "system:anonymous")
