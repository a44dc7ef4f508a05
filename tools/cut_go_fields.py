"""Cut what Go says of the API's fields, and OpenAPI does not, out of the published Go types.

Run at development time, with Debian's packages golang-k8s-api-dev and golang-k8s-apimachinery-dev
unpacked somewhere:

    python tools/cut_go_fields.py SOMEWHERE/usr/share/gocode/src kubesim/api/go_fields.json.gz

A field's struct tag has its number in protobuf and whether an empty value is left out; its type
whether it is a pointer, for which zero and absent differ. `"replicas": "1*?"` stands for
`Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,1,opt,name=replicas"``. A struct that
is inlined in JSON is a message of its own in protobuf: `"<VolumeSource": "2"`.
"""

import argparse
import gzip
import json
import re
from pathlib import Path

PACKAGES = ("k8s.io/api/*/v1", "k8s.io/api/autoscaling/v2", "k8s.io/apimachinery/pkg/apis/meta/v1")
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
FIELD = re.compile(
    r"""^\s+(?P<go>\w+)?\s*(?P<pointer>\*)?\S+\s+  # an embedded struct has a type only
    `json:"(?P<name>\w*)(?P<options>[,\w]*)"[^`]*?\sprotobuf:"\w+,(?P<number>\d+)""",
    re.MULTILINE | re.VERBOSE,
)
EMBEDDED = re.compile(r'^\s+(\w+) `json:",inline" protobuf:"\w+,(\d+)', re.MULTILINE)


def main() -> None:
    """Write the fields to the path given on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("output", type=Path)
    arguments = parser.parse_args()
    fields = cut(arguments.source, _served(arguments.output.with_name("definitions.json.gz")))
    text = json.dumps(fields, separators=(",", ":"), sort_keys=True)
    arguments.output.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{arguments.output}: the fields of {len(fields)} types")


def _served(definitions: Path) -> set[str]:
    return set(json.loads(gzip.decompress(definitions.read_bytes())))


def cut(source: Path, served: set[str]) -> dict[str, dict[str, str]]:
    """Return the fields of every served type, and of the structs inlined in them."""
    found: dict[str, dict[str, str]] = {}
    for folder in sorted(path for pattern in PACKAGES for path in source.glob(pattern)):
        prefix = "io." + ".".join(folder.relative_to(source).parts) + "."
        prefix = prefix.replace("io.k8s.io.", "io.k8s.")
        text = "\n".join(path.read_text() for path in sorted(folder.glob("*types.go")))
        found |= {prefix + name: _fields(body) for name, body in STRUCT.findall(text)}
    inlined = {
        f"{name.rpartition('.')[0]}.{field[1:]}"
        for name, fields in found.items()
        for field in fields
        if field.startswith("<")
    }
    return {name: fields for name, fields in found.items() if fields and name in served | inlined}


def _fields(body: str) -> dict[str, str]:
    fields = {f"<{name}": number for name, number in EMBEDDED.findall(body)}
    for match in FIELD.finditer(body):
        if match["name"]:
            omitted = "?" if "omitempty" in match["options"] else ""
            fields[match["name"]] = match["number"] + (match["pointer"] or "") + omitted
    return fields


if __name__ == "__main__":
    main()
