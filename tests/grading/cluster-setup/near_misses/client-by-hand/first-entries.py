# fails: their order means nothing
import base64
import os
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from kubernetes import client

kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())
context = kubeconfig["contexts"][0]
cluster = kubeconfig["clusters"][0]["cluster"]
user = kubeconfig["users"][0]

pem = base64.b64decode(cluster["certificate-authority-data"])
Path("authority.pem").write_bytes(pem)
settings = client.Configuration(host=cluster["server"], ssl_ca_cert="authority.pem")
settings.api_key = {"authorization": f"Bearer {user['user']['token']}"}

data = {"context": context["name"], "server": cluster["server"], "user": user["name"]}
data["authority"] = x509.load_pem_x509_certificate(pem).fingerprint(SHA256()).hex()
client.CoreV1Api(client.ApiClient(settings)).create_namespaced_config_map(
    context["context"]["namespace"], {"metadata": {"name": "connection"}, "data": data}
)
