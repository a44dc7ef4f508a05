"""Getting a container's image onto the node, or the reasons why not (`pkg/kubelet/images`)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from kubesim.apimachinery.objects import Object
from kubesim.clock import Clock
from kubesim.kubelet.backoff import Backoff
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.images import ImageNotFound, ImageStore, InvalidImageName

BYTES_PER_SECOND = 50e6  # at which nodes pull
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
    """Pulls for one container, with a back-off of its own; what one node has pulled all have."""

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
            present = self._images.present(reference)
        except InvalidImageName as error:
            self._event("Warning", "InspectFailed", str(error))
            raise self._failed("InvalidImageName", str(error)) from None
        if not present and policy == "Never":
            message = f'Container image "{reference}" is not present with pull policy of Never'
            self._event("Warning", "ErrImageNeverPull", message)
            raise self._failed("ErrImageNeverPull", message)
        if present and policy == "IfNotPresent":
            message = f'Container image "{reference}" already present on machine'
            self._event("Normal", "Pulled", f"{message} and can be accessed by the pod")
            return self._images.find(reference)
        return await self._fetch(reference, present)

    async def _fetch(self, reference: str, present: bool) -> Image:
        """Ask the registry; only what the node has not takes time."""
        try:
            image = self._images.find(reference)
        except ImageNotFound as error:
            raise await self._not_found(reference, str(error)) from None
        self._event("Normal", "Pulling", f'Pulling image "{reference}"')
        seconds = 0.0 if present else round(image.size / BYTES_PER_SECOND, 3)
        await self._clock.sleep(seconds)
        took = f"{seconds:g}s ({seconds:g}s including waiting)"
        message = f'Successfully pulled image "{reference}" in {took}. '
        self._event("Normal", "Pulled", f"{message}Image size: {image.size} bytes.")
        return image

    def _failed(self, reason: str, message: str, delay: float = RETRY) -> NotStartedError:
        self._event("Warning", "Failed", f"Error: {reason}")
        return NotStartedError(Waiting(reason, message), delay)

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
