"""tar and gzip. `kubectl cp` runs tar in the container, in both directions."""

import gzip as codec
import io
import posixpath
import tarfile
import zlib
from datetime import UTC, datetime

from kubesim.runtime.filesystem import Directory, File, Link, Node
from kubesim.runtime.process import Process, reason
from kubesim.runtime.programs.applet import AppletError, Options, UsageError, applet, content

TAR_USAGE = """c|x|t [-ZzJjahmvokO] [-f TARFILE] [-C DIR] [FILE]...

Create, extract, or list files from a tar file

	c	Create
	x	Extract
	t	List
	-f FILE	Name of TARFILE ('-' for stdin/out)
	-C DIR	Change to DIR before operation
	-v	Verbose
	-O	Extract to stdout
	-m	Don't restore mtime
	-o	Don't restore user:group
	-k	Don't replace existing files
	-z	(De)compress using gzip
	-h	Follow symlinks"""
GZIP_USAGE = """[-cfkdt] [FILE]...

Compress FILEs (or stdin)

	-d	Decompress
	-c	Write to stdout
	-f	Force
	-k	Keep input files
	-t	Test integrity"""
OLD_STYLE = "cxtzvfOmokhpC"  # tar xf a.tar is tar -x -f a.tar
END_OF_ARCHIVE = 2 * tarfile.BLOCKSIZE  # of zeros; busybox pads no further
NO_MAGIC = "no gzip/bzip2/xz magic"


@applet(
    "tar",
    "cxtzvf:C:OmokhpaJjZ",
    TAR_USAGE,
    long=("no-same-owner", "no-same-permissions", "overwrite", "strip-components=", "exclude="),
    old_style=OLD_STYLE,
)
async def tar(process: Process, options: Options, names: list[str]) -> int:
    """Create, extract or list an archive."""
    if len({"c", "x", "t"} & options.keys()) != 1:
        raise UsageError("")
    if options.keys() & {"J", "j", "Z"}:
        raise AppletError("only gzip compression is simulated by the embedded cluster: use -z")
    archive = options.value("f", "-")
    base = process.path(options.value("C", "."))
    if not process.files.is_directory(base):
        raise AppletError(
            f"can't change directory to '{options.value('C')}': No such file or directory"
        )
    if "c" in options:
        return await _create(process, options, archive, base, names)
    return await _unpack(process, options, archive, base, names)


async def _create(
    process: Process, options: Options, archive: str, base: str, names: list[str]
) -> int:
    if not names:
        raise AppletError("empty archive")
    failed = warned = False
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as target:
        for name in names:
            path = posixpath.normpath(posixpath.join(base, name))
            try:
                for each in process.files.walk(path):
                    shown = name.rstrip("/") + each[len(path) :]
                    _pack(process, target, each, shown.lstrip("/") or "./")
                    if name.startswith("/") and not warned:
                        warned = True
                        await process.complain("removing leading '/' from member names")
                    if "v" in options:
                        await process.write(shown.lstrip("/") + "\n", 2 if archive == "-" else 1)
            except OSError as error:
                await process.complain(f"{name}: {reason(error)}")
                failed = True
        end = target.offset + END_OF_ARCHIVE
    data = packed.getvalue()[:end]
    data = codec.compress(data, mtime=0) if "z" in options else data
    if archive == "-":
        await process.write(data)
    else:
        await process.open(archive, "w").write(data)
    if failed:
        await process.complain("error exit delayed from previous errors")
    return int(failed)


def _pack(process: Process, target: tarfile.TarFile, path: str, name: str) -> None:
    node = process.files.lookup(path, follow=False)
    member = tarfile.TarInfo(name)
    member.mode = node.mode & 0o7777
    member.mtime = int(node.modified.timestamp())
    data = b""
    if isinstance(node, Directory):
        member.type = tarfile.DIRTYPE
    elif isinstance(node, Link):
        member.type, member.linkname = tarfile.SYMTYPE, node.target
    elif isinstance(node, File):
        data = bytes(node.data)
        member.size = len(data)
    else:
        return
    target.addfile(member, io.BytesIO(data))


async def _unpack(
    process: Process, options: Options, archive: str, base: str, names: list[str]
) -> int:
    data = await content(process, archive)
    missing = {name.strip("/") for name in names}
    try:
        with tarfile.open(fileobj=io.BytesIO(_plain(data)), mode="r:") as source:
            for member in source:
                chosen = _chosen(member.name, names)
                missing -= chosen
                if chosen or not names:
                    await _member(process, options, source, member, base)
    except tarfile.TarError:
        raise AppletError(
            "short read" if len(data) < tarfile.BLOCKSIZE else "invalid tar magic"
        ) from None
    for name in sorted(missing):
        await process.complain(f"{name}: not found in archive")
    return int(bool(missing))


