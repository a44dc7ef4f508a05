"""Who is first, and who is told: versions, conflicts, leases, and watches that resume."""

import threading

import pytest
from kubernetes import client, watch
from kubernetes.client.exceptions import ApiException


@pytest.fixture
def coordination(cluster):
    return client.CoordinationV1Api(cluster.api_client())


@pytest.fixture
def make(core, namespace):
    """Creates a ConfigMap with one key."""

    def create(name, value="0", **metadata):
        body = {"metadata": {"name": name, **metadata}, "data": {"value": value}}
        return core.create_namespaced_config_map(namespace, body)

    return create


@pytest.fixture
def events(core, namespace):
    """The events of ConfigMaps after a version: (type, name), as many as asked for."""

    def read(version, count, **options):
        stream = watch.Watch().stream(
            core.list_namespaced_config_map,
            namespace,
            resource_version=version,
            timeout_seconds=20,
            **options,
        )
        found = []
        for event in stream:
            name = event["object"].metadata.name
            if name != "kube-root-ca.crt":
                found.append((event["type"], name))
            if len(found) == count:
                return found
        return found

    return read


def version(obj):
    return int(obj.metadata.resource_version)


def lease(name, holder, **spec):
    spec = {"holderIdentity": holder, "leaseDurationSeconds": 15, **spec}
    return {"metadata": {"name": name}, "spec": spec}


# Versions


def test_every_write_gives_a_higher_version(core, namespace, make):
    versions = [version(make("one"))]
    for number in range(3):
        patch = {"data": {"value": str(number + 1)}}
        changed = core.patch_namespaced_config_map("one", namespace, patch)
        versions.append(version(changed))
    assert versions == sorted(set(versions))


def test_versions_are_counted_across_objects(make):
    versions = [version(make(name)) for name in ("one", "two", "three")]
    assert versions == sorted(set(versions))


def test_a_write_that_changes_nothing_keeps_the_version(core, namespace, make):
    made = make("one")
    same = core.patch_namespaced_config_map("one", namespace, {"data": {"value": "0"}})
    assert version(same) == version(made)


def test_a_dry_run_keeps_the_version(core, namespace, make):
    made = make("one")
    patch = {"data": {"value": "1"}}
    core.patch_namespaced_config_map("one", namespace, patch, dry_run="All")
    found = core.read_namespaced_config_map("one", namespace)
    assert (version(found), found.data) == (version(made), {"value": "0"})


def test_a_list_has_the_version_of_the_whole_store(core, namespace, make):
    first = make("one")
    listed = core.list_namespaced_config_map(namespace)
    assert version(listed) >= version(first)
    assert version(make("two")) > version(listed)


def test_an_object_made_again_has_another_uid_and_a_higher_version(core, namespace, make):
    first = make("one")
    core.delete_namespaced_config_map("one", namespace)
    second = make("one")
    assert first.metadata.uid != second.metadata.uid
    assert version(second) > version(first)


# Optimistic concurrency


