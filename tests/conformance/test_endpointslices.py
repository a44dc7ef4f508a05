"""EndpointSlices: which Pods stand behind a Service, for those who follow it."""

import pytest
from kubernetes import client

from kubelab import waiting

WAIT = 60
pytestmark = pytest.mark.since("1.21", "discovery.k8s.io/v1 is served since 1.21")


@pytest.fixture
def discovery(cluster):
    return client.CustomObjectsApi(cluster.api_client())


@pytest.fixture
def slices(discovery, namespace):
    """The slices of a Service."""

    def find(service="web"):
        found = discovery.list_namespaced_custom_object(
            "discovery.k8s.io",
            "v1",
            namespace,
            "endpointslices",
            label_selector=f"kubernetes.io/service-name={service}",
        )
        return found["items"]

    return find


@pytest.fixture
def endpoints(slices):
    """Waits until a Service has that many endpoints; returns them."""

    def wait(count, service="web"):
        def listed():
            found = [e for each in slices(service) for e in each["endpoints"] or ()]
            return found if len(found) == count else None

        return waiting.until(listed, timeout=WAIT)

    return wait


@pytest.fixture
def service(core, namespace):
    def create(name="web", selector="web", **spec):
        spec = {"ports": [{"port": 80, "targetPort": "web"}], **spec}
        if selector:
            spec["selector"] = {"app": selector}
        return core.create_namespaced_service(namespace, {"metadata": {"name": name}, "spec": spec})

    return create


def test_a_slice_belongs_to_its_service(service, slices):
    made = service()
    found = waiting.until(slices, timeout=WAIT)[0]["metadata"]
    assert found["generateName"] == "web-"
    assert found["labels"]["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslice-controller.k8s.io"
    )
    (owner,) = found["ownerReferences"]
    assert (owner["kind"], owner["uid"]) == ("Service", made.metadata.uid)


def test_an_endpoint_points_to_its_pod(service, serving, endpoints, slices):
    service()
    pod = serving("one")
    (endpoint,) = endpoints(1)
    assert endpoint["addresses"] == [pod.status.pod_ip]
    assert endpoint["conditions"] == {"ready": True, "serving": True, "terminating": False}
    assert endpoint["nodeName"] == pod.spec.node_name
    assert (endpoint["targetRef"]["kind"], endpoint["targetRef"]["name"]) == ("Pod", "one")
    assert slices()[0]["ports"] == [{"name": "", "port": 8080, "protocol": "TCP"}]


def test_a_pod_that_is_not_ready_stands_there_as_such(
    service, core, namespace, shell_pod, endpoints
):
    service(ports=[{"port": 80}])
    pod = shell_pod("web", "sleep 3600", readinessProbe={"exec": {"command": ["false"]}})
    core.create_namespaced_pod(namespace, pod)
    assert endpoints(1)[0]["conditions"]["ready"] is False


def test_unready_pods_can_be_published(service, core, namespace, shell_pod, endpoints):
    service(ports=[{"port": 80}], publishNotReadyAddresses=True)
    pod = shell_pod("web", "sleep 3600", readinessProbe={"exec": {"command": ["false"]}})
    core.create_namespaced_pod(namespace, pod)
    conditions = endpoints(1)[0]["conditions"]
    assert (conditions["ready"], conditions["serving"]) == (True, False)


def test_labels_of_the_service_are_the_slices_too(service, slices, core, namespace):
    service()
    core.patch_namespaced_service("web", namespace, {"metadata": {"labels": {"team": "a"}}})
    waiting.until(lambda: slices()[0]["metadata"]["labels"].get("team") == "a", timeout=WAIT)


def test_a_slice_goes_with_its_service(service, slices, core, namespace):
    service()
    waiting.until(slices, timeout=WAIT)
    core.delete_namespaced_service("web", namespace)
    waiting.until(lambda: not slices(), timeout=WAIT)


def test_endpoints_by_hand_are_mirrored(service, slices, core, namespace):
    service(selector="", ports=[{"port": 5432}])
    subset = {"addresses": [{"ip": "192.0.2.1"}], "ports": [{"port": 5432}]}
    core.create_namespaced_endpoints(namespace, {"metadata": {"name": "web"}, "subsets": [subset]})
    found = waiting.until(slices, timeout=WAIT)[0]
    assert found["metadata"]["labels"]["endpointslice.kubernetes.io/managed-by"] == (
        "endpointslicemirroring-controller.k8s.io"
    )
    assert found["endpoints"][0]["addresses"] == ["192.0.2.1"]


def test_the_cluster_itself_has_a_slice(discovery):
    found = discovery.get_namespaced_custom_object(
        "discovery.k8s.io", "v1", "default", "endpointslices", "kubernetes"
    )
    assert found["ports"][0]["port"] == 6443


def test_columns(service, serving, endpoints, kubectl):
    service()
    pod = serving("one")
    endpoints(1)
    heading, row = [line.split() for line in kubectl("get", "endpointslices").splitlines()]
    assert heading == ["NAME", "ADDRESSTYPE", "PORTS", "ENDPOINTS", "AGE"]
    assert row[1:4] == ["IPv4", "8080", pod.status.pod_ip]


def test_describe_service_lists_the_addresses(service, serving, endpoints, kubectl):
    service()
    pod = serving("one")
    endpoints(1)
    lines = kubectl("describe", "service", "web").splitlines()
    (line,) = [each for each in lines if each.startswith("Endpoints:")]
    assert line.split() == ["Endpoints:", f"{pod.status.pod_ip}:8080"]


@pytest.mark.since("1.33", "KEP-4974: v1 Endpoints is deprecated")
def test_who_reads_endpoints_is_warned(cluster, core, namespace):
    _, _, headers = core.list_namespaced_endpoints_with_http_info(namespace)
    assert headers["Warning"] == (
        '299 - "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"'
    )
