"""The credentials on a node's disk: whose they are, and how long they are good for."""

from base64 import b64decode
from datetime import timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from kubesim.kubeadm import certs
from kubesim.kubeadm.pki import PKI

SERVER = "https://172.18.0.2:6443"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    return PKI(tmp_path_factory.mktemp("pki"), "10.96.0.1")


@pytest.fixture(scope="module")
def master(keys):
    return dict(certs.files(keys, "kind", "master", SERVER, True))


def subject(pem):
    """CN and O of a certificate."""
    name = x509.load_pem_x509_certificate(pem).subject
    return tuple(
        "".join(each.value for each in name.get_attributes_for_oid(oid))
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    )


@pytest.mark.parametrize(
    ("name", "user", "group"),
    [
        ("admin.conf", "kubernetes-admin", "kubeadm:cluster-admins"),
        ("super-admin.conf", "kubernetes-super-admin", "system:masters"),
        ("controller-manager.conf", "system:kube-controller-manager", ""),
        ("scheduler.conf", "system:kube-scheduler", ""),
        ("kubelet.conf", "system:node:master", "system:nodes"),
    ],
)
def test_each_component_has_a_kubeconfig_of_its_own(master, name, user, group):
    config = yaml.safe_load(master[f"/etc/kubernetes/{name}"])
    assert config["current-context"] == f"{user}@kind"
    assert config["clusters"][0]["cluster"]["server"] == SERVER
    credentials = config["users"][0]["user"]
    assert subject(b64decode(credentials["client-certificate-data"])) == (user, group)


@pytest.mark.parametrize(
    ("name", "common_name"),
    [
        ("pki/apiserver", "kube-apiserver"),
        ("pki/apiserver-kubelet-client", "kube-apiserver-kubelet-client"),
        ("pki/front-proxy-client", "front-proxy-client"),
        ("pki/etcd/server", "master"),
        ("pki/ca", "kubernetes"),
    ],
)
def test_certificates_carry_kubeadms_names(master, name, common_name):
    assert subject(master[f"/etc/kubernetes/{name}.crt"])[0] == common_name


def test_certificates_are_good_for_a_year_and_the_authority_for_ten(master):
    for name, days in (("apiserver-kubelet-client", 365), ("ca", 3650)):
        found = x509.load_pem_x509_certificate(master[f"/etc/kubernetes/pki/{name}.crt"])
        assert found.not_valid_after_utc - found.not_valid_before_utc == timedelta(days=days)


def test_a_worker_has_only_what_its_kubelet_needs(keys):
    found = dict(certs.files(keys, "kind", "worker", SERVER, False))
    assert set(found) == {"/etc/kubernetes/kubelet.conf", "/etc/kubernetes/pki/ca.crt"}


def test_no_node_has_the_authoritys_private_key(master):
    assert not any(name.endswith(("ca.key", "sa.key")) for name in master)
