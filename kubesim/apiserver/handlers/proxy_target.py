"""What the name in the path of a proxy request means (apimachinery's SplitSchemeNamePort)."""

from dataclasses import dataclass

from kubesim.apiserver import errors
from kubesim.apiserver.request import RequestInfo

KINDS = {"pods": "pod", "services": "service", "nodes": "node"}


@dataclass(frozen=True)
class Target:
    """What a name in a proxy's path says."""

    scheme: str
    name: str
    port: str

    @classmethod
    def parse(cls, kind: str, text: str) -> "Target":
        """Read `name`, `name:port` or `scheme:name:port`. Raises 400."""
        parts = text.split(":")
        scheme = parts.pop(0) if len(parts) == 3 else ""
        name, port = [*parts, ""][:2]
        if len(parts) > 2 or scheme not in ("", "http", "https") or not name:
            raise errors.bad_request(f'invalid {kind} request "{text}"')
        return cls(scheme or "http", name, port)


def target_of(info: RequestInfo) -> Target:
    """Return what the name in a proxy's path says. Raises 400."""
    return Target.parse(KINDS[info.resource], info.name)
