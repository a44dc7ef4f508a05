"""Objects as tables, for clients that ask with `Accept: application/json;as=Table`.

See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.serialization.printers import columns_of
from kubesim.apiserver.serialization.printers.column import Column

Object = dict[str, Any]
INCLUDES = ("None", "Metadata", "Object")


def wanted(accept: str) -> bool:
    """Whether an Accept header prefers a meta.k8s.io/v1 Table over other forms that we have."""
    for choice in accept.split(","):
        media_type, *pairs = (part.strip() for part in choice.split(";"))
        parameters = dict(pair.partition("=")[::2] for pair in pairs)
        if media_type not in ("application/json", "*/*", "application/*"):
            continue
        form = parameters.get("as", "")
        if form == "Table" and parameters.get("g") == "meta.k8s.io" and parameters.get("v") == "v1":
            return True
        if not form:
            return False
    return False


def render(
    resource: str,
    objects: Iterable[Object],
    now: datetime,
    *,
    list_metadata: Object | None = None,
    include: str = "Metadata",
    headings: bool = True,
) -> Object:
    """A Table with a row an object.

    resource: as `pods` or `deployments.apps`; include: how much of each object its row carries,
    one of INCLUDES; headings: watch events after the first have none. Raises StatusError 400.
    """
    if include not in INCLUDES:
        raise errors.bad_request(
            f'unrecognized includeObject value: "{include}", must be one of {", ".join(INCLUDES)}'
        )
    columns = columns_of(resource)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": list_metadata or {},
        "columnDefinitions": [c.definition() for c in columns] if headings else None,
        "rows": [_row(obj, columns, now, include) for obj in objects],
    }


def _row(obj: Object, columns: Iterable[Column], now: datetime, include: str) -> Object:
    row: Object = {"cells": [column.cell(obj, now) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include == "Metadata":
        row["object"] = {
            "kind": "PartialObjectMetadata",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": obj["metadata"],
        }
    return row
