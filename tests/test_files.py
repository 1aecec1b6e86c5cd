"""Files that are whole or not there, and nothing left behind by processes that were killed."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy

import kanerva
from kanerva import bits
from kanerva._core import files
from kanerva.lab import data

pytest.importorskip("fcntl")
KILLS = 100


def left(folder):
    """Return the names of the temporary files in a folder and those below it."""
    return [path.name for path in Path(folder).rglob(".*.kanerva*")]


def killed(code, *arguments):
    """Run code that kills itself."""
    command = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL


def test_the_next_file_of_a_folder_sweeps_what_a_killed_process_left(tmp_path):
    code = """
        import os, pathlib, signal, sys
        from kanerva._core.files import atomic
        with atomic(pathlib.Path(sys.argv[1], "other.bin")) as temporary:
            temporary.write_bytes(bytes(1000))
            os.kill(os.getpid(), signal.SIGKILL)
    """
    killed(code, tmp_path)
    assert len(left(tmp_path)) == 1
    kept = [tmp_path / name for name in (".hidden", ".a.01234567.csv", "a.01234567.kanerva.csv")]
    for path in kept:
        path.write_text("of others")
    with files.atomic(tmp_path / "table.csv") as temporary:
        temporary.write_text("whole")
    assert left(tmp_path) == []
    assert sorted(tmp_path.iterdir()) == sorted([*kept, tmp_path / "table.csv"])


def test_what_another_process_is_writing_stays(tmp_path):
    code = """
        import pathlib, sys
        from kanerva._core.files import atomic
        with atomic(pathlib.Path(sys.argv[1], "a.txt")) as temporary:
            temporary.write_text("first")
            print("ready", flush=True)
            sys.stdin.read()
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
        assert writer.stdout.readline() == "ready\n"
        with files.atomic(tmp_path / "a.txt") as temporary:
            temporary.write_text("second")
        assert len(left(tmp_path)) == 1
        writer.stdin.close()
        assert writer.wait() == 0
    assert (tmp_path / "a.txt").read_text() == "first", "the last that ended"
    assert left(tmp_path) == []


def test_threads_that_write_one_file_sweep_nothing_of_each_other(tmp_path):
    memories = [kanerva.hopfield(64) for _ in range(6)]
    for count, memory in enumerate(memories, 1):
        memory.write(bits.random(count, 64, seed=count))
    failed = []

    def write(memory):
        try:
            for _ in range(20):
                memory.save(tmp_path / "m.safetensors")
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(memory,)) for memory in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert 1 <= len(kanerva.load(tmp_path / "m.safetensors")) <= 6
    assert os.listdir(tmp_path) == ["m.safetensors"]


# One process imports the library once. Its children do the work, and are killed in the midst of it.
HARNESS = """
import contextlib, os, pathlib, signal, sys, time
import torch, matplotlib.pyplot, jinja2
import kanerva
from kanerva import cli
from kanerva.lab import recall, runner

torch.set_num_threads(1)

def child(task):
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        with open(os.devnull, "w") as nothing, contextlib.redirect_stdout(nothing):
            task()
        code = 0
    except SystemExit as ended:
        code = ended.code or 0
    finally:
        os._exit(code)

def whole(task):
    start = time.perf_counter()
    _, status = os.waitpid(child(task), 0)
    assert status == 0, status
    return time.perf_counter() - start

def killed(task, seconds):
    pid = child(task)
    time.sleep(seconds)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])

def stale(folder):
    return len(list(pathlib.Path(folder).rglob(".*.kanerva*")))

def shares(times):
    return [turn * 0.618 % 1 for turn in range(times)]
"""
SAVES = """
path = pathlib.Path(sys.argv[1], "m.safetensors")
memories = [kanerva.hopfield(256), kanerva.hopfield(256)]
for count, memory in zip((1000, 3000), memories):
    memory.write(kanerva.bits.random(count, 256, seed=count))

def save():
    while True:
        for memory in memories:
            memory.save(path)

seen = 0
memories[0].save(path)
for share in shares(int(sys.argv[2])):
    assert killed(save, 0.01 + 0.05 * share)
    assert len(kanerva.load(path)) in (1000, 3000)
    assert stale(path.parent) <= 1, "the one of this kill"
    seen += stale(path.parent)
memories[0].save(path)
assert os.listdir(path.parent) == [path.name]
print(seen)
"""
COMMANDS = """
def command(folder):
    def task():
        sys.argv = ["kanerva", *sys.argv[3:], "--out", folder]
        cli.main()
    return task

home, unharmed = (str(pathlib.Path(sys.argv[1], name)) for name in ("killed", "whole"))
took = whole(command(unharmed))
seen = 0
for turn, share in enumerate(shares(int(sys.argv[2]))):
    seen += killed(command(home), took * share)
    assert stale(home) <= 1, "the one of this kill"
    if turn % 10 == 9:
        whole(command(home))
        assert sorted(os.listdir(home)) == sorted(os.listdir(unharmed))
        if sys.argv[3] == "run":
            tables = [pathlib.Path(folder, "table.csv").read_bytes() for folder in (home, unharmed)]
            assert tables[0] == tables[1]
print(seen)
"""


