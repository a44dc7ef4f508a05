"""The published schema of a custom resource, for `kubectl explain` and clients that validate."""

from typing import Any

from kubesim.apiserver.apiextensions.resource import CustomResource

Object = dict[str, Any]
META = "io.k8s.apimachinery.pkg.apis.meta.v1"
API_VERSION = (
    "APIVersion defines the versioned schema of this representation of an object. Servers should "
    "convert recognized schemas to the latest internal value, and may reject unrecognized values. "
    "More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources"
)
KIND = (
    "Kind is a string value representing the REST resource this object represents. Servers may "
    "infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase. "
    "More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds"
)
METADATA = (
    "Standard object's metadata. More info: "
    "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata"
)


def component_name(resource: CustomResource, kind: str) -> str:
    """The name of a kind's schema: the group backwards, then version and kind."""
    return ".".join([*reversed(resource.group.split(".")), resource.version, kind])


def definitions(resource: CustomResource, prefix: str) -> dict[str, Object]:
    """The schemas of an object and of a list; references begin with `prefix`."""
    name = component_name(resource, resource.kind)
    listed = component_name(resource, resource.list_kind)
    metadata = {"$ref": f"{prefix}{META}.ListMeta"}
    items = {"type": "array", "items": {"$ref": f"{prefix}{name}"}}
    return {
        name: {
            **resource.schema,
            "properties": {
                **_type_meta(),
                **(resource.schema.get("properties") or {}),
                "metadata": {"description": METADATA, "$ref": f"{prefix}{META}.ObjectMeta"},
            },
            "x-kubernetes-group-version-kind": [_gvk(resource, resource.kind)],
        },
        listed: {
            "description": f"{resource.list_kind} is a list of {resource.kind}",
            "type": "object",
            "required": ["items"],
            "properties": {**_type_meta(), "metadata": metadata, "items": items},
            "x-kubernetes-group-version-kind": [_gvk(resource, resource.list_kind)],
        },
    }


def _type_meta() -> Object:
    return {
        "apiVersion": {"type": "string", "description": API_VERSION},
        "kind": {"type": "string", "description": KIND},
    }


def _gvk(resource: CustomResource, kind: str) -> Object:
    return {"group": resource.group, "version": resource.version, "kind": kind}
