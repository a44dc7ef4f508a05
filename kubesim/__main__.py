"""`python -m kubesim serve --data DIR`: an embedded cluster, served over HTTPS on loopback."""

import argparse
import contextlib
import gc
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

MAX_NODES = 20


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    options = _parser().parse_args(arguments)
    # Compiling all modules is a third of a start: what is compiled once is kept, even where
    # PYTHONDONTWRITEBYTECODE is set, as it is in many container images.
    sys.dont_write_bytecode = False
    # Imported now, so that a wrong option is answered at once.
    with _no_collections(), _no_default_certificates():
        from kubesim.http import PortTakenError
        from kubesim.kubeadm.kindconfig import ConfigError
        from kubesim.serve import DataError

    try:
        _serve(options)
    except PortTakenError as error:
        return _fail(f"{error}; choose another with --port, or leave it out to take a free one")
    except (ConfigError, DataError) as error:
        return _fail(str(error))
    except OSError as error:
        return _fail(f"{error.filename or options.data} cannot be used: {error.strerror}")
    return 0


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Search for no garbage among what is imported, neither meanwhile nor ever after: it stays."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


@contextlib.contextmanager
def _no_default_certificates() -> Iterator[None]:
    """Let aiohttp's client, which nobody uses here, not load everybody's CAs as it is imported."""
    ssl.SSLContext.set_default_verify_paths = lambda self: None  # type: ignore[method-assign]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths  # what it inherits comes back


def _serve(options: argparse.Namespace) -> None:
    import asyncio

    from kubesim import serve
    from kubesim.cluster import default_nodes
    from kubesim.kubeadm import kindconfig

    name, nodes, port, cluster = options.name, None, options.port, None
    if options.config:
        config = kindconfig.load(options.config, name)
        for note in config.notes:
            print(f"kubesim: {note}", file=sys.stderr)
        name, nodes, port = config.name, config.nodes, port or config.port
        cluster = config.cluster
    elif options.nodes:
        nodes = tuple(default_nodes(name or serve.DEFAULT_NAME, options.nodes))
    with serve.locked(options.data):
        settings = serve.settings_of(options.data, name, nodes, options.seed, cluster)
        asyncio.run(serve.serve(options.data, settings, port, options.speed))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kubesim", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="serve a cluster until SIGTERM or Ctrl-C")
    serve.add_argument("--data", type=Path, required=True, help="directory of the cluster's state")
    serve.add_argument("--name", help="the cluster's name (default: kubesim)")
    shape = serve.add_mutually_exclusive_group()
    shape.add_argument(
        "--nodes", type=_node_count, help="how many nodes, one of them control plane"
    )
    shape.add_argument("--config", type=Path, help="a kind Cluster configuration (v1alpha4)")
    serve.add_argument("--port", type=_port, default=0, help="default: the last one, or any free")
    serve.add_argument("--speed", type=_speed, default=1.0, help="of time: 60 is a minute a second")
    serve.add_argument("--seed", type=int, help="to get the same names and uids every time")
    return parser


def _node_count(text: str) -> int:
    count = int(text)
    if not 1 <= count <= MAX_NODES:
        raise argparse.ArgumentTypeError(f"must be from 1 to {MAX_NODES}")
    return count


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 65536:
        raise argparse.ArgumentTypeError("must be from 0 to 65535")
    return port


def _speed(text: str) -> float:
    from kubesim.clock import MAX_SPEED

    speed = float(text)
    if not 0 <= speed <= MAX_SPEED:
        raise argparse.ArgumentTypeError(f"must be from 0 (time stands still) to {MAX_SPEED}")
    return speed


def _fail(message: str) -> int:
    print(f"kubesim: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
