"""kube-scheduler: decides on which node each Pod runs.

Read `scheduler.py` first: one Pod from the queue to its binding. `queue.py` holds the Pods that
wait, `cache.py` and `nodeinfo.py` know what is on each node, `snapshot.py` is what a decision looks
at, `filters.py` and `scores.py` list the plugins in the order in which they are asked.
ImageLocality is not simulated.
"""
