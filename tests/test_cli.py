"""The command line: what it prints, what it writes, and how it refuses bad input."""

import json
import subprocess
import sys

import numpy as np
import pytest

from kanerva import cli
from kanerva._core.locks import locked

# Most of it runs in processes of its own, and other tests run the same code with shape checks.
pytestmark = pytest.mark.untyped

QUICK = ["--seeds", "1", "--cues", "5", "--levels", "0,0.1"]


@pytest.fixture
def command(ran, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    return ran


@pytest.fixture
def refused(monkeypatch, capsys, tmp_path):
    """Run a command that must end with exit code 2 and one sentence, and write nothing else."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        before = sorted(tmp_path.iterdir())
        monkeypatch.setattr(sys, "argv", ["kanerva", "recall", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        said = capsys.readouterr()
        assert ended.value.code == 2
        assert said.out == ""
        assert "Traceback" not in said.err
        assert sorted(tmp_path.iterdir()) == before
        return " ".join(said.err.split())

    return run


def test_recall_prints_a_table_and_writes_a_report(command, tmp_path):
    code, out, error = command("recall", "letters", *QUICK)
    assert code == 0, error
    for text in (
        "26 patterns of 64 bits",
        "SDM, neurons",
        "Nearest",
        "Most is recalled at 10% damage",
        "Report: runs/letters/report.html",
    ):
        assert text in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80
    assert (tmp_path / "runs" / "letters" / "report.html").stat().st_size > 10_000


def test_json_alone_goes_to_the_output(command):
    line = ("recall", "letters", "--memory", "dense", "--json", "--out", "here", *QUICK)
    code, out, error = command(*line)
    assert code == 0, error
    record = json.loads(out)
    assert {row["memory"] for row in record["rows"]} == {"cue", "nearest", "dense"}
    assert record["files"][-1] == "here/report.html"


@pytest.mark.parametrize(
    ("domain", "kept"), [("bits", "12 patterns of 25 bits"), ("real", "12 patterns of 25 numbers")]
)
@pytest.mark.parametrize("kind", ["occlude", "gaussian", "mask"])
def test_other_damage_and_own_data(command, tmp_path, kind, domain, kept, request):
    if (kind, domain) != ("gaussian", "real"):  # one set of figures is enough
        request.getfixturevalue("plain")
    np.save(tmp_path / "mine.npy", np.random.default_rng(0).normal(size=(12, 5, 5)))
    line = ("recall", "mine.npy", "--damage", kind, "--domain", domain, *QUICK)
    code, out, error = command(*line)
    assert code == 0, error
    assert kept in out


def test_without_the_plot_extra_the_table_still_comes(tmp_path):
    (tmp_path / "matplotlib.py").write_text("raise ImportError")
    blocked = "import sys, importlib.util as u; real = u.find_spec\n"
    blocked += (
        "u.find_spec = lambda name, *rest: None if name == 'matplotlib' else real(name, *rest)\n"
    )
    blocked += "from kanerva.cli import main; main()"
    words = ("recall", "letters", "--memory", "hopfield", "--seeds", "1", "--cues", "3")
    run = subprocess.run(
        [sys.executable, "-c", blocked, *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert 'pip install "kanerva[plot]"' in " ".join(run.stdout.split())
    assert sorted(path.name for path in (tmp_path / "runs" / "letters").iterdir()) == [
        "capacity.csv",
        "found.csv",
        "manifest.json",
        "table.csv",
    ]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nothing.npy"], ["nothing.npy"]),
        (["digits", "--damage", "burn"], ["damage", "flip"]),
        (["digits", "--levels", "a,b"], ["levels", "commas"]),
        (["digits", "--levels", "0.1,nan"], ["levels"]),
        (["digits", "--memory", "nobody"], ["memory", "hopfield"]),
        (["digits", "--set", "sdm"], ["set", "sdm.radius=24"]),
        (["letters", "--set", "sdm.radius=64"], ["radius", "0 to 63"]),
        (["letters", "--set", "sdm.radius=-1"], ["radius", "0 to 63"]),
        (["letters", "--set", "modern_hopfield.beta=nan"], ["beta"]),
        (["letters", "--set", "dense.order=1"], ["order", ">= 2"]),
        (["letters", "--patterns", "1"], ["patterns"]),
        (["letters", "--seeds", "0"], ["seeds"]),
        (["letters", "--domain", "real", "--memory", "hopfield"], ["hopfield", "bits"]),
        (["letters", "--cues", "many"], ["cues"]),
        (["letters", "--hue"], ["--hue"]),
        ([".", "--cues", "3"], ["pictures"]),
    ],
)
def test_bad_calls_get_a_sentence(refused, arguments, words):
    said = refused(*arguments)
    assert all(word in said for word in words), said


def test_bad_files_get_a_sentence(refused, tmp_path):
    (tmp_path / "words.csv").write_text("1,2\nthree,4\n")
    np.savez(tmp_path / "two.npz", a=np.ones(2), b=np.ones(2))
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 20)
    np.save(tmp_path / "nan.npy", np.full((3, 3), np.nan))
    np.save(tmp_path / "empty.npy", np.empty((0, 4)))
    for name, word in (
        ("words.csv", "three"),
        ("two.npz", "two.npz:a"),
        ("cut.safetensors", "safetensors"),
        ("nan.npy", "nan"),
        ("empty.npy", "0"),
    ):
        assert word in refused(name)


def test_a_folder_that_cannot_be_made_gets_a_sentence(refused, tmp_path):
    (tmp_path / "file").write_text("")
    assert "out must be a folder that can be written" in refused(
        "letters", "--memory", "hopfield", "--out", "file/below", *QUICK
    )


def test_a_folder_in_which_another_comparison_is_at_work_gets_a_sentence(refused, tmp_path):
    with locked(tmp_path / "here"):
        said = refused("letters", "--memory", "hopfield", "--out", "here", *QUICK)
        assert "out must be a folder of its own, but it was 'here', where another run is" in said


def test_a_refusal_ends_the_process_with_2(tmp_path):
    line = [sys.executable, "-m", "kanerva", "recall", "nothing.npy"]
    run = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr.startswith("kanerva: ")


def test_help_names_every_memory_and_version_is_printed(monkeypatch, capsys):
    from kanerva import __version__
    from kanerva.lab import memories

    for arguments, words in (
        (["recall", "--help"], memories.ENTRIES),
        (["--version"], [__version__]),
    ):
        monkeypatch.setattr(sys, "argv", ["kanerva", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert all(word in said for word in words)
