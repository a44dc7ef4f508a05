# fails: their order means nothing
import base64
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from kubernetes import client

kubeconfig = yaml.safe_load(Path(os.environ["KUBECONFIG"]).read_text())


def entry(section, name):
    """Return what one entry of a section of the kubeconfig holds."""
    found = kubeconfig[section][0]
    return found[section.removesuffix("s")]


context = entry("contexts", kubeconfig["current-context"])
cluster = entry("clusters", context["cluster"])
user = entry("users", context["user"])
authority_pem = base64.b64decode(cluster["certificate-authority-data"])
authority = x509.load_pem_x509_certificate(authority_pem)

connection = {
    "context": kubeconfig["current-context"],
    "server": cluster["server"],
    "user": context["user"],
    "authority": authority.fingerprint(SHA256()).hex(),
}
with TemporaryDirectory() as directory:
    authority_file = Path(directory, "authority.pem")
    authority_file.write_bytes(authority_pem)
    settings = client.Configuration(
        host=cluster["server"],
        ssl_ca_cert=str(authority_file),
        api_key={"authorization": user["token"]},
        api_key_prefix={"authorization": "Bearer"},
    )
    core = client.CoreV1Api(client.ApiClient(settings))
    core.create_namespaced_config_map(
        context["namespace"], {"metadata": {"name": "connection"}, "data": connection}
    )
