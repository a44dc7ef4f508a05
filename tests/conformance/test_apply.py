"""Server-side apply: who owns which field, and how that is handed over."""

import json

import pytest

APPLY = "application/apply-patch+yaml"
MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: x}
data:
  a: "1"
  b: "2"
"""


@pytest.fixture
def apply(ask, namespace):
    """Applies a ConfigMap's data as a manager; returns (status code, answer)."""

    def send(manager, force=False, **data):
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": data}
        path = f"/api/v1/namespaces/{namespace}/configmaps/x"
        query = f"?fieldManager={manager}&force={str(force).lower()}"
        status, _, answer = ask("PATCH", path + query, body, content_type=APPLY)
        return status, json.loads(answer)

    return send


def owners(obj):
    """Manager and operation of each entry → the keys of data that it owns."""
    return {
        (entry["manager"], entry["operation"]): sorted(
            key.removeprefix("f:") for key in entry["fieldsV1"].get("f:data", {}) if key != "."
        )
        for entry in obj["metadata"].get("managedFields", ())
    }


def test_what_is_applied_is_owned(apply):
    status, obj = apply("one", a="1", b="2")
    assert (status, owners(obj)) == (201, {("one", "Apply"): ["a", "b"]})


def test_what_is_no_longer_applied_is_gone(apply):
    apply("one", a="1", b="2")
    status, obj = apply("one", a="1")
    assert (status, obj["data"]) == (200, {"a": "1"})


def test_what_another_owns_as_well_stays(apply):
    apply("one", a="1", b="2")
    apply("two", b="2")
    obj = apply("one", a="1")[1]
    assert obj["data"] == {"a": "1", "b": "2"}
    assert owners(obj) == {("one", "Apply"): ["a"], ("two", "Apply"): ["b"]}


def test_a_conflict_names_the_owner_and_the_field(apply):
    apply("one", a="1")
    status, answer = apply("two", a="2")
    assert (status, answer["reason"]) == (409, "Conflict")
    assert answer["message"] == 'Apply failed with 1 conflict: conflict with "one": .data.a'
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "one"',
            "field": ".data.a",
        }
    ]


def test_several_conflicts(apply):
    apply("one", a="1", b="1")
    message = apply("two", a="2", b="2")[1]["message"]
    assert message == ('Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b')


def test_force_takes_over(apply):
    apply("one", a="1", b="1")
    status, obj = apply("two", force=True, a="2")
    assert (status, obj["data"]) == (200, {"a": "2", "b": "1"})
    assert owners(obj) == {("one", "Apply"): ["b"], ("two", "Apply"): ["a"]}


def test_an_update_takes_what_it_changes(apply, core, namespace):
    apply("one", a="1", b="1")
    core.patch_namespaced_config_map("x", namespace, {"data": {"a": "2"}}, field_manager="two")
    obj = core.read_namespaced_config_map("x", namespace, _preload_content=False)
    assert owners(json.loads(obj.data)) == {("one", "Apply"): ["b"], ("two", "Update"): ["a"]}


def test_a_client_can_send_its_own_owners(apply, core, namespace):
    apply("one", a="1")
    obj = core.read_namespaced_config_map("x", namespace)
    obj.metadata.managed_fields[0].manager = "two"
    core.replace_namespaced_config_map("x", namespace, obj)
    read = core.read_namespaced_config_map("x", namespace, _preload_content=False)
    assert owners(json.loads(read.data)) == {("two", "Apply"): ["a"]}


@pytest.mark.parametrize("entries", ["[{}]", "[]"])
def test_one_empty_entry_or_none_makes_a_new_start(apply, kubectl, entries):
    apply("one", a="1")
    patch = f'{{"metadata":{{"managedFields":{entries}}}}}'
    kubectl("patch", "configmap", "x", "--type=merge", "-p", patch)
    obj = json.loads(kubectl("get", "configmap", "x", "-o", "json", "--show-managed-fields"))
    assert "managedFields" not in obj["metadata"]


def test_kubectl_hands_its_fields_over_to_server_side_apply(kubectl):
    kubectl("apply", "-f", "-", stdin=MANIFEST)
    kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST)
    changed = MANIFEST.replace('  b: "2"\n', "")
    kubectl("apply", "--server-side", "-f", "-", stdin=changed)
    obj = json.loads(kubectl("get", "configmap", "x", "-o", "json", "--show-managed-fields"))
    assert obj["data"] == {"a": "1"}
    assert set(owners(obj)) == {("kubectl", "Apply"), ("kubectl-last-applied", "Apply")}


@pytest.mark.since("1.22", "KEP-555: server-side apply is GA, and updates are always tracked")
def test_the_oldest_of_many_updates_are_put_together(core, namespace):
    core.create_namespaced_config_map(
        namespace, {"metadata": {"name": "x"}}, field_manager="creator"
    )
    for number in range(12):
        data = {"data": {f"k{number}": "1"}}
        core.patch_namespaced_config_map("x", namespace, data, field_manager=f"m{number}")
    obj = json.loads(core.read_namespaced_config_map("x", namespace, _preload_content=False).data)
    assert len(owners(obj)) == 10
    assert ("ancient-changes", "Update") in owners(obj)
