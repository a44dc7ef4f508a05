"""Certificate requests: approved, signed, refused, tidied up."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from kubesim.apiserver.auth.authorization import RBAC
from kubesim.apiserver.auth.certificates import CertificateAdmission
from kubesim.apiserver.auth.reviews import Reviews
from kubesim.apiserver.errors import StatusError
from kubesim.apiserver.registry.lookup import Lookup
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import InformerFactory
from kubesim.controllers.certificates import CertificateCleaner
from kubesim.kubeadm.bootstrap import bootstrap
from kubesim.kubeadm.config import ClusterConfig
from kubesim.kubeadm.pki import PKI

REQUESTS = "certificatesigningrequests.certificates.k8s.io"
CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET = "kubernetes.io/kube-apiserver-client-kubelet"
SERVING = "kubernetes.io/kubelet-serving"
CLIENT_USAGES = ["client auth"]
KUBELET_USAGES = ["client auth", "digital signature"]


def pem(common_name="jane", organizations=("dev",), dns=()):
    names = [(NameOID.ORGANIZATION_NAME, o) for o in organizations]
    names.append((NameOID.COMMON_NAME, common_name))
    subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    if dns:
        builder = builder.add_extension(x509.SubjectAlternativeName(map(x509.DNSName, dns)), False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def request(name="jane", signer=CLIENT, usages=CLIENT_USAGES, csr=None, **spec):
    encoded = base64.b64encode(csr or pem()).decode()
    return {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"request": encoded, "signerName": signer, "usages": list(usages)} | spec,
    }


async def approve(world, name, kind="Approved"):
    found = await world.api.get(REQUESTS, name)
    condition = {"type": kind, "status": "True", "reason": "Test"}
    changed = found | {"status": {"conditions": [condition]}}
    await world.api.update(REQUESTS, changed, subresource="approval")
    await world.settle()
    return await world.api.get(REQUESTS, name)


def conditions(found):
    return {c["type"]: c["reason"] for c in found["status"].get("conditions", ())}


def certificate(found):
    return x509.load_pem_x509_certificate(base64.b64decode(found["status"]["certificate"]))


@pytest.fixture
def with_authority(make_world, tmp_path):
    """A world with a certificate authority and with RBAC's reviews."""

    async def start(world, *, authority=True):
        await bootstrap(
            world.api, ClusterConfig(), address="172.18.0.2", cluster_info="", ca_pem=""
        )
        objects = Lookup(world.server.storage)
        rbac = RBAC(objects)
        world.server.virtual = Reviews(None, rbac, rbac, objects, world.clock).handlers()
        world.server.authorizer = rbac
        world.server.validators.append(CertificateAdmission(rbac))
        keys = {"certificates": PKI(tmp_path / "pki", "10.96.0.1")} if authority else {}
        world.start_controllers(**keys)
        await world.settle()

    return start


async def test_an_approved_request_is_signed(make_world, with_authority):
    async with make_world(controllers=False, scheduler=False) as world:
        await with_authority(world)
        await world.api.create(REQUESTS, request(expirationSeconds=3600))
        found = await approve(world, "jane")
        signed = certificate(found)
        assert signed.subject.rfc4514_string() == "CN=jane,O=dev"
        usage = signed.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        assert signed.not_valid_after_utc - signed.not_valid_before_utc == timedelta(hours=1)
        assert signed.not_valid_before_utc < datetime.now(UTC)
        assert found["spec"]["username"] == "kubernetes-admin"
        assert "system:masters" in found["spec"]["groups"]


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (
            request(usages=["server auth"]),
            "invalid usage for client certificate: server auth",
        ),
        (
            request(usages=["digital signature"]),
            "missing required usage for client certificate: client auth",
        ),
        (
            request(signer=KUBELET, usages=KUBELET_USAGES),
            "subject organization is not system:nodes",
        ),
        (
            request(signer=KUBELET, usages=KUBELET_USAGES, csr=pem("x", ["system:nodes"])),
            "subject common name does not begin with system:node:",
        ),
        (
            request(
                signer=SERVING,
                usages=["server auth", "digital signature"],
                csr=pem("system:node:a", ["system:nodes"]),
            ),
            "DNS or IP subjectAltName is required",
        ),
    ],
)
async def test_a_signer_says_what_it_does_not_sign(make_world, with_authority, made, problem):
    async with make_world(controllers=False, scheduler=False) as world:
        await with_authority(world)
        await world.api.create(REQUESTS, made)
        found = await approve(world, "jane")
        failed = next(c for c in found["status"]["conditions"] if c["type"] == "Failed")
        assert (failed["reason"], failed["message"]) == ("SignerValidationFailure", problem)
        assert "certificate" not in found["status"]


