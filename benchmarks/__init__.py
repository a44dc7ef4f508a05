"""What the course promises, measured: `make bench`. Each subject has a file of its own.

Timings belong here and not into tests: they depend on the machine and on what else it is doing.
"""
