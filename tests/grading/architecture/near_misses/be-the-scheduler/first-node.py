# fails: no node has two more than another
from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def bind(pod, node):
    """Write that a Pod runs on a node, as the scheduler does."""
    binding = client.V1Binding(
        metadata=client.V1ObjectMeta(name=pod),
        target=client.V1ObjectReference(kind="Node", name=node),
    )
    core.create_namespaced_pod_binding(pod, namespace, binding, _preload_content=False)


def accepts_pods(node):
    """Tell whether a node is Ready and has no taint that keeps Pods away."""
    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    repels = any(t.effect in {"NoSchedule", "NoExecute"} for t in node.spec.taints or [])
    return ready and not repels


pods = [p for p in core.list_namespaced_pod(namespace).items if p.spec.scheduler_name == "by-hand"]
load = {node.metadata.name: 0 for node in core.list_node().items if accepts_pods(node)}
for pod in pods:
    if pod.spec.node_name in load:
        load[pod.spec.node_name] += 1
for pod in pods:
    if not pod.spec.node_name:
        emptiest = sorted(load)[0]
        bind(pod.metadata.name, emptiest)
        load[emptiest] += 1
