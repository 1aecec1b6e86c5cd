"""Training of a network, task after task, without any replay."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from kanerva._core import checks
from kanerva.lab.papers.bricken2023 import _importance, _networks
from kanerva.lab.papers.bricken2023._tasks import Part, Tasks

__all__ = ["Design", "Found", "measured", "trained"]

# The norm to which the gradient of all weights is cut.
LONGEST = 1.0
# Pictures that are read at once, so that large sets and many neurons fit into memory.
ROWS = 4096


class Design(NamedTuple):
    """What is trained, and how.

    Attributes:
        network: one of ``_networks.NETWORKS``.
        method: one of ``_importance.METHODS``, or ``"joint"`` for all tasks at once.
        neurons: of the hidden layer.
        k: neurons that are not inhibited.
        switch: samples after which a neuron is inhibited in full; 0 for no switch.
        rate: of the descent.
        momentum: of the descent.
        importance: strength of the penalty.
        batches: of each task.
        batch: pictures in each of them.
        seed: of the first weights and of the batches.
    """

    network: str
    method: str
    neurons: int
    k: int
    switch: float
    rate: float
    momentum: float
    importance: float
    batches: int
    batch: int
    seed: int


class Found(NamedTuple):
    """What is measured after a task.

    Attributes:
        right: share of the test pictures of all classes that are named.
        latest: share of those of the classes of the last task.
        dead: neurons that never fired so far; None where there are no neurons.
        idle: neurons that fire for no picture of any task now; None likewise.
    """

    right: float
    latest: float
    dead: int | None
    idle: int | None


def trained(design: Design, tasks: Tasks) -> Iterator[Found]:
    """Train a network on each task in turn, and measure it after each."""
    checks.choice("method", design.method, (*_importance.METHODS, "joint"))
    source = torch.Generator().manual_seed(design.seed)
    sizes = (tasks.test.x.shape[1], design.neurons, tasks.classes)
    network = _networks.built(design.network, sizes, design.k, design.switch, source)
    joint = design.method == "joint"
    method = "plain" if joint else design.method
    penalty = _importance.Penalty(method, design.importance, network)
    optimizer = torch.optim.SGD(network.parameters(), design.rate, momentum=design.momentum)
    every = tasks.all
    for part in [every] if joint else tasks.train:
        batches = design.batches * (len(tasks.train) if joint else 1)
        for x, labels in _batches(part, batches, design.batch, source):
            loss = cross_entropy(network(x), labels)
            penalty.before_step(loss)
            optimizer.zero_grad()
            (loss + penalty() if penalty.importance else loss).backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST)
            optimizer.step()
            network.project()
            penalty.after_step()
        penalty.end(part)
        network.eval()
        with torch.no_grad():
            fired = [(network.weights(x) > 0).any(0) for x in torch.split(every.x, ROWS)]
            scores = torch.cat([network(x) for x in torch.split(tasks.test.x, ROWS)])
        idle = int((~torch.stack(fired).any(0)).sum())
        dead = int((network.count == 0).sum())
        yield measured(scores, tasks.test.labels, part, (dead, idle))
        network.train()


def measured(
    scores: Float[Tensor, "rows classes"],
    labels: Int64[Tensor, "rows"],
    part: Part,
    silent: tuple[int | None, int | None],
) -> Found:
    """Compare the classes of the highest scores with those of the pictures."""
    right = (scores.argmax(-1) == labels).double()
    mine = torch.isin(labels, part.labels)
    return Found(float(right.mean()), float(right[mine].mean()), *silent)


def _batches(
    part: Part, batches: int, batch: int, source: torch.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """Draw pictures, each once before any comes again."""
    order = torch.zeros(0, dtype=torch.int64)
    for _ in range(batches):
        while len(order) < batch:
            order = torch.cat((order, torch.randperm(len(part.x), generator=source)))
        yield part.x[order[:batch]], part.labels[order[:batch]]
        order = order[batch:]