def test_the_second_of_two_updates_of_one_version_is_refused(core, namespace, make, refusal):
    made = make("one")
    made.data = {"value": "first"}
    core.replace_namespaced_config_map("one", namespace, made)
    made.data = {"value": "second"}
    status = refusal(core.replace_namespaced_config_map, "one", namespace, made)
    assert (status["code"], status["reason"]) == (409, "Conflict")
    assert status["message"] == (
        'Operation cannot be fulfilled on configmaps "one": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )
    assert core.read_namespaced_config_map("one", namespace).data == {"value": "first"}


def test_an_update_without_a_version_overwrites(core, namespace, make):
    made = make("one")
    core.patch_namespaced_config_map("one", namespace, {"data": {"value": "1"}})
    made.metadata.resource_version = None
    made.data = {"value": "2"}
    assert core.replace_namespaced_config_map("one", namespace, made).data == {"value": "2"}


def test_a_patch_with_an_old_version_is_refused(core, namespace, make, refusal):
    made = make("one")
    core.patch_namespaced_config_map("one", namespace, {"data": {"value": "1"}})
    old = {"metadata": {"resourceVersion": made.metadata.resource_version}, "data": {"value": "2"}}
    status = refusal(core.patch_namespaced_config_map, "one", namespace, old)
    assert status["reason"] == "Conflict"


def test_a_json_patch_whose_test_fails_changes_nothing(core, namespace, make, refusal):
    make("one")
    patch = [
        {"op": "test", "path": "/data/value", "value": "9"},
        {"op": "replace", "path": "/data/value", "value": "1"},
    ]
    status = refusal(core.patch_namespaced_config_map, "one", namespace, patch)
    assert status["code"] == 422
    assert core.read_namespaced_config_map("one", namespace).data == {"value": "0"}


def test_of_many_who_create_one_name_one_succeeds(make):
    outcomes = []

    def create():
        try:
            make("one")
            outcomes.append(201)
        except ApiException as error:
            outcomes.append(error.status)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [201, *[409] * 7]


def test_counting_with_retries_on_conflict_loses_nothing(core, namespace, make):
    make("one")

    def count():
        for _ in range(5):
            while True:
                found = core.read_namespaced_config_map("one", namespace)
                found.data = {"value": str(int(found.data["value"]) + 1)}
                try:
                    core.replace_namespaced_config_map("one", namespace, found)
                    break
                except ApiException as error:
                    assert error.status == 409

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert core.read_namespaced_config_map("one", namespace).data == {"value": "20"}


def test_a_deletion_of_another_uid_is_refused(core, namespace, make, refusal):
    made = make("one")
    other = "00000000-0000-4000-8000-000000000000"
    body = {"preconditions": {"uid": other}}
    status = refusal(core.delete_namespaced_config_map, "one", namespace, body=body)
    assert status["code"] == 409
    assert status["message"].startswith(
        f'Operation cannot be fulfilled on ConfigMap "one": the UID in the precondition ({other}) '
        f"does not match the UID in record ({made.metadata.uid})"
    )


def test_a_deletion_of_an_old_version_is_refused(core, namespace, make, refusal):
    made = make("one")
    core.patch_namespaced_config_map("one", namespace, {"data": {"value": "1"}})
    body = {"preconditions": {"resourceVersion": made.metadata.resource_version}}
    status = refusal(core.delete_namespaced_config_map, "one", namespace, body=body)
    assert (status["code"], status["reason"]) == (409, "Conflict")


def test_an_object_with_a_finalizer_waits_until_it_is_taken_away(core, namespace, make):
    make("one", finalizers=["example.com/wait"])
    core.delete_namespaced_config_map("one", namespace)
    waiting = core.read_namespaced_config_map("one", namespace)
    assert waiting.metadata.deletion_timestamp
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"finalizers": None}})
    with pytest.raises(ApiException) as gone:
        core.read_namespaced_config_map("one", namespace)
    assert gone.value.status == 404


# Leases


def test_a_lease_is_taken_by_one_and_refused_to_who_read_before(coordination, namespace, refusal):
    made = coordination.create_namespaced_lease(namespace, lease("leader", "a"))
    mine, theirs = lease("leader", "b"), lease("leader", "c")
    for body in (mine, theirs):
        body["metadata"]["resourceVersion"] = made.metadata.resource_version
    taken = coordination.replace_namespaced_lease("leader", namespace, mine)
    assert taken.spec.holder_identity == "b"
    status = refusal(coordination.replace_namespaced_lease, "leader", namespace, theirs)
    assert status["reason"] == "Conflict"


def test_a_lease_needs_a_version_to_be_replaced(coordination, namespace, refusal):
    coordination.create_namespaced_lease(namespace, lease("leader", "a"))
    status = refusal(
        coordination.replace_namespaced_lease, "leader", namespace, lease("leader", "b")
    )
    assert status["code"] == 422
    [cause] = status["details"]["causes"]
    assert cause["field"] == "metadata.resourceVersion"
    assert cause["message"].endswith("must be specified for an update")