async def test_a_kubelet_gets_its_client_certificate_by_itself(make_world, with_authority):
    async with make_world(controllers=False, scheduler=False) as world:
        await with_authority(world)
        groups = ("system:nodes", "system:authenticated")
        world.server.authorizer = None  # the node authorizer would let it
        kubelet = Client(world.server, "system:node:a", groups)
        csr = pem("system:node:a", ["system:nodes"])
        await kubelet.create(REQUESTS, request("a", KUBELET, KUBELET_USAGES, csr))
        await world.settle()
        found = await world.api.get(REQUESTS, "a")
        assert conditions(found) == {"Approved": "AutoApproved"}
        assert certificate(found).subject.rfc4514_string() == "CN=system:node:a,O=system:nodes"


async def test_what_nobody_signs_stays_approved(make_world, with_authority):
    async with make_world(controllers=False, scheduler=False) as world:
        await with_authority(world, authority=False)
        await world.api.create(REQUESTS, request())
        await world.api.create(REQUESTS, request("other", "example.com/mine"))
        for name in ("jane", "other"):
            found = await approve(world, name)
            assert conditions(found) == {"Approved": "Test"}
            assert "certificate" not in found["status"]
        assert [reason for reason, _ in await world.events("jane")] == ["SigningDisabled"]


async def test_who_may_approve_and_sign(make_world, with_authority):
    async with make_world(controllers=False, scheduler=False) as world:
        await with_authority(world)
        world.server.authorizer = None
        await world.api.create(REQUESTS, request("mine", "example.com/mine"))
        found = await world.api.get(REQUESTS, "mine")
        bob = Client(world.server, "bob")
        for subresource, verb in (("approval", "approve"), ("status", "sign")):
            status = {
                "conditions": [{"type": "Approved", "status": "True", "reason": "x"}],
                "certificate": base64.b64encode(pem()).decode(),
            }
            with pytest.raises(StatusError, match=f"user not permitted to {verb} requests with"):
                changed = found | {"status": status}
                if subresource == "status":
                    block = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"
                    status["certificate"] = base64.b64encode(block.encode()).decode()
                await bob.update(REQUESTS, changed, subresource=subresource)
        almighty = request("m", csr=pem(organizations=["system:masters"]))
        with pytest.raises(StatusError, match="system:masters group is not allowed"):
            await bob.create(REQUESTS, almighty)


@pytest.mark.parametrize(("kind", "hours"), [("Approved", 1), ("Denied", 1), ("", 24)])
async def test_settled_requests_are_forgotten(make_world, kind, hours):
    async with make_world(controllers=False, scheduler=False) as world:
        informers = InformerFactory(world.api, world.clock)
        cleaner = CertificateCleaner(world.api, informers, world.clock)
        world.start("informers", informers.run())
        world.start("cleaner", cleaner.run())
        await world.api.create(REQUESTS, request())
        if kind:
            await approve(world, "jane", kind)
        await world.advance(hours * 3600 - 60)
        assert await world.exists(REQUESTS, "jane", None)
        await world.advance(3700)
        assert not await world.exists(REQUESTS, "jane", None)


@pytest.mark.parametrize(
    ("change", "field", "message"),
    [
        ({"request": "aGk="}, "spec.request", "PEM block type must be CERTIFICATE REQUEST"),
        ({"usages": []}, "spec.usages", "usages must be provided"),
        ({"usages": ["flying"]}, "spec.usages[0]", 'Unsupported value: "flying"'),
        ({"usages": CLIENT_USAGES * 2}, "spec.usages[1]", "Duplicate value"),
        ({"signerName": "foo"}, "spec.signerName", "must be a fully qualified domain and path"),
        ({"signerName": ""}, "spec.signerName", "signerName must be provided"),
        (
            {"signerName": "kubernetes.io/legacy-unknown"},
            "spec.signerName",
            "the legacy signerName is not allowed",
        ),
        ({"expirationSeconds": 10}, "spec.expirationSeconds", "less than 600 seconds"),
    ],
)
async def test_what_a_request_may_not_say(make_world, change, field, message):
    async with make_world(controllers=False, scheduler=False) as world:
        with pytest.raises(StatusError) as refused:
            await world.api.create(REQUESTS, request(**change))
        causes = refused.value.details["causes"]
        assert any(c["field"] == field and message in c["message"] for c in causes)


async def test_an_approval_is_final(make_world):
    async with make_world(controllers=False, scheduler=False) as world:
        await world.api.create(REQUESTS, request())
        await approve(world, "jane")
        with pytest.raises(StatusError, match='may not remove a condition of type "Approved"'):
            await approve(world, "jane", "Denied")
