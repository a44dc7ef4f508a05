"""What a command's name leads to in a container."""

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

from kubesim.runtime.process import Process, Program, World


@dataclass(frozen=True)
class Found:
    """A program and its path, or the exit status and the reason why there is none."""

    program: Program | None
    path: str = ""
    status: int = 127
    message: str = "not found"


def find_program(world: World, directory: str, name: str, environment: Mapping[str, str]) -> Found:
    """Find what `name`, said in `directory`, runs: one of the image's programs or a script."""
    if "/" in name:
        return _program_at(world, directory, name)
    for place in environment.get("PATH", "/bin").split(":"):
        found = _program_at(world, directory, posixpath.join(place, name))
        if found.program:
            return found
    return Found(None)


def _program_at(world: World, directory: str, name: str) -> Found:
    path = posixpath.normpath(posixpath.join(directory, name))
    if not world.files.exists(path):
        return Found(None)
    node = world.files.lookup(path)
    program = world.program(node)
    if program:
        return Found(program, name)
    if world.files.is_directory(path) or not node.mode & 0o111:
        return Found(None, name, 126, "Permission denied")

    async def script(process: Process) -> int:
        argv = ["sh", name, *process.argv[1:]]
        return await process.execute(world.programs["sh"], argv, process.environment)

    return Found(script, name)


def find_for(process: Process, name: str) -> Found:
    """Find what `name` runs for `process`."""
    return find_program(process.world, process.directory, name, process.environment)
