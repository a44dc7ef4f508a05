"""Aggregated ClusterRoles gather the rules of the roles that they select."""

CLUSTERROLES = "clusterroles.rbac.authorization.k8s.io"
GATHER = {"clusterRoleSelectors": [{"matchLabels": {"gather": "yes"}}]}


def role(name, *verbs, labels=None, **more):
    rules = [{"apiGroups": [""], "resources": ["pods"], "verbs": [verb]} for verb in verbs]
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels or {}},
        "rules": rules,
        **more,
    }


async def verbs(world):
    gathered = await world.get(CLUSTERROLES, "whole", None)
    return [rule["verbs"][0] for rule in gathered.get("rules") or ()]


async def test_rules_follow_the_selected_roles(make_world):
    async with make_world() as world:
        mine = {"gather": "yes"}
        await world.api.create(CLUSTERROLES, role("whole", aggregationRule=GATHER))
        await world.api.create(CLUSTERROLES, role("b", "list", "get", labels=mine))
        await world.api.create(CLUSTERROLES, role("a", "get", labels=mine))
        await world.api.create(CLUSTERROLES, role("other", "delete"))
        await world.settle()
        assert await verbs(world) == ["get", "list"]
        await world.api.delete(CLUSTERROLES, "b")
        await world.settle()
        assert await verbs(world) == ["get"]
