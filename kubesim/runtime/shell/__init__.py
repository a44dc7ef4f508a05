"""A small POSIX shell, in the manner of busybox ash."""
