"""Gone is not an error: what a controller wanted to change may have been deleted meanwhile."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubesim.apimachinery.objects import Object
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client

NOT_FOUND = 404


@contextmanager
def tolerating(*codes: int) -> Iterator[None]:
    """Leave the block quietly when the API server answers with one of these codes."""
    try:
        yield
    except StatusError as error:
        if error.code not in codes:
            raise


async def find(client: Client, resource: str, name: str, namespace: str = "") -> Object | None:
    """The object as the API server has it now, or None."""
    with tolerating(NOT_FOUND):
        return await client.get(resource, name, namespace or None)
    return None
