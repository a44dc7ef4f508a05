"""Create a kind cluster, or load an image into one, through `pytest_kind.KindCluster`.

Run as `python -m kubelab.clusters.pytest_kind_process`, in a process and a directory of its own:
pytest-kind litters the working directory with `.pytest-kind/`, prints to the terminal and cannot
be interrupted half-way. It is GPL-3.0-or-later and optional; nothing else imports it.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from pytest_kind import KindCluster


def main() -> int:
    """Do what the arguments say; return kind's exit code."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--name", required=True)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--kind", type=Path, required=True)
    action = parser.add_mutually_exclusive_group(required=True)
    action.add_argument("--create", type=Path, metavar="CONFIG")
    action.add_argument("--load-image", metavar="IMAGE")
    args = parser.parse_args()
    cluster = KindCluster(args.name, kubeconfig=args.kubeconfig, kind_path=args.kind)
    try:
        if args.create:
            cluster.create(args.create)
        else:
            cluster.load_docker_image(args.load_image)
    except subprocess.CalledProcessError as error:
        return error.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
