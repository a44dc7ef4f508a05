"""ResourceQuota: refuses what would exceed a namespace's quota, and counts at once what does not.

As k8s.io/apiserver/pkg/admission/plugin/resourcequota/controller.go: usage is added to the quota's
status together with the object, so that two requests cannot both take what is left; the controller
later counts again what is really there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from kubesim.api import resources
from kubesim.api.quantities import canonical
from kubesim.apimachinery.objects import Object
from kubesim.apimachinery.resourcelist import Amounts, added, amounts, subtracted, unset
from kubesim.apimachinery.usage import counts, limited, usage
from kubesim.apiserver import errors
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Storage, Stored

QUOTAS = resources.named("resourcequotas")
REQUIRED = ("cpu", "memory", "ephemeral-storage")


@dataclass(frozen=True)
class _Charge:
    """What a write adds to one quota."""

    quota: Stored
    delta: Amounts


class ResourceQuota:
    """The plugin."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def check(self, context: Context, new: Object | None, old: Object | None) -> None:
        """Refuse a write that exceeds a quota, count it otherwise. Raises 403."""
        if new is None or context.subresource not in ("", "resize") or not context.namespace:
            return
        resource = context.resource.full_name
        quotas = self._storage.list(QUOTAS, context.namespace)
        charges = [charge for quota in quotas if (charge := self._charge(context, quota, new, old))]
        for charge in charges:
            _refuse_excess(resource, new, charge)
        if not context.dry_run:
            for charge in charges:
                self._count(charge)

    def _charge(
        self, context: Context, quota: Stored, new: Object, old: Object | None
    ) -> _Charge | None:
        resource = context.resource.full_name
        names = limited(quota.object, resource)
        if not names or quota.object["metadata"].get("deletionTimestamp"):
            return None
        if not counts(quota.object, resource, new):
            return None
        if old is None:
            _require_amounts(quota.object, resource, new, names)
        before = usage(resource, old) if old and counts(quota.object, resource, old) else {}
        delta = subtracted(usage(resource, new), before)
        wanted = {name: delta[name] for name in names if delta.get(name, 0) > 0}
        return _Charge(quota, wanted) if wanted else None

    def _count(self, charge: _Charge) -> None:
        status = charge.quota.object.get("status") or {}
        used = added(amounts(status.get("used")), charge.delta)
        spelled = (status.get("used") or {}) | {
            name: _spelled(used[name], status["hard"][name]) for name in charge.delta
        }
        changed = charge.quota.object | {"status": status | {"used": spelled}}
        self._storage.update(charge.quota, changed)


def _require_amounts(quota: Object, resource: str, pod: Object, names: Iterable[str]) -> None:
    """Where a quota limits what Pods ask for, every container must ask. Raises 403."""
    if resource != "pods":
        return
    missing = []
    for name in sorted(names):
        kind, _, what = name.rpartition(".")
        if what in REQUIRED and kind in ("", "requests", "limits"):
            who = unset(pod["spec"]["containers"], kind or "requests", what)
            missing += [f"{name} for: {','.join(who)}"] if who else []
    if missing:
        why = f"failed quota: {quota['metadata']['name']}: must specify {'; '.join(missing)}"
        raise errors.forbidden(resource, pod["metadata"].get("name", ""), why)


def _refuse_excess(resource: str, obj: Object, charge: _Charge) -> None:
    quota = charge.quota.object
    name, status = quota["metadata"]["name"], quota.get("status") or {}
    hard, used = status.get("hard") or {}, status.get("used") or {}
    unknown = sorted(set(charge.delta) - set(used))
    subject = obj["metadata"].get("name", "")
    if unknown:
        why = f"status unknown for quota: {name}, resources: {','.join(unknown)}"
        raise errors.forbidden(resource, subject, why)
    total = added(amounts(used), charge.delta)
    limits = amounts(hard)
    over = sorted(each for each in charge.delta if each in limits and total[each] > limits[each])
    if over:
        requested = {each: _spelled(charge.delta[each], hard[each]) for each in over}
        why = (
            f"exceeded quota: {name}, requested: {_told(requested, over)}, "
            f"used: {_told(used, over)}, limited: {_told(hard, over)}"
        )
        raise errors.forbidden(resource, subject, why)


def _told(quantities: Mapping[str, str], names: Iterable[str]) -> str:
    return ",".join(f"{name}={quantities[name]}" for name in names)


def _spelled(amount: Decimal, like: str) -> str:
    """A quantity in the manner of another one: in Mi beside Gi, in plain numbers otherwise."""
    binary = like.endswith("i") or (amount >= 1024 and amount % 1024 == 0)
    if binary and amount and amount % 1024 == 0:
        return canonical(f"{int(amount) // 1024}Ki")
    return canonical(str(amount))
