"""What runs a Python answer, in a process of its own."""

import faulthandler
import json
import sys
import traceback
from pathlib import Path
from types import ModuleType

NAME = "answer.py"


def run(path: str, kubeconfig: str, failure: str, timeout: str, *arguments: str) -> None:
    """Run the answer as the main program, for at most `timeout` seconds.

    An exception is described in the file `failure` as JSON; a program that does not end leaves
    its call stack there, as faulthandler writes it.
    """
    file = Path(failure).open("w+", encoding="utf-8")  # noqa: SIM115 - open until the process ends
    faulthandler.dump_traceback_later(float(timeout), exit=True, file=file)
    _use(kubeconfig)
    sys.argv = [NAME, *arguments]
    main = ModuleType("__main__")
    main.__file__ = NAME
    sys.modules["__main__"] = main
    source = Path(path).read_text(encoding="utf-8")
    try:
        exec(compile(source, NAME, "exec"), main.__dict__)  # noqa: S102 - this is its process
    except Exception as error:
        json.dump(_described(error), file)
        file.flush()
        sys.exit(1)


def _use(kubeconfig: str) -> None:
    """Make `load_kube_config()` read this file: it fixed its default when it was imported."""
    module = sys.modules.get("kubernetes.config.kube_config")
    if module is not None:
        module.KUBE_CONFIG_DEFAULT_LOCATION = kubeconfig  # type: ignore[attr-defined]


def _described(error: Exception) -> dict[str, object]:
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == NAME]
    return {
        "line": frames[-1].lineno if frames else getattr(error, "lineno", 0),
        "error": type(error).__name__,
        "message": str(error),
        "status": getattr(error, "status", None),
        "body": getattr(error, "body", None),
    }
