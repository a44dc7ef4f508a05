"""Objects as tables, for clients that ask with `Accept: application/json;as=Table`.

See https://kubernetes.io/docs/reference/using-api/api-concepts/#receiving-resources-as-tables.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from kubesim.apiserver import errors
from kubesim.apiserver.serialization.forms import partial
from kubesim.apiserver.serialization.printers import columns_of
from kubesim.apiserver.serialization.printers.column import Column

Object = dict[str, Any]
INCLUDES = ("None", "Metadata", "Object", "")


def render(
    resource: str | Sequence[Column],
    objects: Iterable[Object],
    now: datetime,
    *,
    list_metadata: Object | None = None,
    include: str = "Metadata",
    headings: bool = True,
    version: str = "v1",
) -> Object:
    """A Table with a row an object.

    resource: as `pods` or `deployments.apps`, or the columns of another; include: how much of each
    object its row carries, one of INCLUDES; headings: watch events after the first have none;
    version: of meta.k8s.io.
    Raises StatusError 400.
    """
    if include not in INCLUDES:
        raise errors.bad_request(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": '
            "must be 'Metadata', 'Object', 'None', or empty"
        )
    columns = columns_of(resource) if isinstance(resource, str) else resource
    return {
        "kind": "Table",
        "apiVersion": f"meta.k8s.io/{version}",
        "metadata": list_metadata or {},
        "columnDefinitions": [c.definition() for c in columns] if headings else None,
        "rows": [_row(obj, columns, now, include, version) for obj in objects],
    }


def _row(
    obj: Object, columns: Iterable[Column], now: datetime, include: str, version: str
) -> Object:
    row: Object = {"cells": [column.cell(obj, now) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial(obj, version)
    return row
