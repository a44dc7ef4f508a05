# fails: -mirror does not exist
from kubernetes import client, config, watch

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def mirror_of(source):
    """Return the mirror that a ConfigMap should have."""
    metadata = client.V1ObjectMeta(name=f"{source.metadata.name}-mirror")
    return client.V1ConfigMap(metadata=metadata, data=source.data)


def reconcile():
    """Compare the ConfigMaps that there are with those that should be; write the difference."""
    found = {each.metadata.name: each for each in core.list_namespaced_config_map(namespace).items}
    for source in found.values():
        if (source.metadata.labels or {}).get("mirror") == "yes":
            put_right(mirror_of(source), found)


def put_right(wanted, found):
    """Create or replace one mirror, unless it is as wanted."""
    name = wanted.metadata.name
    try:
        if name not in found:
            core.create_namespaced_config_map(namespace, wanted)
        elif found[name].data != wanted.data:
            core.replace_namespaced_config_map(name, namespace, wanted)
    except client.ApiException as error:
        if error.status not in {404, 409}:  # somebody was faster; their change wakes us again
            raise


while True:
    for _ in watch.Watch().stream(core.list_namespaced_config_map, namespace):
        reconcile()
