"""Fixtures of all tests: default settings, fixed examples, and untouched global generators."""

import gc
import os
import sys
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

# Every run has the same examples; with pytest --hypothesis-profile=default they are random.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)

# The width of the terminal in which the tests run; a test of a narrow terminal sets its own.
os.environ.pop("COLUMNS", None)


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Restore the settings of the library after the test."""
    # Imported here, since the run-time shape checks must be installed before the first import.
    from kanerva import settings

    with settings.use(budget=settings.budget, engine=settings.engine):
        yield


@pytest.fixture(autouse=True)
def untouched_generators() -> Iterator[None]:
    """Fail a test that used a global generator; random numbers need a seed or a generator."""
    before = states()
    yield
    after = states()
    touched = [name for name in before if after[name] != before[name]]
    names = ", ".join(touched)
    assert not touched, f"the global generator of {names} was used; give a seed or a generator"


@pytest.fixture
def no_hub(monkeypatch):
    """Let no command reach the hub of models."""
    from huggingface_hub import constants

    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")


@pytest.fixture
def ran(monkeypatch, capfd, tmp_path):
    """Run a command in an empty folder: its exit code, and all that the process prints."""
    from kanerva import cli

    def run(*arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["kanerva", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, *capfd.readouterr()

    return run


@pytest.fixture
def plain(monkeypatch):
    """Do without figures, which take seconds."""
    monkeypatch.setattr("kanerva.lab.report._files.find_spec", lambda name: None)


def states() -> dict[str, object]:
    """Return the state of the global generators.

    Python's own is left out, since rich draws numbers for its styles from it.
    """
    numpy = np.random.get_bit_generator().state["state"]
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (numpy["key"].tobytes(), numpy["pos"]),
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the examples without the run-time shape checks, as users run them."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("untyped")


def pytest_collection_finish(session: pytest.Session) -> None:
    """Leave what was imported and collected out of every later search for garbage."""
    gc.collect()
    gc.freeze()
