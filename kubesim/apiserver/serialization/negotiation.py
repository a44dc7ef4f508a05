"""In which form a client wants its answer: what its Accept header means.

The media types are JSON and YAML. Clients that prefer protobuf name JSON as well, and are answered
in it; so are those that name protobuf alone, since every client reads an answer by its
Content-Type. A parameter `as` asks for another kind instead of the object: a Table or its metadata
only. The rules are those of k8s.io/apiserver/pkg/endpoints/handlers/negotiation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from kubesim.apiserver import errors
from kubesim.apiserver.request import Request

JSON = "application/json"
YAML = "application/yaml"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SPOKEN = (JSON, YAML, PROTOBUF)
STREAMED = (JSON, PROTOBUF)
WILDCARDS = ("*/*", "application/*")
META = "meta.k8s.io"
META_VERSIONS = ("v1", "v1beta1")
TABLE = "Table"
PARTIAL = "PartialObjectMetadata"
PARTIAL_LIST = "PartialObjectMetadataList"
PEOPLES_PROGRAMS = ("curl", "Wget", "Mozilla/5.0")


@dataclass(frozen=True)
class Form:
    """The form of an answer; `kind` is empty for the object as it is."""

    kind: str = ""
    version: str = "v1"  # of meta.k8s.io, to which the kind belongs
    yaml: bool = False
    indented: bool = False

    @property
    def plain(self) -> bool:
        """Whether the answer is the object in compact JSON, as programs want it."""
        return self == PLAIN

    @property
    def content_type(self) -> str:
        """The answer's media type."""
        return YAML if self.yaml else JSON


PLAIN = Form()


@dataclass(frozen=True)
class _Clause:
    """One alternative in an Accept header."""

    media_type: str
    parameters: dict[str, str]

    @property
    def quality(self) -> float:
        try:
            return float(self.parameters.get("q", 1))
        except ValueError:
            return 1.0


def form_of(request: Request, *, streams: bool = False) -> Form:
    """Return the form in which a client wants the answer to its request. Raises 406."""
    return negotiate(request.headers.get("accept", ""), indented=indents(request), streams=streams)


def indents(request: Request) -> bool:
    """Whether JSON is indented: when asked for, or when a person is likely to look at it."""
    pretty = request.parameter("pretty")
    if pretty:
        return pretty.lower() in ("1", "t", "true")
    return request.headers.get("user-agent", "").startswith(PEOPLES_PROGRAMS)


@lru_cache(maxsize=256)
def negotiate(accept: str, *, indented: bool = False, streams: bool = False) -> Form:
    """Return the first form that a client accepts and the server speaks. Raises 406."""
    spoken = STREAMED if streams else SPOKEN
    clauses = sorted(_parse(accept or "*/*"), key=lambda clause: -clause.quality)
    if not any(clause.media_type in (*spoken, *WILDCARDS) for clause in clauses):
        raise errors.not_acceptable(_representations(), details={})
    for clause in clauses:
        form = _form(clause, spoken, indented)
        if form:
            return form
    told = [f"{media_type};stream=watch" for media_type in spoken] if streams else spoken
    raise errors.not_acceptable(f"only the following media types are accepted: {', '.join(told)}")


def _representations() -> str:
    streams = [f"{media_type};stream=watch" for media_type in STREAMED]
    return f"406: Not Acceptable\n\nAvailable representations: {', '.join([*SPOKEN, *streams])}"


def _parse(accept: str) -> Iterator[_Clause]:
    for text in accept.split(","):
        media_type, *pairs = (part.strip() for part in text.split(";"))
        parameters = dict(pair.partition("=")[::2] for pair in pairs)
        yield _Clause(media_type.lower(), parameters)


def _form(clause: _Clause, spoken: tuple[str, ...], indented: bool) -> Form | None:
    """Return the form that a clause asks for, if it is one that we have."""
    if clause.media_type not in (*spoken, *WILDCARDS):
        return None
    given = clause.parameters
    if given.get("stream", "watch") not in ("", "watch"):
        return None
    kind, version = given.get("as", ""), given.get("v", "v1")
    if kind and not (
        given.get("g") == META
        and version in META_VERSIONS
        and kind in (TABLE, PARTIAL, PARTIAL_LIST)
        and not (kind == TABLE and clause.media_type == PROTOBUF)
    ):
        return None
    yaml = clause.media_type == YAML
    return Form(kind, version, yaml, not yaml and (indented or given.get("pretty") == "1"))
