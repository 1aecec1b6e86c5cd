"""The memory at hand, against folders that look as those of Linux do."""

import psutil
import pytest

from kanerva import InputError
from kanerva._core import machine

GIB = 2**30


def group(folder, version, limit, used, cached=0):
    """Write the files of one control group."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {2: ("memory.max", "memory.current"), 1: machine.FILES["memory"][:2]}[version]
    for name, value in zip(names, (limit, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    line = "inactive_file" if version == 2 else "total_inactive_file"
    (folder / "memory.stat").write_text(f"anon 5\n{line} {cached}\nother 7\n")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """Put the control groups of this process under a folder; return it and a writer of its list."""
    monkeypatch.setattr(machine, "GROUPS", tmp_path / "cgroup")
    monkeypatch.setattr(machine, "MOUNT", tmp_path / "fs")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 64 * GIB}))
    return tmp_path / "fs", (tmp_path / "cgroup").write_text


def test_without_control_groups_it_is_what_the_system_has(tree):
    assert machine.available_bytes() == 64 * GIB


def test_a_limit_of_version_2_counts_what_is_used_but_for_the_cache(tree):
    mount, listed = tree
    listed("0::/jobs/one\n")
    group(mount / "jobs" / "one", 2, 8 * GIB, 3 * GIB, GIB)
    assert machine.available_bytes() == 6 * GIB


def test_a_group_that_holds_the_group_limits_it_too(tree):
    mount, listed = tree
    listed("0::/jobs/one\n")
    group(mount / "jobs" / "one", 2, "max", 3 * GIB)
    assert machine.available_bytes() == 64 * GIB
    group(mount / "jobs", 2, 4 * GIB, 3 * GIB)
    assert machine.available_bytes() == GIB


@pytest.mark.parametrize("path", ["/", "/docker/abc"])
def test_a_container_of_version_1_sees_its_limit_at_the_root(path, tree):
    mount, listed = tree
    listed(f"5:cpu,cpuacct:/x\n4:memory:{path}\n0::/\nbroken line\n")
    group(mount / "memory", 1, 2 * GIB, GIB)
    assert machine.available_bytes() == GIB


def test_no_limit_of_version_1_is_a_huge_number(tree):
    mount, listed = tree
    listed("4:memory:/\n")
    group(mount / "memory", 1, 2**63 - 4096, GIB)
    assert machine.available_bytes() == 64 * GIB


def test_a_group_beyond_its_limit_leaves_nothing(tree):
    mount, listed = tree
    listed("0::/\n")
    group(mount, 2, GIB, 2 * GIB)
    assert machine.available_bytes() == 0


def test_this_machine_has_no_more_than_the_system_says():
    assert 0 < machine.available_bytes() <= psutil.virtual_memory().total


def test_what_does_not_fit_gets_a_sentence(tree):
    machine.fit("locations", 64 * GIB, "5")
    with pytest.raises(InputError) as caught:
        machine.fit("locations", 64 * GIB + 1, "5", "give fewer")
    assert str(caught.value) == (
        "locations must be small enough for the memory at hand, 64.0 GiB, "
        "but it was 5, which needs 64.0 GiB; give fewer."
    )


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (2**20 - 1, "1.0 MiB"),
        (2.5 * 2**40, "2.5 TiB"),
        (2.0**60, "1,048,576.0 TiB"),
    ],
)
def test_sizes_in_words(count, text):
    assert machine.size(count) == text
