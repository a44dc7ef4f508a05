"""kube-scheduler: decides on which node each Pod runs.

Read `scheduler.py` first: one Pod from the queue to its binding. `queue.py` holds the Pods that
wait, `snapshot.py` what a decision looks at, `filters.py` and `scores.py` list the plugins in the
order in which they are asked. ImageLocality is not simulated.
"""
