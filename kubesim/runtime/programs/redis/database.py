"""What a redis server holds."""

from dataclasses import dataclass, field
from typing import TypeVar

from kubesim.clock import Clock
from kubesim.runtime.programs.redis.protocol import RedisError

WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
Value = str | list[str] | set[str] | dict[str, str]
Kind = TypeVar("Kind", str, list[str], set[str], dict[str, str])


@dataclass
class Database:
    """Keys with values, and the moments at which some expire."""

    clock: Clock
    values: dict[str, Value] = field(default_factory=dict)
    expiries: dict[str, float] = field(default_factory=dict)
    settings: dict[str, str] = field(default_factory=dict)

    def expire(self) -> None:
        """Forget what has expired."""
        now = self.clock.monotonic()
        for key in [key for key, moment in self.expiries.items() if moment <= now]:
            self.remove(key)

    def remove(self, key: str) -> bool:
        """Forget a key; return whether there was one."""
        self.expiries.pop(key, None)
        return self.values.pop(key, None) is not None

    def get(self, key: str, empty: Kind) -> Kind:
        """Return a key's value, `empty` without one. Raises RedisError if it is of another kind."""
        value = self.values.get(key, empty)
        if not isinstance(value, type(empty)):
            raise RedisError(WRONG_TYPE)
        return value

    def make(self, key: str, empty: Kind) -> Kind:
        """Return a key's value, kept as `empty` if there was none."""
        value = self.values[key] = self.get(key, empty)
        return value

    def drop_if_empty(self, key: str) -> None:
        """Forget a key whose list, set or hash has nothing left in it."""
        if not self.values.get(key, "kept"):
            self.remove(key)
