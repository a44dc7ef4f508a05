"""Deleting a Pod from outside its workload, and saying so in its status first."""

from kubesim.apimachinery.objects import Object, pod_is_finished, uid
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client


async def disrupt(
    client: Client, pod: Object, *, reason: str, message: str, now: str, unattended: bool = False
) -> None:
    """Give a Pod the condition DisruptionTarget and delete it; a Pod that is gone is no error.

    Args:
        client: in whose name.
        pod: the Pod as cached; only this very Pod is deleted, not its successor.
        reason: the condition's reason, for example `DeletionByTaintManager`.
        message: the condition's message.
        now: the condition's time.
        unattended: nobody is there to stop the Pod, so it is Failed and goes at once.

    """
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
    status: Object = {"conditions": [condition]} | ({"phase": "Failed"} if unattended else {})
    patch = {"metadata": {"uid": uid(pod)}, "status": status}
    grace = 0 if unattended else None
    with tolerating(404, 409):
        if not pod_is_finished(pod):
            await client.patch("pods", name, patch, namespace, subresource="status")
        await client.delete("pods", name, namespace, uid=uid(pod), grace_period=grace)
