"""Programs that run other programs, and a few small ones: watch, setsid, time and the like."""

import posixpath

from kubesim.runtime.commands import find_for
from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import Options, applet, number, runnable

WATCH_USAGE = """[-n SEC] [-t] PROG ARGS

Run PROG periodically

	-n SEC	Period (default 2)
	-t	Don't print header"""
WIDTH = 80


@applet("watch", "+n:t", WATCH_USAGE, at_least=1)
async def watch(process: Process, options: Options, command: list[str]) -> int:
    """Run a command again and again, on a cleared screen each time."""
    period = float(options.value("n", "2"))
    line = " ".join(command)
    shell = find_for(process, "sh").program
    assert shell, "every image with watch has a shell"
    while True:
        await process.write("\x1b[H\x1b[J")
        if "t" not in options:
            now = f"{process.clock.now():%Y-%m-%d %H:%M:%S}"
            title = f"Every {period:.1f}s: {line}"
            await process.print(f"{title:<{WIDTH - len(now)}}{now}", "")
        await process.spawn(shell, ["sh", "-c", line]).wait()
        await process.clock.sleep(period)


@applet("setsid", "+c", "[-c] PROG ARGS", at_least=1)
async def setsid(process: Process, _options: Options, command: list[str]) -> int:
    """Run a program in a session of its own: nothing else changes here."""
    program = runnable(process, command[0])
    return await process.execute(program, command, process.environment)


@applet("time", "+vp", "[-vpa] [-o FILE] PROG ARGS", at_least=1)
async def time(process: Process, _options: Options, command: list[str]) -> int:
    """Run a program and tell how long it took."""
    program = runnable(process, command[0])
    begin = process.clock.monotonic()
    status = await process.spawn(program, command).wait()
    minutes, seconds = divmod(process.clock.monotonic() - begin, 60)
    report = f"real\t{int(minutes)}m {seconds:.2f}s\nuser\t0m 0.00s\nsys\t0m 0.00s\n"
    await process.write(report, 2)
    return status


@applet("usleep", "", "N", at_least=1)
async def usleep(process: Process, _options: Options, operands: list[str]) -> int:
    """Wait for so many microseconds."""
    await process.clock.sleep(number(operands[0]) / 1_000_000)
    return 0


@applet("realpath", "", "FILE...", at_least=1)
async def realpath(process: Process, _options: Options, names: list[str]) -> int:
    """Print names without links and dots."""
    failed = 0
    for name in names:
        path = process.path(name)
        parent = posixpath.dirname(path)
        if process.files.is_directory(parent):
            await process.print(process.files.resolve(path)[0])
        else:
            await process.complain(f"{name}: No such file or directory")
            failed = 1
    return failed


@applet("run-parts", "", "DIRECTORY", at_least=1)
async def run_parts(process: Process, _options: Options, names: list[str]) -> int:
    """Run the programs in a directory, in the order of their names."""
    for name in process.files.listdir(process.path(names[0])):
        found = find_for(process, posixpath.join(names[0], name))
        if found.program:
            await process.spawn(found.program, [posixpath.join(names[0], name)]).wait()
    return 0
