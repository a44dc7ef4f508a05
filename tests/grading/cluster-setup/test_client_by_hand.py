"""Grades cluster-setup/client-by-hand: a script that connects by the parts of a kubeconfig."""

import base64
import copy
import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubelab.grading import AnswerError, Exercise

exercise = Exercise(
    title="A client by hand",
    answer="py",
    hints=[
        "current-context is a name. Find the entry of `contexts` with that name; it names an "
        "entry of `clusters` and one of `users`. Never take the first.",
        "ssl_ca_cert wants the path of a file: write the decoded authority into one. A "
        "tempfile.TemporaryDirectory is readable by you alone.",
        "authority.fingerprint(SHA256()).hex() is the fingerprint. It is made of the certificate "
        "itself, not of its base64 text.",
    ],
)
NOWHERE = "https://127.0.0.1:9"  # the port "discard", on which nobody listens any more


class Reporter:
    """Runs the answer with a kubeconfig, and reads what it has written."""

    def __init__(self, answer: Any, core: Any, namespace: str) -> None:
        self._answer, self._core, self._namespace = answer, core, namespace

    def run(self, kubeconfig: dict[str, Any]) -> dict[str, str] | None:
        """Return the data of the ConfigMap `connection` that a new run leaves, if it does."""
        self._core.delete_collection_namespaced_config_map(
            self._namespace, field_selector="metadata.name=connection"
        )
        ended = self._answer.run(kubeconfig)
        if ended.exit_code:
            raise AnswerError(
                f"your program ended with exit code {ended.exit_code}", look=ended.stderr.strip()
            )
        return self.report()

    def report(self) -> dict[str, str] | None:
        """Return the data of the ConfigMap `connection`, if there is one."""
        found = self._core.list_namespaced_config_map(
            self._namespace, field_selector="metadata.name=connection"
        ).items
        return (found[0].data or {}) if found else None


@pytest.fixture(scope="module")
def reporter(answer: Any, core: Any, namespace: str) -> Reporter:
    """What runs the answer."""
    return Reporter(answer, core, namespace)


def parts(kubeconfig: dict[str, Any]) -> dict[str, str]:
    """Return what the answer should report about a kubeconfig."""
    name = kubeconfig["current-context"]
    context = entry(kubeconfig, "contexts", name)["context"]
    cluster = entry(kubeconfig, "clusters", context["cluster"])["cluster"]
    pem = base64.b64decode(cluster["certificate-authority-data"])
    fingerprint = x509.load_pem_x509_certificate(pem).fingerprint(hashes.SHA256())
    return {
        "context": name,
        "server": cluster["server"],
        "user": context["user"],
        "authority": fingerprint.hex(),
    }


def entry(kubeconfig: dict[str, Any], section: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in kubeconfig[section] if each["name"] == name)
    return found


@pytest.fixture(scope="module")
def simple(reporter: Reporter, learner_kubeconfig: dict[str, Any]) -> dict[str, str] | None:
    """What the answer reports when the kubeconfig has one entry of each sort."""
    return reporter.run(learner_kubeconfig)


def test_it_connects(check: Any, simple: dict[str, str] | None) -> None:
    """It connects, and writes the ConfigMap into the context's namespace"""
    check.that(
        simple is not None,
        observed="the script ended without an error, and there is no ConfigMap connection",
        expected="a ConfigMap connection in the namespace that the context names",
        look="does the script create it, and where?",
    )


def test_report(
    check: Any, simple: dict[str, str] | None, learner_kubeconfig: dict[str, Any]
) -> None:
    """It reports the right context, server, user and authority"""
    for name, value in parts(learner_kubeconfig).items():
        check.equal(
            (simple or {}).get(name),
            value,
            what=f"the entry {name} of the ConfigMap connection",
            look=f"the fourth demand: what is meant by {name}?",
        )


def test_current_context(
    check: Any, reporter: Reporter, learner_kubeconfig: dict[str, Any]
) -> None:
    """Among several contexts it takes the current one"""
    crowded = crowd(learner_kubeconfig)
    try:
        report = reporter.run(crowded)
    except AnswerError as error:
        check.fail(
            f"with {len(crowded['contexts'])} contexts, clusters and users: {error}",
            "a connection by the cluster and the user that the current context names",
            look="how do you find the entries? their order means nothing",
        )
    check.equal(
        report,
        parts(crowded),
        what="the data of the ConfigMap connection",
        look="are the context, its cluster and its user looked up by their names?",
    )


def crowd(kubeconfig: dict[str, Any]) -> dict[str, Any]:
    """Return a kubeconfig with four entries in each section, of which one leads to the cluster.

    It stands first or last in no section, and nowhere in the same place as in `contexts`.
    """
    home, *others = (f"{word}-{secrets.token_hex(2)}" for word in ("home", "work", "lab", "old"))
    work, lab, old = others
    cluster = kubeconfig["clusters"][0]["cluster"]
    away = {**cluster, "server": NOWHERE}
    user = kubeconfig["users"][0]["user"]
    stranger = {"token": "expired"}
    namespace = kubeconfig["contexts"][0]["context"]["namespace"]
    return {
        **kubeconfig,
        "clusters": [
            {"name": f"cluster-{name}", "cluster": cluster if name == home else away}
            for name in (lab, old, home, work)
        ],
        "users": [
            {"name": f"user-{name}", "user": user if name == home else stranger}
            for name in (old, work, home, lab)
        ],
        "contexts": [context(name, namespace) for name in (work, home, lab, old)],
        "current-context": home,
    }


def context(name: str, namespace: str) -> dict[str, Any]:
    """Return the entry of a context that pairs the cluster and the user called after it."""
    pair = {"cluster": f"cluster-{name}", "user": f"user-{name}", "namespace": namespace}
    return {"name": name, "context": pair}


@pytest.mark.usefixtures("simple")
def test_wrong_authority(
    check: Any, reporter: Reporter, learner_kubeconfig: dict[str, Any]
) -> None:
    """It refuses a server that the authority does not vouch for"""
    doubtful = copy.deepcopy(learner_kubeconfig)
    doubtful["clusters"][0]["cluster"]["certificate-authority-data"] = another_authority()
    try:
        reporter.run(doubtful)
    except AnswerError:
        ended_well = False
    else:
        ended_well = True
    written = reporter.report() is not None
    check.that(
        not ended_well and not written,
        observed="with an authority that did not issue the server's certificate, the script "
        + ("wrote the ConfigMap all the same" if written else "ended as if all were well"),
        expected="an error, and nothing written: this server could be anybody",
        look="verify_ssl and ssl_ca_cert of client.Configuration; is an exception caught?",
    )


def another_authority() -> str:
    """Return the certificate of an authority made on the spot, base64-encoded."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.PEM)).decode()
