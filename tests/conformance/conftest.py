"""The same bodies on every engine, through the doors that everybody uses: client and kubectl."""

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from kubelab import waiting
from kubelab.clusters.cluster import kubernetes_version

BUSYBOX = "busybox:1.36"


@pytest.fixture(scope="session")
def refusal():
    """Makes a call that must be refused; returns the Status."""

    def call(function, *arguments, **options):
        with pytest.raises(ApiException) as refused:
            function(*arguments, **options)
        status = json.loads(refused.value.body)
        assert status["code"] == refused.value.status
        return status

    return call


PATIENCE = 5  # seconds that a behaviour may take in `make test-kind`
SERVER = pytest.StashKey[dict]()


def pytest_configure(config):
    """CONFORMANCE_RECORD=FILE keeps what each behaviour did (tools/conformance_page.py)."""
    if "CONFORMANCE_RECORD" in os.environ:
        config.pluginmanager.register(Recording(Path(os.environ["CONFORMANCE_RECORD"])))


def identity(item):
    """A behaviour's name in the records."""
    return f"{item.path.name}::{item.name}"


class Recording:
    """Outcomes by test; a run of some tests replaces what is known of these only."""

    def __init__(self, path):
        self.path = path
        self.behaviours = {}
        self.begun = 0.0
        if path.exists():
            self.behaviours = json.loads(path.read_text())["behaviours"]

    def pytest_runtest_makereport(self, item, call):
        if item.path.parent != Path(__file__).parent:
            return
        if call.when == "teardown":
            known = self.behaviours.get(identity(item))
            if known:
                known["seconds"] = round(time.monotonic() - self.begun)
            return
        if call.when == "setup":
            self.begun = time.monotonic() - call.duration
        failure = call.excinfo
        if call.when == "setup" and not failure:
            return
        skipped = failure and failure.errisinstance(pytest.skip.Exception)
        marker = item.get_closest_marker("since")
        self.behaviours[identity(item)] = {
            "outcome": "skipped" if skipped else "failed" if failure else "passed",
            **({"since": list(marker.args)} if marker else {}),
        }

    def pytest_sessionfinish(self, session):
        server = session.config.stash.get(SERVER, {})
        record = {**server, "behaviours": dict(sorted(self.behaviours.items()))}
        self.path.write_text(json.dumps(record, indent=1) + "\n")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """On kind, run what is known to be quick there; `make conformance` runs everything."""
    records = Path(__file__).parent / "results" / "kind.json"
    if "CONFORMANCE_RECORD" in os.environ or os.environ.get("KUBELAB_ENGINE") != "kind":
        return
    behaviours = json.loads(records.read_text())["behaviours"]
    quick = {name for name, each in behaviours.items() if each["seconds"] <= PATIENCE}
    here = Path(__file__).parent
    left_out = [i for i in items if i.path.parent == here and identity(i) not in quick]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _since(request, cluster):
    """Skips a behaviour of a newer Kubernetes than the cluster's, and names its source."""
    request.config.stash[SERVER] = {"engine": cluster.engine, "version": cluster.version}
    marker = request.node.get_closest_marker("since")
    if not marker:
        return
    version, source = marker.args
    if not cluster.version_at_least(*kubernetes_version(f"v{version}")):
        pytest.skip(f"since Kubernetes {version} ({source}); this server has {cluster.version}")


@pytest.fixture
def ask(cluster):
    """Makes a request in HTTP's own words; returns (status, headers, body)."""
    api = cluster.api_client()

    def request(method, path, body=None, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body) if isinstance(body, dict | list) else body
        if data is not None:
            named.setdefault("content-type", "application/json")
        url = api.configuration.host + path
        answer = api.rest_client.pool_manager.request(
            method, url, body=data, headers=named, timeout=30
        )
        return answer.status, answer.headers, answer.data.decode(errors="replace")

    return request


@pytest.fixture
def core(cluster):
    return client.CoreV1Api(cluster.api_client())


@pytest.fixture
def apps(cluster):
    return client.AppsV1Api(cluster.api_client())


@pytest.fixture
def batch(cluster):
    return client.BatchV1Api(cluster.api_client())


@pytest.fixture
def networking(cluster):
    return client.NetworkingV1Api(cluster.api_client())


