"""``kanerva bench`` as a newcomer runs it."""

import json
import sys

import pytest

from kanerva import cli
from kanerva.lab import bench


@pytest.fixture(autouse=True)
def wide(monkeypatch):
    monkeypatch.setenv("COLUMNS", "140")


def kanerva(monkeypatch, *words):
    """Run the command line; return its exit code."""
    monkeypatch.setattr(sys, "argv", ["kanerva", *map(str, words)])
    with pytest.raises(SystemExit) as end:
        cli.main()
    return end.value.code or 0


def test_a_table_and_a_page(monkeypatch, capsys, tmp_path):
    assert (
        kanerva(
            monkeypatch,
            "bench",
            "--size",
            "tiny",
            "--only",
            "nearest",
            "--only",
            "softmax",
            "--out",
            tmp_path / "here",
        )
        == 0
    )
    told = capsys.readouterr().out
    assert "d=16 N=400 B=5" in told
    assert "softmax read: required at most 1.1 times" in told
    assert f"Page: {tmp_path / 'here' / 'benchmarks.md'}" in told
    assert (tmp_path / "here" / "benchmarks.md").is_file()
    assert (tmp_path / "here" / "images" / "benchmarks.png").read_bytes()[1:4] == b"PNG"


def test_the_folder_is_named_after_what_was_asked_for(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert kanerva(monkeypatch, "bench", "--size", "tiny", "--only", "million") == 0
    assert "20 of 20 cues were recalled without a single wrong bit." in capsys.readouterr().out
    assert (tmp_path / "runs" / "bench-tiny-million" / "benchmarks.json").is_file()


def test_json_holds_rows_limits_and_the_machine(monkeypatch, capsys, tmp_path):
    words = (
        "--size",
        "tiny",
        "--only",
        "nearest",
        "--threads",
        "1",
        "--seconds",
        "0.01",
        "--json",
        "--out",
        tmp_path,
    )
    assert kanerva(monkeypatch, "bench", *words) == 0
    told = json.loads(capsys.readouterr().out)
    assert {row["operation"] for row in told["rows"]} == {"nearest"}
    assert told["limits"]["single"] > 0
    assert told["machine"]["threads"] == 1
    assert told["folder"] == str(tmp_path)


def test_an_interrupted_run_says_what_is_kept(monkeypatch, capsys, tmp_path):
    def stop(sizes, limits):
        raise KeyboardInterrupt
        yield

    monkeypatch.setitem(
        bench.OPERATIONS, "density", bench.OPERATIONS["density"]._replace(cases=stop)
    )
    assert (
        kanerva(
            monkeypatch,
            "bench",
            "--size",
            "tiny",
            "--only",
            "nearest",
            "--only",
            "density",
            "--out",
            tmp_path,
        )
        == 130
    )
    assert "What is done is kept in" in capsys.readouterr().err
    assert json.loads((tmp_path / "benchmarks.json").read_text(encoding="utf-8"))["rows"]


def test_an_unknown_operation_ends_with_a_sentence(monkeypatch, capsys):
    assert kanerva(monkeypatch, "bench", "--only", "speed") == 2
    assert "bench: only must be one of 'activation'" in capsys.readouterr().err
