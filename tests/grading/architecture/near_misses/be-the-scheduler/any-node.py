# fails: which has a taint or is not Ready
from itertools import cycle

from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def bind(pod, node):
    target = {"kind": "Node", "name": node}
    binding = {"metadata": {"name": pod}, "target": target}
    core.create_namespaced_pod_binding(pod, namespace, binding, _preload_content=False)


pods = core.list_namespaced_pod(namespace).items
nodes = [node.metadata.name for node in core.list_node().items]
waiting = [pod.metadata.name for pod in pods if pod.spec.scheduler_name == "by-hand"]
for pod, node in zip(waiting, cycle(nodes)):
    bind(pod, node)
