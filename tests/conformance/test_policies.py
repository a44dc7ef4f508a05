"""What a namespace's quotas, limit ranges and disruption budgets allow, and which Pods go first."""

import json
from functools import partial

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from kubelab import waiting

PAUSE = {"image": "busybox:1.36", "command": ["sleep", "3600"]}


def pod(name, requests=None, limits=None, **spec):
    resources = {"requests": requests or {}, "limits": limits or {}}
    container = {"name": "c", **PAUSE, "resources": resources}
    return {
        "metadata": {"name": name, "labels": {"app": "x"}},
        "spec": {"containers": [container], **spec},
    }


eventually = partial(waiting.until, timeout=30)


def refused(core, namespace, made):
    """The Status with which the creation of a Pod is refused, None when it is not."""
    try:
        core.create_namespaced_pod(namespace, made, dry_run="All")
    except ApiException as error:
        return json.loads(error.body)
    return None


@pytest.fixture
def quota(core, namespace):
    def make(name, **hard):
        hard = {key.replace("_", "."): value for key, value in hard.items()}
        core.create_namespaced_resource_quota(
            namespace, {"metadata": {"name": name}, "spec": {"hard": hard}}
        )
        assert eventually(lambda: core.read_namespaced_resource_quota(name, namespace).status.used)

    return make


def used(core, namespace, name):
    return core.read_namespaced_resource_quota(name, namespace).status.used


def test_a_quota_counts_objects(core, namespace, quota, refusal):
    existing = len(core.list_namespaced_config_map(namespace).items)
    quota("maps", configmaps=str(existing + 1))
    core.create_namespaced_config_map(namespace, {"metadata": {"name": "one"}})
    status = refusal(core.create_namespaced_config_map, namespace, {"metadata": {"name": "two"}})
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'configmaps "two" is forbidden: exceeded quota: maps, requested: configmaps=1, '
        f"used: configmaps={existing + 1}, limited: configmaps={existing + 1}"
    )


def test_a_quota_counts_what_pods_ask_for(core, namespace, quota, refusal):
    quota("compute", requests_cpu="1", limits_memory="1Gi", pods="5")
    core.create_namespaced_pod(namespace, pod("a", {"cpu": "600m"}, {"memory": "512Mi"}))
    assert used(core, namespace, "compute") == {
        "requests.cpu": "600m",
        "limits.memory": "512Mi",
        "pods": "1",
    }
    body = pod("b", {"cpu": "600m"}, {"memory": "512Mi"})
    status = refusal(core.create_namespaced_pod, namespace, body)
    assert status["message"] == (
        'pods "b" is forbidden: exceeded quota: compute, requested: requests.cpu=600m, '
        "used: requests.cpu=600m, limited: requests.cpu=1"
    )


def test_a_quota_wants_every_container_to_say_what_it_needs(core, namespace, quota, refusal):
    quota("compute", cpu="1", limits_memory="1Gi")
    status = refusal(core.create_namespaced_pod, namespace, pod("a"))
    assert status["message"].startswith(
        'pods "a" is forbidden: failed quota: compute: must specify cpu'
    )


@pytest.mark.since("1.27", "kubernetes/kubernetes#116268 names the containers")
def test_a_quota_names_the_containers_that_do_not_say_it(core, namespace, quota, refusal):
    quota("compute", cpu="1", limits_memory="1Gi")
    status = refusal(core.create_namespaced_pod, namespace, pod("a"))
    assert status["message"] == (
        'pods "a" is forbidden: failed quota: compute: '
        "must specify cpu for: c; limits.memory for: c"
    )


def test_what_a_deleted_pod_used_is_free_again(core, namespace, quota):
    quota("pods", pods="1")
    core.create_namespaced_pod(namespace, pod("a", terminationGracePeriodSeconds=0))
    core.delete_namespaced_pod("a", namespace)
    assert eventually(lambda: used(core, namespace, "pods") == {"pods": "0"})
    core.create_namespaced_pod(namespace, pod("b"))


