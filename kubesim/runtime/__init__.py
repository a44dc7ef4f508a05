"""What runs in a container: images, file systems, processes, a small shell and its programs.

Nothing here starts a process of the host, opens a socket or touches a file of the host.
"""
