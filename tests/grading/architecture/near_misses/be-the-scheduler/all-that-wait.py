# fails: the Pod stranger (schedulerName somebody-else) was bound
from itertools import cycle

from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def bind(pod, node):
    target = {"kind": "Node", "name": node}
    binding = {"metadata": {"name": pod}, "target": target}
    core.create_namespaced_pod_binding(pod, namespace, binding, _preload_content=False)


nodes = cycle(node.metadata.name for node in core.list_node().items if not node.spec.taints)
waiting = core.list_namespaced_pod(namespace, field_selector="status.phase=Pending")
for pod in waiting.items:
    bind(pod.metadata.name, next(nodes))
