"""One authorized request for a resource, and how its body and answer are read and written."""

from dataclasses import dataclass, field
from typing import Any

from kubesim.api import schema
from kubesim.api.resources import Resource
from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.patch import fields
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object, Stored, dump
from kubesim.apiserver.request import Request, RequestInfo, Response, UserInfo
from kubesim.apiserver.serialization.decoding import DecodeError, Decoder, parse_body

JSON_HEADERS = {"content-type": "application/json"}


@dataclass
class Call:
    """One authorized request for a resource."""

    request: Request
    info: RequestInfo
    user: UserInfo
    resource: Resource
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.resource.deprecation:
            self.warnings.append(self.resource.deprecation)

    def parameter(self, name: str, default: str = "") -> str:
        """Return a query parameter."""
        return self.request.parameter(name, default)

    def number(self, name: str) -> int:
        """Return a query parameter that counts; absent is 0. Raises 400."""
        text = self.parameter(name)
        try:
            return int(text or 0)
        except ValueError:
            text = f'strconv.ParseInt: parsing "{text}": invalid syntax'
            raise errors.bad_request(text) from None

    def context(self) -> Context:
        """Return the registry's view of this call. Raises 422 for an unknown kind of dry run."""
        dry_run = self.request.query.get("dryRun", [])
        if dry_run and dry_run != ["All"]:
            cause = fields.not_supported("dryRun", dry_run[0], ("All",))
            raise errors.invalid("Options.meta.k8s.io", "", [cause])
        return Context(
            resource=self.resource,
            user=self.user,
            subresource=self.info.subresource,
            namespace=self.info.namespace,
            manager=self.parameter("fieldManager") or self._agent(),
            dry_run=bool(dry_run),
            warnings=self.warnings,
        )

    def _agent(self) -> str:
        """The field manager of a client that names none: its program's name."""
        return self.request.headers.get("user-agent", "").partition("/")[0] or "unknown"

    @property
    def kind(self) -> tuple[str, str, str]:
        """The group, version and kind that the body must be of."""
        subresource = self.resource.subresource(self.info.subresource)
        if subresource and subresource.kind != self.resource.kind:
            return subresource.group, subresource.version or "v1", subresource.kind
        return self.resource.group, self.resource.version, self.resource.kind

    @property
    def type(self) -> Type:
        """The type of the body."""
        own = self.kind == (self.resource.group, self.resource.version, self.resource.kind)
        return self.resource.type if own else schema.type_of(*self.kind)

    def body_object(self) -> Object:
        """Return the body as an object of the right kind. Raises 400 and 415."""
        return self.read(self.data())

    def data(self) -> Any:
        """Return the body, parsed by its media type. Raises 400 and 415."""
        request = self.request
        if request.native:
            return request.content
        return parse_body(request.body, request.headers.get("content-type", ""))

    def read(self, data: Any) -> Object:
        """Return data as an object of the right kind, in canonical form. Raises 400."""
        group, version, kind = self.kind
        if not isinstance(data, dict):
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {kind}): "
                "couldn't get version/kind; json parse error"
            )
        api_version = f"{group}/{version}" if group else version
        check_kind(data, kind, api_version)
        decoder = Decoder()
        try:
            obj: Object = decoder.decode(data, self.type)
        except DecodeError as error:
            raise errors.bad_request(_cannot_handle(kind, version, error)) from None
        self._report_unknown(kind, version, decoder.unknown)
        head = {"kind": kind, "apiVersion": api_version, "metadata": obj.pop("metadata", {})}
        obj.pop("kind", None)
        obj.pop("apiVersion", None)
        return head | obj

    def _report_unknown(self, kind: str, version: str, unknown: list[str]) -> None:
        """Refuse, warn of, or ignore fields that do not exist, as the client asks for."""
        validation = self.parameter("fieldValidation", "Warn")
        if not unknown or validation == "Ignore":
            return
        told = [f'unknown field "{path}"' for path in unknown]
        if validation == "Strict":
            why = f"strict decoding error: {', '.join(told)}"
            raise errors.bad_request(_cannot_handle(kind, version, why))
        self.warnings += told

    def answer(self, status: int, stored: Stored) -> Response:
        """Return a stored object as the answer."""
        if self.request.native:
            return Response(status, self.headers(), content=stored.object)
        return Response(status, self.headers(), stored.json + b"\n")

    def answer_object(self, status: int, obj: Object) -> Response:
        """Return an object that is not stored, such as a Scale, as the answer."""
        if self.request.native:
            return Response(status, self.headers(), content=obj)
        return Response(status, self.headers(), dump(obj) + b"\n")

    def headers(self) -> dict[str, str]:
        """Return the headers of a JSON answer, with what the client is warned of."""
        headers = dict(JSON_HEADERS)
        if self.warnings:
            quoted = [text.replace('"', '\\"') for text in self.warnings]
            headers["warning"] = ", ".join(f'299 - "{text}"' for text in quoted)
        return headers


def check_kind(data: Object, kind: str, api_version: str) -> None:
    """Refuse data of another kind than the path's; none given is the path's. Raises 400."""
    given_version, given_kind = data.get("apiVersion") or api_version, data.get("kind") or kind
    if given_version != api_version:
        raise errors.bad_request(
            f"the API version in the data ({given_version}) does not match "
            f"the expected API version ({api_version})"
        )
    if given_kind != kind:
        raise errors.bad_request(
            f'{given_kind} in version "{given_version}" cannot be handled as a {kind}: '
            f"the path is for a {kind}"
        )


def _cannot_handle(kind: str, version: str, why: object) -> str:
    return f'{kind} in version "{version}" cannot be handled as a {kind}: {why}'
