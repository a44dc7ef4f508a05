"""Completion indexes of Indexed Jobs, as `0-3,5` (`pkg/controller/job/indexed_job_utils.go`)."""

from collections.abc import Iterable, Sequence
from itertools import islice

from kubesim.apimachinery.objects import Object, annotations_of

INDEX = "batch.kubernetes.io/job-completion-index"
VARIABLE = "JOB_COMPLETION_INDEX"


def is_indexed(job: Object) -> bool:
    """Whether each Pod of a Job has an index of its own."""
    return bool(job["spec"].get("completionMode") == "Indexed")


def index_of(pod: Object, job: Object) -> int | None:
    """The index of a Pod, if it has one that its Job still counts."""
    text = annotations_of(pod).get(INDEX, "")
    index = int(text) if text.isdecimal() else None
    return index if index is not None and index < job["spec"]["completions"] else None


def parse(text: str, completions: int) -> set[int]:
    """The indexes below `completions` that a text names; what is no interval is ignored."""
    found: set[int] = set()
    for interval in text.split(","):
        first, _, last = interval.partition("-")
        if first.isdecimal() and (last or first).isdecimal():
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return found


def show(indexes: Iterable[int]) -> str:
    """Indexes as a status names them: single ones, pairs, and longer runs as intervals."""
    return ",".join(_interval(first, last) for first, last in _runs(sorted(indexes)))


def _runs(indexes: Sequence[int]) -> list[tuple[int, int]]:
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index - 1:
            runs[-1] = runs[-1][0], index
        else:
            runs.append((index, index))
    return runs


def _interval(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first},{last}" if last == first + 1 else f"{first}-{last}"


def first_pending(taken: set[int], wanted: int, completions: int) -> list[int]:
    """The lowest indexes that nobody has or had."""
    free = (index for index in range(completions) if index not in taken)
    return [*islice(free, wanted)]


def with_index(pod: Object, job: Object, index: int) -> Object:
    """A Pod that knows its index: by label, annotation, hostname and environment."""
    meta, spec, name = pod["metadata"], pod["spec"], job["metadata"]["name"]
    told = {INDEX: str(index)}
    indexed = {
        "generateName": f"{name}-{index}-",
        "labels": (meta.get("labels") or {}) | told,
        "annotations": (meta.get("annotations") or {}) | told,
    }
    containers = {
        field: [_with_variable(each) for each in spec[field]]
        for field in ("initContainers", "containers")
        if field in spec
    }
    return pod | {
        "metadata": meta | indexed,
        "spec": spec | containers | {"hostname": f"{name}-{index}"},
    }


def _with_variable(container: Object) -> Object:
    variables = container.get("env") or []
    if any(each["name"] == VARIABLE for each in variables):
        return container
    source = {"fieldRef": {"fieldPath": f"metadata.labels['{INDEX}']"}}
    return container | {"env": [*variables, {"name": VARIABLE, "valueFrom": source}]}