def test_a_dry_run_uses_nothing(core, namespace, quota):
    quota("pods", pods="1")
    core.create_namespaced_pod(namespace, pod("a"), dry_run="All")
    assert used(core, namespace, "pods") == {"pods": "0"}


def test_any_resource_can_be_counted(core, apps, namespace, quota, refusal):
    quota("apps", **{"count/deployments_apps": "0"})
    body = {
        "metadata": {"name": "web"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "x"}},
            "template": {
                "metadata": {"labels": {"app": "x"}},
                "spec": {"containers": [{"name": "c", **PAUSE}]},
            },
        },
    }
    status = refusal(apps.create_namespaced_deployment, namespace, body)
    assert status["message"] == (
        'deployments.apps "web" is forbidden: exceeded quota: apps, '
        "requested: count/deployments.apps=1, used: count/deployments.apps=0, "
        "limited: count/deployments.apps=0"
    )


def test_a_quota_of_services_by_type(core, namespace, quota, refusal):
    quota("svc", services_nodeports="1")
    service = {
        "metadata": {"name": "a"},
        "spec": {"type": "NodePort", "ports": [{"port": 80}], "selector": {"a": "b"}},
    }
    core.create_namespaced_service(namespace, service)
    status = refusal(
        core.create_namespaced_service, namespace, service | {"metadata": {"name": "b"}}
    )
    assert "requested: services.nodeports=1, used: services.nodeports=1" in status["message"]


def test_a_scoped_quota_counts_the_pods_in_its_scope(core, namespace):
    core.create_namespaced_resource_quota(
        namespace,
        {"metadata": {"name": "best"}, "spec": {"hard": {"pods": "1"}, "scopes": ["BestEffort"]}},
    )
    assert eventually(lambda: used(core, namespace, "best"))
    core.create_namespaced_pod(namespace, pod("asks", {"cpu": "1m"}))
    core.create_namespaced_pod(namespace, pod("free"))
    assert used(core, namespace, "best") == {"pods": "1"}


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"hard": {"apples": "1"}},
            'spec.hard[apples]: Invalid value: "apples": must be a standard resource for quota',
        ),
        (
            {"hard": {"pods": "-1"}},
            'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            {"hard": {"pods": "1"}, "scopes": ["Nope"]},
            'spec.scopes: Invalid value: "Nope": unsupported scope',
        ),
    ],
)
def test_a_quota_that_says_nonsense_is_refused(core, namespace, refusal, spec, message):
    body = {"metadata": {"name": "q"}, "spec": spec}
    status = refusal(core.create_namespaced_resource_quota, namespace, body)
    assert status["code"] == 422
    assert message.partition(": ")[0] in status["message"]
    assert message.rpartition(": ")[2] in status["message"]


@pytest.fixture
def limits(core, namespace):
    def make(**item):
        body = {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Container", **item}]}}
        core.create_namespaced_limit_range(namespace, body)

    return make


def test_a_limit_range_gives_containers_defaults(core, namespace, limits):
    limits(default={"cpu": "200m"}, defaultRequest={"cpu": "100m", "memory": "64Mi"})

    def made():
        return core.create_namespaced_pod(namespace, pod("a"), dry_run="All")

    found = eventually(lambda: made() if made().spec.containers[0].resources.limits else None)
    resources = found.spec.containers[0].resources
    assert resources.limits == {"cpu": "200m"}
    assert resources.requests == {"cpu": "100m", "memory": "64Mi"}
    assert found.metadata.annotations["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c"
    )


def test_a_limit_range_fills_in_its_own_blanks(core, namespace, limits):
    limits(max={"cpu": "1"}, min={"cpu": "100m"})
    item = core.read_namespaced_limit_range("lr", namespace).spec.limits[0]
    assert (item.default, item.default_request) == ({"cpu": "1"}, {"cpu": "1"})


@pytest.mark.parametrize(
    ("item", "requests", "limit", "message"),
    [
        (
            {"max": {"cpu": "1"}},
            {"cpu": "1"},
            {"cpu": "2"},
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"min": {"memory": "64Mi"}},
            {"memory": "32Mi"},
            {"memory": "128Mi"},
            "minimum memory usage per Container is 64Mi, but request is 32Mi",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"cpu": "100m"},
            {"cpu": "500m"},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000",
        ),
    ],
)
def test_a_limit_range_refuses_what_is_out_of_range(
    core, namespace, limits, item, requests, limit, message
):
    limits(**item)

    made = pod("a", requests, limit)
    status = eventually(lambda: refused(core, namespace, made))
    assert status["code"] == 403
    assert status["message"] == f'pods "a" is forbidden: {message}'


