"""Tables on terminals of any width and in pipes, and outputs that cannot be written."""

import io
import os
import subprocess
import sys

import pytest
from rich.console import Console
from rich.text import Text

from kanerva.cli._tables import ENDLESS, count, fitted, grid
from kanerva.lab import recall, report

pytestmark = pytest.mark.untyped

NAMES = ("circles of the best radius", "a", "unbreakable_name_of_a_row", "SDM, neurons")
HEADS = ("in the place\nof these heads", *(f"measure\nnumber{place}" for place in range(9)))


def printed(table, width):
    """Print a table on a terminal of some width."""
    file = io.StringIO()
    Console(file=file, width=width).print(table)
    return file.getvalue()


def words(text):
    """Return the words of a text without its rules."""
    return [word for word in text.split() if set(word) != {"─"}]


@pytest.fixture
def table():
    made = grid(*HEADS)
    for row, name in enumerate(NAMES):
        made.add_row(name, *(Text(f"{row}.{place:03}") for place in range(9)))
    return made


@pytest.mark.parametrize("width", [*range(20, 160, 7), 40, 80, ENDLESS])
def test_no_name_no_column_and_no_cell_vanishes(table, width):
    lines = printed(table, width).splitlines()
    assert max(map(len, lines)) <= width
    assert all(line == line.rstrip() for line in lines)
    found = words("\n".join(lines))
    for place in range(9):
        assert found.count(f"number{place}") == 1
        assert all(found.count(f"{row}.{place:03}") == 1 for row in range(len(NAMES)))
    bands = sum(line.startswith("─") for line in lines)
    if width >= 40:
        assert all(found.count(word) >= bands for name in NAMES for word in name.split())


def test_a_pipe_gets_one_line_a_row(table):
    lines = printed(table, ENDLESS).splitlines()
    assert len(lines) == 2 + len(NAMES)
    assert "measure number8" in lines[0]
    assert lines[2].startswith("circles of the best radius ")


def test_a_table_of_others_keeps_its_styles_and_columns():
    rows = [{"memory": "cue", "title": "The cue itself", "exact": 0.5, "seconds": 1e-3}]
    made = fitted(report.table(rows, ["title", "exact", "seconds"]))
    for width in (20, 40, 80):
        text = printed(made, width)
        assert "50.0%" in text
        assert "time" in text
        assert (
            words("The cue itself")
            == [word for word in words(text) if word in "The cue itself"][:3]
        )


def test_things_are_counted_in_words():
    assert [count(1, "bit"), count(0, "bit"), count(2000, "bit")] == [
        "1 bit",
        "0 bits",
        "2,000 bits",
    ]


def kanerva(line, *, stdout=subprocess.PIPE, columns=None):
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    if columns:
        environment["COLUMNS"] = str(columns)
    return subprocess.run(
        [sys.executable, "-m", "kanerva", *line.split()],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize("line", ["theory", "theory --json", "--help", "--version"])
def test_an_output_that_is_full_gets_one_sentence(line):
    with open("/dev/full", "w") as full:
        run = kanerva(line, stdout=full)
    assert run.returncode == 2
    assert run.stderr.strip() == (
        "kanerva: the output could not be written (no space left on device); "
        "direct it to another file."
    )


@pytest.mark.parametrize("line", ["theory", "theory --json"])
def test_a_closed_pipe_is_quiet(line):
    read, write = os.pipe()
    os.close(read)
    run = kanerva(line, stdout=write)
    os.close(write)
    assert (run.returncode, run.stderr) == (141, "")


def test_a_pipe_is_neither_folded_nor_padded(ran, monkeypatch):
    out = ran("theory", "--radius", "9")[1]
    assert "most signal to noise" in out
    assert "radius: bits within which a location is active   " in out
    listed = ran("list")[1]
    wide = "From shared circles to an exponential, step by step"
    assert wide in listed
    assert all(line == line.rstrip() for line in (out + listed).splitlines())
    monkeypatch.setenv("COLUMNS", "40")
    narrow = ran("list")[1]
    assert max(map(len, narrow.splitlines())) <= 40
    for name in ("sdm.critical_locations", "kanerva.critical_distance", "source"):
        assert name in narrow
    for head in ("signal", "patterns", "corrected", "yours"):
        assert head in ran("theory", "--radius", "9")[1]


QUICK = ("recall", "letters", "--memory", "dense", "--seeds", "1", "--cues", "5", "--out", "o")


def test_the_table_of_recall_shows_damage(ran):
    code, out, error = ran(*QUICK, "--levels", "0,0.001,0.9")
    assert (code, error) == (0, "")
    assert "letters at flip 0.9\n" in out
    assert "letters at flip 0\n" in ran(*QUICK, "--levels", "0")[1]
    # A level at which no bit is flipped is shown neither in the table nor in the words.
    few = ran(*QUICK, "--levels", "0.001,0.3")[1]
    assert "letters at flip 0.3\n" in few
    assert "Most is recalled at 30% damage" in few
    assert "letters at flip 0.1\n" in ran(*QUICK, "--levels", "0,0.1,0.3")[1]


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("compare", "Nothing is kept: a comparison is written when it is complete"),
        ("save", "The files that were complete are kept in o"),
    ],
)
def test_an_interrupted_recall_says_what_is_kept(ran, monkeypatch, name, kept):
    def interrupted(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr(recall, name, interrupted)
    code, out, error = ran(*QUICK, "--levels", "0.1")
    assert (code, out, error) == (130, "", f"kanerva: interrupted. {kept}.\n")


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_names_that_are_not_utf8(ran, tmp_path):
    import numpy as np

    strange = os.fsdecode(b"\xff\xfe.npy")
    np.save(tmp_path / strange, np.eye(5))
    options = ("--memory", "hopfield", "--seeds", "1", "--cues", "2", "--levels", "0.2")
    for more in ((), ("--out", os.fsdecode(b"\xff")), ("--json",)):
        code, _, error = ran("recall", strange, *options, *more)
        assert code in (0, 2)
        assert "Traceback" not in error
    assert ran("recall", os.fsdecode(b"\xffno.npy"))[0] == 2
    for line in (
        ("run", strange),
        ("show", strange),
        ("cite", strange),
        ("bench", "--only", strange),
    ):
        assert ran(*line)[0] == 2
