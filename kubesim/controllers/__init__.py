"""The controllers of kube-controller-manager, a file each, named as there."""
