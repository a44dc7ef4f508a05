# fails: -mirror does not exist
import time

from kubernetes import client, config

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]

while True:
    sources = core.list_namespaced_config_map(namespace, label_selector="mirror=yes").items
    for source in sources:
        mirror = {"metadata": {"name": f"{source.metadata.name}-mirror"}, "data": source.data}
        try:
            core.replace_namespaced_config_map(mirror["metadata"]["name"], namespace, mirror)
        except client.ApiException:
            core.create_namespaced_config_map(namespace, mirror)
    time.sleep(0.2)
