"""Certificate requests: who asks, who approves, what is signed."""

import base64
import secrets
from contextlib import suppress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from kubernetes import client

from kubelab import waiting
from tests.conformance.support import causes_of

CLIENT = "kubernetes.io/kube-apiserver-client"


def signing_request(common_name, *organizations):
    key = ec.generate_private_key(ec.SECP256R1())
    names = [(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    names.append((NameOID.COMMON_NAME, common_name))
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return key, base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.fixture
def certificates(cluster):
    return client.CertificatesV1Api(cluster.api_client())


@pytest.fixture
def ask_for(certificates):
    """Makes a request; returns its name. All are deleted at the end."""
    made = []

    def create(request=None, **spec):
        name = f"conformance-{secrets.token_hex(4)}"
        request = signing_request("jane", "dev")[1] if request is None else request
        given = {"request": request, "signerName": CLIENT, "usages": ["client auth"]} | spec
        certificates.create_certificate_signing_request({"metadata": {"name": name}, "spec": given})
        made.append(name)
        return name

    yield create
    for name in made:
        with suppress(client.ApiException):
            certificates.delete_certificate_signing_request(name)


@pytest.fixture
def decide(certificates):
    def write(name, *kinds, status="True"):
        found = certificates.read_certificate_signing_request(name)
        found.status.conditions = [
            client.V1CertificateSigningRequestCondition(
                type=kind, status=status, reason="Test", message="for the test"
            )
            for kind in kinds
        ]
        return certificates.replace_certificate_signing_request_approval(name, found)

    return write


def issued(certificates, name):
    return waiting.until(
        lambda: certificates.read_certificate_signing_request(name).status.certificate
    )


def test_a_request_notes_who_asks(certificates, ask_for):
    spec = certificates.read_certificate_signing_request(ask_for(username="eve")).spec
    assert spec.username == "kubernetes-admin"
    assert "system:authenticated" in spec.groups


def test_an_approved_request_is_signed_by_the_clusters_authority(certificates, ask_for, decide):
    name = ask_for()
    decide(name, "Approved")
    signed = x509.load_pem_x509_certificate(base64.b64decode(issued(certificates, name)))
    assert signed.issuer.rfc4514_string() == "CN=kubernetes"
    assert signed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == "jane"
    usage = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    basic = signed.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (basic.critical, basic.value.ca) == (True, False)


def test_a_signed_certificate_lets_its_holder_in(
    cluster, certificates, ask_for, decide, refusal, namespace, tmp_path
):
    key, request = signing_request("jane", "dev")
    name = ask_for(request)
    decide(name, "Approved")
    certificate = tmp_path / "jane.crt"
    certificate.write_bytes(base64.b64decode(issued(certificates, name)))
    private = tmp_path / "jane.key"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    admin = cluster.api_client().configuration
    configuration = client.Configuration(host=admin.host)
    configuration.ssl_ca_cert = admin.ssl_ca_cert
    configuration.cert_file, configuration.key_file = str(certificate), str(private)
    jane = client.CoreV1Api(client.ApiClient(configuration))
    status = refusal(jane.list_namespaced_pod, namespace)
    assert status["message"].startswith('pods is forbidden: User "jane" cannot list resource')


def test_a_usage_that_the_signer_does_not_sign_fails(certificates, ask_for, decide):
    name = ask_for(usages=["server auth"])
    decide(name, "Approved")

    def failed():
        found = certificates.read_certificate_signing_request(name).status.conditions
        return next((c for c in found if c.type == "Failed"), None)

    condition = waiting.until(failed)
    assert condition.reason == "SignerValidationFailure"
    assert condition.message == "invalid usage for client certificate: server auth"


def test_nobody_can_ask_to_be_almighty(ask_for, refusal):
    request = signing_request("jane", "system:masters")[1]
    status = refusal(ask_for, request)
    assert (status["code"], status["reason"]) == (403, "Forbidden")
    told = f"use of {CLIENT} signer with system:masters group is not allowed"
    assert status["message"].endswith(told)


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        ({"request": "aGVsbG8="}, "spec.request", "PEM block type must be CERTIFICATE REQUEST"),
        ({"usages": []}, "spec.usages", "Required value: usages must be provided"),
        ({"usages": ["flying"]}, "spec.usages[0]", 'Unsupported value: "flying": supported values'),
        (
            {"usages": ["client auth", "client auth"]},
            "spec.usages[1]",
            'Duplicate value: "client auth"',
        ),
        (
            {"signerName": "foo"},
            "spec.signerName",
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        ),
        (
            {"signerName": "kubernetes.io/legacy-unknown"},
            "spec.signerName",
            "the legacy signerName is not allowed via this API version",
        ),
    ],
)
def test_what_a_request_may_not_say(ask_for, refusal, spec, field, message):
    status = refusal(ask_for, **spec)
    assert any(where == field and message in told for where, told in causes_of(status)), status


@pytest.mark.since("1.22", "https://kubernetes.io/docs/reference/kubernetes-api/")
def test_a_validity_of_less_than_ten_minutes_is_refused(ask_for, refusal):
    status = refusal(ask_for, expirationSeconds=10)
    assert {where for where, _ in causes_of(status)} == {"spec.expirationSeconds"}


def test_the_spec_of_a_request_does_not_change(certificates, ask_for):
    name = ask_for()
    change = {"spec": {"signerName": "example.com/other"}}
    changed = certificates.patch_certificate_signing_request(name, change)
    assert changed.spec.signer_name == CLIENT


def test_an_approval_cannot_be_taken_back(ask_for, decide, refusal):
    name = ask_for(signerName="example.com/mine")
    decide(name, "Approved")
    status = refusal(decide, name)
    told = 'Forbidden: updates may not remove a condition of type "Approved"'
    assert ("status.conditions", told) in causes_of(status)


def test_approved_and_denied_exclude_each_other(ask_for, decide, refusal):
    name = ask_for(signerName="example.com/mine")
    status = refusal(decide, name, "Approved", "Denied")
    assert any("mutually exclusive" in told for _, told in causes_of(status))


def test_an_approval_is_true_or_absent(ask_for, decide, refusal):
    name = ask_for(signerName="example.com/mine")
    status = refusal(decide, name, "Approved", status="False")
    told = 'Unsupported value: "False": supported values: "True"'
    assert ("status.conditions[0].status", told) in causes_of(status)


def test_kubectl_approves_and_denies(kubectl, ask_for, certificates):
    good, bad = ask_for(), ask_for()
    kubectl("certificate", "approve", good)
    kubectl("certificate", "deny", bad)
    issued(certificates, good)
    for name, condition in ((good, "Approved,Issued"), (bad, "Denied")):
        row = kubectl("get", "csr", name, "--no-headers").split()
        assert (row[0], row[2], row[3], row[-1]) == (name, CLIENT, "kubernetes-admin", condition)