def _plain(data: bytes) -> bytes:
    return decompress(data) if data[:2] == b"\x1f\x8b" else data


def _chosen(name: str, names: list[str]) -> set[str]:
    """The operands that a member is, or lies below."""
    wanted = {each.strip("/") for each in names}
    return {each for each in wanted if name == each or name.startswith(each + "/")}


async def _member(
    process: Process, options: Options, source: tarfile.TarFile, member: tarfile.TarInfo, base: str
) -> None:
    shown = member.name + ("/" if member.isdir() else "")
    if "t" in options:
        await process.print(_long(member, shown) if "v" in options else shown)
        return
    content = source.extractfile(member)
    data = content.read() if content else b""
    if "O" in options:
        await process.write(data)
        return
    if "v" in options:
        await process.print(shown)
    parts = member.name.split("/")[int(options.value("strip-components", "0")) :]
    if parts and ".." not in parts:
        _extract(process, options, member, posixpath.join(base, *parts), data)


def _extract(
    process: Process, options: Options, member: tarfile.TarInfo, path: str, data: bytes
) -> None:
    files = process.files
    files.make_directories(path if member.isdir() else posixpath.dirname(path))
    if "k" in options and files.exists(path) and not member.isdir():
        return
    if member.issym():
        if files.exists(path):
            files.remove(path)
        files.make_link(member.linkname, path)
    elif member.isfile():
        files.write(path, data)
    node: Node = files.lookup(path, follow=False)
    node.mode = member.mode & 0o7777
    if "m" not in options:
        node.modified = datetime.fromtimestamp(member.mtime, UTC)


def _long(member: tarfile.TarInfo, shown: str) -> str:
    kind = "d" if member.isdir() else "l" if member.issym() else "-"
    bits = "".join(
        letter if member.mode & (0o400 >> at) else "-" for at, letter in enumerate("rwxrwxrwx")
    )
    moment = datetime.fromtimestamp(member.mtime, UTC)
    target = f" -> {member.linkname}" if member.issym() else ""
    owner = f"{member.uid}/{member.gid}"
    return f"{kind}{bits} {owner} {member.size:9} {moment:%Y-%m-%d %H:%M:%S} {shown}{target}"


def decompress(data: bytes) -> bytes:
    """Return what gzip packed. Raises AppletError."""
    try:
        return codec.decompress(data)
    except (OSError, EOFError, zlib.error):
        raise AppletError(NO_MAGIC) from None


@applet("gzip", "cdfkt123456789", GZIP_USAGE)
async def gzip(process: Process, options: Options, names: list[str]) -> int:
    """Compress or decompress files in place, or standard input."""
    failed = 0
    for name in names or ["-"]:
        try:
            await _convert(process, options, name)
        except AppletError as fault:
            await process.complain(str(fault))
            failed = 1
    return failed


async def _convert(process: Process, options: Options, name: str) -> None:
    unpack = "d" in options or "t" in options
    try:
        data = await process.read_all(name)
    except OSError as error:
        raise AppletError(f"{name}: {reason(error)}") from None
    to_output = name == "-" or "c" in options
    if unpack and not to_output and "t" not in options and not name.endswith((".gz", ".tgz")):
        raise AppletError(f"{name}: unknown suffix - ignored")
    result = decompress(data) if unpack else codec.compress(data, mtime=0)
    if "t" in options:
        return
    if to_output:
        await process.write(result)
        return
    target = _unpacked(name) if unpack else f"{name}.gz"
    if "f" not in options and process.files.exists(process.path(target)):
        raise AppletError(f"can't open '{target}': File exists")
    await process.open(target, "w").write(result)
    if "k" not in options:
        process.files.remove(process.path(name))


def _unpacked(name: str) -> str:
    return name.removesuffix(".tgz") + ".tar" if name.endswith(".tgz") else name.removesuffix(".gz")


@applet("gunzip", "cfkt", "[-cfkt] [FILE]...")
async def gunzip(process: Process, options: Options, names: list[str]) -> int:
    """Decompress."""
    return await gzip(process, Options(options | {"d": [""]}), names)


@applet("zcat", "", "[FILE]...")
async def zcat(process: Process, _options: Options, names: list[str]) -> int:
    """Print what compressed files hold."""
    return await gzip(process, Options({"c": [""], "d": [""]}), names)
