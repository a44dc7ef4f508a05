"""One authorized request for a resource, and how its body and answer are read and written."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from kubesim.api import schema
from kubesim.api.resources import Resource
from kubesim.api.schema import Type
from kubesim.apiserver import errors
from kubesim.apiserver.apiextensions import objects
from kubesim.apiserver.apiextensions.columns import columns_of
from kubesim.apiserver.apiextensions.resource import CustomResource
from kubesim.apiserver.options import check_write
from kubesim.apiserver.registry.context import Context
from kubesim.apiserver.registry.storage import Object, Stored, list_json
from kubesim.apiserver.request import Request, RequestInfo, Response, UserInfo
from kubesim.apiserver.serialization import forms, table
from kubesim.apiserver.serialization.decoding import (
    GO_NAMES,
    DecodeError,
    Decoder,
    parse_body,
)
from kubesim.apiserver.serialization.negotiation import (
    PARTIAL,
    PARTIAL_LIST,
    TABLE,
    Form,
    form_of,
)
from kubesim.clock import Clock

Refuse = Callable[[object], errors.StatusError]
HEAD = (
    'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; '
    'Kind string "json:\\"kind,omitempty\\"" }'
)


@dataclass
class Call:
    """One authorized request for a resource."""

    request: Request
    info: RequestInfo
    user: UserInfo
    resource: Resource
    clock: Clock
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.resource.deprecation:
            self.warnings.append(self.resource.deprecation)

    @cached_property
    def form(self) -> Form:
        """The form in which the client wants its answer. Raises 406."""
        return form_of(self.request, streams=self.info.verb == "watch")

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
        """Return the registry's view of this call. Raises 422 for options that mean nothing."""
        dry_run = self.request.query.get("dryRun", [])
        check_write(self.request, self.info.verb)
        return Context(
            resource=self.resource,
            user=self.user,
            subresource=self.info.subresource,
            namespace=self.info.namespace,
            manager=self.parameter("fieldManager") or self._agent(),
            dry_run=bool(dry_run),
            warnings=self.warnings,
            annotations=self.request.annotations,
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
        return self.resource.type if self._is_own_kind else schema.type_of(*self.kind)

    @property
    def _is_own_kind(self) -> bool:
        """Whether the body is of the resource's kind, and not of a subresource's own."""
        return self.kind == (self.resource.group, self.resource.version, self.resource.kind)

    def body_object(self) -> Object:
        """Return the body as an object of the right kind. Raises 400 and 415."""
        return self.read(self.data())

    def data(self) -> Any:
        """Return the body, parsed by its media type. Raises 400 and 415."""
        request = self.request
        if request.native:
            return request.content
        kind = self.kind[2]
        data = parse_body(request.body, request.headers.get("content-type", ""), kind)
        if data is not None and not isinstance(data, dict):
            found = GO_NAMES.get(type(data), "number")
            why = f"json: cannot unmarshal {found} into Go value of type {HEAD}"
            why = f"couldn't get version/kind; json parse error: {why}"
            raise errors.unrecognized(kind, why, request.body)
        return data or {}

    def read(
        self, data: Object, current: Object | None = None, refuse: Refuse | None = None
    ) -> Object:
        """Return data as an object of the right kind, in canonical form.

        What is the very same as in the current object has been read before. `refuse` makes the
        error of what cannot be read, a 400 of a body if it is not given.
        """
        group, version, kind = self.kind
        api_version = f"{group}/{version}" if group else version
        given = data.get("apiVersion") or api_version, data.get("kind") or kind
        refuse = refuse or cannot_handle(*given, kind)
        try:
            check_kind(given, kind, api_version)
            obj, problems = self._decode(data, current or {})
        except DecodeError as error:
            raise refuse(error) from None
        self.report_strict(problems, refuse)
        head = {"kind": kind, "apiVersion": api_version, "metadata": obj.pop("metadata", {})}
        if (data.get("metadata") or {}).get("managedFields") == []:
            head["metadata"]["managedFields"] = [{}]  # not the same as none: it resets them
        return head | obj | head

    def _decode(self, data: Object, current: Object) -> tuple[Object, list[str]]:
        """Return the object in data, and what a strict reader would refuse of it."""
        if isinstance(self.resource, CustomResource) and self._is_own_kind:
            obj, unknown = objects.decode(data, self.resource.schema)
            return obj, [f'unknown field "{path}"' for path in unknown]
        known = {
            field: data[field]
            for field, value in current.items()
            if isinstance(value, dict) and field != "metadata" and data.get(field) is value
        }
        unread = {field: value for field, value in data.items() if field not in known}
        decoder = Decoder()
        read: Object = known | decoder.decode(unread, self.type)
        spec = self.type.fields.get("spec")
        if spec and spec.by_value and "spec" not in read:
            read["spec"] = decoder.decode({}, spec)
        return read, decoder.strict

    def report_strict(self, problems: list[str], refuse: Refuse) -> None:
        """Refuse, warn of, or ignore what a strict reader refuses, as the client asks for."""
        validation = self.parameter("fieldValidation", "Warn")
        if not problems or validation == "Ignore":
            return
        if validation == "Strict":
            raise refuse(f"strict decoding error: {', '.join(problems)}")
        self.warnings += problems

    def answer(self, status: int, stored: Stored) -> Response:
        """Return a stored object as the answer."""
        if self.request.native:
            return Response(status, self.headers(), content=stored.object)
        if self.form.plain:
            return self._respond(status, stored.json + b"\n")
        return self.answer_object(status, stored.object)

    def answer_object(self, status: int, obj: Object) -> Response:
        """Return an object, which may be one that is not stored, such as a Scale, as the answer."""
        if self.request.native:
            return Response(status, self.headers(), content=obj)
        form = self.form
        if form.kind and obj["kind"] != "Status":
            obj = self.transformed(obj)
        return self._respond(status, forms.encode(obj, form))

    def answer_list(self, items: Sequence[Stored], metadata: Object) -> Response:
        """Return a list as the answer."""
        if self.request.native:
            content = {"metadata": metadata, "items": [item.object for item in items]}
            return Response(200, self.headers(), content=content)
        form = self.form
        if form.plain:
            return self._respond(200, list_json(self.resource, items, metadata) + b"\n")
        objects = [item.object for item in items]
        if form.kind == TABLE:
            answer = self.table(objects, metadata)
        elif form.kind == PARTIAL_LIST:
            answer = forms.partial_list(objects, metadata, form.version)
        elif form.kind:
            raise forms.refuse_list(form.kind, self.resource.list_kind)
        else:
            head = {"kind": self.resource.list_kind, "apiVersion": self.resource.api_version}
            plain = [
                {key: obj[key] for key in obj if key not in ("kind", "apiVersion")}
                for obj in objects
            ]
            answer = {**head, "metadata": metadata, "items": plain}
        return self._respond(200, forms.encode(answer, form))

    def transformed(self, obj: Object, *, headings: bool = True) -> Object:
        """Return one object as the kind that the client wants instead."""
        kind = self.form.kind
        if kind == TABLE:
            version = obj["metadata"].get("resourceVersion", "")
            return self.table([obj], {"resourceVersion": version}, headings=headings)
        if kind == PARTIAL:
            return forms.partial(obj, self.form.version)
        if kind == PARTIAL_LIST:
            raise forms.refuse_list(kind, self.resource.kind)
        return obj

    def table(
        self, objects: Sequence[Object], metadata: Object, *, headings: bool = True
    ) -> Object:
        """Return objects as a Table, whose rows carry as much of each as the client wants."""
        resource = self.resource
        return table.render(
            columns_of(resource.columns)
            if isinstance(resource, CustomResource)
            else resource.full_name,
            objects,
            self.clock.now(),
            list_metadata=metadata,
            include=self.parameter("includeObject", "Metadata"),
            headings=headings,
            version=self.form.version,
        )

    def _respond(self, status: int, body: bytes) -> Response:
        headers = self.headers()
        wants_gzip = forms.accepts_gzip(self.request.headers.get("accept-encoding", ""))
        if len(body) > forms.GZIP_THRESHOLD and wants_gzip and self.request.method == "GET":
            headers |= {"content-encoding": "gzip", "vary": "Accept-Encoding"}
            body = forms.compressed(body)
        return Response(status, headers, body)

    def headers(self) -> dict[str, str]:
        """Return an answer's headers, with what the client is warned of."""
        headers = {"content-type": self.form.content_type}
        if self.warnings:
            quoted = [text.replace('"', '\\"') for text in self.warnings]
            headers["warning"] = ", ".join(f'299 - "{text}"' for text in quoted)
        return headers


def check_kind(given: tuple[Any, Any], kind: str, api_version: str) -> None:
    """Refuse data of another kind than the path's. Raises 400 and DecodeError."""
    given_version, given_kind = given
    if given == (api_version, kind):
        return
    for name, value in (("apiVersion", given_version), ("kind", given_kind)):
        if not isinstance(value, str):
            found = GO_NAMES.get(type(value), "number")
            why = f"json: cannot unmarshal {found} into Go struct field .{name} of type string"
            raise errors.bad_request(
                f"the object provided is unrecognized (must be of type {kind}): "
                f"couldn't get version/kind; json parse error: {why}"
            )
    group, _, version = given_version.rpartition("/")
    if (group, version, given_kind) not in schema.definition_names():
        raise DecodeError(
            f'no kind "{given_kind}" is registered for version "{given_version}" in scheme '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    own_group = api_version.rpartition("/")[0]
    if (own_group, kind) == (group, given_kind):
        raise errors.bad_request(
            f"the API version in the data ({given_version}) does not match "
            f"the expected API version ({api_version})"
        )
    internal = f"{_package(own_group)}.{kind}"
    raise DecodeError(f"converting ({version}.{given_kind}) to ({internal}): unknown conversion")


def _package(group: str) -> str:
    """Return the name of the Go package that holds a group's internal types."""
    return group.partition(".")[0] or "core"


def cannot_handle(api_version: str, given: str, kind: str) -> Refuse:
    """Return what makes the 400 of a body that is no object of the path's kind."""
    version = str(api_version).rpartition("/")[2]
    return lambda why: errors.bad_request(
        f'{given} in version "{version}" cannot be handled as a {kind}: {why}'
    )
