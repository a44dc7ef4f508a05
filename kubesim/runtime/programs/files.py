"""Programs that handle files and directories."""

import errno
import fnmatch
import posixpath
import re
import stat as modes
from datetime import datetime

from kubesim.runtime.filesystem import Device, Directory, File, Link, Node, failure
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError, Options, applet
from kubesim.runtime.users import group_names, user_names

BITS = {"r": 0o444, "w": 0o222, "x": 0o111}
SCOPES = {"u": 0o700, "g": 0o070, "o": 0o007}
SIX_MONTHS = 182 * 24 * 3600


def _mode_string(node: Node) -> str:
    kinds = {Directory: modes.S_IFDIR, Link: modes.S_IFLNK, Device: modes.S_IFCHR}
    return modes.filemode(kinds.get(type(node), modes.S_IFREG) | node.mode)


def _size(node: Node) -> int:
    if isinstance(node, File):
        return len(node.data)
    return len(node.target) if isinstance(node, Link) else 4096 * isinstance(node, Directory)


@applet("ls", "1laAdhRrtFin", "[-1laAdhRrtF] [FILE]...")
async def ls(process: Process, options: Options, names: list[str]) -> int:
    """List directories."""
    failed = 0
    plain: list[tuple[str, Node]] = []
    directories: list[str] = []
    for name in names or ["."]:
        path = process.path(name)
        try:
            node = process.files.lookup(path, follow="l" not in options or name.endswith("/"))
        except OSError as error:
            await process.complain(f"{name}: {reason(error)}")
            failed = 1
            continue
        if isinstance(node, Directory) and "d" not in options:
            directories.append(name)
        else:
            plain.append((name, node))
    await _show(process, options, plain)
    titled = len(names) > 1 or "R" in options
    first = not plain
    while directories:
        name = directories.pop(0)
        if titled:
            await process.write(f"{'' if first else chr(10)}{name}:\n")
        first = False
        entries = _entries(process, name, options)
        if "l" in options:
            stored = [node for _, node in entries if not isinstance(node, Link)]
            blocks = sum(-(-_size(node) // 4096) * 4 for node in stored)
            await process.print(f"total {blocks}")
        await _show(process, options, entries)
        if "R" in options:
            below = [each for each, node in entries if isinstance(node, Directory)]
            directories[:0] = [posixpath.join(name, each) for each in below if each[0] != "."]
    return failed


def _entries(process: Process, name: str, options: Options) -> list[tuple[str, Node]]:
    path = process.path(name)
    names = process.files.listdir(path)
    if "a" not in options and "A" not in options:
        names = [each for each in names if not each.startswith(".")]
    entries = [
        (each, process.files.lookup(posixpath.join(path, each), follow=False)) for each in names
    ]
    if "a" in options:
        parent = process.files.lookup(posixpath.dirname(path))
        entries = [(".", process.files.lookup(path)), ("..", parent), *entries]
    if "t" in options:
        entries.sort(key=lambda entry: entry[1].modified, reverse=True)
    return entries[::-1] if "r" in options else entries


async def _show(process: Process, options: Options, entries: list[tuple[str, Node]]) -> None:
    if "l" in options or "n" in options:
        files = process.world.files
        owners = ({}, {}) if "n" in options else (user_names(files), group_names(files))
        for name, node in entries:
            await process.print(_long(process, name, node, options, owners))
    elif process.descriptors[1].is_terminal and "1" not in options and entries:
        await process.print("  ".join(name for name, _ in entries))
    else:
        for name, node in entries:
            suffix = "/" if "F" in options and isinstance(node, Directory) else ""
            await process.print(name + suffix)


Owners = tuple[dict[int, str], dict[int, str]]  # the names of users and of groups


def _long(process: Process, name: str, node: Node, options: Options, owners: Owners) -> str:
    links = 1
    if isinstance(node, Directory):
        links = 2 + sum(isinstance(child, Directory) for child in node.entries.values())
    size = _human(_size(node)) if "h" in options else str(_size(node))
    target = f" -> {node.target}" if isinstance(node, Link) else ""
    users, groups = owners
    user, group = users.get(node.uid, str(node.uid)), groups.get(node.gid, str(node.gid))
    when = _when(node.modified, process.clock.now())
    return f"{_mode_string(node)} {links:4} {user:8} {group:8} {size:>9} {when} {name}{target}"


def _when(moment: datetime, now: datetime) -> str:
    recent = abs((now - moment).total_seconds()) < SIX_MONTHS
    return f"{moment:%b} {moment.day:2} " + (f"{moment:%H:%M}" if recent else f" {moment.year}")


def _human(size: int) -> str:
    for unit in ("", "K", "M"):
        if size < 1024:
            return f"{size:.1f}{unit}" if unit else str(size)
        size //= 1024
    return f"{size}G"


@applet("touch", "cd:t:r:", "[-c] FILE...", at_least=1)
async def touch(process: Process, options: Options, names: list[str]) -> int:
    """Make files or set their time."""
    failed = 0
    for name in names:
        path = process.path(name)
        try:
            if "c" in options and not process.files.exists(path):
                continue
            found = process.files.resolve(path)[1] or process.files.create(path)
            found.modified = process.clock.now()
        except OSError as error:
            await process.complain(f"{name}: {reason(error)}")
            failed = 1
    return failed


@applet("mkdir", "pm:", "[-m MODE] [-p] DIRECTORY...", at_least=1)
async def mkdir(process: Process, options: Options, names: list[str]) -> int:
    """Make directories."""
    failed = 0
    for name in names:
        path = process.path(name)
        try:
            if "p" in options:
                process.files.make_directories(path)
            else:
                process.files.make_directory(path)
        except OSError as error:
            await process.complain(f"can't create directory '{name}': {reason(error)}")
            failed = 1
    return failed


@applet("rmdir", "p", "DIRECTORY...", at_least=1)
async def rmdir(process: Process, _options: Options, names: list[str]) -> int:
    """Remove empty directories."""
    failed = 0
    for name in names:
        try:
            process.files.remove(process.path(name))
        except OSError as error:
            await process.complain(f"'{name}': {reason(error)}")
            failed = 1
    return failed


@applet("rm", "rRfi", "[-irf] FILE...")
async def rm(process: Process, options: Options, names: list[str]) -> int:
    """Remove files."""
    failed = 0
    recursive = "r" in options or "R" in options
    for name in names:
        path = process.path(name)
        try:
            node = process.files.lookup(path, follow=False)
            if isinstance(node, Directory) and not recursive:
                raise OSError(errno.EISDIR, "Is a directory")
            for each in reversed(list(process.files.walk(path))):
                await process.checkpoint()
                process.files.remove(each)
        except OSError as error:
            if error.errno == errno.ENOENT and "f" in options:
                continue
            what = f"'{name}' is a directory" if error.errno == errno.EISDIR else ""
            await process.complain(what or f"can't remove '{name}': {reason(error)}")
            failed = 1
    return failed


@applet("cp", "arRpfdLi", "[-arf] SOURCE... DEST", at_least=2)
async def cp(process: Process, options: Options, names: list[str]) -> int:
    """Copy files."""
    failed = 0
    *sources, target = names
    for name in sources:
        destination = _destination(process, name, target)
        try:
            node = process.files.lookup(process.path(name), follow="a" not in options)
        except OSError as error:
            await process.complain(f"can't stat '{name}': {reason(error)}")
            failed = 1
            continue
        if isinstance(node, Directory) and not {"a", "r", "R"} & options.keys():
            await process.complain(f"omitting directory '{name}'")
            failed = 1
            continue
        try:
            await _copy(process, node, destination)
        except OSError as error:
            await process.complain(f"can't create '{destination}': {reason(error)}")
            failed = 1
    return failed


def _destination(process: Process, source: str, target: str) -> str:
    path = process.path(target)
    if process.files.is_directory(path):
        return posixpath.join(path, posixpath.basename(source.rstrip("/")))
    return path


async def _copy(process: Process, node: Node, destination: str) -> None:
    files = process.files
    if isinstance(node, Directory):
        files.make_directories(destination)
        for name, child in list(node.entries.items()):
            await _copy(process, child, posixpath.join(destination, name))
    elif isinstance(node, Link):
        files.make_link(node.target, destination)
    elif isinstance(node, File):
        await process.open(destination, "w").write(bytes(node.data))
        target = files.lookup(destination)
        if isinstance(target, File):
            target.mode = node.mode


@applet("mv", "fin", "[-fin] SOURCE... DEST", at_least=2)
async def mv(process: Process, _options: Options, names: list[str]) -> int:
    """Rename or move files."""
    failed = 0
    *sources, target = names
    for name in sources:
        try:
            process.files.rename(process.path(name), _destination(process, name, target))
        except OSError as error:
            await process.complain(f"can't rename '{name}': {reason(error)}")
            failed = 1
    return failed


@applet("ln", "sfn", "[-sfn] TARGET LINK", at_least=2)
async def ln(process: Process, options: Options, names: list[str]) -> int:
    """Make links; hard ones share the file."""
    target, link = names[0], _destination(process, names[0], names[1])
    if "f" in options and process.files.exists(link):
        process.files.remove(link)
    if "s" in options:
        process.files.make_link(target, link)
        return 0
    parent = process.files.lookup(posixpath.dirname(link))
    assert isinstance(parent, Directory)
    parent.entries[posixpath.basename(link)] = process.files.lookup(process.path(target))
    return 0


@applet("chmod", "+R", "MODE FILE...", at_least=2)
async def chmod(process: Process, _options: Options, names: list[str]) -> int:
    """Change permissions: octal, or one of +x, -x, +w, … for everybody."""
    mode, *targets = names
    for name in targets:
        try:
            node = process.files.check_owner(process.path(name))
        except OSError as error:
            await process.complain(f"{name}: {reason(error)}")
            return 1
        node.mode = _changed_mode(node.mode, mode)
    return 0


def _changed_mode(old: int, change: str) -> int:
    """Return a mode after a change like 755, +x, u=rw or go-w."""
    if change.isdigit():
        return int(change, 8)
    match = re.fullmatch(r"([ugoa]*)([-+=])([rwx]*)", change)
    if not match:
        raise AppletError(f"invalid mode '{change}'")
    who, sign, letters = match.groups()
    scope = sum(SCOPES[letter] for letter in set(who.replace("a", "ugo") or "ugo"))
    bits = sum(BITS[letter] for letter in set(letters)) & scope
    if sign == "=":
        return (old & ~scope) | bits
    return old | bits if sign == "+" else old & ~bits


@applet("chown", "+R", "[-R] USER[:[GRP]] FILE...", at_least=2)
async def chown(process: Process, options: Options, operands: list[str]) -> int:
    """Change who owns files; only root may."""
    owner, *names = operands
    user, _, group = owner.partition(":")
    uid = _number(user, user_names(process.world.files), "user") if user else None
    gid = _number(group, group_names(process.world.files), "group") if group else None
    failed = 0
    for name in names:
        path = process.path(name)
        for each in process.files.walk(path) if "R" in options else [path]:
            failed |= await _give(process, each, uid, gid)
    return failed


@applet("chgrp", "+R", "[-R] GROUP FILE...", at_least=2)
async def chgrp(process: Process, options: Options, operands: list[str]) -> int:
    """Change the group of files."""
    return await chown(process, options, [f":{operands[0]}", *operands[1:]])


async def _give(process: Process, path: str, uid: int | None, gid: int | None) -> int:
    try:
        node = process.files.check_owner(path)
        if process.files.credentials.uid:
            raise failure(errno.EPERM, path)
    except OSError as error:
        await process.complain(f"{path}: {reason(error)}")
        return 1
    node.uid = node.uid if uid is None else uid
    node.gid = node.gid if gid is None else gid
    return 0


def _number(text: str, names: dict[int, str], kind: str) -> int:
    known = {name: number for number, name in names.items()}
    if text not in known and not text.isdigit():
        raise AppletError(f"unknown {kind} {text}")
    return known[text] if text in known else int(text)


@applet("readlink", "f", "[-f] FILE", at_least=1)
async def readlink(process: Process, options: Options, names: list[str]) -> int:
    """Print where a link points."""
    path = process.path(names[0])
    if "f" in options:
        await process.print(process.files.resolve(path)[0])
        return 0
    node = process.files.resolve(path, follow=False)[1]
    if not isinstance(node, Link):
        return 1
    await process.print(node.target)
    return 0


@applet("basename", "", "FILE [SUFFIX]", at_least=1)
async def basename(process: Process, _options: Options, names: list[str]) -> int:
    """Print the last part of a path."""
    name = posixpath.basename(names[0].rstrip("/")) or "/"
    suffix = names[1] if names[1:] else ""
    await process.print(name.removesuffix(suffix) if name != suffix else name)
    return 0


@applet("dirname", "", "FILENAME", at_least=1)
async def dirname(process: Process, _options: Options, names: list[str]) -> int:
    """Print all but the last part of a path."""
    stripped = names[0].rstrip("/") or "/"
    await process.print(posixpath.dirname(stripped) or ".")
    return 0


@applet("stat", "c:L", "[-c FMT] FILE...", at_least=1)
async def stat(process: Process, options: Options, names: list[str]) -> int:
    """Print facts about files."""
    for name in names:
        try:
            node = process.files.lookup(process.path(name), follow="L" in options)
        except OSError as error:
            await process.complain(f"can't stat '{name}': {reason(error)}")
            return 1
        text = options.value("c", "  File: %n\n  Size: %s\nAccess: (%a/%A)\nModify: %y")
        facts = {
            "%n": name,
            "%s": str(_size(node)),
            "%a": f"{node.mode:o}",
            "%A": _mode_string(node),
            "%y": f"{node.modified:%Y-%m-%d %H:%M:%S.%f}000 +0000",
            "%Y": str(int(node.modified.timestamp())),
            "%u": str(node.uid),
            "%g": str(node.gid),
            "%U": user_names(process.world.files).get(node.uid, "UNKNOWN"),
            "%G": group_names(process.world.files).get(node.gid, "UNKNOWN"),
            "%F": "directory" if isinstance(node, Directory) else "regular file",
        }
        for key, value in facts.items():
            text = text.replace(key, value)
        await process.print(text)
    return 0


@applet("du", "shk", "[-shk] [FILE]...")
async def du(process: Process, options: Options, names: list[str]) -> int:
    """Print how much files take, in kilobytes."""
    for name in names or ["."]:
        root = process.path(name)
        nodes = [process.files.lookup(path, follow=False) for path in process.files.walk(root)]
        kilobytes = sum(-(-_size(node) // 4096) * 4 for node in nodes)
        await process.print(f"{_human(kilobytes * 1024) if 'h' in options else kilobytes}\t{name}")
    return 0


@applet("mktemp", "d", "[-d]")
async def mktemp(process: Process, options: Options, _names: list[str]) -> int:
    """Make a file or directory with a new name."""
    number = 0
    while process.files.exists(path := f"/tmp/tmp.{process.pid:03}{number:03}"):  # noqa: S108
        number += 1
    if "d" in options:
        process.files.make_directories(path)
    else:
        process.files.create(path)
    await process.print(path)
    return 0


async def find(process: Process) -> int:
    """Print paths; knows -name, -type, -maxdepth."""
    words = process.argv[1:]
    roots = []
    while words and not words[0].startswith("-"):
        roots.append(words.pop(0))
    tests = dict(zip(words[::2], words[1::2], strict=False))
    unknown = set(tests) - {"-name", "-type", "-maxdepth"}
    if unknown or len(words) % 2:
        await process.complain(f"unrecognized: {(unknown or set(words)).pop()}")
        return 1
    for root in roots or ["."]:
        base = process.path(root)
        if not process.files.exists(base):
            await process.complain(f"{root}: No such file or directory")
            return 1
        if root.endswith("/"):  # a link is followed then
            base = process.files.resolve(base)[0]
        for path in process.files.walk(base):
            relative = path[len(base.rstrip("/")) :]
            node = process.files.lookup(path, follow=False)
            if _found(tests, path, relative, node):
                await process.print(root.rstrip("/") + relative if relative else root)
    return 0


def _found(tests: dict[str, str], path: str, relative: str, node: Node) -> bool:
    kinds: dict[str, type[Node]] = {"d": Directory, "f": File, "l": Link}
    kind = kinds.get(tests.get("-type", ""), Node)
    depth = relative.rstrip("/").count("/")
    return (
        isinstance(node, kind)
        and fnmatch.fnmatchcase(posixpath.basename(path), tests.get("-name", "*"))
        and depth <= int(tests.get("-maxdepth", "999"))
    )
