"""Validation of Jobs and CronJobs (pkg/apis/batch/validation)."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from kubesim.apimachinery import cron
from kubesim.apimachinery.labels import matches
from kubesim.apiserver.patch.fields import (
    Cause,
    immutable,
    invalid,
    not_supported,
    required,
)
from kubesim.apiserver.validation.containers import not_negative
from kubesim.apiserver.validation.failurepolicy import failure_policy, success_policy
from kubesim.apiserver.validation.metadata import each, selector
from kubesim.apiserver.validation.pods import pod_template_spec

Object = dict[str, Any]
MODES = ("NonIndexed", "Indexed")
REPLACEMENTS = ("Failed", "TerminatingOrFailed")
COUNTS = (
    "parallelism",
    "completions",
    "activeDeadlineSeconds",
    "backoffLimit",
    "ttlSecondsAfterFinished",
    "backoffLimitPerIndex",
    "maxFailedIndexes",
)
MOST_PARALLEL_INDEXES = 100_000
FROZEN = (
    "completionMode",
    "podFailurePolicy",
    "backoffLimitPerIndex",
    "managedBy",
    "successPolicy",
)
CONCURRENCY = ("Allow", "Forbid", "Replace")
LONGEST_CRON_NAME = 63 - 11  # a Job is named after its CronJob and its minute
ZONE_PART = re.compile(r"[A-Za-z0-9.+_-]{1,14}")
SCHEDULING = ("nodeSelector", "tolerations", "schedulingGates", "affinity")


def job(obj: Object) -> Iterator[Cause]:
    """Check a Job."""
    spec = obj["spec"]
    if not spec["manualSelector"]:
        yield from _generated_selector(obj)
    yield from job_spec(spec, "spec")
    chosen, given = spec.get("selector"), spec["template"]["metadata"].get("labels", {})
    if chosen is None:
        yield required("spec.selector")
        return
    yield from selector(chosen, "spec.selector")
    if not list(selector(chosen, "")) and not matches(chosen, given):
        why = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", given, why)


def _generated_selector(obj: Object) -> Iterator[Cause]:
    """Check that the labels which the server made are the ones that stand there."""
    meta, spec = obj["metadata"], obj["spec"]
    expected = {
        "controller-uid": meta["uid"],
        "job-name": meta["name"],
        "batch.kubernetes.io/controller-uid": meta["uid"],
        "batch.kubernetes.io/job-name": meta["name"],
    }
    given = spec["template"]["metadata"].get("labels", {})
    for label, value in expected.items():
        if given.get(label) != value:
            path = f"spec.template.metadata.labels[{label}]"
            yield invalid(path, dict(sorted(given.items())), f"must be '{value}'")
    if not matches(spec["selector"], expected):
        yield invalid("spec.selector", spec["selector"], "`selector` not auto-generated")


def job_spec(spec: Object, path: str) -> Iterator[Cause]:
    """Check the spec of a Job, or of the Jobs of a CronJob."""
    for field in COUNTS:
        yield from not_negative(spec.get(field, 0), f"{path}.{field}")
    if "maxFailedIndexes" in spec and "backoffLimitPerIndex" not in spec:
        yield required(f"{path}.backoffLimitPerIndex", "when maxFailedIndexes is specified")
    yield from _completion_mode(spec, path)
    if "podFailurePolicy" in spec:
        yield from failure_policy(spec, f"{path}.podFailurePolicy")
    if "successPolicy" in spec:
        yield from success_policy(spec, f"{path}.successPolicy")
    yield from _replacement_policy(spec, f"{path}.podReplacementPolicy")
    yield from pod_template_spec(spec["template"], f"{path}.template")
    yield from _restart_policy(spec, f"{path}.template.spec.restartPolicy")


def _completion_mode(spec: Object, path: str) -> Iterator[Cause]:
    mode = spec.get("completionMode", "NonIndexed")
    if mode not in MODES:
        yield not_supported(f"{path}.completionMode", mode, MODES)
    elif mode == "NonIndexed":
        for field in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if field in spec:
                yield invalid(f"{path}.{field}", spec[field], "requires indexed completion mode")
        if "successPolicy" in spec:
            why = "requires indexed completion mode"
            yield invalid(f"{path}.successPolicy", spec["successPolicy"], why)
    else:
        if "completions" not in spec:
            yield required(f"{path}.completions", "when completion mode is Indexed")
        if spec.get("parallelism", 0) > MOST_PARALLEL_INDEXES:
            why = (
                f"must be less than or equal to {MOST_PARALLEL_INDEXES} "
                "when completion mode is Indexed"
            )
            yield invalid(f"{path}.parallelism", spec["parallelism"], why)


def _replacement_policy(spec: Object, path: str) -> Iterator[Cause]:
    policy = spec.get("podReplacementPolicy")
    if policy is None:
        return
    supported = ("Failed",) if "podFailurePolicy" in spec else REPLACEMENTS
    if policy not in supported:
        yield not_supported(path, policy, supported)


def _restart_policy(spec: Object, path: str) -> Iterator[Cause]:
    policy = spec["template"]["spec"]["restartPolicy"]
    if policy == "Always":
        yield required(path, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(path, policy, ("OnFailure", "Never"))
    elif "podFailurePolicy" in spec and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        yield invalid(path, policy, why)


def cron_job(obj: Object) -> Iterator[Cause]:
    """Check a CronJob."""
    name, spec = obj["metadata"].get("name", ""), obj["spec"]
    yield from _schedule(spec)
    yield from not_negative(spec.get("startingDeadlineSeconds", 0), "spec.startingDeadlineSeconds")
    if spec["concurrencyPolicy"] not in CONCURRENCY:
        yield not_supported("spec.concurrencyPolicy", spec["concurrencyPolicy"], CONCURRENCY)
    job, path = spec["jobTemplate"]["spec"], "spec.jobTemplate.spec"
    yield from job_spec(job, path)
    if "selector" in job:
        yield invalid(f"{path}.selector", job["selector"], "`selector` will be auto-generated")
    if job.get("manualSelector"):
        yield not_supported(f"{path}.manualSelector", True, ("nil", "false"))
    for field in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        yield from not_negative(spec[field], f"spec.{field}")
    if len(name) > LONGEST_CRON_NAME:
        why = f"must be no more than {LONGEST_CRON_NAME} characters"
        yield invalid("metadata.name", name, why)


def _schedule(spec: Object) -> Iterator[Cause]:
    schedule, zone = spec["schedule"], spec.get("timeZone")
    if not schedule:
        yield required("spec.schedule")
    elif "TZ" in schedule:
        why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
        yield invalid("spec.schedule", schedule, why)
    else:
        try:
            cron.parse(schedule)
        except cron.CronError as error:
            yield invalid("spec.schedule", schedule, str(error))
    if zone is not None:
        yield from each("spec.timeZone", zone, _time_zone(zone))


def _time_zone(zone: str) -> Iterator[str]:
    if not zone:
        yield "must be nil or non-empty string"
    elif zone.lower() == "local":
        yield "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
    elif not all(ZONE_PART.fullmatch(part) for part in zone.split("/")):
        yield f"unknown time zone {zone}"
    else:
        try:
            cron.time_zone(zone)
        except cron.CronError as error:
            yield str(error)


def job_update(new: Object, old: Object) -> Iterator[Cause]:
    """Check a change of a Job: what its Pods are must not change while it counts them."""
    after, before = new["spec"], old["spec"]
    yield from _completions_update(after, before)
    yield from immutable("spec.selector", after.get("selector"), before.get("selector"))
    yield from immutable("spec.template", *_templates(after, old))
    for field in FROZEN:
        yield from immutable(f"spec.{field}", after.get(field), before.get(field))


def _completions_update(after: Object, before: Object) -> Iterator[Cause]:
    """An Indexed Job may grow and shrink, if completions and parallelism stay the same number."""
    given = after.get("completions")
    if given == before.get("completions"):
        return
    if after["completionMode"] != "Indexed" or given is None:
        yield invalid("spec.completions", given, "field is immutable")
    elif given != after["parallelism"]:
        why = "can only be modified in tandem with spec.parallelism"
        yield invalid("spec.completions", given, why)


def _templates(after: Object, old: Object) -> Sequence[Object]:
    """Both templates, without what may change while a Job is suspended and has not started."""
    before = old["spec"]
    status = old.get("status", {})
    templates = after["template"], before["template"]
    if not before.get("suspend") or status.get("startTime"):
        return templates
    return [
        {
            "spec": {k: v for k, v in template["spec"].items() if k not in SCHEDULING},
            "metadata": {
                k: v for k, v in template["metadata"].items() if k not in ("labels", "annotations")
            },
        }
        for template in templates
    ]
