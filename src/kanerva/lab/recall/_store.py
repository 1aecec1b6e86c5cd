"""Store patterns in a memory, and recall with it."""

from dataclasses import replace

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core.errors import describe, refuse
from kanerva.dynamics import Settled
from kanerva.lab.data import DataSet
from kanerva.lab.memories import Entry
from kanerva.lab.recall._coded import Coded
from kanerva.memory import Associative

__all__ = ["fill", "settled"]


def fill(
    memory: Associative, entry: Entry, coded: Coded, data: DataSet, rows: Int64[Tensor, "stored"]
) -> None:
    """Store some of the patterns, in the way of the entry.

    Args:
        memory: that stores them.
        entry: of the memory.
        coded: the patterns in the code that is stored.
        data: the data, for their labels.
        rows: which patterns, in the order of storing.
    """
    x = coded.x[rows]
    if entry.fill is None:
        memory.write(x)
        return
    labels = None if data.labels is None else data.labels[rows]
    bits = x if coded.domain == "bits" else None
    shape = data.shape if coded.plain else ()
    entry.fill(memory, replace(data, real=x, bits=bits, labels=labels, shape=shape))


def settled(memory: Associative, cue: Float[Tensor, "cues n"], steps: int) -> Settled:
    """Recall cues, and refuse a memory whose recalls are no patterns.

    Args:
        memory: that holds the patterns.
        cue: the damaged patterns.
        steps: the largest number of reads.
    """
    found = Settled(*memory.settle(cue, steps=steps))
    recalled = found.state
    if not isinstance(recalled, Tensor) or recalled.shape != cue.shape:
        must, got = "one whose reads have the shape of their queries", describe(recalled)
        refuse("memory", must=must, got=got, do="correct its read")
    if not torch.isfinite(recalled).all():
        must = "one whose recall stays finite"
        refuse("memory", must=must, got="one that overflows", do="lower its beta with --set")
    return found
