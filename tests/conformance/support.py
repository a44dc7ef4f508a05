"""What tests of several resources say in the same words."""


def with_image(image):
    """A template of Pods with that image."""
    return {"spec": {"containers": [{"name": "main", "image": image}]}}


def causes_of(status):
    """The (field, message) pairs for which something was refused."""
    return {(cause["field"], cause["message"]) for cause in status["details"]["causes"]}
