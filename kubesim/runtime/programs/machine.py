"""Programs that tell of the machine: df, free, uptime, top, mount, netstat and the like.

Every simulated node is alike: four processors, 8 GiB of memory, a disk of 100 GiB.
"""

from kubesim.runtime import procfs
from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Options, applet

DISK_KB = 100 * 1024**2
USED_KB = 12 * 1024**2
UNITS = {"k": 1, "m": 1024, "g": 1024**2}


def _human(kilobytes: int) -> str:
    size = float(kilobytes)
    for unit in "KMGT":
        if size < 1024 or unit == "T":
            break
        size /= 1024
    return f"{size:.1f}{unit}"


@applet("df", "hkmTPi", "[-PkmhT] [FILESYSTEM]...")
async def df(process: Process, options: Options, names: list[str]) -> int:
    """Show how full file systems are."""
    for name in names:
        if not process.files.exists(process.path(name)):
            raise AppletError(f"{name}: can't find mount point")
    sizes = "     Size      Used" if "h" in options else "1K-blocks      Used"
    await process.print(f"Filesystem           {sizes} Available Use% Mounted on")
    rows = [("overlay", DISK_KB, USED_KB, "/")]
    if not names:
        rows += [("tmpfs", 65536, 0, "/dev")]
        volumes = sorted(set(process.files.mounts) - {"/proc"})
        rows += [("/dev/vda1", DISK_KB, USED_KB, path) for path in volumes]
    for device, total, used, place in rows:
        await process.print(_df_row(options, device, total, used, place))
    return 0


def _df_row(options: Options, device: str, total: int, used: int, place: str) -> str:
    share = -(-100 * used // total)
    free = total - used
    if "h" in options:
        sizes = f"{_human(total):>9} {_human(used) if used else '0':>9} {_human(free):>9}"
    else:
        sizes = f"{total:>9} {used:>9} {free:>9}"
    return f"{device:<20} {sizes} {share:3}% {place}"


@applet("free", "bkmgh", "[-bkmgh]")
async def free(process: Process, options: Options, _operands: list[str]) -> int:
    """Show how much memory there is, and is used."""
    unit = next((UNITS[letter] for letter in UNITS if letter in options), 1)
    total, used, cached = procfs.MEMORY_KB, procfs.USED_KB, procfs.CACHED_KB
    cells = [total, used, total - used - cached, 10_000, cached, total - used]
    await process.print(
        "              total        used        free      shared  buff/cache   available"
    )
    await process.print("Mem:    " + " ".join(f"{each // unit:>11}" for each in cells))
    await process.print(f"Swap:   {0:>11} {0:>11} {0:>11}")
    return 0


@applet("uptime", "", "")
async def uptime(process: Process, _options: Options, _operands: list[str]) -> int:
    """Tell how long the machine has been running."""
    minutes = int(process.clock.monotonic() // 60)
    running = f"{minutes} min" if minutes < 60 else f"{minutes // 60:2}:{minutes % 60:02}"
    now = process.clock.now()
    await process.print(f" {now:%H:%M:%S} up {running},  0 users,  load average: {procfs.LOAD}")
    return 0


@applet("top", "bn:d:", "[-b] [-n COUNT] [-d SECONDS]")
async def top(process: Process, options: Options, _operands: list[str]) -> int:
    """Show the processes again and again."""
    rounds = int(options.value("n", "0"))
    pause = float(options.value("d", "5"))
    count = 0
    while True:
        if "b" not in options and process.descriptors[1].is_terminal:
            await process.write("\x1b[H\x1b[J")
        await _print_top(process)
        count += 1
        if count == rounds:
            return 0
        await process.clock.sleep(pause)


async def _print_top(process: Process) -> None:
    total, used, cached = procfs.MEMORY_KB, procfs.USED_KB, procfs.CACHED_KB
    await process.print(
        f"Mem: {used}K used, {total - used}K free, 10000K shrd, 60000K buff, {cached}K cached",
        "CPU:   2% usr   1% sys   0% nic  97% idle   0% io   0% irq   0% sirq",
        f"Load average: {procfs.LOAD} 1/{len(process.table.by_pid)} {process.table.last_pid}",
        "  PID  PPID USER     STAT   VSZ %VSZ %CPU COMMAND",
    )
    for pid, each in sorted(process.table.by_pid.items()):
        state = "R" if each is process else "S"
        command = " ".join(each.argv)
        await process.print(
            f"{pid:5} {each.parent:5} root     {state}     4400   0%   0% {command}"
        )


@applet("mount", "t:o:", "[-t FSTYPE] [-o OPT,OPT] [DEVICE] [NODE]")
async def mount(process: Process, _options: Options, operands: list[str]) -> int:
    """List what is mounted; a container may not mount."""
    if operands:
        raise AppletError("permission denied (are you root?)")
    for line in procfs.mounts(process.files).splitlines():
        device, place, kind, how, *_ = line.split()
        await process.print(f"{device} on {place} type {kind} ({how})")
    return 0


@applet("netstat", "tulnpar", "[-ral] [-tuwx] [-enWp]")
async def netstat(process: Process, options: Options, _operands: list[str]) -> int:
    """List the listening sockets, or with -r the routes."""
    if "r" in options:
        return await _print_routes(process)
    await process.print(
        "Active Internet connections (only servers)",
        "Proto Recv-Q Send-Q Local Address           Foreign Address         State       ",
    )
    for listener in process.network.listeners:
        local = f"{listener.address}:{listener.port}"
        await process.print(f"tcp        0      0 {local:<23} 0.0.0.0:*               LISTEN      ")
    return 0


@applet("route", "ne", "[-ne]")
async def route(process: Process, _options: Options, _operands: list[str]) -> int:
    """List the routes."""
    return await _print_routes(process)


async def _print_routes(process: Process) -> int:
    network = process.network.ip.rpartition(".")[0]
    await process.print(
        "Kernel IP routing table",
        "Destination     Gateway         Genmask         Flags Metric Ref    Use Iface",
        f"0.0.0.0         {network + '.1':<15} 0.0.0.0         UG    0      0        0 eth0",
        f"{network + '.0':<15} {network + '.1':<15} 255.255.255.0   UG    0      0        0 eth0",
        f"{network + '.1':<15} 0.0.0.0         255.255.255.255 UH    0      0        0 eth0",
    )
    return 0


@applet("sync", "", "")
async def sync(_process: Process, _options: Options, _operands: list[str]) -> int:
    """Do nothing: simulated disks have no cache."""
    return 0


@applet("arch", "", "")
async def arch(process: Process, _options: Options, _operands: list[str]) -> int:
    """Print the processor's architecture."""
    await process.print("x86_64")
    return 0