@pytest.fixture
def told(core, namespace):
    """Waits for Events of a reason about the object of that name; returns their messages."""

    def wait(name, reason):
        chosen = f"involvedObject.name={name},reason={reason}"

        def found():
            events = core.list_namespaced_event(namespace, field_selector=chosen).items
            return [event.message for event in events]

        return waiting.until(found, timeout=90, what=f"an Event {reason} about {name}")

    return wait


@pytest.fixture
def cause_pairs(refusal):
    """Makes a call that must be refused as invalid; returns (field, message) of each cause."""

    def call(function, *arguments, **options):
        status = refusal(function, *arguments, **options)
        assert (status["code"], status["reason"]) == (422, "Invalid"), status
        return [(cause["field"], cause["message"]) for cause in status["details"]["causes"]]

    return call


@pytest.fixture
def causes(cause_pairs):
    """Makes a call that must be refused as invalid; returns the message of each field."""
    return lambda *arguments, **options: dict(cause_pairs(*arguments, **options))


@pytest.fixture
def with_token(cluster):
    """The core API for the holder of a token, with some headers."""

    def connect(token, headers=()):
        admin = cluster.api_client().configuration
        configuration = client.Configuration(host=admin.host)
        configuration.ssl_ca_cert = admin.ssl_ca_cert
        configuration.api_key = {"authorization": f"Bearer {token}"}
        api = client.ApiClient(configuration)
        for name, value in dict(headers).items():
            api.set_default_header(name, value)
        return client.CoreV1Api(api)

    return connect


@pytest.fixture
def rbac(cluster):
    return client.RbacAuthorizationV1Api(cluster.api_client())


@pytest.fixture(scope="session")
def kubectl_binary():
    return shutil.which("kubectl") or pytest.skip("kubectl is not installed")


@pytest.fixture
def kubectl(kubectl_binary, cluster, namespace, tmp_path):
    """Runs kubectl in the test's namespace; returns what it printed, fails if it fails."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "KUBECONFIG": str(cluster.kubeconfig),
    }

    def run(*arguments, stdin=None, fails=False, timeout=90, **variables):
        command = [kubectl_binary, "--namespace", namespace, *arguments]
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            env=environment | variables,
            timeout=timeout,
            check=False,
        )
        assert bool(done.returncode) is fails, f"{command}: {done.stdout}{done.stderr}"
        return done.stderr if fails else done.stdout

    return run


@pytest.fixture
def shell_pod():
    """Makes the manifest of a Pod that runs a script in busybox."""

    def make(name, script, *, restart="Always", **container):
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "restartPolicy": restart,
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {
                        "name": "main",
                        "image": BUSYBOX,
                        "command": ["sh", "-c", script],
                        **container,
                    }
                ],
            },
        }

    return make


@pytest.fixture
def serving(core, namespace, shell_pod):
    """Starts a Pod that answers HTTP at port 8080 with its hostname; waits until it is ready."""

    def start(name, labels=None, **spec):
        script = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www"
        pod = shell_pod(name, script, ports=[{"name": "web", "containerPort": 8080}])
        pod["metadata"]["labels"] = labels or {"app": "web"}
        pod["spec"] |= spec
        core.create_namespaced_pod(namespace, pod)
        return waiting.pod_ready(core, name, namespace, timeout=90)

    return start


@pytest.fixture
def inside(core, namespace, shell_pod, kubectl):
    """Runs a script in a Pod of the test's namespace; returns what it printed."""
    core.create_namespaced_pod(namespace, shell_pod("client", "sleep 3600"))
    waiting.pod_ready(core, "client", namespace, timeout=90)

    def run(script):
        return kubectl("exec", "client", "--", "sh", "-c", script)

    return run


@pytest.fixture
def fetch(inside):
    """Asks for a page from within the cluster: its last line, or what went wrong."""

    def ask(host, port=80, *, path="/", name="", times=1):
        head = f"GET {path} HTTP/1.0\\r\\nHost: {name or host}\\r\\n\\r\\n"
        once = f"printf '{head}' | nc -w 3 {host} {port} 2>&1 | tail -n 1"
        return inside(f"for i in $(seq {times}); do {once}; done").splitlines()

    return ask
