"""What is said while a cluster is started: to stderr, so that results on stdout stay clean."""

import sys


def say(line: str) -> None:
    """Show one line of progress at once."""
    print(line, file=sys.stderr, flush=True)
