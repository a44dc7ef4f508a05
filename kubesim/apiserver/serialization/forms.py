"""An answer in the form that was negotiated: another kind, another syntax, compressed.

What is transformed is what k8s.io/apiserver/pkg/endpoints/handlers/response.go transforms.
"""

import json
import zlib
from collections.abc import Sequence
from typing import Any

import yaml

from kubesim.apiserver import errors
from kubesim.apiserver.registry.storage import dump
from kubesim.apiserver.serialization.negotiation import PARTIAL, PARTIAL_LIST, Form

Object = dict[str, Any]
GZIP_THRESHOLD = 128 << 10  # as defaultGzipThresholdBytes of the real server
GZIP_WINDOW = 31  # zlib's word for gzip framing
FASTEST = 1
STRING = "tag:yaml.org,2002:str"


def partial(obj: Object, version: str) -> Object:
    """Return an object's metadata only."""
    return {
        "kind": PARTIAL,
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": obj["metadata"],
    }


def partial_list(objects: Sequence[Object], metadata: Object, version: str) -> Object:
    """Return a list of the metadata of objects."""
    return {
        "kind": PARTIAL_LIST,
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": metadata,
        "items": [partial(obj, version) for obj in objects],
    }


def refuse_list(kind: str, list_kind: str) -> errors.StatusError:
    """406: a single object's metadata was asked for where there is a list, or the reverse."""
    is_not = "is not a list" if kind == PARTIAL_LIST else "is a list"
    return errors.not_acceptable(
        f"you requested {kind}, but the requested object {is_not} (*v1.{list_kind})"
    )


def encode(value: Any, form: Form) -> bytes:
    """Return an answer in the form's syntax."""
    if form.yaml:
        return _yaml(value).encode()
    if form.indented:
        return json.dumps(value, indent=2, ensure_ascii=False).encode()
    return dump(value) + b"\n"


def compressed(body: bytes) -> bytes:
    """Return a body in gzip, made quickly rather than small."""
    squeeze = zlib.compressobj(FASTEST, wbits=GZIP_WINDOW)
    return squeeze.compress(body) + squeeze.flush()


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether a client reads gzip."""
    return any(part.partition(";")[0].strip() == "gzip" for part in accept_encoding.split(","))


class _Dumper(yaml.SafeDumper):
    """Writes YAML as sigs.k8s.io/yaml does: double quotes where needed, text in literal blocks."""


def _text(dumper: _Dumper, value: str) -> yaml.ScalarNode:
    style = None
    if "\n" in value:
        style = "|"
    elif dumper.resolve(yaml.ScalarNode, value, (True, False)) != STRING:  # type: ignore[no-untyped-call]
        style = '"'
    return dumper.represent_scalar(STRING, value, style)


_Dumper.add_representer(str, _text)
# Stored objects are made of dicts and lists that cannot be changed.
_Dumper.add_multi_representer(dict, yaml.SafeDumper.represent_dict)
_Dumper.add_multi_representer(list, yaml.SafeDumper.represent_list)


def _yaml(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, allow_unicode=True, width=1 << 30, sort_keys=True)
