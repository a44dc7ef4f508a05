"""The controllers of kube-controller-manager, a file each, named as there.

Read `controller.py` first, what they share, then `replicaset.py`, the loop at its plainest, and
`deployment.py`, the same with a plan. `manager.py` starts them all.
"""
