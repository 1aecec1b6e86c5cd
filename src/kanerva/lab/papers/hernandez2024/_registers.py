"""One register for all classes, measured on every fold."""

from collections.abc import Iterator
from typing import Any

from kanerva._core import checks
from kanerva.lab.papers.hernandez2024 import _protocol

__all__ = ["measured"]


def measured(
    features: str,
    levels: int,
    folds: int,
    seed: int,
    *,
    filled: float = 100.0,
    **limits: Any,
) -> Iterator[dict[str, Any]]:
    """Fill a register on each fold, recall the test part from it, and classify what is recalled.

    Args:
        features: raw or pca.
        levels: of the register.
        folds: how many, from the first on.
        seed: of the draws.
        filled: percent of the filling part that is stored.
        limits: further arguments of the register.
    """
    checks.integer("folds", folds, 1, _protocol.FOLDS)
    checks.integer("levels", levels, 1, 2**12)
    share = checks.number("filled", filled, 0, 100) / 100
    for number in range(folds):
        fold = _protocol.fold(number, features)
        memory = _protocol.register(fold.fill.x, levels, share=share, **limits)
        found = _protocol.scored(fold, memory, fold.test.x, fold.test.labels, seed)
        yield {
            "fold": number,
            "stored": len(memory),
            "precision": found.precision,
            "recall": found.recall,
            "accepted": found.accepted,
            "answers": found.answers,
            "entropy": memory.entropy(),
            "bare": found.bare,
        }