def test_a_limit_range_of_whole_pods_adds_containers_up(core, namespace):
    body = {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1"}}]}}
    core.create_namespaced_limit_range(namespace, body)
    two = pod("a", {"cpu": "600m"}, {"cpu": "600m"})
    two["spec"]["containers"].append(two["spec"]["containers"][0] | {"name": "d"})

    assert eventually(lambda: refused(core, namespace, two))["message"] == (
        'pods "a" is forbidden: maximum cpu usage per Pod is 1, but limit is 1200m'
    )


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({"min": {"cpu": "2"}, "max": {"cpu": "1"}}, "min value 2 is greater than max value 1"),
        (
            {"default": {"cpu": "2"}, "max": {"cpu": "1"}},
            "default value 2 is greater than max value 1",
        ),
        ({"maxLimitRequestRatio": {"cpu": "500m"}}, "ratio 500m is less than 1"),
    ],
)
def test_a_limit_range_that_contradicts_itself_is_refused(core, namespace, refusal, item, message):
    body = {"metadata": {"name": "lr"}, "spec": {"limits": [{"type": "Container", **item}]}}
    status = refusal(core.create_namespaced_limit_range, namespace, body)
    assert status["code"] == 422
    assert message in status["message"]


# Priority


@pytest.fixture
def scheduling(cluster):
    return client.SchedulingV1Api(cluster.api_client())


def test_the_system_has_two_priority_classes(scheduling):
    found = {each.metadata.name: each.value for each in scheduling.list_priority_class().items}
    assert found["system-cluster-critical"] == 2_000_000_000
    assert found["system-node-critical"] == 2_000_001_000


def test_a_pod_gets_the_number_of_its_class(core, scheduling, namespace):
    name = f"high-{namespace}"
    scheduling.create_priority_class(
        {"metadata": {"name": name}, "value": 1000, "preemptionPolicy": "Never"}
    )
    try:

        def made():
            try:
                return core.create_namespaced_pod(
                    namespace, pod("a", priorityClassName=name), dry_run="All"
                )
            except ApiException:
                return None

        found = eventually(made)
        assert (found.spec.priority, found.spec.preemption_policy) == (1000, "Never")
    finally:
        scheduling.delete_priority_class(name)


def test_an_unknown_priority_class_is_refused(core, namespace, refusal):
    status = refusal(core.create_namespaced_pod, namespace, pod("a", priorityClassName="nope"))
    assert status["message"] == 'pods "a" is forbidden: no PriorityClass with name nope was found'


def test_a_number_of_ones_own_is_refused(core, namespace, refusal):
    status = refusal(core.create_namespaced_pod, namespace, pod("a", priority=5))
    assert status["message"] == (
        'pods "a" is forbidden: the integer value of priority (5) must not be provided in pod '
        "spec; priority admission controller computed 0 from the given PriorityClass name"
    )


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mine", 1_000_000_001, "maximum allowed value of a user defined priority is 1000000000"),
        (
            "system-mine",
            1,
            "priority class names with 'system-' prefix are reserved for system use only",
        ),
    ],
)
def test_high_numbers_and_names_are_the_systems(scheduling, refusal, name, value, message):
    status = refusal(scheduling.create_priority_class, {"metadata": {"name": name}, "value": value})
    assert status["code"] == 422
    assert message in status["message"]


