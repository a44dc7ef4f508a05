"""Builds the HTML book: every code cell runs against a cluster, and a failed cell fails the build.

Jupyter Book caches outputs by the text of a page's cells alone, so this tool drops the cache when
what the cells run on has changed: the packages, the engine or its image. The whole build is skipped
when nothing that the book is made of has changed.
"""

import argparse
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RUNTIME = ("kubelab", "kubesim", "requirements.txt", "constraints.txt", "tools/build_book.py")
TEXT = ("_config.yml", "_toc.yml", "index.md", "_static", "chapters", "labs", "appendix")
ANSI = re.compile(r"\x1b\[[0-9;]*m")


def files_below(paths: Iterable[Path]) -> Iterator[Path]:
    """Yields every file below the paths in a stable order, byte code left out."""
    for path in paths:
        found = [path] if path.is_file() else sorted(path.rglob("*"))
        yield from (f for f in found if f.is_file() and f.suffix != ".pyc")


def digest(root: Path, names: Iterable[str], *extra: str) -> str:
    """Returns a hash over the names' files (below root) and over further strings."""
    total = hashlib.sha256("\0".join(extra).encode())
    for file in files_below(root / name for name in names):
        total.update(f"\0{file.relative_to(root)}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()


def read_note(path: Path) -> str:
    """Returns the digest that an earlier build noted; empty if there is none."""
    return path.read_text() if path.exists() else ""


def drop_stale_cache(cache: Path, runtime: str) -> None:
    """Removes executed cells unless they ran on this very runtime, which is noted beside them."""
    note = cache / "runtime"
    if read_note(note) != runtime:
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir(parents=True)
        note.write_text(runtime)


@contextlib.contextmanager
def book_cluster(engine: str, home: Path) -> Iterator[dict[str, str]]:
    """Starts the cluster that all pages share and yields the environment that points to it."""
    os.environ |= {"KUBELAB_HOME": str(home), "KUBELAB_CLUSTER": "book", "KUBELAB_ENGINE": engine}
    from kubelab import clusters  # it reads the environment set above

    cluster = clusters.start()
    try:
        yield dict(os.environ)
    finally:
        cluster.delete()


def run_jupyter_book(source: Path, environment: dict[str, str]) -> str:
    """Runs Jupyter Book with warnings as errors; returns what went wrong, empty if nothing did."""
    # a pickled page hides a failed cell from the second run
    shutil.rmtree(source / "_build" / ".doctrees", ignore_errors=True)
    program = Path(sys.executable).with_name("jupyter-book")
    command = [program, "build", source, "-W", "--keep-going", "-q"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    log = source / "_build" / "build.log"
    log.write_text(ANSI.sub("", done.stdout + done.stderr))
    return (
        f"{essence(log.read_text())}\nbook: failed; the whole log: {log}" if done.returncode else ""
    )


def essence(log: str) -> str:
    """Returns the warnings of a build log and the failed cell, without the builder's own stack."""
    first = log.find("WARNING:")
    start = log.rfind("\n", 0, first) + 1 if first >= 0 else 0
    return log[start:].split("\nException occurred:", maxsplit=1)[0].rstrip()


def remove_source_maps(html: Path) -> None:
    """Removes the theme's source maps: half of the site's weight, of use to its authors alone."""
    for path in html.rglob("*.map"):
        path.unlink()


def build(source: Path, engine: str, *, force: bool = False) -> int:
    """Builds the book below source and returns the exit code: 0, or 1 if a page failed."""
    image = os.environ.get("KIND_NODE_IMAGE", "") if engine == "kind" else ""
    runtime = digest(ROOT, RUNTIME, engine, image)
    inputs = digest(source, TEXT, runtime)
    note, output = source / "_build" / "inputs", source / "_build" / "html"
    if read_note(note) == inputs and not force:
        print(f"book: up to date: {output / 'index.html'}")
        return 0
    note.unlink(missing_ok=True)
    drop_stale_cache(source / "_build" / ".jupyter_cache", "" if force else runtime)
    print("book: running the cells that changed and building the pages", flush=True)
    with book_cluster(engine, source / "_build" / "kubelab") as environment:
        failure = run_jupyter_book(source, environment)
    if failure:
        print(failure, file=sys.stderr)
        return 1
    remove_source_maps(output)
    note.write_text(inputs)
    print(f"book: built: {output / 'index.html'}")
    return 0


def main() -> int:
    """Parses the command line and builds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--engine", default="embedded", choices=["embedded", "kind", "existing", "auto"]
    )
    parser.add_argument("--source", type=Path, default=ROOT, help="a book's folder (default: this)")
    parser.add_argument("--force", action="store_true", help="execute and build all anew")
    arguments = parser.parse_args()
    from kubelab.clusters import ClusterError

    try:
        return build(arguments.source.resolve(), arguments.engine, force=arguments.force)
    except ClusterError as error:
        print(f"book: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
