"""CONFIG: what the server was told in its file, on its command line and by CONFIG SET."""

import re
from fnmatch import fnmatchcase

from kubesim.runtime.programs.redis.database import Database
from kubesim.runtime.programs.redis.protocol import Reply, Status

DEFAULTS = {
    "appendonly": "no",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
    "port": "6379",
    "requirepass": "",
}
UNITS = {"k": 10**3, "kb": 2**10, "m": 10**6, "mb": 2**20, "g": 10**9, "gb": 2**30}
MEMORY = re.compile(r"(\d+)([kmg]b?)", re.IGNORECASE)


def read(settings: dict[str, str]) -> dict[str, str]:
    """Return all settings, amounts of memory in bytes."""
    return DEFAULTS | _told(settings)


def _told(settings: dict[str, str]) -> dict[str, str]:
    return {name.lower(): _plain(value) for name, value in settings.items() if name}


def _plain(value: str) -> str:
    match = MEMORY.fullmatch(value)
    return str(int(match[1]) * UNITS[match[2].lower()]) if match else value


def config(database: Database, words: list[str]) -> Reply:
    """Do CONFIG GET PATTERN… and CONFIG SET NAME VALUE…; the others are answered with nothing."""
    action, *rest = words
    if action.lower() == "get":
        found = [
            (name, value)
            for name, value in database.settings.items()
            if any(fnmatchcase(name, pattern.lower()) for pattern in rest)
        ]
        return [word for pair in found for word in pair]
    if action.lower() == "set" and rest and len(rest) % 2 == 0:
        database.settings.update(_told(dict(zip(rest[::2], rest[1::2], strict=True))))
        return Status("OK")
    return []
