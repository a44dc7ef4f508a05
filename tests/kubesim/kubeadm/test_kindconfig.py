"""Clusters described as kind describes them: what is taken, what is named in a note."""

import pytest

from kubesim.clock import Clock
from kubesim.cluster import SUPERUSER, Cluster
from kubesim.kubeadm import kindconfig
from kubesim.kubeadm.kindconfig import ConfigError

KIND = {"kind": "Cluster", "apiVersion": "kind.x-k8s.io/v1alpha4"}
PATCH = """
kind: ClusterConfiguration
apiServer:
  extraArgs:
    enable-admission-plugins: NodeRestriction,AlwaysPullImages
scheduler:
  extraArgs:
  - name: v
    value: "4"
"""
LABELS = """
kind: InitConfiguration
nodeRegistration:
  kubeletExtraArgs:
    node-labels: "ingress-ready=true,disk=ssd"
"""


def parse(**fields):
    return kindconfig.parse({**KIND, **fields}, None)


def test_nodes_are_named_and_labelled_as_kind_does():
    nodes = [
        {"role": "control-plane"},
        {"role": "worker", "labels": {"disk": "ssd"}, "image": "kindest/node:v1.37.0@sha256:0"},
        {"role": "worker"},
    ]
    config = parse(name="x", nodes=nodes, networking={"apiServerPort": 6443})
    assert [node.name for node in config.nodes] == ["x-control-plane", "x-worker", "x-worker2"]
    assert config.nodes[1].labels == {"disk": "ssd"}
    assert config.port == 6443
    assert config.notes == ()


def test_a_configuration_without_nodes_has_one():
    assert [n.name for n in kindconfig.parse(KIND, "y").nodes] == ["y-control-plane"]


def test_three_control_planes_are_numbered():
    nodes = [{"role": "control-plane"}] * 3
    names = [node.name for node in parse(name="x", nodes=nodes).nodes]
    assert names == ["x-control-plane", "x-control-plane2", "x-control-plane3"]


def test_the_release_of_a_node_image_is_the_nodes():
    nodes = [
        {"role": "control-plane", "image": "kindest/node:v1.36.1"},
        {"role": "worker", "image": "kindest/node:v1.20.2"},
    ]
    config = parse(nodes=nodes)
    assert config.cluster.version == "v1.36.1"
    assert [node.version for node in config.nodes] == ["v1.36.1", ""]
    assert "node image kindest/node:v1.20.2 is ignored" in config.notes[0]


def test_kubeadm_patches_set_flags_and_labels():
    nodes = [{"role": "control-plane", "kubeadmConfigPatches": [LABELS]}]
    config = parse(nodes=nodes, kubeadmConfigPatches=[PATCH])
    assert config.nodes[0].labels == {"ingress-ready": "true", "disk": "ssd"}
    assert ("kube-scheduler", "v", "4") in config.cluster.extra_args
    plugins = "NodeRestriction,AlwaysPullImages"
    assert ("kube-apiserver", "enable-admission-plugins", plugins) in config.cluster.extra_args


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"networking": {"serviceSubnet": "10.0.0.0/16"}}, "networking.serviceSubnet is ignored"),
        ({"networking": {"ipFamily": "dual"}}, "networking.ipFamily is ignored"),
        ({"networking": {"disableDefaultCNI": True}}, "leaves kindnet out"),
        ({"featureGates": {"X": True}}, "featureGates are shown in the components' flags"),
        ({"runtimeConfig": {"api/alpha": "true"}}, "runtimeConfig are shown"),
        ({"containerdConfigPatches": ["x"]}, "there is no containerd to configure"),
        ({"nodes": [{"extraMounts": [{"hostPath": "/"}]}]}, "no directory of this machine"),
        ({"nodes": [{"extraPortMappings": [{"containerPort": 80}]}]}, "use kubectl port-forward"),
        ({"kubeadmConfigPatches": ["kind: KubeletConfiguration"]}, "KubeletConfiguration"),
    ],
)
def test_what_means_nothing_here_is_noted(change, words):
    assert any(words in note for note in parse(**change).notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "Pod"}, "kind: Cluster"),
        ({"apiVersion": "kind.sigs.k8s.io/v1alpha3"}, "apiVersion: kind.x-k8s.io/v1alpha4"),
        ({"featureGate": {"X": True}}, "'featureGate' is unknown; kind knows"),
        ({"featureGates": {"X": "yes"}}, r"featureGates\.X must be true or false"),
        ({"networking": {"podSubnet": "10.0.0.1/8"}}, r"networking\.podSubnet: .*host bits"),
        ({"networking": {"podSubnet": "10.0.0.0/25"}}, "must hold a /24 for every node"),
        ({"networking": {"kubeProxyMode": "x"}}, "kubeProxyMode is 'x'"),
        ({"nodes": [{"role": "worker"}]}, "0 control planes"),
        ({"nodes": [{"role": "master"}]}, r"nodes\[0\].role is 'master'"),
        ({"nodes": ["worker"]}, r"nodes\[0\] must be a mapping"),
        ({"networking": {"apiServerPort": "x"}}, "must be a port number"),
        ({"kubeadmConfigPatches": ["a: ["]}, r"kubeadmConfigPatches\[0\] is not YAML"),
        ({"kubeadmConfigPatches": "x"}, "must be a list of YAML texts"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(ConfigError, match=words):
        parse(**change)


@pytest.mark.parametrize("text", ["a: [", "- a\n- b\n", ""])
def test_a_configuration_that_is_none_is_named(tmp_path, text):
    path = tmp_path / "kind.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"kind\.yaml"):
        kindconfig.load(path, None)


async def test_a_cluster_is_as_its_configuration_says():
    config = parse(
        name="x",
        nodes=[{"role": "control-plane", "image": "kindest/node:v1.36.0"}, {"role": "worker"}],
        networking={
            "podSubnet": "10.10.0.0/16",
            "kubeProxyMode": "none",
            "disableDefaultCNI": True,
        },
        featureGates={"InPlacePodVerticalScaling": True},
        kubeadmConfigPatches=[PATCH],
    )
    cluster = Cluster("x", config.nodes, clock=Clock(speed=0), config=config.cluster)
    await cluster.start()
    try:
        await cluster.clock.advance(2)
        api = cluster.client(*SUPERUSER)
        nodes = (await api.list("nodes"))["items"]
        assert [node["spec"]["podCIDR"] for node in nodes] == ["10.10.0.0/24", "10.10.1.0/24"]
        assert {node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes} == {"v1.36.0"}
        assert (await api.list("daemonsets.apps", "kube-system"))["items"] == []
        pod = await api.get("pods", "kube-scheduler-x-control-plane", "kube-system")
        command = pod["spec"]["containers"][0]["command"]
        assert pod["spec"]["containers"][0]["image"] == "registry.k8s.io/kube-scheduler:v1.36.0"
        assert "--v=4" in command
        assert "--feature-gates=InPlacePodVerticalScaling=true" in command
    finally:
        await cluster.stop()
