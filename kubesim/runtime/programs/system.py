"""Programs about processes, time and the machine."""

import posixpath
import re

from kubesim.runtime import users
from kubesim.runtime.commands import find_for, find_program
from kubesim.runtime.process import Process
from kubesim.runtime.programs.applet import AppletError, Options, applet, runnable
from kubesim.runtime.signals import LINUX, signal_number
from kubesim.runtime.users import group_names, user_names

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


async def true(_process: Process) -> int:
    """Succeed."""
    return 0


async def false(_process: Process) -> int:
    """Fail."""
    return 1


def duration(text: str) -> float:
    """Return "1.5", "10s", "2m", "inf" in seconds."""
    if text in ("inf", "infinity"):
        return float(10**9)
    match = re.fullmatch(r"(\d*\.?\d+)([smhd]?)", text)
    if not match:
        raise AppletError(f"invalid number '{text}'")
    return float(match.group(1)) * UNITS[match.group(2) or "s"]


@applet("sleep", "+", "[N]...", at_least=1)
async def sleep(process: Process, _options: Options, times: list[str]) -> int:
    """Wait."""
    await process.clock.sleep(sum(duration(text) for text in times))
    return 0


@applet("timeout", "+s:k:", "[-s SIG] SECS PROG ARGS", at_least=2)
async def timeout(process: Process, options: Options, operands: list[str]) -> int:
    """Run a program with a deadline; 143 when it passed."""
    limit, *argv = operands
    child = process.spawn(runnable(process, argv[0]), argv)
    try:
        async with process.clock.timeout(duration(limit)):
            return await child.wait()
    except TimeoutError:
        child.signal(signal_number(options.value("s", "TERM")) or LINUX["TERM"])
        return await child.wait()


@applet("ps", "o:eaxfAw", "")
async def ps(process: Process, _options: Options, _operands: list[str]) -> int:
    """List processes."""
    names = user_names(process.world.files)
    await process.print("PID   USER     TIME  COMMAND")
    for pid, each in sorted(process.table.by_pid.items()):
        uid = each.world.credentials.uid
        user = names.get(uid, str(uid))
        command = " ".join(each.argv)
        if each is process and process.shell_line:  # busybox' shell runs ps without an exec
            command = f"{{ps}} {' '.join(process.shell_line)}"
        await process.print(f"{pid:5} {user:8}  0:00 {command}")
    return 0


async def kill(process: Process) -> int:
    """Send a signal."""
    words = process.argv[1:]
    if words[:1] == ["-l"]:
        await process.print(*(f"{number:2}) {name}" for name, number in LINUX.items()))
        return 0
    number: int | None = LINUX["TERM"]
    if words[:1] == ["-s"] and len(words) > 1:
        number, words = signal_number(words[1]), words[2:]
    elif words and re.fullmatch(r"-\w+", words[0]):
        number, words = signal_number(words[0][1:]), words[1:]
    if number is None:
        await process.complain(f"bad signal name '{process.argv[1].lstrip('-')}'")
        return 1
    if not words:
        await process.complain("you need to specify whom to kill")
        return 1
    failed = 0
    for word in words:
        failed |= await _kill_one(process, word, number)
    await process.checkpoint()
    await process.clock.sleep(0)
    return failed


async def _kill_one(process: Process, word: str, number: int) -> int:
    if not re.fullmatch(r"-?\d+", word):
        await process.complain(f"invalid number '{word}'")
        return 1
    if word == "-1":
        others = [each for each in process.table.by_pid.values() if each.pid > 1]
        targets = [each for each in others if each is not process]
    else:
        target = process.table.by_pid.get(abs(int(word)))
        targets = [target] if target else []
    if not targets:
        await process.complain(f"can't kill pid {word}: No such process")
        return 1
    for each in targets:
        if number and not (number == LINUX["KILL"] and each.pid == 1):
            each.signal(number)
    return 0


