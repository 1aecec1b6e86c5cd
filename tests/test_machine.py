"""The memory at hand: how it is measured, and what is compared with it before it is built."""

import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

import kanerva
from kanerva import InputError, bits, nn
from kanerva._core import machine
from kanerva.lab import runner
from kanerva.lab.papers import RECIPES
from kanerva.nn.projection import Projection
from kanerva.separation import Step

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


# What is built compares its size with the memory at hand before it allocates anything.

MOST = 2**31 - 1
BUILDERS = {
    "sdm": (lambda n: kanerva.sdm(1000, n, 451), "sdm: locations"),
    "sdm with wide values": (lambda n: kanerva.sdm(8, 10**6, 2, value_bits=n), "sdm: locations"),
    "sdm_hyperplane": (lambda n: kanerva.sdm_hyperplane(8, n, 2, 4), "sdm_hyperplane: locations"),
    "sdm_selected": (lambda n: kanerva.sdm_selected(256, n, 7), "sdm_selected: locations"),
    "sdm_continuous": (lambda n: kanerva.sdm_continuous(32, n, 9), "sdm_continuous: locations"),
    "bits.random": (lambda n: bits.random(n, 1000, seed=0), "bits.random: count"),
    "Packed.random": (lambda n: bits.Packed.random(n, 1000, seed=0), "Packed.random: count"),
    "bits.unpack": (lambda n: bits.unpack(WORD.expand(n, 1), 64), "bits.unpack: words"),
    "Locations": (
        lambda n: kanerva.Locations(torch.ones(2**10, 8), n, separation=Step(1)),
        "Locations: value_dim",
    ),
    "Attention": (lambda n: nn.Attention(8, 4, persistent=n), "Attention: dim"),
    "EnergyBlock": (lambda n: nn.EnergyBlock(8, 1, memories=n), "EnergyBlock: dim"),
    "LatentAttention": (lambda n: nn.LatentAttention(8, 4, n), "LatentAttention: latents"),
    "Projection": (lambda n: Projection(n, 1000), "Projection: dim_in"),
}
WORD = torch.zeros(1, 1, dtype=torch.int64)


@pytest.mark.filterwarnings("ignore:.*locations would be active")
@pytest.mark.parametrize("name", BUILDERS)
def test_an_absurd_size_is_refused_at_once(name):
    build, start = BUILDERS[name]
    build(8)  # what is imported at the first use is not counted
    before = time.process_time()
    with pytest.raises(InputError) as caught:
        build(MOST)
    assert time.process_time() - before < 1
    assert str(caught.value).startswith(f"{start} must be small enough for the memory at hand, ")
    assert ", which needs " in str(caught.value)


@pytest.mark.filterwarnings("ignore:.*locations would be active")
@pytest.mark.parametrize("name", BUILDERS)
def test_what_is_built_is_compared_with_the_memory_at_hand(name, monkeypatch):
    """A size that fits is built, and refused where there is less memory than it takes."""
    build, start = BUILDERS[name]
    count = 3 if "wide" in name else 40_000
    build(count)
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**20)
    with pytest.raises(InputError, match=f"^{start} must be small enough .*, 1.0 MiB, but"):
        build(count)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.filterwarnings("ignore:.*locations would be active")
@pytest.mark.parametrize(
    "name", [each for each in BUILDERS if each not in ("Locations", "sdm with wide values")]
)
def test_no_more_is_taken_than_was_announced(name, monkeypatch):
    """The bytes that a constructor announces cover its peak, as the kernel counts it."""
    build, _ = BUILDERS[name]
    announced = []
    monkeypatch.setattr(machine, "fit", lambda argument, needed, *rest: announced.append(needed))
    build(60_000)
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    try:
        reset.write_text("5", encoding="utf-8")
    except OSError:
        pytest.skip("the peak cannot be reset here")

    def kilobytes(name):
        return int(status.read_text(encoding="utf-8").split(f"{name}:")[1].split()[0])

    before = kilobytes("VmRSS")
    build(60_000)
    taken = 1024 * (kilobytes("VmHWM") - before)
    assert announced
    assert taken <= 1.1 * max(announced) + 8 * 2**20


def test_files_are_compared_with_the_memory_at_hand(tmp_path, monkeypatch):
    memory = kanerva.attention(64)
    memory.write(torch.ones(10_000, 64))
    memory.save(tmp_path / "a.safetensors")
    monkeypatch.setattr(machine, "available_bytes", lambda: 2**20)
    must = "must be small enough for the memory at hand, 1.0 MiB, but it was"
    with pytest.raises(InputError, match=f"^load: path {must} a file of 2.5 MiB"):
        kanerva.load(tmp_path / "a.safetensors")
    with pytest.raises(InputError, match=f"^save: memory {must} of 2.5 MiB to be written"):
        memory.save(tmp_path / "b.safetensors")
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


@pytest.mark.filterwarnings("ignore:.*locations would be active")
@pytest.mark.parametrize(
    ("recipe", "given"),
    [
        ("kanerva.alphabet", {"locations": MOST}),
        ("kanerva.fault_tolerance", {"locations": MOST}),
        ("kanerva.overlap", {"draws": MOST}),
        ("kanerva.nearest", {"points": MOST}),
        ("kanerva.critical_distance", {"patterns": MOST}),
        ("jaeckel.designs", {"locations": MOST}),
        ("jaeckel.designs", {"patterns": MOST}),
        ("keeler.hopfield", {"doublings": MOST}),
        ("keeler.hopfield", {"bits": MOST}),
        ("sdm.convergence", {"patterns": MOST}),
        ("sdm.finite_locations", {"patterns": MOST}),
    ],
)
def test_a_recipe_refuses_what_does_not_fit(recipe, given):
    with pytest.raises(InputError) as caught:
        runner.run(RECIPES[recipe], given=given)
    assert "the memory at hand" in str(caught.value) or caught.value.argument in given