def test_a_classes_value_stays(scheduling, namespace, refusal):
    name = f"fixed-{namespace}"
    scheduling.create_priority_class({"metadata": {"name": name}, "value": 10})
    try:
        status = refusal(scheduling.patch_priority_class, name, {"value": 11})
        told = f'PriorityClass.scheduling.k8s.io "{name}" is invalid: value: Forbidden: '
        told += "may not be changed in an update."  # 1.20 writes "Value"
        assert status["message"].lower() == told.lower()
    finally:
        scheduling.delete_priority_class(name)


# Budgets

SINCE_POLICY_V1 = pytest.mark.since("1.21", "policy/v1 replaced policy/v1beta1")


@pytest.fixture
def policy(cluster):
    return client.PolicyV1Api(cluster.api_client())


@pytest.fixture
def guarded(core, apps, policy, namespace):
    """Two ready Pods and a budget."""

    def make(**spec):
        body = {
            "metadata": {"name": "web"},
            "spec": {
                "replicas": 2,
                "selector": {"matchLabels": {"app": "x"}},
                "template": {
                    "metadata": {"labels": {"app": "x"}},
                    "spec": {
                        "terminationGracePeriodSeconds": 0,
                        "containers": [{"name": "c", **PAUSE}],
                    },
                },
            },
        }
        apps.create_namespaced_deployment(namespace, body)
        budget = {
            "metadata": {"name": "web"},
            "spec": {"selector": {"matchLabels": {"app": "x"}}, **spec},
        }
        policy.create_namespaced_pod_disruption_budget(namespace, budget)
        assert eventually(lambda: status_of(policy, namespace).current_healthy == 2, timeout=60)
        return [each.metadata.name for each in core.list_namespaced_pod(namespace).items]

    return make


def status_of(policy, namespace):
    return policy.read_namespaced_pod_disruption_budget("web", namespace).status


def evict(core, namespace, name):
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name}}
    return core.create_namespaced_pod_eviction(name, namespace, body)


@SINCE_POLICY_V1
def test_a_budget_tells_how_many_pods_may_go(guarded, policy, namespace):
    guarded(minAvailable=1)
    status = status_of(policy, namespace)
    assert (status.expected_pods, status.desired_healthy, status.disruptions_allowed) == (2, 1, 1)
    condition = status.conditions[0]
    assert (condition.type, condition.status, condition.reason) == (
        "DisruptionAllowed",
        "True",
        "SufficientPods",
    )


@SINCE_POLICY_V1
def test_an_eviction_beyond_the_budget_is_refused(guarded, core, policy, namespace, refusal):
    names = guarded(minAvailable=2)
    status = refusal(evict, core, namespace, names[0])
    assert (status["code"], status["reason"]) == (429, "TooManyRequests")
    assert status["message"] == "Cannot evict pod as it would violate the pod's disruption budget."
    assert status["details"]["causes"] == [
        {
            "reason": "DisruptionBudget",
            "message": "The disruption budget web needs 2 healthy pods and has 2 currently",
        }
    ]
    assert core.read_namespaced_pod(names[0], namespace).metadata.deletion_timestamp is None


@SINCE_POLICY_V1
def test_an_eviction_within_the_budget_deletes_the_pod(guarded, core, namespace):
    names = guarded(maxUnavailable=1)
    evict(core, namespace, names[0])
    gone = eventually(
        lambda: names[0] not in [p.metadata.name for p in core.list_namespaced_pod(namespace).items]
    )
    assert gone


@SINCE_POLICY_V1
def test_shares_are_rounded_in_favour_of_the_pods(guarded, policy, namespace):
    guarded(minAvailable="51%")
    assert status_of(policy, namespace).desired_healthy == 2