@applet("pidof", "", "[NAME]...", at_least=1)
async def pidof(process: Process, _options: Options, names: list[str]) -> int:
    """Print the pids of programs."""
    pids = [
        str(pid)
        for pid, each in sorted(process.table.by_pid.items(), reverse=True)
        if each.argv and posixpath.basename(each.argv[0].split(":")[0]) in names
    ]
    if pids:
        await process.print(" ".join(pids))
    return 0 if pids else 1


@applet("killall", "qs:", "[-q] [-SIG] NAME...", at_least=1)
async def killall(process: Process, _options: Options, names: list[str]) -> int:
    """Send TERM to processes by name."""
    failed = 0
    for name in names:
        targets = [
            each
            for each in process.table.by_pid.values()
            if each.argv and posixpath.basename(each.argv[0]) == name
        ]
        for each in targets:
            each.signal(LINUX["TERM"])
        if not targets:
            await process.complain(f"{name}: no process killed")
            failed = 1
    return failed


@applet("date", "ud:Rr:I", "[-u] [-R] [-d TIME] [+FMT]")
async def date(process: Process, options: Options, operands: list[str]) -> int:
    """Print the time."""
    moment = process.clock.now()
    if "d" in options:
        text = options.value("d")
        if not re.fullmatch(r"@\d+", text):
            raise AppletError(f"invalid date '{text}'")
        moment = moment.fromtimestamp(int(text[1:]), moment.tzinfo)
    if operands and not operands[0].startswith("+"):
        raise AppletError(f"invalid date '{operands[0]}'")
    template = operands[0].removeprefix("+") if operands else "%a %b %e %H:%M:%S UTC %Y"
    template = "%a, %d %b %Y %H:%M:%S +0000" if "R" in options else template
    template = "%Y-%m-%d" if "I" in options else template
    template = template.replace("%s", str(int(moment.timestamp())))
    template = template.replace("%N", f"{moment.microsecond * 1000:09}").replace("%Z", "UTC")
    await process.print(moment.strftime(template))
    return 0


@applet("hostname", "ifsd", "[-ifsd]")
async def hostname(process: Process, options: Options, operands: list[str]) -> int:
    """Print the host's name, or with -i its address."""
    if operands:
        raise AppletError("sethostname: Operation not permitted")
    network = process.network
    if "i" in options:
        await process.print(network.ip)
    elif "f" in options:
        hosts = process.files.read("/etc/hosts").decode().splitlines()
        names = [line.split() for line in hosts if line.startswith(network.ip)]
        await process.print(names[0][1] if names else network.hostname)
    else:
        await process.print(network.hostname)
    return 0


@applet("env", "+iu:", "[-i] [-u NAME] [NAME=VALUE]... [PROG ARGS]")
async def env(process: Process, options: Options, operands: list[str]) -> int:
    """Print the environment or run a program in a changed one."""
    environment = {} if "i" in options else dict(process.environment)
    for name in options.get("u", []):
        environment.pop(name, None)
    while operands and "=" in operands[0]:
        name, _, value = operands.pop(0).partition("=")
        environment[name] = value
    if not operands:
        await process.print(*(f"{name}={value}" for name, value in environment.items()))
        return 0
    return await _become(process, operands, environment)


async def _become(process: Process, argv: list[str], environment: dict[str, str]) -> int:
    found = find_program(process.world, process.directory, argv[0], environment)
    if found.program is None:
        why = "No such file or directory" if found.status == 127 else found.message
        await process.complain(f"can't execute '{argv[0]}': {why}")
        return found.status
    return await process.execute(found.program, argv, environment)


@applet("nohup", "+", "PROG ARGS", at_least=1)
async def nohup(process: Process, _options: Options, operands: list[str]) -> int:
    """Run a program that ignores HUP."""
    process.handlers[LINUX["HUP"]] = None
    return await _become(process, operands, process.environment)


