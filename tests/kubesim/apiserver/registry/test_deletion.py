"""Deletion: at once, with grace, behind finalizers, and of whole namespaces."""

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
PODS = "/api/v1/namespaces/default/pods"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
NAMESPACES = "/api/v1/namespaces"


async def bound_pod(api, make_pod, **spec):
    return await api.make(PODS, make_pod(nodeName="node-1", **spec))


async def test_a_deletion_answers_with_a_status_that_names_the_object(api):
    made = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    status, answer = await api.delete(f"{CONFIG_MAPS}/a")
    assert (status, answer["status"]) == (200, "Success")
    details = {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    assert answer["details"] == details
    assert (await api.delete(f"{CONFIG_MAPS}/a"))[0] == 404


async def test_a_running_pod_is_given_time_and_its_kubelet_ends_it(api, make_pod):
    await bound_pod(api, make_pod)
    status, answer = await api.delete(f"{PODS}/web")
    assert (status, answer["kind"]) == (200, "Pod")
    metadata = answer["metadata"]
    assert metadata["deletionGracePeriodSeconds"] == 30
    assert metadata["deletionTimestamp"] > metadata["creationTimestamp"]
    status, again = await api.delete(f"{PODS}/web")
    assert again == answer
    status, sooner = await api.delete(f"{PODS}/web", {"gracePeriodSeconds": 5})
    assert sooner["metadata"]["deletionGracePeriodSeconds"] == 5
    assert sooner["metadata"]["deletionTimestamp"] < metadata["deletionTimestamp"]
    status, later = await api.delete(f"{PODS}/web", {"gracePeriodSeconds": 60})
    assert later == sooner
    assert (await api.delete(f"{PODS}/web?gracePeriodSeconds=0"))[0] == 200
    assert (await api.get(f"{PODS}/web"))[0] == 404


async def test_a_pod_that_runs_nowhere_goes_at_once(api, make_pod):
    await api.make(PODS, make_pod("waiting"))
    await bound_pod(api, make_pod)
    await api.patch(f"{PODS}/web/status", {"status": {"phase": "Succeeded"}})
    for name in ("waiting", "web"):
        assert (await api.delete(f"{PODS}/{name}"))[0] == 200
        assert (await api.get(f"{PODS}/{name}"))[0] == 404


async def test_an_eviction_deletes_with_grace(api, make_pod):
    await bound_pod(api, make_pod)
    body = {"metadata": {"name": "web"}, "deleteOptions": {"gracePeriodSeconds": 7}}
    status, answer = await api.post(f"{PODS}/web/eviction", body)
    assert (status, answer["status"]) == (201, "Success")
    pod = (await api.get(f"{PODS}/web"))[1]
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 7
    status, answer = await api.post(f"{PODS}/web/eviction", {"metadata": {"name": "other"}})
    assert (status, answer["message"]) == (
        400,
        "name in URL does not match name in Eviction object",
    )


async def test_preconditions_protect_the_successor_of_the_same_name(api):
    made = await api.make(CONFIG_MAPS, {"metadata": {"name": "a"}})
    status, answer = await api.delete(f"{CONFIG_MAPS}/a", {"preconditions": {"uid": "old"}})
    uid = made["metadata"]["uid"]
    assert (status, answer["message"]) == (
        409,
        'Operation cannot be fulfilled on ConfigMap "a": the UID in the precondition (old) does '
        f"not match the UID in record ({uid}). The object might have been deleted and then "
        "recreated",
    )
    stale = {"preconditions": {"uid": uid, "resourceVersion": "1"}}
    assert (await api.delete(f"{CONFIG_MAPS}/a", stale))[0] == 409
    fresh = {"preconditions": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    assert (await api.delete(f"{CONFIG_MAPS}/a", fresh))[0] == 200


async def test_finalizers_hold_an_object_until_the_last_is_taken_off(api):
    metadata = {"name": "a", "finalizers": ["example.com/x", "example.com/y"]}
    await api.make(CONFIG_MAPS, {"metadata": metadata})
    status, held = await api.delete(f"{CONFIG_MAPS}/a")
    assert (status, held["kind"], "deletionTimestamp" in held["metadata"]) == (
        200,
        "ConfigMap",
        True,
    )
    more = {"metadata": {"finalizers": [*metadata["finalizers"], "example.com/z"]}}
    status, answer = await api.patch(f"{CONFIG_MAPS}/a", more)
    assert (status, "no new finalizers can be added" in answer["message"]) == (422, True)
    fewer = {"metadata": {"finalizers": ["example.com/y"]}}
    assert (await api.patch(f"{CONFIG_MAPS}/a", fewer))[0] == 200
    status, last = await api.patch(f"{CONFIG_MAPS}/a", {"metadata": {"finalizers": None}})
    assert (status, "finalizers" in last["metadata"]) == (200, False)
    assert (await api.get(f"{CONFIG_MAPS}/a"))[0] == 404


async def test_propagation_is_told_to_the_garbage_collector_by_finalizers(api, make_deployment):
    for policy, finalizer in (("Foreground", "foregroundDeletion"), ("Orphan", "orphan")):
        name = policy.lower()
        await api.make(DEPLOYMENTS, make_deployment(name))
        target = f"{DEPLOYMENTS}/{name}?propagationPolicy={policy}"
        status, held = await api.delete(target)
        assert held["metadata"]["finalizers"] == [finalizer]
        assert held["metadata"]["generation"] == 2
    await api.make(DEPLOYMENTS, make_deployment("plain"))
    assert (await api.delete(f"{DEPLOYMENTS}/plain", {"propagationPolicy": "Background"}))[0] == 200
    assert (await api.get(f"{DEPLOYMENTS}/plain"))[0] == 404
    status, answer = await api.delete(f"{DEPLOYMENTS}/orphan", {"propagationPolicy": "Later"})
    assert (status, answer["message"]) == (
        422,
        'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Later": '
        'supported values: "Foreground", "Background", "Orphan", "nil"',
    )


async def test_a_namespace_stays_until_its_controller_has_emptied_it(api):
    made = await api.make(NAMESPACES, {"metadata": {"name": "team"}})
    assert made["spec"] == {"finalizers": ["kubernetes"]}
    assert made["status"] == {"phase": "Active"}
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    await api.make("/api/v1/namespaces/team/configmaps", {"metadata": {"name": "a"}})
    status, held = await api.delete(f"{NAMESPACES}/team")
    assert (status, held["status"]) == (200, {"phase": "Terminating"})
    status, answer = await api.post(
        "/api/v1/namespaces/team/configmaps", {"metadata": {"name": "b"}}
    )
    assert (status, answer["message"]) == (
        403,
        'configmaps "b" is forbidden: unable to create new content in namespace team because it '
        "is being terminated",
    )
    assert answer["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    assert (await api.delete("/api/v1/namespaces/team/configmaps/a"))[0] == 200
    assert (await api.put(f"{NAMESPACES}/team/finalize", held | {"spec": {}}))[0] == 200
    assert (await api.get(f"{NAMESPACES}/team"))[0] == 404


async def test_the_systems_namespaces_cannot_be_deleted(api):
    status, answer = await api.delete(f"{NAMESPACES}/default")
    assert (status, answer["message"]) == (
        403,
        'namespaces "default" is forbidden: this namespace may not be deleted',
    )


async def test_a_collection_is_deleted_by_selector(api):
    for name, tier in (("a", "web"), ("b", "web"), ("c", "db")):
        await api.make(CONFIG_MAPS, {"metadata": {"name": name, "labels": {"tier": tier}}})
    status, answer = await api.delete(f"{CONFIG_MAPS}?labelSelector=tier%3Dweb")
    assert (status, answer["kind"], len(answer["items"])) == (200, "ConfigMapList", 2)
    left = (await api.get(CONFIG_MAPS))[1]["items"]
    assert [item["metadata"]["name"] for item in left] == ["c"]
    assert (await api.delete(NAMESPACES))[0] == 405
