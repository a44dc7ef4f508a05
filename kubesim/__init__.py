"""A readable Kubernetes control plane, kubelets and runtime in one Python process."""