@applet("printenv", "", "[VARIABLE]...")
async def printenv(process: Process, _options: Options, names: list[str]) -> int:
    """Print the environment."""
    if not names:
        await process.print(*(f"{name}={value}" for name, value in process.environment.items()))
    found = [name for name in names if name in process.environment]
    await process.print(*(process.environment[name] for name in found))
    return int(len(found) < len(names))


@applet("id", "ugGn", "[-ugGn]")
async def identity(process: Process, options: Options, _operands: list[str]) -> int:
    """Print who runs this."""
    who, files = process.world.credentials, process.world.files
    if "G" in options:
        numbers, names = sorted({who.gid, *who.groups}), group_names(files)
    elif "g" in options:
        numbers, names = [who.gid], group_names(files)
    elif "u" in options:
        numbers, names = [who.uid], user_names(files)
    else:
        await process.print(users.identity(who, files))
        return 0
    named = names if "n" in options else {}
    await process.print(" ".join(named.get(number, str(number)) for number in numbers))
    return 0


@applet("whoami")
async def whoami(process: Process, _options: Options, _operands: list[str]) -> int:
    """Print the user's name."""
    uid = process.world.credentials.uid
    name = user_names(process.world.files).get(uid)
    if name is None:
        raise AppletError(f"unknown uid {uid}")
    await process.print(name)
    return 0


@applet("uname", "asnrvmo", "[-asnrvmo]")
async def uname(process: Process, options: Options, _operands: list[str]) -> int:
    """Print the system's name."""
    facts = {
        "s": "Linux",
        "n": process.network.hostname,
        "r": "6.12.0-kubesim",
        "v": "#1 SMP kubesim",
        "m": "x86_64",
        "o": "GNU/Linux",
    }
    chosen = "snrvmo" if "a" in options else [key for key in facts if key in options] or "s"
    await process.print(" ".join(facts[key] for key in chosen))
    return 0


@applet("nproc")
async def nproc(process: Process, _options: Options, _operands: list[str]) -> int:
    """Print the number of processors that every simulated node has."""
    await process.print("4")
    return 0


@applet("tty", "s")
async def tty(process: Process, _options: Options, _operands: list[str]) -> int:
    """Tell whether standard input is a terminal."""
    terminal = process.stdin.is_terminal
    await process.print("/dev/pts/0" if terminal else "not a tty")
    return 0 if terminal else 1


@applet("clear")
async def clear(process: Process, _options: Options, _operands: list[str]) -> int:
    """Clear the terminal."""
    await process.write("\x1b[H\x1b[J")
    return 0


@applet("which", "a", "COMMAND...", at_least=1)
async def which(process: Process, _options: Options, names: list[str]) -> int:
    """Print where commands are."""
    failed = 0
    for name in names:
        found = find_for(process, name)
        if found.program:
            await process.print(found.path)
        else:
            failed = 1
    return failed


@applet("yes", "+", "[STRING]")
async def yes(process: Process, _options: Options, words: list[str]) -> int:
    """Print the same for ever."""
    while True:
        await process.print(" ".join(words) or "y")


@applet("xargs", "+n:I:r0t", "[-n N] [-I STR] [-r] [PROG ARGS]")
async def xargs(process: Process, options: Options, command: list[str]) -> int:
    """Run a program with what standard input says as arguments."""
    text = (await process.read_all()).decode(errors="surrogateescape")
    command = command or ["echo"]
    if "I" in options:
        mark = options.value("I")
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        batches = [[word.replace(mark, line) for word in command] for line in lines]
    else:
        words = text.split("\0") if "0" in options else text.split()
        words = [word for word in words if word]
        size = int(options.value("n", "0")) or max(len(words), 1)
        groups = [words[at : at + size] for at in range(0, len(words), size)]
        batches = [command + group for group in groups or ([] if "r" in options else [[]])]
    status = 0
    for argv in batches:
        found = find_for(process, argv[0])
        if found.program is None:
            await process.complain(f"{argv[0]}: No such file or directory")
            return 127
        result = await process.spawn(found.program, argv).wait()
        status = 123 if result else status
    return status
