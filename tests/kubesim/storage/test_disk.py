"""A node's disk: what is there, and that it can be kept and put back."""

import json
from datetime import UTC, datetime

import pytest

from kubesim.runtime.filesystem import Link
from kubesim.storage.disk import HostPathError, NodeDisk, usage


def disk(name="node"):
    return NodeDisk(name, lambda: datetime(2026, 1, 1, tzinfo=UTC))


def test_a_new_disk_has_the_directories_of_a_node():
    made = disk("worker")
    assert bytes(made.find("/etc/hostname").data) == b"worker\n"
    assert made.find("/tmp").mode == 0o1777
    assert made.find("/nowhere") is None


def test_what_a_type_makes_is_there_and_stays():
    made = disk()
    directory = made.host_path("/data/deep", "DirectoryOrCreate")
    assert made.host_path("/data/deep", "Directory") is directory
    with pytest.raises(HostPathError, match="open /no/file: no such file or directory"):
        made.host_path("/no/file", "FileOrCreate")
    made.remove("/data/deep")
    assert made.find("/data/deep") is None


def test_a_disk_that_was_kept_is_as_it_was():
    before, after = disk(), disk()
    before.tree.write("/data/file", b"\x00\xff kept", 0o640)
    before.tree.add("/data/link", Link(0o777, before.tree.now(), "file"))
    before.find("/data/file").uid = 1000
    after.restore(json.loads(json.dumps(before.dump())))
    assert after.find("/") == before.find("/")
    assert usage(after.find("/data")) == 7


@pytest.mark.parametrize("damaged", [{}, {"mode": 1}, [], {"mode": 1, "modified": "then"}])
def test_what_is_no_disk_is_not_put_back(damaged):
    with pytest.raises((KeyError, TypeError, ValueError)):
        disk().restore(damaged)
