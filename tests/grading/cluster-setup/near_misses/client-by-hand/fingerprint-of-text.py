# fails: the entry authority of the ConfigMap connection
import base64
import hashlib
import os
from pathlib import Path

import yaml
from kubernetes import client, config

config.load_kube_config()
kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
context = config.list_kube_config_contexts()[1]
for cluster in kubeconfig["clusters"]:
    if cluster["name"] == context["context"]["cluster"]:
        authority = base64.b64decode(cluster["cluster"]["certificate-authority-data"])
        server = cluster["cluster"]["server"]

connection = client.V1ConfigMap(
    metadata=client.V1ObjectMeta(name="connection"),
    data={
        "context": context["name"],
        "server": server,
        "user": context["context"]["user"],
        "authority": hashlib.sha256(authority).hexdigest(),
    },
)
client.CoreV1Api().create_namespaced_config_map(context["context"]["namespace"], connection)
