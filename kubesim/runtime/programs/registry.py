"""All programs by name, and which of them an image brings."""

from kubesim.runtime.process import Process, Program
from kubesim.runtime.programs import (
    archives,
    binary,
    checksums,
    files,
    formatting,
    grep,
    httpd,
    lines,
    machine,
    netclients,
    running,
    sed,
    system,
    text,
)
from kubesim.runtime.programs.applet import APPLETS
from kubesim.runtime.programs.awk import command as awk

_MODULES = (
    archives,
    binary,
    checksums,
    lines,
    machine,
    running,
    awk,
    files,
    formatting,
    grep,
    httpd,
    netclients,
    sed,
    system,
    text,
)  # importing them registers


async def sh(process: Process) -> int:
    """Run a shell, whose language is imported when the first one runs."""
    from kubesim.runtime.programs import sh as shell

    return await shell.sh(process)


async def busybox(process: Process) -> int:
    """Run the applet named by the first argument."""
    names = sorted(BUSYBOX)
    if len(process.argv) < 2 or process.argv[1] == "--list":
        await process.print(*names)
        return 0
    program = BUSYBOX.get(process.argv[1])
    if program is None:
        await process.write(f"{process.argv[1]}: applet not found\n", 2)
        return 127
    return await process.execute(program, process.argv[1:], process.environment)


BUSYBOX: dict[str, Program] = {
    **APPLETS,
    "[": formatting.test,
    "[[": formatting.test,
    "ash": sh,
    "busybox": busybox,
    "echo": text.echo,
    "expr": formatting.expr,
    "false": system.false,
    "find": files.find,
    "kill": system.kill,
    "printf": formatting.printf,
    "sh": sh,
    "test": formatting.test,
    "true": system.true,
}
NETWORK_TOOLS = {"wget", "nc", "nslookup", "ping", "ifconfig", "ip", "httpd", "busybox"}
NETWORK_TOOLS |= {"netstat", "route", "telnet"}
DEBIAN: dict[str, Program] = {  # what Debian's images have of it
    name: program
    for name, program in BUSYBOX.items()
    if name
    not in NETWORK_TOOLS
    | {"ps", "killall", "ash", "vi", "free", "top", "uptime", "watch", "usleep", "xxd", "hexdump"}
    | {"strings"}
} | {"bash": sh}
