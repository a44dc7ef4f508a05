"""Getting a container's image onto the node, or the reasons why not."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.clock import Clock
from kubesim.kubelet.backoff import Backoff
from kubesim.runtime.images import Image, ImageNotFound, ImageStore, InvalidImageName

RETRY = 10.0  # seconds after which a container that can't be started for now is tried again
NEXT_LOOK = 1.0  # seconds until the kubelet looks again at a Pod that it has just changed

Event = Callable[[str, str, str], None]  # type, reason, message


@dataclass(frozen=True)
class Waiting:
    """Why a container does not run."""

    reason: str
    message: str = ""


class NotStartedError(Exception):
    """The container could not be started this time; it waits for `waiting`."""

    def __init__(self, waiting: Waiting, delay: float) -> None:
        super().__init__(waiting.reason)
        self.waiting = waiting
        self.delay = delay


class ImagePuller:
    """Pulls for one container, with a back-off of its own; every node has all images already."""

    def __init__(
        self,
        images: ImageStore,
        clock: Clock,
        event: Event,
        wait_for: Callable[[Waiting], Awaitable[None]],
    ) -> None:
        self._images = images
        self._clock = clock
        self._event = event
        self._wait_for = wait_for
        self._backoff = Backoff(clock)

    async def pull(self, container: Object) -> Image:
        """Return the container's image as its pull policy says. Raises NotStartedError."""
        reference = container["image"]
        policy = container.get("imagePullPolicy", "IfNotPresent")
        try:
            image = self._images.find(reference)
        except InvalidImageName as error:
            self._event("Warning", "InspectFailed", str(error))
            raise self._failed("InvalidImageName", str(error)) from None
        except ImageNotFound as error:
            if policy == "Never":
                message = f'Container image "{reference}" is not present with pull policy of Never'
                self._event("Warning", "ErrImageNeverPull", message)
                raise self._failed("ErrImageNeverPull", message) from None
            raise await self._not_found(reference, str(error)) from None
        self._report(reference, image, policy)
        return image

    def _failed(self, reason: str, message: str, delay: float = RETRY) -> NotStartedError:
        self._event("Warning", "Failed", f"Error: {reason}")
        return NotStartedError(Waiting(reason, message), delay)

    def _report(self, reference: str, image: Image, policy: str) -> None:
        if policy == "Always":
            self._event("Normal", "Pulling", f'Pulling image "{reference}"')
            message = f'Successfully pulled image "{reference}" in 0s (0s including waiting). '
            message += f"Image size: {image.size} bytes."
        else:
            message = f'Container image "{reference}" already present on machine'
            message += " and can be accessed by the pod"
        self._event("Normal", "Pulled", message)

    async def _not_found(self, reference: str, message: str) -> NotStartedError:
        """Show ErrImagePull, then return the back-off until the next try."""
        error = f"rpc error: code = NotFound desc = {message}"
        self._event("Normal", "Pulling", f'Pulling image "{reference}"')
        self._event("Warning", "Failed", f'Failed to pull image "{reference}": {error}')
        self._event("Warning", "Failed", "Error: ErrImagePull")
        await self._wait_for(Waiting("ErrImagePull", error))
        self._backoff.next(self._clock.monotonic())
        await self._clock.sleep(NEXT_LOOK)
        back_off = f'Back-off pulling image "{reference}"'
        self._event("Normal", "BackOff", back_off)
        message = f"{back_off}: ErrImagePull: {error}"
        return self._failed("ImagePullBackOff", message, self._backoff.current)
