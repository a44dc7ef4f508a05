"""Process 1, signals, exit codes, terminals."""

import pytest

from kubesim.runtime.container import StartError
from kubesim.runtime.signals import LINUX


async def drain(stream):
    return b"".join([chunk async for chunk in stream]).decode()


async def test_process_1_ignores_what_it_does_not_handle(make_machine):
    machine = make_machine()
    sleeper = machine.start("sleep", "1000")
    sleeper.signal(LINUX["TERM"])
    await machine.clock.advance(5)
    assert sleeper.running
    sleeper.signal(LINUX["KILL"])
    assert await machine.finish(sleeper) == 137


async def test_process_1_may_handle_term(make_machine):
    machine = make_machine()
    polite = machine.start("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done")
    await machine.clock.advance(3)
    polite.signal(LINUX["TERM"])
    assert await machine.finish(polite) == 0


async def test_all_processes_die_with_process_1(make_machine):
    machine = make_machine()
    container = machine.start("sh", "-c", "sleep 1000 & sleep 2")
    assert await machine.finish(container) == 0
    assert container.world.processes.by_pid == {}


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nosuch"], 'exec: "nosuch": executable file not found in $PATH'),
        (["/bin/nosuch"], 'exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory'),
        (["/etc/passwd"], 'exec: "/etc/passwd": permission denied'),
    ],
)
async def test_what_cannot_be_started_is_told_in_runcs_words(make_machine, argv, message):
    with pytest.raises(StartError) as failure:
        make_machine().start(*argv)
    assert message in str(failure.value)


async def test_a_container_has_its_own_root_and_environment(make_machine):
    machine = make_machine()
    first = machine.start("sh", "-c", "echo mine > /only; sleep 100", GREETING="hi")
    other = machine.start("sh", "-c", "cat /only")
    assert await machine.finish(other, 5) == 1
    execution = first.execute(["sh", "-c", 'cat /only; echo "$GREETING $HOSTNAME"'])
    await machine.clock.advance(1)
    assert await drain(execution.stdout) == "mine\nhi pod\n"
    first.kill()


async def test_a_command_in_a_container_reads_its_input(make_machine):
    machine = make_machine()
    container = machine.start("sleep", "100")
    execution = container.execute(["sh", "-c", "cat; exit 3"], stdin=True)
    await execution.write_stdin(b"one\n")
    await execution.write_stdin(b"two\n")
    await execution.close_stdin()
    assert await drain(execution.stdout) == "one\ntwo\n"
    assert await execution.wait() == 3
    container.kill()


async def test_a_shell_on_a_terminal_prompts_echoes_and_is_interrupted(make_machine):
    machine = make_machine()
    container = machine.start("sleep", "1000")
    shell = container.execute(["sh"], stdin=True, terminal=True)
    for line in ("echo $((6*7))", "if true; then", "echo yes", "fi", "sleep 500"):
        await machine.clock.advance(1)
        await shell.write_stdin(line.encode() + b"\r")
    await machine.clock.advance(1)
    await shell.write_stdin(b"\x03")
    for line in ("echo $?", "exit 4"):
        await machine.clock.advance(1)
        await shell.write_stdin(line.encode() + b"\r")
    shown = (await drain(shell.stdout)).replace("\r\n", "\n")
    assert await shell.wait() == 4
    assert shown.startswith("/ # echo $((6*7))\n42\n/ # ")
    assert "> echo yes\n> fi\nyes\n" in shown
    assert "^C" in shown
    assert "\n130\n" in shown
    container.kill()


async def test_end_of_input_ends_a_shell_on_a_terminal(make_machine):
    machine = make_machine()
    container = machine.start("sleep", "1000")
    shell = container.execute(["sh"], stdin=True, terminal=True)
    await shell.write_stdin(b"\x04")
    assert await shell.wait() == 0
    container.kill()


async def test_a_killed_command_ends(make_machine):
    machine = make_machine()
    container = machine.start("sleep", "1000")
    execution = container.execute(["sleep", "1000"])
    execution.kill()
    assert await execution.wait() == 137
    container.kill()


async def test_stdout_of_process_1_is_reached_from_elsewhere(make_machine):
    machine = make_machine()
    container = machine.start("sleep", "1000")
    await container.execute(["sh", "-c", "echo hello > /proc/1/fd/1"]).wait()
    assert [entry.data for entry in container.log.entries()] == [b"hello\n"]
    container.kill()
