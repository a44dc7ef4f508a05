"""Users and groups by name, as /etc/passwd and /etc/group of a container tell them."""

from collections.abc import Mapping

from kubesim.runtime.filesystem import Credentials, FileSystem


def _table(files: FileSystem, path: str) -> list[list[str]]:
    if not files.exists(path):
        return []
    return [line.split(":") for line in files.read(path).decode(errors="replace").splitlines()]


def user_names(files: FileSystem) -> dict[int, str]:
    """Return the users that /etc/passwd names."""
    rows = _table(files, "/etc/passwd")
    return {int(row[2]): row[0] for row in rows if len(row) > 3 and row[2].isdigit()}


def user_numbers(files: FileSystem) -> dict[str, tuple[int, int]]:
    """Return the numbers of users and of their groups, by name."""
    rows = [row for row in _table(files, "/etc/passwd") if len(row) > 3]
    return {row[0]: (int(row[2]), int(row[3])) for row in rows}


def group_names(files: FileSystem) -> dict[int, str]:
    """Return the groups that /etc/group names."""
    rows = _table(files, "/etc/group")
    return {int(row[2]): row[0] for row in rows if len(row) > 2 and row[2].isdigit()}


def home(files: FileSystem, uid: int) -> str:
    """Return a user's home directory; one that nobody has heard of lives at /."""
    homes = {row[2]: row[5] for row in _table(files, "/etc/passwd") if len(row) > 5}
    return homes.get(str(uid), "/")


def shown(number: int, names: Mapping[int, str]) -> str:
    """Return a number with its name, as id(1) shows them."""
    return f"{number}({names[number]})" if number in names else str(number)


def identity(credentials: Credentials, files: FileSystem) -> str:
    """Return what id(1) prints."""
    groups = group_names(files)
    member_of = sorted({credentials.gid, *credentials.groups})
    return (
        f"uid={shown(credentials.uid, user_names(files))} gid={shown(credentials.gid, groups)} "
        f"groups={','.join(shown(each, groups) for each in member_of)}"
    )
