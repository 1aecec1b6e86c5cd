"""A folder is written by one process at a time."""

import os
import subprocess
import sys

import pytest

from kanerva import InputFileError
from kanerva._core.locks import locked

CODE = """
import pathlib, sys
from kanerva._core.locks import locked
with locked(pathlib.Path("a/b")):
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_the_second_process_gets_a_sentence_until_the_first_has_ended(tmp_path, monkeypatch):
    pytest.importorskip("fcntl")
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, "-c", CODE]
    first = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with first:
        assert first.stdout.readline() == "ready\n"
        with (
            pytest.raises(InputFileError, match=r"out must be a folder of its own, .* another run"),
            locked(tmp_path / "a" / "b"),
        ):
            pytest.fail("locked twice")
        assert (tmp_path / "a" / "b").is_dir()
        first.kill()
    with locked(tmp_path / "a" / "b") as folder:
        assert os.listdir(folder) == []


def test_a_folder_is_removed_only_where_it_was_made_for_nothing(tmp_path):
    with locked(tmp_path / "a" / "b", tidy=True):
        pass
    assert os.listdir(tmp_path) == []
    (tmp_path / "c").mkdir()
    with locked(tmp_path / "c" / "d", tidy=True) as folder:
        (folder / "kept").write_text("")
    with locked(tmp_path / "c", tidy=True), locked(tmp_path / "e"):
        pass
    assert (tmp_path / "e").is_dir()
    assert (tmp_path / "c" / "d" / "kept").is_file()
    with locked(None) as nothing:
        assert nothing is None


def test_a_folder_that_cannot_be_made_gets_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(InputFileError, match="out must be a folder that can be written"),
        locked(tmp_path / "file" / "below"),
    ):
        pytest.fail("locked")
