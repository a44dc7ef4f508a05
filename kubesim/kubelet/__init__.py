"""The node agent: runs the Pods that are bound to its node and reports what became of them.

Read `kubelet.py` first, then `pod_worker.py` (one Pod) and `container.py` (one container). The real
kubelet speaks to a container runtime over the CRI and lists its containers again and again; here
containers are objects of `kubesim.runtime`, and whoever runs one awaits its end.
"""
