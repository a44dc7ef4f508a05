"""Gives the objects of a YAML answer to the API server, with the learner's own identity.

Plain HTTP, because it shows what the official client hides: the server's own words, and which
resource serves a kind (API discovery).
"""

import base64
import difflib
import json
import re
import ssl
from typing import Any

import urllib3

from kubelab.grading.errors import AnswerError
from kubelab.grading.manifests import Document

SCOPE = "an answer is graded in a namespace of its own and may use nothing outside of it"


class Submitter:
    """Creates objects in one namespace, as the user of a kubeconfig."""

    def __init__(self, kubeconfig: dict[str, Any], namespace: str, engine: str) -> None:
        cluster = kubeconfig["clusters"][0]["cluster"]
        self._server = cluster["server"].rstrip("/")
        self._token = kubeconfig["users"][0]["user"]["token"]
        self._pool = urllib3.PoolManager(ssl_context=_trust(cluster))
        self._namespace = namespace
        self._engine = engine
        self._discovered: dict[str, dict[str, Any]] = {}

    def create(self, documents: list[Document]) -> list[dict[str, Any]]:
        """Create the objects in order and return them as stored; AnswerError names the refused."""
        return [self._create(document) for document in documents]

    def _create(self, document: Document) -> dict[str, Any]:
        version, kind = self._type_of(document)
        resource = self._resource(document, version, kind)
        self._check_scope(document, resource, kind)
        path = f"{_group_path(version)}/namespaces/{self._namespace}/{resource['name']}"
        # As kubectl does: a misspelt field is an error. Servers before 1.25 ignore the parameter.
        status, answer = self._call("POST", f"{path}?fieldValidation=Strict", document.content)
        if status >= 400:
            raise _refused(document, status, answer)
        return answer

    def _type_of(self, document: Document) -> tuple[str, str]:
        for field in ("apiVersion", "kind", "metadata"):
            if not document.content.get(field):
                raise AnswerError(f"the object has no {field}", line=document.line)
        if not isinstance(document.content["metadata"], dict):
            raise AnswerError("metadata is not a mapping", line=document.line)
        return str(document.content["apiVersion"]), str(document.content["kind"])

    def _resource(self, document: Document, version: str, kind: str) -> dict[str, Any]:
        """Return the entry of API discovery that serves a kind."""
        served = self._kinds(version)
        if kind in served:
            return served[kind]
        if near := difflib.get_close_matches(kind, served, n=1):
            look = f"the spelling: {version} has {near[0]}"
        elif self._engine == "embedded":
            look = (
                "`kubectl api-resources` lists the kinds of the embedded engine; the kind engine "
                "has all of them (KUBELAB_ENGINE=kind, needs Docker)"
            )
        else:
            look = "`kubectl api-resources` lists each kind with its apiVersion"
        problem = f"this cluster has no kind {kind} in apiVersion {version}"
        raise AnswerError(problem, line=document.line, look=look)

    def _kinds(self, version: str) -> dict[str, dict[str, Any]]:
        if version not in self._discovered:
            _, answer = self._call("GET", _group_path(version))
            found = [r for r in answer.get("resources", []) if "/" not in r["name"]]
            self._discovered[version] = {resource["kind"]: resource for resource in found}
        return self._discovered[version]

    def _check_scope(self, document: Document, resource: dict[str, Any], kind: str) -> None:
        if not resource["namespaced"]:
            problem = f"a {kind} belongs to the whole cluster, not to a namespace"
            raise AnswerError(problem, line=document.line, look=SCOPE)
        named = document.content["metadata"].get("namespace")
        if named not in (None, self._namespace):
            problem = f"{document} asks for the namespace {named}"
            raise AnswerError(
                problem, line=document.line, look=f"leave metadata.namespace out: {SCOPE}"
            )

    def _call(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Return the status code and the decoded answer; {} where it is not a JSON object."""
        headers = {"Authorization": f"Bearer {self._token}", "Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body, default=str).encode()
        url = self._server + path
        response = self._pool.request(method, url, body=data, headers=headers, timeout=30)
        try:
            answer = json.loads(response.data)
        except ValueError:
            answer = {"message": response.data.decode("utf-8", "replace").strip()}
        return response.status, answer if isinstance(answer, dict) else {}


def _refused(document: Document, status: int, answer: dict[str, Any]) -> AnswerError:
    """Word a refusal, with the line of the field that the API server objects to."""
    message = str(answer.get("message", status))
    causes = (answer.get("details") or {}).get("causes") or []
    fields = [str(cause.get("field", "")) for cause in causes]
    fields += re.findall(r'(?:unknown|duplicate) field "([^"]+)"', message)
    line = document.line_of(fields[0]) if fields else document.line
    look = SCOPE if status == 403 else "what the message says about a field, and that line"
    return AnswerError(f"the API server refused {document}: {message}", line=line, look=look)


def _group_path(version: str) -> str:
    """Return where an apiVersion is served: the core group, "v1", has a path of its own."""
    return f"/apis/{version}" if "/" in version else f"/api/{version}"


def _trust(cluster: dict[str, Any]) -> ssl.SSLContext | None:
    """Return TLS settings that trust the cluster's own certificate authority."""
    if cluster["server"].startswith("http://"):
        return None
    if data := cluster.get("certificate-authority-data"):
        return ssl.create_default_context(cadata=base64.b64decode(data).decode())
    context = ssl.create_default_context(cafile=cluster.get("certificate-authority"))
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
