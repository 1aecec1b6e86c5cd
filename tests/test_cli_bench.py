"""``kanerva bench`` on the command line."""

import json
import sys

import pytest

from kanerva import cli
from kanerva.lab import bench


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def kanerva(monkeypatch, line, *more):
    """Run a command line; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["kanerva", *line.split(), *map(str, more)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


def test_a_table_and_a_page(monkeypatch, capsys, tmp_path):
    line = "bench --size tiny --only nearest --only softmax --out"
    assert kanerva(monkeypatch, line, tmp_path / "here") == 0
    printed = capsys.readouterr().out
    assert "d=16 N=400 B=5" in printed
    assert "softmax read: required at most 1.1 times" in printed
    assert f"Page: {tmp_path / 'here' / 'benchmarks.md'}" in printed
    assert (tmp_path / "here" / "benchmarks.md").is_file()
    assert (tmp_path / "here" / "images" / "benchmarks.png").read_bytes()[1:4] == b"PNG"


def test_the_default_folder_is_named_after_the_arguments(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert kanerva(monkeypatch, "bench --size tiny --only million") == 0
    assert "20 of 20 cues were recalled without a single wrong bit." in capsys.readouterr().out
    assert (tmp_path / "runs" / "bench-tiny-million" / "benchmarks.json").is_file()


def test_json_contains_rows_limits_and_the_machine(monkeypatch, capsys, tmp_path):
    line = "bench --size tiny --only nearest --threads 1 --seconds 0.01 --json --out"
    assert kanerva(monkeypatch, line, tmp_path) == 0
    printed = json.loads(capsys.readouterr().out)
    assert {row["operation"] for row in printed["rows"]} == {"nearest"}
    assert printed["limits"]["single"] > 0
    assert printed["machine"]["threads"] == 1
    assert printed["folder"] == str(tmp_path)


def test_an_interrupted_run_names_the_folder_of_its_results(monkeypatch, capsys, tmp_path):
    def stop(sizes, limits):
        raise KeyboardInterrupt
        yield

    density = bench.OPERATIONS["density"]._replace(cases=stop)
    monkeypatch.setitem(bench.OPERATIONS, "density", density)
    line = "bench --size tiny --only nearest --only density --out"
    assert kanerva(monkeypatch, line, tmp_path) == 130
    assert "What is done is kept in" in capsys.readouterr().err
    assert json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))["rows"]


def test_an_unknown_operation_is_refused(monkeypatch, capsys):
    assert kanerva(monkeypatch, "bench --only speed") == 2
    assert "bench: only must be one of 'activation'" in capsys.readouterr().err