@pytest.mark.parametrize("field", ["leaseDurationSeconds", "leaseTransitions"])
def test_a_lease_counts_forward(coordination, namespace, refusal, field):
    body = lease("leader", "a", **{field: -1})
    status = refusal(coordination.create_namespaced_lease, namespace, body)
    assert [cause["field"] for cause in status["details"]["causes"]] == [f"spec.{field}"]


def test_a_lease_keeps_microseconds(coordination, namespace):
    moment = "2026-01-02T03:04:05.678901Z"
    coordination.create_namespaced_lease(namespace, lease("leader", "a", renewTime=moment))
    found = coordination.read_namespaced_lease("leader", namespace)
    assert found.spec.renew_time.isoformat() == "2026-01-02T03:04:05.678901+00:00"


# Watches


def test_a_watch_resumes_after_a_version(core, namespace, make, events):
    seen = make("seen")
    make("missed")
    core.delete_namespaced_config_map("seen", namespace)
    expected = [("ADDED", "missed"), ("DELETED", "seen")]
    assert events(seen.metadata.resource_version, 2) == expected


def test_a_watch_from_a_list_tells_what_comes_after_it(core, namespace, make, events):
    make("before")
    listed = core.list_namespaced_config_map(namespace)
    make("after")
    assert events(listed.metadata.resource_version, 1) == [("ADDED", "after")]


def test_a_deletion_has_a_version_of_its_own(core, namespace, make):
    made = make("one")
    core.delete_namespaced_config_map("one", namespace)
    stream = watch.Watch().stream(
        core.list_namespaced_config_map,
        namespace,
        resource_version=made.metadata.resource_version,
        timeout_seconds=20,
    )
    event = next(each for each in stream if each["object"].metadata.name == "one")
    assert event["type"] == "DELETED"
    assert version(event["object"]) > version(made)


def test_to_a_watch_with_a_selector_leaving_it_is_a_deletion(core, namespace, make, events):
    made = make("one", labels={"in": "yes"})
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"in": "no"}}})
    core.patch_namespaced_config_map("one", namespace, {"metadata": {"labels": {"in": "yes"}}})
    found = events(made.metadata.resource_version, 2, label_selector="in=yes")
    assert found == [("DELETED", "one"), ("ADDED", "one")]


def test_two_watches_see_the_same_order(namespace, make, events):
    first = make("zero")
    for number in range(5):
        make(f"one-{number}")
    told = [events(first.metadata.resource_version, 5) for _ in range(2)]
    assert told[0] == told[1] == [("ADDED", f"one-{number}") for number in range(5)]


def test_a_watch_from_the_first_version_of_all_is_told_that_it_is_gone(core, namespace):
    """On a cluster whose history is short it may still be there, then it is told all of it."""
    stream = watch.Watch().stream(
        core.list_namespaced_config_map, namespace, resource_version="1", timeout_seconds=2
    )
    try:
        kinds = {event["type"] for event in stream}
    except ApiException as error:
        assert error.status == 410
    else:
        assert kinds <= {"ADDED", "MODIFIED", "DELETED", "BOOKMARK"}


def test_a_list_at_a_version_that_is_still_to_come_is_refused(core, namespace, refusal):
    future = str(version(core.list_namespaced_config_map(namespace)) + 1_000_000)
    status = refusal(core.list_namespaced_config_map, namespace, resource_version=future)
    assert status["code"] == 504
    assert "Too large resource version" in status["message"]


def test_a_list_in_parts_is_of_one_moment(core, namespace, make):
    for number in range(4):
        make(f"one-{number}")
    first = core.list_namespaced_config_map(namespace, limit=2)
    make("one-9")
    names = [each.metadata.name for each in first.items]
    token = first.metadata._continue
    while token:
        part = core.list_namespaced_config_map(namespace, limit=2, _continue=token)
        names += [each.metadata.name for each in part.items]
        assert part.metadata.resource_version == first.metadata.resource_version
        token = part.metadata._continue
    assert "one-9" not in names
    assert [name for name in names if name.startswith("one-")] == [f"one-{n}" for n in range(4)]
