# fails: does the controller hear of changes to the mirrors
from kubernetes import client, config, watch

config.load_kube_config()
core = client.CoreV1Api()
namespace = config.list_kube_config_contexts()[1]["context"]["namespace"]


def mirror_of(source):
    owner = client.V1OwnerReference(
        api_version="v1", kind="ConfigMap", name=source.metadata.name, uid=source.metadata.uid
    )
    name = f"{source.metadata.name}-mirror"
    return client.V1ConfigMap(
        metadata=client.V1ObjectMeta(name=name, owner_references=[owner]), data=source.data
    )


sources = watch.Watch().stream(
    core.list_namespaced_config_map, namespace, label_selector="mirror=yes"
)
for change in sources:
    mirror = mirror_of(change["object"])
    if change["type"] == "ADDED":
        core.create_namespaced_config_map(namespace, mirror)
    elif change["type"] == "MODIFIED":
        core.replace_namespaced_config_map(mirror.metadata.name, namespace, mirror)
