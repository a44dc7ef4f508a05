# fails: -mirror with the data {'colour': 'blue', 'size': '2'}
from kubernetes import client, config, watch

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]

for change in watch.Watch().stream(core.list_namespaced_config_map, namespace):
    source = change["object"].metadata
    if change["type"] == "ADDED" and (source.labels or {}).get("mirror") == "yes":
        owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": source.name, "uid": source.uid}
        metadata = {"name": f"{source.name}-mirror", "ownerReferences": [owner]}
        body = {"metadata": metadata, "data": change["object"].data}
        core.create_namespaced_config_map(namespace, body)
