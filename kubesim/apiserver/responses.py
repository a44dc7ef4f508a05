"""The two shapes of a plain answer."""

import json
from typing import Any

from kubesim.apiserver.request import Response


def json_response(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> Response:
    """A compact JSON body with a newline at its end, byte for byte as Go's encoder writes it."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False) + "\n"
    return Response(status, {"content-type": content_type}, body.encode())


def text_response(text: str, status: int = 200) -> Response:
    """A plain text body."""
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
