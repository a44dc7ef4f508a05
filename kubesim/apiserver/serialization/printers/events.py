"""The columns of events.k8s.io/v1 Events: those of core/v1, read under the new names."""

from dataclasses import replace

from kubesim.api.events import as_core
from kubesim.apiserver.serialization.printers import core
from kubesim.apiserver.serialization.printers.column import Column


def _of_core(column: Column) -> Column:
    return replace(column, cell=lambda obj, now: column.cell(as_core(obj), now))


COLUMNS = {"events.events.k8s.io": tuple(_of_core(column) for column in core.COLUMNS["events"])}
