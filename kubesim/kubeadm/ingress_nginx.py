"""ingress-nginx, installed when somebody asks for it.

A real kind cluster has no ingress controller until its manifest is applied. Here an IngressClass
whose controller is `k8s.io/ingress-nginx`, which is the part of the manifest that people write
themselves, brings the rest along: the namespace with its account and roles, and a Deployment on the
control plane's node, where kind maps port 80 to.
"""

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime

from kubesim.apimachinery.objects import Object
from kubesim.clientgo.absence import tolerating
from kubesim.clientgo.client import Client
from kubesim.clientgo.informer import Change, Informer
from kubesim.clientgo.workqueue import WorkQueue
from kubesim.clock import Clock
from kubesim.kubeadm.addons import CONTROL_PLANE, LINUX, made
from kubesim.kubeadm.rbac_policy import API_VERSION, rule
from kubesim.network.ingress import CLASSES, CONTROLLER, IngressController
from kubesim.runtime.catalog.family import Image
from kubesim.runtime.daemon import Daemon, daemon, healthy
from kubesim.runtime.filesystem import Binary, Tree
from kubesim.runtime.serving import listen, serve

NAMESPACE = ACCOUNT = "ingress-nginx"
NAME = "ingress-nginx-controller"
PROGRAM = "nginx-ingress-controller"
VERSION = "v1.14.1"
REFERENCE = f"registry.k8s.io/ingress-nginx/controller:{VERSION}"
SIZE = 110_873_600  # bytes
GROUPS = ("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated")
LABELS = {"app.kubernetes.io/instance": "ingress-nginx", "app.kubernetes.io/name": "ingress-nginx"}
HTTP_PORT = 80
ALREADY_EXISTS = 409
RBAC = "rbac.authorization.k8s.io"


def image(connect: Callable[..., Client], clock: Clock) -> Image:
    """Return the controller's image."""

    async def work(process: Daemon) -> None:
        client = connect(f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}", GROUPS)
        controller = IngressController(client, clock, process.process.network)
        listener = listen(process.process, HTTP_PORT)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(controller.run())
            tasks.create_task(serve(listener, controller.answer))

    def build(now: Callable[[], datetime]) -> Tree:
        tree = Tree(now)
        for path in ("dev", "etc/nginx", "proc", "tmp", "var"):
            tree.directory(path)
        tree.add(PROGRAM, Binary(0o755, now(), bytearray(b"\x7fELF"), PROGRAM))
        return tree

    program = daemon(work, {10254: healthy})
    return Image(REFERENCE, SIZE, {PROGRAM: program}, build, entrypoint=(f"/{PROGRAM}",))


def objects() -> Iterator[tuple[str, Object]]:
    """Every object of the installation, with its resource."""
    yield "namespaces", made("Namespace", NAMESPACE, "", labels=LABELS)
    yield "serviceaccounts", made("ServiceAccount", ACCOUNT, NAMESPACE, labels=LABELS)
    yield f"clusterroles.{RBAC}", made("ClusterRole", NAMESPACE, "", API_VERSION, rules=_rules())
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}
    role = {"apiGroup": RBAC, "kind": "ClusterRole", "name": NAMESPACE}
    binding = made("ClusterRoleBinding", NAMESPACE, "", API_VERSION, roleRef=role)
    yield f"clusterrolebindings.{RBAC}", {**binding, "subjects": [subject]}
    yield "services", made("Service", NAME, NAMESPACE, labels=LABELS, spec=_service())
    yield (
        "deployments.apps",
        made("Deployment", NAME, NAMESPACE, "apps/v1", labels=LABELS, spec=_deployment()),
    )


def _rules() -> list[Object]:
    networking, discovery = "networking.k8s.io", "discovery.k8s.io"
    return [
        rule("list watch", "configmaps endpoints namespaces nodes pods secrets"),
        rule("get list watch", "services"),
        rule("create patch", "events"),
        rule("get list watch", "ingresses ingressclasses", networking),
        rule("update", "ingresses/status", networking),
        rule("get list watch", "endpointslices", discovery),
    ]


def _service() -> Object:
    port = {"name": "http", "port": HTTP_PORT, "targetPort": "http", "appProtocol": "http"}
    return {"type": "NodePort", "selector": LABELS, "ports": [port]}


def _deployment() -> Object:
    container = {
        "name": "controller",
        "image": REFERENCE,
        "args": [f"--controller-class={CONTROLLER}", "--ingress-class=nginx"],
        "ports": [{"name": "http", "containerPort": HTTP_PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": 10254}},
        "resources": {"requests": {"cpu": "100m", "memory": "90Mi"}},
    }
    pod = {
        "serviceAccountName": ACCOUNT,
        "hostNetwork": True,
        "nodeSelector": {**LINUX, CONTROL_PLANE: ""},
        "tolerations": [{"key": CONTROL_PLANE, "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [container],
    }
    template = {"metadata": {"labels": LABELS}, "spec": pod}
    return {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": template}


async def install(client: Client, clock: Clock) -> None:
    """Install the controller whenever a class asks for it, until cancelled."""
    classes, queue = Informer(client, CLASSES, clock), WorkQueue(clock, NAMESPACE)

    def class_changed(change: Change) -> None:
        wanted = change.new is not None and change.old is None
        if wanted and change.object["spec"].get("controller") == CONTROLLER:
            queue.add(NAME)

    async def create_all(_: str) -> None:
        for resource, obj in objects():
            with tolerating(ALREADY_EXISTS):
                await client.create(resource, obj)

    classes.add_handler(class_changed)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(classes.run())
        tasks.create_task(queue.run(create_all))
