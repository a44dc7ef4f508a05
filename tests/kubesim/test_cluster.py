"""The addresses of nodes and Pods, in small clusters as kind has them, and in large ones."""

import ipaddress

from kubesim.cluster import Cluster, default_nodes


def test_every_node_of_a_large_cluster_has_an_address_and_a_subnet_of_its_own():
    nodes = 600
    cluster = Cluster(nodes=default_nodes("large", nodes))
    places = [cluster.network.nodes[name] for name in cluster.nodes]
    assert (places[0].namespace.ip, places[0].pod_cidr) == ("172.18.0.2", "10.244.0.0/24")
    assert len({ipaddress.ip_address(place.namespace.ip) for place in places}) == nodes
    assert len({ipaddress.ip_network(place.pod_cidr) for place in places}) == nodes