def harnessed(code, *arguments):
    """Run code in the harness, and return the number that it prints at the end."""
    command = [sys.executable, "-c", HARNESS + code, *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return int(run.stdout)


@pytest.mark.slow
def test_a_hundred_killed_saves(tmp_path):
    """The file is always one of the two memories, and the next save leaves it alone."""
    assert harnessed(SAVES, tmp_path, KILLS) >= KILLS // 10, "kills within a save"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("run", "sdm.critical_distance"),
        ("recall", "letters", "--levels", "0.1,0.2", "--seeds", "1", "--memory", "hopfield"),
    ],
)
def test_a_hundred_killed_commands(command, tmp_path):
    """The same command ends well afterwards, with the files of a run that was not killed."""
    assert harnessed(COMMANDS, tmp_path, KILLS, *command) >= KILLS // 2, "kills before the end"


# Names that are not UTF-8


@pytest.fixture
def odd(tmp_path):
    """Return a path whose name is not UTF-8."""
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    try:
        path.mkdir()
    except OSError:
        pytest.skip("the file system has no such names")
    return path


def test_a_memory_is_saved_and_loaded(odd):
    memory = kanerva.hopfield(8)
    memory.write(bits.random(3, 8, seed=0))
    memory.save(odd / "caf\udce9.safetensors")
    assert len(kanerva.load(odd / "caf\udce9.safetensors")) == 3


@pytest.mark.parametrize("ending", ["npy", "npz", "csv", "parquet", "safetensors"])
def test_data_are_loaded(ending, odd):
    rows = np.random.default_rng(0).integers(0, 2, (30, 12)) * 1.0
    path = odd / f"caf\udce9.{ending}"
    with path.open("wb") as file:
        if ending == "npy":
            np.save(file, rows)
        elif ending == "npz":
            np.savez(file, rows)
        elif ending == "safetensors":
            file.write(safetensors.numpy.save({"rows": rows}))
        else:
            table = pytest.importorskip("pandas").DataFrame(rows, columns=list("abcdefghijkl"))
            table.to_csv(file, index=False) if ending == "csv" else table.to_parquet(file)
    assert data.load(path).real.shape[1] == 12


@pytest.mark.untyped
@pytest.mark.parametrize(
    "command",
    [
        ("run", "sdm.weights", "--set", "bits=64", "--set", "radius=11", "--out"),
        ("recall", "letters", "--memory", "hopfield", "--seeds", "1", "--levels", "0.1", "--out"),
        ("recall",),
        ("show",),
        ("theory", "--bits"),
        ("probe",),
    ],
)
def test_a_command_ends_well_or_in_one_sentence(command, odd, monkeypatch, capsys):
    from kanerva import cli

    monkeypatch.setattr(sys, "argv", ["kanerva", *command, str(odd)])
    try:
        cli.main()
        code = 0
    except SystemExit as ended:
        code = ended.code
    assert code == (0 if "--out" in command else 2)
    assert ("table.csv" in os.listdir(odd)) == ("--out" in command)
    assert "Traceback" not in capsys.readouterr().err
