"""The few lines of a long log that say what went wrong."""

import re

_TELLING = re.compile(
    r"error|fail|fatal|refus|denied|not found|no such|no space|timed out|unable|cannot|unsupported"
    r"|already in use|already allocated|not healthy|not running|cgroup",
    re.IGNORECASE,
)
# Stack traces of Go programs, and klog's per-request chatter.
_NOISE = re.compile(r"^\s*(/|k8s\.io/|github\.com/|runtime\.|main\.|goroutine )|round_trippers")
_STAMP = re.compile(r"^[IWEF]\d{4} [\d:.]+ +\d+ ")
LONGEST_LINE = 300


def useful_lines(log: str, limit: int = 8) -> str:
    """Return the last `limit` different lines that tell of a failure, else the last lines."""
    lines = [_STAMP.sub("", line).rstrip() for line in log.splitlines()]
    lines = [line for line in lines if line and not _NOISE.search(line)]
    telling = [line for line in lines if _TELLING.search(line)]
    chosen = list(dict.fromkeys(telling or lines))[-limit:]
    return "\n".join(f"  {line[:LONGEST_LINE]}" for line in chosen) or "  (it printed nothing)"
