"""The registry that this world's nodes pull from, and how images are named in it."""

import re

from kubesim.runtime.catalog import distributions, tools, webservers
from kubesim.runtime.catalog.family import Family, Image

PRELOADED = ("busybox:1.36", "nginx:1.26", "nginx:1.27")
_NAME = r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*"
REFERENCE = re.compile(
    rf"(?P<name>(?:{_NAME}(?::\d+)?/)?{_NAME}(?:/{_NAME})*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
FAMILIES: dict[str, Family] = {
    name: family
    for family in (*distributions.FAMILIES, *webservers.FAMILIES, *tools.FAMILIES)
    for name in family.names
}


class InvalidImageName(ValueError):  # noqa: N818 - the kubelet's name for it
    """The reference can't be one; the message is the kubelet's."""


class ImageNotFound(Exception):  # noqa: N818 - the runtime's name for it
    """No registry has this image; the message is containerd's."""


class ImageRefused(ValueError):  # noqa: N818 - as the other two
    """There is no program that could run in a container of this image."""


def normalize(reference: str) -> str:
    """Return a reference with registry and tag: docker.io/library/nginx:latest for nginx.

    Raises InvalidImageName.
    """
    match = REFERENCE.fullmatch(reference)
    if not match:
        why = "invalid reference format"
        if re.search(r"[A-Z]", reference.partition(":")[0]):
            name = reference.partition(":")[0]
            name = name if "/" in name else f"library/{name}"
            why += f": repository name ({name}) must be lowercase"
        raise InvalidImageName(
            f'Failed to apply default image tag "{reference}": '
            f'couldn\'t parse image name "{reference}": {why}'
        )
    name, tag, digest = match["name"], match["tag"], match["digest"]
    name = name.removeprefix("docker.io/")
    first, slash, _ = name.partition("/")
    if not slash:
        name = f"docker.io/library/{name}"
    elif "." not in first and ":" not in first and first != "localhost":
        name = f"docker.io/{name}"
    if tag or not digest:
        return f"{name}:{tag or 'latest'}"
    return f"{name}@{digest}"


def familiar(reference: str) -> str:
    """Return a full reference as people write it: without Docker Hub's name."""
    return reference.removeprefix("docker.io/").removeprefix("library/")


class ImageStore:
    """The images that nodes have, and those that they can pull."""

    def __init__(self) -> None:
        self._images: dict[str, Image] = {}
        self._removed: set[str] = set()
        for reference in PRELOADED:
            self.load(reference)

    def load(self, reference: str) -> Image:
        """Make an image available on all nodes; ImageRefused if no program runs in it."""
        full = normalize(reference)
        try:
            return self._keep(full)
        except ImageNotFound:
            raise ImageRefused(
                f"image {reference} can't be loaded: the embedded cluster has programs only for "
                f"{listing()}; use the kind engine for other images"
            ) from None

    def present(self, reference: str) -> bool:
        """Whether nodes have the image already. Raises InvalidImageName."""
        return self._present(normalize(reference)) is not None

    def add(self, image: Image) -> None:
        """Make an image of the cluster's own available on all nodes."""
        self._images[image.reference] = image

    def remove(self, reference: str) -> Image:
        """Take an image from all nodes and the registry; InvalidImageName, ImageNotFound."""
        image = self.find(reference)
        del self._images[image.reference]
        self._removed.add(image.reference)
        return image

    def put_back(self, image: Image) -> None:
        """Give nodes an image again that was removed."""
        self._removed.discard(image.reference)
        self.add(image)

    def find(self, reference: str) -> Image:
        """Return the image of that name or digest, pulled if it must be.

        Raises InvalidImageName and ImageNotFound.
        """
        full = normalize(reference)
        return self._present(full) or self._keep(full)

    def all(self) -> list[Image]:
        """Return every image that nodes have."""
        return list(self._images.values())

    def _present(self, full: str) -> Image | None:
        if full in self._images:
            return self._images[full]
        name, at, digest = full.partition("@")
        for image in self._images.values() if at else ():
            if image.digest == digest and image.reference.startswith(f"{name.split(':')[0]}:"):
                return image
        return None

    def _keep(self, full: str) -> Image:
        name, _, tag = full.rpartition(":")
        family = FAMILIES.get(name)
        if "@" in full or full in self._removed or not family or not family.has(tag):
            raise ImageNotFound(
                f'failed to pull and unpack image "{full}": failed to resolve reference "{full}": '
                f"{full}: not found (the embedded cluster simulates {listing()}; "
                "the kind engine pulls from registries)"
            )
        image = self._images[full] = family.make(full, tag)
        return image


def listing() -> str:
    """Return the names of all images, as people write them."""
    return ", ".join(sorted({familiar(family.names[0]) for family in FAMILIES.values()}))