@SINCE_POLICY_V1
def test_two_budgets_for_one_pod_cannot_be_kept(guarded, core, policy, namespace, refusal):
    names = guarded(maxUnavailable=1)
    second = {
        "metadata": {"name": "too"},
        "spec": {"selector": {"matchLabels": {"app": "x"}}, "maxUnavailable": 1},
    }
    policy.create_namespaced_pod_disruption_budget(namespace, second)
    status = refusal(evict, core, namespace, names[0])
    assert status["code"] == 500
    assert status["message"] == (
        "This pod has more than one PodDisruptionBudget, "
        "which the eviction subresource does not support."
    )


@SINCE_POLICY_V1
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"minAvailable": 1, "maxUnavailable": 1},
            "minAvailable and maxUnavailable cannot be both set",
        ),
        ({"minAvailable": "110%"}, "must not be greater than 100%"),
        (
            {"minAvailable": "ten"},
            "a valid percent string must be a numeric string followed by an ending '%'",
        ),
        ({"minAvailable": -1}, "must be greater than or equal to 0"),
    ],
)
def test_a_budget_that_says_nonsense_is_refused(policy, namespace, refusal, spec, message):
    body = {"metadata": {"name": "b"}, "spec": {"selector": {"matchLabels": {"app": "x"}}, **spec}}
    status = refusal(policy.create_namespaced_pod_disruption_budget, namespace, body)
    assert status["code"] == 422
    assert message in status["message"]


def test_a_pod_without_a_budget_is_evicted_at_once(core, namespace, cluster):
    core.create_namespaced_pod(namespace, pod("a", terminationGracePeriodSeconds=0))
    version = "policy/v1" if cluster.version_at_least(1, 22) else "policy/v1beta1"
    body = {"apiVersion": version, "kind": "Eviction", "metadata": {"name": "a"}}
    core.create_namespaced_pod_eviction("a", namespace, body)
    assert eventually(lambda: not core.list_namespaced_pod(namespace).items)


# Pod Security

RESTRICTED = (
    'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c" '
    "must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities "
    '(container "c" must set securityContext.capabilities.drop=["ALL"]), '
    'runAsNonRoot != true (pod or container "c" '
    'must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set '
    'securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")'
)
SINCE_POD_SECURITY = pytest.mark.since("1.25", "the PodSecurity admission plugin, KEP-2579")


def label(core, namespace, **labels):
    labels = {f"pod-security.kubernetes.io/{key}": value for key, value in labels.items()}
    return core.patch_namespace(namespace, {"metadata": {"labels": labels}})


@SINCE_POD_SECURITY
def test_a_restricted_namespace_refuses_ordinary_pods(core, namespace, refusal):
    label(core, namespace, enforce="restricted")
    status = refusal(core.create_namespaced_pod, namespace, pod("a"))
    assert status["code"] == 403
    assert status["message"] == f'pods "a" is forbidden: {RESTRICTED}'


@SINCE_POD_SECURITY
def test_a_restricted_namespace_takes_careful_pods(core, namespace):
    label(core, namespace, enforce="restricted")
    careful = pod(
        "a",
        securityContext={
            "runAsNonRoot": True,
            "runAsUser": 1000,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    )
    careful["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    core.create_namespaced_pod(namespace, careful)


@SINCE_POD_SECURITY
@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"hostNetwork": True}, "host namespaces (hostNetwork=true)"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, 'hostPath volumes (volume "v")'),
    ],
)
def test_a_baseline_namespace_refuses_what_reaches_the_node(
    core, namespace, refusal, spec, message
):
    label(core, namespace, enforce="baseline")
    core.create_namespaced_pod(namespace, pod("plain"))
    status = refusal(core.create_namespaced_pod, namespace, pod("a", **spec))
    assert (
        status["message"]
        == f'pods "a" is forbidden: violates PodSecurity "baseline:latest": {message}'
    )


@SINCE_POD_SECURITY
def test_a_level_that_does_not_exist_is_refused(core, namespace, refusal):
    status = refusal(label, core, namespace, enforce="bogus")
    assert status["code"] == 422
    assert "must be one of privileged, baseline, restricted" in status["message"]
