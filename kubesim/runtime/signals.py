"""Names and numbers of signals."""

LINUX = {
    "HUP": 1, "INT": 2, "QUIT": 3, "ILL": 4, "TRAP": 5, "ABRT": 6, "BUS": 7, "FPE": 8, "KILL": 9,
    "USR1": 10, "SEGV": 11, "USR2": 12, "PIPE": 13, "ALRM": 14, "TERM": 15, "STKFLT": 16,
    "CHLD": 17, "CONT": 18, "STOP": 19, "TSTP": 20, "TTIN": 21, "TTOU": 22, "URG": 23,
    "XCPU": 24, "XFSZ": 25, "VTALRM": 26, "PROF": 27, "WINCH": 28, "POLL": 29, "PWR": 30,
    "SYS": 31,
}  # fmt: skip


def signal_number(name: str) -> int | None:
    """Return the number of "TERM", "SIGTERM", "15" or "EXIT" (0), None if there is none."""
    if name.isdigit():
        return int(name) if int(name) <= 64 else None
    name = name.upper().removeprefix("SIG")
    return 0 if name == "EXIT" else LINUX.get(name)


def signal_name(number: int) -> str:
    """Return "TERM" for 15."""
    names = {value: name for name, value in LINUX.items()}
    return names.get(number, str(number))
