"""Deleting a Pod from outside its workload, and saying so in its status first."""

from kubesim.absence import tolerating
from kubesim.client import Client
from kubesim.objects import Object, uid


async def disrupt(
    client: Client,
    pod: Object,
    *,
    reason: str,
    message: str,
    now: str,
    failed: bool = False,
) -> None:
    """Give a Pod the condition DisruptionTarget and delete it; a Pod that is gone is no error.

    Args:
        client: in whose name.
        pod: the Pod as cached; only this very Pod is deleted, not its successor.
        reason: the condition's reason, for example `DeletionByTaintManager`.
        message: the condition's message.
        now: the condition's time.
        failed: whether its phase becomes Failed and it goes at once, because nobody is there to
            stop it.

    """
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": now,
    }
    status: Object = {"conditions": [condition]} | ({"phase": "Failed"} if failed else {})
    patch = {"metadata": {"uid": uid(pod)}, "status": status}
    grace = 0 if failed else None
    with tolerating(404, 409):
        await client.patch("pods", name, patch, namespace, subresource="status")
        await client.delete("pods", name, namespace, uid=uid(pod), grace_period=grace)
