"""Writing the status of a workload."""

from kubesim.apimachinery.objects import Object
from kubesim.apiserver.errors import StatusError
from kubesim.clientgo.client import Client


async def write_status(client: Client, resource: str, obj: Object, status: Object) -> Object:
    """Write status; a cached object that is out of date is worth one more attempt."""
    try:
        return await client.update(resource, obj | {"status": status}, subresource="status")
    except StatusError as error:
        if error.reason != "Conflict":
            raise
    meta = obj["metadata"]
    fresh = await client.get(resource, meta["name"], meta["namespace"])
    return await client.update(resource, fresh | {"status": status}, subresource="status")
