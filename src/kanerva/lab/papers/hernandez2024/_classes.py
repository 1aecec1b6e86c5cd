"""Registers of digits by class, and the scores of their answers."""

from typing import Any

import torch

from kanerva.entropic import EntropicClasses
from kanerva.lab.papers.hernandez2024 import _protocol

__all__ = ["answered"]

DIGITS = 10


def answered(rule: str, levels: int, split: tuple[int, int, int], number: int) -> dict[str, Any]:
    """Store the filling part of a fold by class, and answer to the test part.

    Args:
        rule: of ``EntropicClasses``; "likelihood alone" lets every register accept.
        levels: of a column.
        split: percent of the digits in the training, filling and test part.
        number: of the fold.
    """
    fold = _protocol.fold(number, "raw", split)
    x, columns = fold.fill.x, fold.fill.x.shape[1]
    memory = EntropicClasses(
        DIGITS,
        columns,
        levels,
        rule=rule.split()[0],
        xi=columns if rule.endswith("alone") else 0,
        cap=1 if rule == "entropy" else 1023,
        quantiser=_protocol.quantised(x, levels, "all"),
        dtype=torch.float64,
    )
    memory.write(x, fold.fill.labels)
    answer, labels = memory.answer(fold.test.x), fold.test.labels
    bare = fold.classify(fold.test.x) == labels
    found = _protocol.score(answer.label >= 0, answer.label == labels, bare)
    own = answer.accepted.gather(-1, labels.unsqueeze(-1))
    return {
        "recall": found.recall,
        "precision": found.precision,
        "answers": found.answers,
        "cues": found.cues,
        "bare": found.bare,
        "entropy": float(memory.entropy().mean()),
        "accepting": float(answer.accepted.sum(-1).double().mean()),
        "own": 100 * float(own.double().mean()),
    }
