"""What every test shares: fresh settings, the same examples each time, and global generators left alone."""

import os
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
import torch

# Every run draws the same examples; pytest --hypothesis-profile=default looks for new ones.
hypothesis.settings.register_profile("steady", derandomize=True, deadline=None)
hypothesis.settings.load_profile("steady")

if "PYTEST_XDIST_WORKER" in os.environ:
    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def fresh_settings() -> Iterator[None]:
    """Put the library's settings back to what they were before the test."""
    from kanerva import (
        settings,  # not at the top: the run-time shape checks must hook in before the first import
    )

    with settings.use(budget=settings.budget, engine=settings.engine):
        yield


@pytest.fixture(autouse=True)
def untouched_generators() -> Iterator[None]:
    """Fail a test that drew from, or seeded, a global generator: chance must come from a seed or a generator of its own."""
    before = states()
    yield
    after = states()
    touched = [name for name in before if after[name] != before[name]]
    assert not touched, (
        f"the global generator of {', '.join(touched)} was used; give a seed or a generator of your own instead"
    )


def states() -> dict[str, object]:
    """Tell the state of the global generators. Python's own is left out: rich draws numbers for its styles from it."""
    numpy = np.random.get_bit_generator().state["state"]
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": (numpy["key"].tobytes(), numpy["pos"]),
    }


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the examples without the run-time shape checks: they show what users see."""
    for item in items:
        if isinstance(item, pytest.DoctestItem):
            item.add_marker("untyped")
