"""`kubelab` on the command line: clusters up and down, and what this machine can run."""

import argparse
import json
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NoReturn

from kubelab import clusters, workspace
from kubelab.clusters import ClusterError, binaries, doctor
from kubelab.clusters.progress import say
from kubelab.course import CourseError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that the arguments name; return its exit code, 0 for success."""
    signal.signal(signal.SIGTERM, _terminated)
    args = _parser().parse_args(arguments)
    try:
        code: int = args.run(args)
    except (ClusterError, CourseError) as error:
        say(f"kubelab: {error}")
        return 1
    except KeyboardInterrupt:
        say("kubelab: interrupted")
        return 130
    return code


def _terminated(*_: object) -> NoReturn:
    """Let what is half done clean up after itself, as on Ctrl-C."""
    sys.exit(143)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubelab", description="Clusters for the course.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    named = argparse.ArgumentParser(add_help=False)
    named.add_argument("--name", help='the cluster (default: KUBELAB_CLUSTER, else "kubelab")')

    up = commands.add_parser("up", parents=[named], help="start a cluster, or find it running")
    up.add_argument("--engine", choices=clusters.ENGINES, help="default: KUBELAB_ENGINE, else auto")
    up.add_argument("--nodes", type=int, help="all nodes, the control plane included (default 3)")
    up.add_argument("--config", type=Path, help="a kind Cluster configuration instead of --nodes")
    up.add_argument("--context", help="existing engine: the kubeconfig context to attach to")
    up.set_defaults(run=_up)

    status = commands.add_parser("status", help="list the clusters, running or not")
    status.set_defaults(run=_status)

    path = commands.add_parser("kubeconfig", parents=[named], help="print the kubeconfig's path")
    path.set_defaults(run=_kubeconfig)

    kubectl = commands.add_parser("kubectl", parents=[named], help="run kubectl on the cluster")
    kubectl.add_argument("arguments", nargs=argparse.REMAINDER)
    kubectl.set_defaults(run=_kubectl)

    down = commands.add_parser("down", parents=[named], help="delete a cluster")
    down.add_argument("--all", action="store_true", help="delete all clusters")
    down.set_defaults(run=_down)

    _add_simulation(commands, named)
    commands.add_parser("doctor", help="see what this machine can run").set_defaults(run=_doctor)
    commands.add_parser("lab", help="open the labs in JupyterLab").set_defaults(run=_lab)
    return parser


def _add_simulation(commands: Any, named: argparse.ArgumentParser) -> None:
    """Add what only a simulated cluster can do."""
    clock = commands.add_parser("clock", parents=[named], help="bend the cluster's time")
    clock.set_defaults(run=_clock, speed=None, duration=None)
    hands = clock.add_subparsers(metavar="ACTION")
    hands.add_parser("show", help="what time it is, and how fast it passes")
    advance = hands.add_parser("advance", help="let a duration pass at once: 6m, 1h30m")
    advance.add_argument("duration")
    speed = hands.add_parser("speed", help="let time pass faster: 60 is a minute a second")
    speed.add_argument("speed", type=float)
    hands.add_parser("pause", help="stop the clock").set_defaults(speed=0.0)
    hands.add_parser("resume", help="let it run as ours does").set_defaults(speed=1.0)

    fault = commands.add_parser("fault", parents=[named], help="break the cluster on command")
    fault.set_defaults(run=_list_faults)
    acts = fault.add_subparsers(metavar="ACTION")
    acts.add_parser("list", help="what is broken now")
    acts.add_parser("kinds", help="what can be broken").set_defaults(run=_fault_kinds)
    inject = acts.add_parser("inject", help="break something: inject node-stopped kubelab-worker")
    inject.add_argument("kind")
    inject.add_argument("target")
    inject.add_argument("--for", dest="duration", metavar="DURATION", help="how slow, how skewed")
    inject.set_defaults(run=_inject_fault)
    undo = acts.add_parser("undo", help="make it good again")
    undo.add_argument("fault")
    undo.set_defaults(run=_undo_fault)

    save = commands.add_parser("save", parents=[named], help="save the whole cluster to a file")
    save.add_argument("file", type=Path)
    save.set_defaults(run=_save)
    load = commands.add_parser("load", help="go on with a cluster that was saved")
    load.add_argument("file", type=Path)
    load.set_defaults(run=_load)
    history = commands.add_parser(
        "history", parents=[named], help="print all that has happened, as JSON lines"
    )
    history.set_defaults(run=_history)


def _up(args: argparse.Namespace) -> int:
    cluster = clusters.start(
        args.engine, args.name, args.nodes, config=args.config, context=args.context
    )
    say(str(cluster))
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    return 0


def _status(_: argparse.Namespace) -> int:
    rows = [("NAME", "ENGINE", "STATE", "KUBECONFIG")]
    for cluster in clusters.known():
        state = "running" if cluster.alive() else "stopped"
        rows.append((cluster.name, cluster.engine, state, str(cluster.kubeconfig)))
    _print_table(rows)
    return 0


def _print_table(rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        line = "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print(line.rstrip())


def _kubeconfig(args: argparse.Namespace) -> int:
    print(_found(args.name).kubeconfig)
    return 0


def _kubectl(args: argparse.Namespace) -> NoReturn:
    program = str(binaries.kubectl())
    arguments = args.arguments[1:] if args.arguments[:1] == ["--"] else args.arguments
    environment = {**os.environ, "KUBECONFIG": str(_found(args.name).kubeconfig)}
    os.execve(program, [program, *arguments], environment)  # noqa: S606 - no shell is wanted


def _save(args: argparse.Namespace) -> int:
    cluster = _found(args.name)
    cluster.save(args.file)
    say(f"cluster {cluster.name}: saved to {args.file}")
    return 0


def _load(args: argparse.Namespace) -> int:
    cluster = clusters.load(args.file)
    say(str(cluster))
    print(f"export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    return 0


def _history(args: argparse.Namespace) -> int:
    for line in _found(args.name).history():
        print(json.dumps(line, ensure_ascii=False))
    return 0


def _list_faults(args: argparse.Namespace) -> int:
    active = _found(args.name).faults.active()
    if not active:
        say("nothing is broken; `kubelab fault kinds` tells what can be")
        return 0
    rows = [(fault["name"], fault["kind"], fault["target"], fault["since"]) for fault in active]
    _print_table([("NAME", "KIND", "TARGET", "SINCE"), *rows])
    return 0


def _fault_kinds(args: argparse.Namespace) -> int:
    kinds = _found(args.name).faults.kinds()
    rows = [(name, kind["target"], kind["effect"]) for name, kind in kinds.items()]
    _print_table([("KIND", "TARGET", "EFFECT"), *rows])
    return 0


def _inject_fault(args: argparse.Namespace) -> int:
    try:
        name = _found(args.name).faults.inject(args.kind, args.target, args.duration)
    except ValueError as error:
        raise ClusterError(str(error)) from None
    print(name)
    return 0


def _undo_fault(args: argparse.Namespace) -> int:
    _found(args.name).faults.undo(args.fault)
    return 0


def _clock(args: argparse.Namespace) -> int:
    cluster = _found(args.name)
    try:
        if args.duration is not None:
            cluster.advance(args.duration)
    except ValueError as error:
        raise ClusterError(str(error)) from None
    if args.speed is not None:
        cluster.set_speed(args.speed)
    clock = cluster.clock()
    moment = datetime.fromisoformat(clock["now"]).strftime("%Y-%m-%d %H:%M:%S UTC")
    ahead = f", {timedelta(seconds=clock['ahead'])} ahead of this machine" if clock["ahead"] else ""
    print(f"{moment}, speed {clock['speed']:g}{ahead}")
    return 0


def _found(name: str | None) -> clusters.Cluster:
    if cluster := clusters.find(name):
        return cluster
    others = ", ".join(cluster.name for cluster in clusters.known())
    raise ClusterError(
        f"There is no cluster {name or clusters.default_name()}.",
        f"`kubelab up` starts one{f'; these exist: {others}' if others else ''}.",
    )


def _down(args: argparse.Namespace) -> int:
    chosen = clusters.known() if args.all else [_found(args.name)]
    failures = 0
    for cluster in chosen:
        try:
            cluster.delete()
        except ClusterError as error:
            say(f"kubelab: {error}")
            failures += 1
        else:
            say(f"cluster {cluster.name}: deleted")
    return 1 if failures else 0


def _doctor(_: argparse.Namespace) -> int:
    return doctor.main()


def _lab(_: argparse.Namespace) -> NoReturn:
    workspace.open_lab()
