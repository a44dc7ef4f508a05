"""What is wrong with claims, volumes and classes."""

import pytest

CLAIMS = "/api/v1/namespaces/default/persistentvolumeclaims"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"


def claim(**spec):
    base = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"metadata": {"name": "one"}, "spec": base | spec}


def volume(**spec):
    base = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}}
    return {"metadata": {"name": "one"}, "spec": base | {"hostPath": {"path": "/x"}} | spec}


def storage_class(**content):
    return {"metadata": {"name": "one"}, "provisioner": "example.com/disk"} | content


@pytest.mark.parametrize(
    ("path", "obj", "field", "message"),
    [
        (
            CLAIMS,
            claim(accessModes=[]),
            "spec.accessModes",
            "Required value: at least 1 access mode is required",
        ),
        (
            CLAIMS,
            claim(accessModes=["RWO"]),
            "spec.accessModes",
            'Unsupported value: "RWO": supported values: "ReadOnlyMany", "ReadWriteMany", '
            '"ReadWriteOnce", "ReadWriteOncePod"',
        ),
        (CLAIMS, claim(resources={}), "spec.resources[storage]", "Required value"),
        (VOLUMES, volume(hostPath=None), "spec", "Required value: must specify a volume type"),
        (
            VOLUMES,
            volume(nfs={"server": "a", "path": "/"}),
            "spec.nfs",
            "Forbidden: may not specify more than 1 volume type",
        ),
        (
            VOLUMES,
            volume(hostPath=None, local={"path": "/x"}),
            "spec.nodeAffinity",
            "Required value: Local volume requires node affinity",
        ),
        (VOLUMES, volume(capacity={}), "spec.capacity", "Required value"),
        (CLASSES, storage_class(provisioner=""), "provisioner", "Required value"),
        (
            CLASSES,
            storage_class(reclaimPolicy="Recycle"),
            "reclaimPolicy",
            'Unsupported value: "Recycle": supported values: "Delete", "Retain"',
        ),
    ],
)
async def test_what_is_refused(make_api, path, obj, field, message):
    status, answer = await make_api().post(path, obj)
    assert status == 422, answer
    assert (field, message) in [(c["field"], c["message"]) for c in answer["details"]["causes"]]


async def test_defaults(make_api):
    api = make_api()
    marked = {"annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    made = await api.make(CLASSES, storage_class(metadata={"name": "standard", **marked}))
    assert (made["reclaimPolicy"], made["volumeBindingMode"]) == ("Delete", "Immediate")
    made = await api.make(CLAIMS, claim())
    assert made["spec"]["storageClassName"] == "standard"
    assert made["spec"]["volumeMode"] == "Filesystem"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    made = await api.make(VOLUMES, volume())
    assert made["spec"]["persistentVolumeReclaimPolicy"] == "Retain"
    assert made["status"]["phase"] == "Pending"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pv-protection"]
    none = claim(storageClassName="") | {"metadata": {"name": "none"}}
    assert (await api.make(CLAIMS, none))["spec"].get("storageClassName", "") == ""


async def test_a_claim_keeps_what_it_asks_for(make_api):
    api = make_api()
    await api.make(CLAIMS, claim())
    status, answer = await api.patch(f"{CLAIMS}/one", {"spec": {"accessModes": ["ReadWriteMany"]}})
    assert status == 422
    assert "spec is immutable after creation except resources.requests" in answer["message"]
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    status, answer = await api.patch(f"{CLAIMS}/one", larger)
    assert status in (403, 422)


async def test_a_bound_claim_grows_if_its_class_lets_it(make_api):
    api = make_api()
    await api.make(CLASSES, storage_class())
    await api.make(CLAIMS, claim(storageClassName="one"))
    bound = {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}}
    await api.patch(f"{CLAIMS}/one/status", bound)
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    status, answer = await api.patch(f"{CLAIMS}/one", larger)
    assert status == 403
    assert answer["message"] == (
        'persistentvolumeclaims "one" is forbidden: only dynamically provisioned pvc can be '
        "resized and the storageclass that provisions the pvc must support resize"
    )
    await api.patch(f"{CLASSES}/one", {"allowVolumeExpansion": True})
    assert (await api.patch(f"{CLAIMS}/one", larger))[0] == 200
    smaller = {"spec": {"resources": {"requests": {"storage": "512Mi"}}}}
    status, answer = await api.patch(f"{CLAIMS}/one", smaller)
    assert "field can not be less than status.capacity" in answer["message"]


async def test_a_class_goes_on_making_the_same(make_api):
    api = make_api()
    await api.make(CLASSES, storage_class())
    status, answer = await api.patch(f"{CLASSES}/one", {"provisioner": "example.com/other"})
    assert status == 422
    assert "provisioner: Forbidden: updates to provisioner are forbidden." in answer["message"]


async def test_a_stateful_set_mounts_what_its_claims_will_be(make_api):
    mounts = [{"name": "data", "mountPath": "/data"}]
    container = {"name": "main", "image": "nginx:1.27", "volumeMounts": mounts}
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}}
    template_of_claims = claim() | {"metadata": {"name": "data"}}
    spec = {
        "selector": {"matchLabels": {"a": "b"}},
        "serviceName": "web",
        "template": template,
        "volumeClaimTemplates": [template_of_claims],
    }
    path = "/apis/apps/v1/namespaces/default/statefulsets"
    made = await make_api().make(path, {"metadata": {"name": "web"}, "spec": spec})
    assert made["spec"]["template"]["spec"]["containers"][0]["volumeMounts"] == mounts
