"""The node agent: runs the Pods that are bound to its node and reports what became of them."""
