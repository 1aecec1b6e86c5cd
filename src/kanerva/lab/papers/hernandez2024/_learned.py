"""Registers of learned features of digits, one for all classes or one for each."""

from typing import Any

import torch

from kanerva.entropic import EntropicClasses
from kanerva.lab.papers.hernandez2024 import _codes, _protocol

__all__ = ["answered"]

CLASSES, SIGMA = 10, 0.025


def answered(name: str, rule: str, levels: int, epochs: int, number: int) -> dict[str, Any]:
    """Store the filling part of a fold as codes, and answer to the codes of the test part.

    Args:
        name: of the set of digits.
        rule: ``"one"`` register for all classes, or that of ``EntropicClasses``; "likelihood alone"
            lets every register accept.
        levels: of a column.
        epochs: of the training of the codec.
        number: of the fold.
    """
    design = _codes.Design(name, "small", epochs, number, _protocol.LARGER_FILLING)
    found = _codes.codes(design)
    fold, labels = found.fold, found.fold.test.labels
    if rule == "one":
        memory = _protocol.register(fold.fill.x, levels, sigma=SIGMA)
        score = _protocol.scored(fold, memory, fold.test.x, labels)
        entropy = memory.entropy()
    else:
        kept = _kept(fold.fill, rule, levels)
        label = kept.answer(fold.test.x).label
        bare = fold.classify(fold.test.x) == labels
        score = _protocol.score(label >= 0, label == labels, bare)
        entropy = float(kept.entropy().mean())
    decoded = _codes.distance(found.decode(fold.test.x), found.test)
    return {
        "recall": score.recall,
        "precision": score.precision,
        "accepted": score.accepted,
        "answers": score.answers,
        "cues": score.cues,
        "bare": score.bare,
        "entropy": entropy,
        "decoder": float(decoded.mean().sqrt()),
    }


def _kept(fill: _protocol.Digits, rule: str, levels: int) -> EntropicClasses:
    """Store codes in a register for each class."""
    columns = fill.x.shape[1]
    memory = EntropicClasses(
        CLASSES,
        columns,
        levels,
        rule=rule.split()[0],
        xi=columns if rule.endswith("alone") else 0,
        cap=1 if rule == "entropy" else 1023,
        quantiser=_protocol.quantised(fill.x, levels),
        dtype=torch.float64,
    )
    memory.write(fill.x, fill.labels)
    return memory
