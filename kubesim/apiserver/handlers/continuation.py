"""Where a list that came in chunks goes on: the token that a client hands back.

It pins the list to the revision of its first chunk. The form and the words are those of
k8s.io/apiserver/pkg/storage/continue.go.
"""

import base64
import json
from dataclasses import dataclass

from kubesim.apiserver import errors
from kubesim.apiserver.serialization import gojson, gotext

VERSION = "meta.k8s.io/v1"
LATEST = -1  # instead of a revision: go on with whatever is there now


@dataclass(frozen=True)
class Token:
    """A revision, and the first key of the next chunk, without what all keys begin with."""

    revision: int
    start: str

    def text(self) -> str:
        """Return the token as clients see it."""
        token = {"v": VERSION, "rv": self.revision, "start": self.start}
        packed = json.dumps(token, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def read(cls, text: str) -> "Token":
        """Return the token that a client hands back. Raises 400."""
        problem = gotext.base64_problem(text.replace("-", "+").replace("_", "/") + _padding(text))
        if problem or "=" in text:
            raise _invalid(problem or f"illegal base64 data at input byte {text.index('=')}")
        try:
            token = gojson.loads(base64.urlsafe_b64decode(text + _padding(text)))
        except gojson.JSONError as error:
            raise _invalid(str(error)) from None
        fields = token if isinstance(token, dict) else {}
        version, revision, start = (fields.get(key) for key in ("v", "rv", "start"))
        if version != VERSION:
            raise _invalid(f'server does not recognize this encoded version "{version or ""}"')
        if type(revision) is not int or not revision:
            why = f"incorrect encoded start resourceVersion (version {VERSION})"
            raise _invalid(why)
        if not isinstance(start, str) or not start:
            raise _invalid(f"encoded start key empty (version {VERSION})")
        return cls(revision, start)


def _padding(text: str) -> str:
    return "=" * (-len(text) % 4)


def _invalid(why: str) -> errors.StatusError:
    return errors.bad_request(f"invalid continue token: continue key is not valid: {why}")
