"""The files of docs/extending.md: each runs unchanged, and none exceeds its limit of lines."""

import importlib
import re
import sys
from pathlib import Path

import pytest
import torch

import kanerva
from kanerva import cli

# The files are examples of what users write, without the run-time shape checks.
pytestmark = pytest.mark.untyped

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`(\w+\.py)`:\n\n```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE))
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
SCRIPTS = [block for block in BLOCKS if block not in FILES.values()]
RUNS = re.findall(r"^    (kanerva run .*)$", PAGE, re.MULTILINE)
COMMANDS = re.findall(r"^    (kanerva recall .*)$", PAGE, re.MULTILINE)
LINES = {"student.py": 15, "fading.py": 15, "graph.py": 20, "stripes.py": 8, "distances.py": 25}
PRINTED = (
    "18 laws hold\nPatterns(32 -> 32, 10 stored, closeness, Student(beta=1.0), Identity())\n",
    "[0.88",
    "[1.0, 0.5, 0.0, 0.0]\nTrue\n",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Return a folder with the files; it is the current one, and modules are imported from it."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
        monkeypatch.delitem(sys.modules, name.removesuffix(".py"), raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", LINES)
def test_files_are_short(name):
    lines = [line for line in FILES[name].splitlines() if line.strip()]
    assert len(lines) <= LINES[name]


@pytest.mark.parametrize("place", range(len(SCRIPTS)))
def test_scripts_run(folder, capsys, place):
    assert len(SCRIPTS) == len(PRINTED)
    exec(compile(SCRIPTS[place], "script", "exec"), {})
    assert capsys.readouterr().out.startswith(PRINTED[place])


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_run(folder, monkeypatch, command):
    short = ["--levels", "0,0.1", "--seeds", "1", "--cues", "5", "--out", "out"]
    monkeypatch.setattr(sys, "argv", [*command.split(), *short])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0
    assert (folder / "out" / "table.csv").is_file()


@pytest.mark.parametrize("command", RUNS)
def test_experiments_run(folder, monkeypatch, capsys, command):
    monkeypatch.setattr(sys, "argv", [*command.split(), "--out", "out"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert (ended.value.code, len(RUNS)) == (0, 1)
    assert "1 of 1 numbers are reproduced" in capsys.readouterr().out
    assert (folder / "out" / "table.csv").read_text().startswith("n,seed,share\n64,0,0.")
    assert (folder / "out" / "figure.png").is_file()


def test_the_graph_keeps_the_laws_but_the_one_on_order(folder):
    memory = importlib.import_module("graph").correlated(16, torch.eye(12).roll(1, 1))
    with pytest.raises(kanerva.check.ContractError, match="in another order: results differ"):
        kanerva.check_memory(memory)
    memory.exempt = {"The order of writing leaves a read unchanged": "edges belong to places"}
    laws = kanerva.check_memory(memory)
    assert "Copies, state dicts and files read as the memory does" in laws.held
    assert laws.exempt == memory.exempt
