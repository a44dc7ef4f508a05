# fails: no node has two more than another
from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def bind(pod, node):
    target = {"kind": "Node", "name": node}
    binding = {"metadata": {"name": pod}, "target": target}
    core.create_namespaced_pod_binding(pod, namespace, binding, _preload_content=False)


free = [node for node in core.list_node().items if not node.spec.taints]
for pod in core.list_namespaced_pod(namespace).items:
    if pod.spec.scheduler_name == "by-hand" and not pod.spec.node_name:
        bind(pod.metadata.name, free[0].metadata.name)
