"""The audit log: who did what, one JSON line a request."""

import json
import stat

from kubesim.apiserver import audit
from kubesim.apiserver.audit import Audit
from kubesim.apiserver.request import Request, UserInfo, parse
from kubesim.clock import Clock

USER = UserInfo("jane", groups=("dev",))


def record(log, method, path, code=200, *, inside=False, **headers):
    path, _, query = path.partition("?")
    fields = {key: [value] for key, _, value in [query.partition("=")] if key}
    headers = {key.replace("_", "-"): value for key, value in headers.items()}
    request = Request(method, path, fields, headers, user=USER if inside else None)
    log.record(request, USER, parse(request), code)


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_patch_is_recorded_with_its_type_and_its_author(tmp_path):
    log = Audit(Clock(speed=0), tmp_path / "audit.log")
    record(
        log,
        "PATCH",
        "/apis/apps/v1/namespaces/default/deployments/web/scale?fieldManager=me",
        409,
        content_type="application/merge-patch+json",
        user_agent="kubectl/v1.37.0",
    )
    log.close()
    (event,) = lines(tmp_path / "audit.log")
    assert event["apiVersion"] == "audit.k8s.io/v1"
    assert event["verb"] == "patch"
    assert event["user"] == {"username": "jane", "groups": ["dev"]}
    assert event["userAgent"] == "kubectl/v1.37.0"
    assert event["requestURI"].endswith("/scale?fieldManager=me")
    assert event["objectRef"] == {
        "resource": "deployments",
        "namespace": "default",
        "name": "web",
        "apiGroup": "apps",
        "apiVersion": "v1",
        "subresource": "scale",
    }
    assert event["responseStatus"]["code"] == 409
    assert event["annotations"] == {"kubesim.dev/patch-type": "application/merge-patch+json"}
    assert stat.S_IMODE((tmp_path / "audit.log").stat().st_mode) == 0o600


def test_a_watch_is_recorded_when_it_starts(tmp_path):
    log = Audit(Clock(speed=0))
    record(log, "GET", "/api/v1/pods?watch=true")
    assert (log.events[0]["verb"], log.events[0]["stage"]) == ("watch", "ResponseStarted")


def test_the_file_leaves_out_what_the_cluster_does_by_itself(tmp_path):
    log = Audit(Clock(speed=0), tmp_path / "audit.log")
    record(log, "GET", "/api/v1/nodes", inside=True)
    record(log, "GET", "/version")
    assert [event["requestURI"] for event in log.events] == ["/api/v1/nodes", "/version"]
    assert [event["requestURI"] for event in lines(tmp_path / "audit.log")] == ["/version"]


def test_the_file_does_not_grow_for_ever(tmp_path, monkeypatch):
    monkeypatch.setattr(audit, "MAX_BYTES", 2000)
    log = Audit(Clock(speed=0), tmp_path / "audit.log")
    for number in range(20):
        record(log, "GET", f"/api/v1/namespaces/n{number}")
    log.close()
    kept = [path.stat().st_size for path in tmp_path.iterdir()]
    assert len(kept) <= 2
    assert all(size < 3000 for size in kept)
    newest = lines(tmp_path / "audit.log.1")[-1]["requestURI"]
    assert newest.startswith("/api/v1/namespaces/n")
