"""docker-entrypoint.sh of the redis image: options and a configuration file mean redis-server."""

from kubesim.runtime.commands import find_for
from kubesim.runtime.process import Process

NOT_FOUND = 127


async def entrypoint(process: Process) -> int:
    """Become what the arguments say."""
    command = process.argv[1:]
    if command and (command[0].startswith("-") or command[0].endswith(".conf")):
        command = ["redis-server", *command]
    found = find_for(process, command[0])
    if found.program is None:
        await process.write(f"{process.argv[0]}: exec: {command[0]}: not found\n", 2)
        return NOT_FOUND
    return await process.execute(found.program, command, process.environment)
