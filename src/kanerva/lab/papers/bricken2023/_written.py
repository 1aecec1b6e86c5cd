"""Memories that are written, not trained: each picture is stored once, when its task comes."""

from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Float32
from torch import Tensor
from torch.nn.functional import one_hot

import kanerva
from kanerva import functional
from kanerva._core import checks
from kanerva.lab.papers.bricken2023._tasks import Part, Tasks
from kanerva.lab.papers.bricken2023._training import Found, measured
from kanerva.separation import Inhibition, Softmax
from kanerva.similarity import cosine, dot

__all__ = ["BETA", "MEMORIES", "Fly", "addresses", "written"]

MEMORIES = ("attention", "fly")
BETA = 100.0
# The share of the inputs that a neuron of the fly adds up: 6 of 64.
SHARE = 6 / 64

Rows = Float32[Tensor, "rows pixels"]


class Fly:
    """Counts classes at the neurons that each picture activates, as the memory of a fly may do.

    Args:
        fixed: ``(neurons, pixels)`` addresses.
        classes: how many there are.
        k: neurons that are not inhibited.
    """

    def __init__(self, fixed: Float32[Tensor, "neurons pixels"], classes: int, k: int) -> None:
        self.fixed, self.rule = fixed, Inhibition(k)
        self.counters = torch.zeros(len(fixed), classes)

    def write(self, x: Rows, values: Float32[Tensor, "rows classes"]) -> None:
        """Add 1 to the counter of its class at every neuron that a picture activates."""
        fired = functional.weights(x, self.fixed, dot, self.rule) > 0
        self.counters += fired.float().T @ values

    def read(self, x: Rows) -> Float32[Tensor, "rows classes"]:
        """Return the counters, summed by the weights of the neurons."""
        return functional.read(x, self.fixed, self.counters, dot, self.rule)


def written(
    name: str, tasks: Tasks, neurons: int, k: int, seed: int
) -> Iterator[tuple[Found, float]]:
    """Write each task in turn, and read the test pictures after each.

    Args:
        name: ``"attention"`` over all pictures, whose values are their classes, or ``"fly"``.
        tasks: what is written.
        neurons: of the fly.
        k: neurons of the fly that are not inhibited.
        seed: of its addresses.

    Yields:
        what is measured after each task, and the share of the test pictures that get another
        answer where these tasks are written the other way round.
    """
    checks.choice("network", name, MEMORIES)
    for number, part in enumerate(tasks.train, 1):
        so_far = tasks.train[:number]
        memory = _filled(name, so_far, tasks, neurons, k, seed)
        scores = memory.read(tasks.test.x)
        other = _filled(name, so_far[::-1], tasks, neurons, k, seed).read(tasks.test.x)
        moved = float((other.argmax(-1) != scores.argmax(-1)).double().mean())
        silent = None
        if isinstance(memory, Fly):
            silent = int((memory.counters == 0).all(1).sum())
        yield measured(scores, tasks.test.labels, part, (silent, silent)), moved


def addresses(size: int, neurons: int, seed: int) -> Float[Tensor, "neurons size"]:
    """Return addresses with ones at a few random places and zeros elsewhere."""
    source = torch.Generator().manual_seed(seed)
    places = torch.rand(neurons, size, generator=source).topk(max(1, round(SHARE * size)), -1)
    return torch.zeros(neurons, size).scatter_(1, places.indices, 1.0)


def _filled(
    name: str, parts: Sequence[Part], tasks: Tasks, neurons: int, k: int, seed: int
) -> kanerva.Patterns | Fly:
    """Write tasks in an order."""
    size = tasks.test.x.shape[1]
    memory: kanerva.Patterns | Fly
    if name == "fly":
        memory = Fly(addresses(size, neurons, seed), tasks.classes, k)
    else:
        rule = Softmax(BETA)
        memory = kanerva.Patterns(size, tasks.classes, similarity=cosine, separation=rule)
    for part in parts:
        memory.write(part.x, one_hot(part.labels, tasks.classes).float())
    return memory
