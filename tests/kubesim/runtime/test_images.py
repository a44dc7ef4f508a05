"""References to images, and which of them exist."""

import pytest

from kubesim.runtime.images import ImageNotFound, ImageRefused, ImageStore, InvalidImageName


@pytest.mark.parametrize(
    "reference",
    ["busybox:1.36", "docker.io/library/busybox:1.36", "docker.io/busybox:1.36"],
)
def test_an_image_has_several_names(reference):
    assert ImageStore().find("busybox:1.36").reference == "docker.io/library/busybox:1.36"


def test_an_image_is_found_by_its_digest():
    store = ImageStore()
    image = store.find("nginx:1.27")
    assert store.find(f"nginx@{image.digest}") is image
    assert store.find(f"nginx:1.27@{image.digest}") is image


@pytest.mark.parametrize("reference", ["nginx:nope", "nginx", "redis:7", "busybox:1.99"])
def test_an_unknown_image_is_not_found(reference):
    with pytest.raises(ImageNotFound) as failure:
        ImageStore().find(reference)
    assert "failed to resolve reference" in str(failure.value)
    assert "the kind engine" in str(failure.value)


@pytest.mark.parametrize("reference", ["Nginx:1.26", "nginx:", "a b", "-x"])
def test_a_malformed_reference_is_refused(reference):
    with pytest.raises(InvalidImageName, match="couldn't parse image name"):
        ImageStore().find(reference)


def test_only_what_has_a_program_can_be_loaded():
    store = ImageStore()
    store.load("busybox:1.37")
    store.load("nginx:1.27-alpine")
    assert store.find("busybox:1.37").reference == "docker.io/library/busybox:1.37"
    for reference in ("redis:7", "nginx:1.10", "example.com/busybox:1.36"):
        with pytest.raises(ImageRefused, match="use the kind engine"):
            store.load(reference)
