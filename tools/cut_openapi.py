"""Cut the OpenAPI definitions that kubesim serves out of the published ones.

Run at development time, with the package `kubernetes-validate` installed:

    python tools/cut_openapi.py kubesim/api/definitions.json.gz

The package carries, for every Kubernetes release, the published definitions turned into JSON
Schema: every optional field also allows null there. This tool keeps only what the served kinds
reach and turns the nullable types back into what the API server publishes.
"""

import argparse
import gzip
import json
import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

RELEASE = "v1.37.0"
META = "io.k8s.apimachinery.pkg.apis.meta.v1."
ROOTS = {
    "io.k8s.api.core.v1.": (
        "Binding ComponentStatus ConfigMap Endpoints Event LimitRange Namespace Node "
        "PersistentVolume PersistentVolumeClaim Pod PodTemplate ReplicationController "
        "ResourceQuota Secret Service ServiceAccount"
    ),
    "io.k8s.api.apps.v1.": "ControllerRevision DaemonSet Deployment ReplicaSet StatefulSet",
    "io.k8s.api.autoscaling.v1.": "HorizontalPodAutoscaler Scale",
    "io.k8s.api.autoscaling.v2.": "HorizontalPodAutoscaler",
    "io.k8s.api.batch.v1.": "CronJob Job",
    "io.k8s.api.certificates.v1.": "CertificateSigningRequest",
    "io.k8s.api.coordination.v1.": "Lease",
    "io.k8s.api.discovery.v1.": "EndpointSlice",
    "io.k8s.api.events.v1.": "Event",
    "io.k8s.api.networking.v1.": "Ingress IngressClass NetworkPolicy",
    "io.k8s.api.node.v1.": "RuntimeClass",
    "io.k8s.api.policy.v1.": "Eviction PodDisruptionBudget",
    "io.k8s.api.rbac.v1.": "Role RoleBinding ClusterRole ClusterRoleBinding",
    "io.k8s.api.scheduling.v1.": "PriorityClass",
    "io.k8s.api.storage.v1.": (
        "CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttachment"
    ),
    "io.k8s.api.admissionregistration.v1.": (
        "MutatingWebhookConfiguration ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding "
        "ValidatingWebhookConfiguration"
    ),
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.": "CustomResourceDefinition",
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.": "APIService",
    "io.k8s.api.authentication.v1.": "TokenRequest TokenReview SelfSubjectReview",
    "io.k8s.api.authorization.v1.": (
        "SelfSubjectAccessReview SelfSubjectRulesReview "
        "SubjectAccessReview LocalSubjectAccessReview"
    ),
    META: (
        "APIGroup APIGroupList APIResourceList APIVersions DeleteOptions Patch Status WatchEvent"
    ),
    "io.k8s.apimachinery.pkg.version.": "Info",
}
REFERENCE = re.compile(r"#/\$defs/(.+)")


def main() -> None:
    """Write the cut definitions to the path given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path)
    output = parser.parse_args().output
    definitions = cut(published_definitions())
    text = json.dumps(definitions, separators=(",", ":"), sort_keys=True)
    output.write_bytes(gzip.compress(text.encode(), mtime=0))
    source = f"kubernetes-validate {version('kubernetes-validate')}"
    print(f"{output}: {len(definitions)} definitions of Kubernetes {RELEASE} from {source}")


def published_definitions() -> dict[str, Any]:
    """Return every definition of the release, by its name."""
    package = files("kubernetes_validate") / "kubernetes-json-schema" / f"{RELEASE}-local"
    definitions: dict[str, Any] = json.loads((package / "_definitions.json").read_text())["$defs"]
    return definitions


def cut(published: dict[str, Any]) -> dict[str, Any]:
    """Return the definitions that the served kinds, and their lists, reach."""
    names = [prefix + kind for prefix, kinds in ROOTS.items() for kind in kinds.split()]
    waiting = names + [name + "List" for name in names if name + "List" in published]
    reached: dict[str, Any] = {}
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached[name] = plain(published[name])
            waiting += REFERENCE_NAMES.findall(json.dumps(reached[name]))
    return reached


REFERENCE_NAMES = re.compile(r'"#/definitions/([^"]+)"')


def plain(schema: Any) -> Any:
    """Return a schema as the API server publishes it: no null types, OpenAPI references."""
    if isinstance(schema, list):
        return [plain(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    if isinstance(
        schema.get("oneOf"), list
    ):  # IntOrString, the only union; not a field of that name
        return {"description": schema.get("description", ""), "format": "int-or-string"} | {
            "type": "string"
        }
    result = {key: plain(value) for key, value in schema.items()}
    kind = result.get("type")
    if isinstance(kind, list):
        result["type"] = next(name for name in kind if name != "null")
    if isinstance(result.get("$ref"), str):
        result["$ref"] = REFERENCE.sub(r"#/definitions/\1", result["$ref"])
    return result


if __name__ == "__main__":
    main()
