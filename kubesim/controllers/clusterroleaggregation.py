"""The ClusterRole aggregation controller: a role made of the rules of other roles.

Kubernetes' `pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go`. It is how
`admin`, `edit` and `view` learn the rules of whoever labels a ClusterRole for them.
"""

from kubesim.apimachinery.labels import matches
from kubesim.apimachinery.objects import Object, key, labels_of
from kubesim.clientgo.absence import NOT_FOUND, tolerating
from kubesim.clientgo.informer import Change, InformerFactory
from kubesim.controllers.controller import Controller

CLUSTERROLES = "clusterroles.rbac.authorization.k8s.io"


class ClusterRoleAggregationController(Controller):
    """Keeps the rules of aggregated ClusterRoles."""

    name = "clusterrole-aggregation-controller"

    def watch(self, informers: InformerFactory) -> None:
        """Any ClusterRole may be a part of any aggregated one."""
        roles = informers.informer(CLUSTERROLES)
        self.roles = roles.cache
        roles.add_handler(self._role_changed)

    async def sync(self, key: str) -> None:
        """Write the union of the selected roles' rules, in the order of their names."""
        role = self.roles.get(key)
        if role is None or not _selectors(role):
            return
        rules = self._rules(role)
        if rules != (role.get("rules") or []):
            with tolerating(NOT_FOUND):
                await self.client.update(CLUSTERROLES, role | {"rules": rules})

    def _rules(self, role: Object) -> list[Object]:
        rules: list[Object] = []
        for other in sorted(self.roles.list(), key=key):
            if other is not role and any(matches(s, labels_of(other)) for s in _selectors(role)):
                rules += [rule for rule in other.get("rules") or () if rule not in rules]
        return rules

    def _role_changed(self, _: Change) -> None:
        for role in self.roles.list():
            if _selectors(role):
                self.queue.add(key(role))


def _selectors(role: Object) -> list[Object]:
    return (role.get("aggregationRule") or {}).get("clusterRoleSelectors") or []
