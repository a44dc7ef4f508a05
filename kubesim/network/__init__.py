"""The simulated network between Pods, and what is built on it.

`fabric.py` carries connections; kube-proxy, NetworkPolicies, the cluster DNS and the Ingress
controller each tell it, or are reached through it, in a file of their own. Nothing here is a
packet: a connection is opened, refused or never answered, and then bytes flow.
"""
