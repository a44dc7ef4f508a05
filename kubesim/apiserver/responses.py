"""The two shapes of a plain answer."""

from typing import Any

from kubesim.apiserver.registry.storage import dump
from kubesim.apiserver.request import Response


def json_response(
    value: Any, status: int = 200, content_type: str = "application/json"
) -> Response:
    """A compact JSON body with a newline at its end, byte for byte as Go's encoder writes it."""
    return Response(status, {"content-type": content_type}, dump(value) + b"\n")


def text_response(text: str, status: int = 200) -> Response:
    """A plain text body."""
    return Response(status, {"content-type": "text/plain; charset=utf-8"}, text.encode())
