"""nginx, Apache httpd, and the small servers that tutorials show."""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial

from kubesim.runtime.catalog.distributions import alpine_tree, debian_tree
from kubesim.runtime.catalog.family import (
    KUBERNETES,
    PATH,
    Family,
    Image,
    base_tree,
    install,
    names,
    version_of,
)
from kubesim.runtime.catalog.pages import ERROR_PAGE, IT_WORKS, NGINX_CONF, PAGE, SERVER_BLOCK
from kubesim.runtime.filesystem import Link, Tree
from kubesim.runtime.process import Program
from kubesim.runtime.programs import demo
from kubesim.runtime.programs.apache import DOCUMENTS, httpd_foreground
from kubesim.runtime.programs.curl import curl
from kubesim.runtime.programs.httpd import TYPES
from kubesim.runtime.programs.nginx import nginx
from kubesim.runtime.programs.nginxconf import DEFAULT_SERVER, MAIN, PREFIX
from kubesim.runtime.programs.registry import BUSYBOX, DEBIAN
from kubesim.runtime.signals import LINUX

Now = Callable[[], datetime]
NGINX_LATEST = "1.29.3"
NGINX_PATCHES = {"1.25": "1.25.5", "1.26": "1.26.3", "1.27": "1.27.5", "1.28": "1.28.0"}
NGINX_WORDS = ("latest", "stable", "mainline")
SAMPLES = ("gcr.io/google-samples", "us-docker.pkg.dev/google-samples/containers/gke")


def _nginx_image(reference: str, tag: str, port: int = 80, user: str = "") -> Image:
    version = _nginx_version(tag)
    small = {**BUSYBOX, "nginx": nginx, "curl": curl}
    large = {**DEBIAN, "nginx": nginx, "curl": curl}
    programs = small if "alpine" in tag else large
    return Image(
        reference,
        72_400_000 if programs is large else 22_600_000,
        programs,
        lambda now: _nginx_tree(now, programs, "alpine" in tag, port),
        command=("nginx", "-g", "daemon off;"),
        environment={"PATH": PATH, "NGINX_VERSION": version},
        stop_signal=LINUX["QUIT"],
        user=user,
    )


def _nginx_slim_image(reference: str, tag: str) -> Image:
    """The image of the StatefulSet tutorial; 0.21 is taken to hold nginx 1.21."""
    return _nginx_image(reference, tag.replace("0.", "1.", 1))


def _nginx_version(tag: str) -> str:
    version = version_of(tag, NGINX_LATEST)
    return NGINX_PATCHES.get(version, version if version.count(".") == 2 else f"{version}.0")


def _nginx_tree(now: Now, programs: Mapping[str, Program], alpine: bool, port: int) -> Tree:
    tree = _based(now, programs, alpine)
    for path in ("var/cache/nginx", "var/log/nginx", "run", "usr/sbin", "docker-entrypoint.d"):
        tree.directory(path)
    install(tree, "usr/sbin", {"nginx": nginx})
    tree.write(MAIN, NGINX_CONF)
    types = "".join(f"    {kind} {name.removeprefix('.')};\n" for name, kind in TYPES.items())
    tree.write(f"{PREFIX}/mime.types", f"types {{\n{types}}}\n")
    tree.write(DEFAULT_SERVER, SERVER_BLOCK.replace("80;", f"{port};"))
    tree.write("usr/share/nginx/html/index.html", PAGE)
    tree.write("usr/share/nginx/html/50x.html", ERROR_PAGE)
    tree.add("var/log/nginx/access.log", Link(0o777, now(), "/dev/stdout"))
    tree.add("var/log/nginx/error.log", Link(0o777, now(), "/dev/stderr"))
    return tree


def _based(now: Now, programs: Mapping[str, Program], alpine: bool) -> Tree:
    if alpine:
        return alpine_tree(now, programs)
    return debian_tree(now, programs, 'PRETTY_NAME="Debian GNU/Linux 12"\nID=debian\n')


