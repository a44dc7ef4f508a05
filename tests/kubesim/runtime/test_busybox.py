"""The shell and its programs against what the real busybox answered (data/busybox.yaml)."""

from pathlib import Path

import pytest
import yaml

CASES = yaml.safe_load((Path(__file__).parent / "data" / "busybox.yaml").read_text())


@pytest.mark.parametrize("case", CASES, ids=[case["script"][:40] for case in CASES])
async def test_answers_as_busybox_does(make_machine, case):
    found = await make_machine().sh(case["script"])
    assert found == (case.get("stdout", ""), case.get("stderr", ""), case.get("status", 0))


async def test_an_endless_loop_leaves_time_to_others(make_machine):
    machine = make_machine()
    busy = machine.start("sh", "-c", "while true; do :; done")
    other = machine.start("sh", "-c", "sleep 1; echo done")
    await machine.finish(other)
    assert busy.running
    busy.kill()
    assert await machine.finish(busy) == 137


async def test_a_fork_bomb_is_stopped_by_the_limit_of_processes(make_machine):
    machine = make_machine()
    bomb = machine.start("sh", "-c", "f() { f | f & }; f; sleep 5")
    for _ in range(3):
        await machine.clock.advance(0.1)
    assert len(bomb.world.processes.by_pid) <= 256
    bomb.kill()
    await machine.finish(bomb)


async def test_memory_is_bounded(make_machine):
    assert (await make_machine().sh("x=ab; while :; do x=$x$x; done"))[2] == 137


async def test_disk_is_bounded(make_machine):
    script = "echo x > /f; while cat /f /f > /g; do mv /g /f; done; exit 1"
    _, errors, status = await make_machine().sh(script)
    assert "No space left on device" in errors
    assert status != 0


async def test_endless_recursion_crashes_the_shell_alone(make_machine):
    assert (await make_machine().sh("f() { f; }; f"))[2] == 139


async def test_the_last_command_takes_over_the_process(make_machine):
    out, _, _ = await make_machine().sh("echo first; ps")
    assert "    1 root      0:00 {ps} sh -c echo first; ps" in out
    out, _, _ = await make_machine().sh("ps; echo last")
    assert "    1 root      0:00 sh -c ps; echo last\n    2 root      0:00 {ps} sh -c ps" in out


async def test_a_script_file_runs_by_its_path(make_machine):
    script = "printf '#!/bin/sh\\necho $0 got $1' > /run.sh; chmod +x /run.sh; /run.sh it"
    assert (await make_machine().sh(script))[0] == "/run.sh got it\n"


async def test_a_file_is_followed_while_it_grows(make_machine):
    script = "touch /f; tail -f /f & sleep 2; echo new >> /f; sleep 2; kill $!"
    assert (await make_machine().sh(script))[0] == "new\n"


async def test_a_file_that_is_not_there_yet_is_waited_for(make_machine):
    script = "tail -n+1 -F /f 2>&1 & sleep 2; echo new > /f; sleep 2; kill $!"
    assert (await make_machine().sh(script))[0].splitlines() == [
        "tail: can't open '/f': No such file or directory",
        "tail: /f has appeared; following end of new file",
        "new",
    ]


async def test_double_brackets_test_as_single_ones_do(make_machine):
    script = "[[ -e /etc/passwd ]] && [[ a == a ]] && echo yes; [[ -d /nope ]] || echo no"
    assert (await make_machine().sh(script))[0] == "yes\nno\n"
