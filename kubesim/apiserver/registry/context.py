"""One write on its way through admission, validation and storage."""

from collections.abc import Callable
from dataclasses import dataclass, field

from kubesim.api.resources import Resource
from kubesim.apiserver.registry.storage import Object
from kubesim.apiserver.request import UserInfo


@dataclass
class Context:
    """One write: what it is about, who asks, and how."""

    resource: Resource
    user: UserInfo
    subresource: str = ""
    namespace: str = ""
    manager: str = ""  # whom managedFields will name; none records nothing
    dry_run: bool = False
    warnings: list[str] = field(default_factory=list)
    annotations: dict[str, str] = field(default_factory=dict)  # for the audit log


Validator = Callable[[Context, Object | None, Object | None], None]
"""Refuses a write by raising: (context, new, old), without new a deletion, without old a creation.
"""