def _httpd_image(reference: str, tag: str) -> Image:
    programs = {**(BUSYBOX if "alpine" in tag else DEBIAN), "httpd-foreground": httpd_foreground}
    version = version_of(tag, "2.4")
    return Image(
        reference,
        57_900_000,
        programs,
        lambda now: _httpd_tree(now, programs, "alpine" in tag),
        command=("httpd-foreground",),
        environment={
            "PATH": f"/usr/local/apache2/bin:{PATH}",
            "HTTPD_PREFIX": "/usr/local/apache2",
            "HTTPD_VERSION": version if version.count(".") == 2 else "2.4.65",
        },
        directory="/usr/local/apache2",
        stop_signal=LINUX["WINCH"],
    )


def _httpd_tree(now: Now, programs: Mapping[str, Program], alpine: bool) -> Tree:
    tree = _based(now, programs, alpine)
    install(tree, "usr/local/bin", {"httpd-foreground": httpd_foreground})
    tree.write(f"{DOCUMENTS}/index.html", IT_WORKS)
    return tree


def _server(
    program: Program, name: str, size: int = 10_000_000, arguments: tuple[str, ...] = ()
) -> Callable[[str, str], Image]:
    """An image that holds one server and no shell."""

    def make(reference: str, tag: str) -> Image:
        programs = {name: program}
        return Image(
            reference,
            size,
            programs,
            lambda now: _one_program(now, programs),
            entrypoint=(f"/{name}",),
            command=arguments,
            environment={"PATH": PATH, "IMAGE_TAG": version_of(tag, "1")},
        )

    return make


def _one_program(now: Now, programs: Mapping[str, Program]) -> Tree:
    tree = base_tree(now)
    install(tree, "", programs)
    return tree


FAMILIES = (
    Family(("docker.io/library/nginx",), _nginx_image, (1, 7), (1, 31), NGINX_WORDS),
    Family(
        ("docker.io/nginxinc/nginx-unprivileged",),
        partial(_nginx_image, port=8080, user="101"),
        (1, 18),
        (1, 31),
        NGINX_WORDS,
    ),
    Family(names(KUBERNETES, "nginx-slim"), _nginx_slim_image, (0, 1), (0, 29)),
    Family(("docker.io/library/httpd",), _httpd_image, (2, 2), (2, 4)),
    Family(names(SAMPLES, "hello-app"), _server(demo.hello_app, "hello-app"), (1, 0), (2, 0)),
    Family(
        (*names(KUBERNETES, "echoserver"), "docker.io/kicbase/echo-server"),
        _server(demo.echoserver, "echoserver", 46_000_000),
        (1, 0),
        (1, 10),
    ),
    Family(
        ("docker.io/hashicorp/http-echo",), _server(demo.http_echo, "http-echo"), (0, 2), (1, 0)
    ),
    Family(("docker.io/traefik/whoami",), _server(demo.whoami, "whoami"), (1, 6), (1, 11)),
    Family(
        names(
            ("gcr.io/google-samples", "gcr.io/k8s-minikube", "docker.io/jocatalin"),
            "kubernetes-bootcamp",
        ),
        _server(demo.bootcamp, "bootcamp", 83_000_000),
        (1,),
        (2, 9),
    ),
    Family(
        ("docker.io/nginxdemos/hello",),
        _server(demo.nginx_hello, "hello", 20_000_000),
        (0, 1),
        (0, 4),
        ("latest", "plain", "text"),
    ),
    Family(
        names(("registry.k8s.io/e2e-test-images", *KUBERNETES), "agnhost"),
        _server(demo.agnhost, "agnhost", 50_000_000, ("pause",)),
        (2, 0),
        (2, 59),
    ),
    Family(
        names(KUBERNETES, "hpa-example"),
        _server(demo.hpa_example, "hpa-example", 48_000_000),
        (0,),
        (0, 0),
    ),
    Family(names(KUBERNETES, "pause"), _server(demo.pause, "pause", 320_000), (2, 0), (3, 10)),
)
