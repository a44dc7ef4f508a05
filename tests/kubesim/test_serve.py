"""`python -m kubesim serve` as a process: started, killed, started again, and told wrong things."""

import json
import shutil
import signal
import ssl
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from base64 import b64decode
from pathlib import Path

import pytest
import yaml

from kubesim.serve import DataError, Settings, settings_of

TIMEOUT = 30


class Served:
    """A served cluster; `get` asks as its administrator."""

    def __init__(self, data, *options):
        command = [sys.executable, "-m", "kubesim", "serve", "--data", str(data), *options]
        self.data = data
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    def __enter__(self):
        self.line = self.process.stdout.readline()
        assert self.line.startswith("kubesim: serving on https://127.0.0.1:"), self.finish()
        self.config = yaml.safe_load((self.data / "kubeconfig").read_text())
        return self

    def __exit__(self, *problem):
        if self.process.poll() is None:
            self.stop(signal.SIGTERM)
        self.process.stdout.close()
        self.process.stderr.close()

    def finish(self):
        """Wait for the process; its exit code and what it printed to stderr."""
        _, errors = self.process.communicate(timeout=TIMEOUT)
        return self.process.returncode, errors

    def stop(self, number):
        self.process.send_signal(number)
        return self.process.wait(timeout=TIMEOUT)

    @property
    def url(self):
        return self.config["clusters"][0]["cluster"]["server"]

    def until_it_fails(self):
        """Ask until no connection is made any more; why not."""
        while True:
            try:
                self.ask("/version")
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionResetError):
                    return error.reason

    @property
    def control(self):
        port = json.loads((self.data / "cluster.json").read_text())["control_port"]
        return f"https://127.0.0.1:{port}/kubesim/v1"

    def ask(self, path, body=None, method=None):
        cluster, user = self.config["clusters"][0]["cluster"], self.config["users"][0]["user"]
        ca = b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=ca)
        with tempfile.NamedTemporaryFile() as file:
            file.write(b64decode(user["client-certificate-data"]))
            file.write(b64decode(user["client-key-data"]))
            file.flush()
            context.load_cert_chain(file.name)
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        url = path if path.startswith("https:") else self.url + path
        request = urllib.request.Request(url, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, context=context, timeout=TIMEOUT) as answer:
            return json.loads(answer.read())


CONFIGMAPS = "/api/v1/namespaces/default/configmaps"
CONFIGMAP = {"metadata": {"name": "kept"}, "data": {"a": "b"}}


def run(data, *options):
    """Run a command line that is expected to fail; its exit code and stderr."""
    served = Served(data, *options)
    try:
        return served.finish()
    finally:
        served.__exit__()


@pytest.fixture(scope="module")
def healthy(tmp_path_factory):
    """The data directory of a cluster that was stopped."""
    data = tmp_path_factory.mktemp("healthy")
    with Served(data, "--nodes", "1"):
        pass
    return data


def test_state_and_certificates_survive_being_killed(tmp_path):
    data = tmp_path / "data"
    with Served(data, "--nodes", "1") as first:
        made = first.ask(CONFIGMAPS, CONFIGMAP)
        first.stop(signal.SIGKILL)
    with Served(data) as second:
        assert second.url == first.url
        assert second.ask(f"{CONFIGMAPS}/kept") == made
        second.config = first.config  # yesterday's kubeconfig still opens the door
        assert second.ask(f"{CONFIGMAPS}/kept") == made


def test_sigterm_stops_cleanly(tmp_path):
    with Served(tmp_path, "--nodes", "1") as served:
        served.process.send_signal(signal.SIGTERM)
        assert served.finish() == (0, "")


def test_secrets_are_readable_by_their_owner_only(tmp_path):
    data = tmp_path / "data"
    with Served(data, "--nodes", "1") as served:
        served.ask("/version")
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    readable = [
        path
        for path in data.rglob("*")
        if path.is_file() and stat.S_IMODE(path.stat().st_mode) != 0o600
    ]
    assert readable == []


def test_requests_of_people_are_audited(tmp_path):
    with Served(tmp_path, "--nodes", "1") as served:
        served.ask(CONFIGMAPS, CONFIGMAP)
    events = [json.loads(line) for line in (tmp_path / "audit.log").read_text().splitlines()]
    event = next(e for e in events if e["verb"] == "create")
    assert event["user"]["username"] == "kubernetes-admin"
    assert event["userAgent"].startswith("Python-urllib")
    assert event["objectRef"] == {
        "resource": "configmaps",
        "namespace": "default",
        "apiVersion": "v1",
    }
    assert event["responseStatus"]["code"] == 201


def test_a_directory_is_served_by_one_process(tmp_path):
    with Served(tmp_path, "--nodes", "1") as first:
        code, error = run(tmp_path)
        assert code == 1
        assert f"is being served by process {first.process.pid}" in error
        assert first.ask("/version")["minor"] == "37"


def test_a_port_that_is_taken_is_named(tmp_path):
    with Served(tmp_path / "a", "--nodes", "1") as first:
        port = first.url.rpartition(":")[2]
        code, error = run(tmp_path / "b", "--port", port)
        assert code == 1
        assert f"port {port} on 127.0.0.1 cannot be used" in error
        assert "choose another with --port" in error


