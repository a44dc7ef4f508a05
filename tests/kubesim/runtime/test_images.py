"""References to images, and which of them exist."""

import pytest

from kubesim.runtime.images import ImageNotFound, ImageRefused, ImageStore, InvalidImageName


@pytest.mark.parametrize(
    "reference",
    ["busybox:1.36", "docker.io/library/busybox:1.36", "docker.io/busybox:1.36"],
)
def test_an_image_has_several_names(reference):
    assert ImageStore().find(reference).reference == "docker.io/library/busybox:1.36"


def test_an_image_is_found_by_its_digest():
    store = ImageStore()
    image = store.find("nginx:1.27")
    assert store.find(f"nginx@{image.digest}") is image
    assert store.find(f"nginx:1.27@{image.digest}") is image


@pytest.mark.parametrize(
    "reference",
    [
        "nginx",
        "nginx:latest",
        "nginx:stable-alpine",
        "nginx:1.14.2",
        "nginx:1.27-alpine3.21",
        "busybox",
        "busybox:1.28",
        "busybox:1.36.1-musl",
        "redis:7",
        "redis:7.2-alpine",
        "httpd:2.4",
        "python:3.12-slim",
        "alpine:3.20",
        "ubuntu:22.04",
        "debian:bookworm-slim",
        "curlimages/curl:8.10.1",
        "gcr.io/google-samples/hello-app:2.0",
        "registry.k8s.io/echoserver:1.4",
        "hashicorp/http-echo:0.2.3",
        "registry.k8s.io/pause:3.9",
        "registry.k8s.io/busybox:1.27.2",
        "registry.k8s.io/nginx-slim:0.24",
        "registry.k8s.io/e2e-test-images/agnhost:2.39",
    ],
)
def test_any_tag_of_a_simulated_image_can_be_pulled(reference):
    store = ImageStore()
    assert not store.present(reference)
    image = store.find(reference)
    assert store.present(reference)
    assert store.find(reference) is image


@pytest.mark.parametrize(
    "reference",
    [
        "nginx:nope",
        "nginx:absent",
        "nginx:9.99",
        "nginx:1.99",
        "nginx:no-such-version",
        "busybox:1.99",
        "mysql:8",
        "example.com/busybox:1.36",
        "redis:99",
    ],
)
def test_an_unknown_image_is_not_found(reference):
    with pytest.raises(ImageNotFound) as failure:
        ImageStore().find(reference)
    assert "failed to resolve reference" in str(failure.value)
    assert "busybox, curlimages/curl, debian" in str(failure.value)
    assert "the kind engine" in str(failure.value)


@pytest.mark.parametrize("reference", ["Nginx:1.26", "nginx:", "a b", "-x"])
def test_a_malformed_reference_is_refused(reference):
    with pytest.raises(InvalidImageName, match="couldn't parse image name"):
        ImageStore().find(reference)


def test_only_what_has_a_program_can_be_loaded():
    store = ImageStore()
    store.load("busybox:1.37")
    assert store.present("busybox:1.37")
    for reference in ("mysql:8", "nginx:1.99", "example.com/busybox:1.36"):
        with pytest.raises(ImageRefused, match="use the kind engine"):
            store.load(reference)
