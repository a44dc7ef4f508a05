"""The simulated network between Pods, and what kube-proxy and the cluster DNS make of it."""