def test_another_port_is_taken_when_the_last_one_is_gone(tmp_path):
    with Served(tmp_path / "a", "--nodes", "1") as first:
        port = first.url.rpartition(":")[2]
    settings = Settings.load(tmp_path / "a" / "cluster.json")
    assert settings.port == int(port)
    with Served(tmp_path / "b", "--nodes", "1", "--port", port), Served(tmp_path / "a") as again:
        assert again.url != first.url
        info = again.ask("/api/v1/namespaces/kube-public/configmaps/cluster-info")
        assert again.url in info["data"]["kubeconfig"]


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("etcd.db", b"this is not a database, it is a sentence of some length" * 100),
        ("cluster.json", b"{"),
        ("pki/ca.key", b"not a key"),
    ],
)
def test_damaged_data_is_named(tmp_path, healthy, file, content):
    data = tmp_path / "data"
    shutil.copytree(healthy, data)
    (data / file).write_bytes(content)
    code, error = run(data)
    assert code == 1
    assert str(data / file.partition("/")[0]) in error
    assert "damaged" in error
    assert "Traceback" not in error


def test_a_directory_of_another_version_is_refused_with_a_sentence(tmp_path, healthy):
    data = tmp_path / "data"
    shutil.copytree(healthy, data)
    (data / "cluster.json").write_text('{"format": 99}')
    code, error = run(data)
    assert code == 1
    assert "was written by another version of kubesim (format 99, this one reads 1)" in error


def test_a_directory_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    for data in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/kubesim")):
        code, error = run(data)
        assert code == 1
        assert f"{data} cannot be used: " in error
        assert error.count("\n") == 1


def test_nothing_is_lost_when_the_whole_server_is_killed_under_load(tmp_path):
    data, made = tmp_path / "data", {}
    for round_number in range(6):
        with Served(data, *(() if made else ("--nodes", "2"))) as served:
            for name, config_map in made.items():
                assert served.ask(f"{CONFIGMAPS}/{name}") == config_map
            for number in range(20):
                name = f"kept-{round_number}-{number}"
                made[name] = served.ask(CONFIGMAPS, {"metadata": {"name": name}})
            served.stop(signal.SIGKILL)


def test_a_clock_that_was_advanced_goes_on_from_there_after_a_kill(tmp_path):
    with Served(tmp_path, "--nodes", "1") as first:
        first.ask(f"{first.control}/clock/advance", {"seconds": 600})
        first.stop(signal.SIGKILL)
    with Served(tmp_path) as second:
        assert second.ask(f"{second.control}/clock")["ahead"] > 500


def test_the_same_seed_gives_the_same_uids_and_no_uid_twice(tmp_path):
    def uids(data, *options):
        with Served(data, *options) as served:
            served.ask(CONFIGMAPS, {"metadata": {"generateName": "made-"}})
            spaces = served.ask("/api/v1/namespaces")["items"]
            made = served.ask(CONFIGMAPS)["items"]
        return [s["metadata"]["uid"] for s in spaces], [m["metadata"]["name"] for m in made]

    first = uids(tmp_path / "one", "--nodes", "1", "--seed", "7")
    assert uids(tmp_path / "two", "--nodes", "1", "--seed", "7")[0] == first[0]
    again = uids(tmp_path / "one")
    assert again[0] == first[0]
    assert len(set(again[1])) == len(first[1]) + 1


def test_a_cluster_is_continued_as_it_is(tmp_path):
    Settings("one", settings_of(tmp_path, "one").nodes).save(tmp_path / "cluster.json")
    assert settings_of(tmp_path).name == "one"
    with pytest.raises(DataError, match="holds cluster 'one', not 'two'"):
        settings_of(tmp_path, "two")
    with pytest.raises(DataError, match="other nodes"):
        settings_of(tmp_path, "one", settings_of(tmp_path).nodes[:1])


def test_somebody_elses_directory_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    code, error = run(tmp_path)
    assert code == 1
    assert "not a data directory of kubesim: it holds thesis.tex" in error
    assert {path.name for path in tmp_path.iterdir()} == {"lock", "thesis.tex"}


def test_a_first_start_that_was_cut_short_can_be_repeated(tmp_path):
    (tmp_path / "lock").touch()
    (tmp_path / "cluster.json.new").touch()
    assert settings_of(tmp_path, "one").name == "one"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--nodes", "0"], "from 1 to 20"),
        (["--nodes", "three"], "invalid"),
        (["--port", "70000"], "from 0 to 65535"),
        (["--speed", "-1"], "from 0"),
        (["--config", "/no/such/file.yaml"], "cannot be read"),
    ],
)
def test_a_wrong_option_is_explained(tmp_path, options, words):
    code, error = run(tmp_path, *options)
    assert code != 0
    assert words in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


def test_without_an_api_server_only_the_simulations_own_knobs_answer(tmp_path):
    with Served(tmp_path, "--nodes", "1") as served:
        down = {"kind": "component-down", "target": "kube-apiserver"}
        fault = served.ask(f"{served.control}/faults", down)["fault"]["name"]
        assert isinstance(served.until_it_fails(), ConnectionRefusedError)
        assert "now" in served.ask(f"{served.control}/clock")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            served.ask(served.control.removesuffix("/kubesim/v1") + CONFIGMAPS)
        served.ask(f"{served.control}/faults/{fault}", method="DELETE")
        answered = False
        while not answered:
            try:
                answered = bool(served.ask(CONFIGMAPS))
            except urllib.error.URLError:
                continue
