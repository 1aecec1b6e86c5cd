"""The memories that are linked to a cue, in a random graph and along a ring."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

import kanerva
from kanerva import correlated, dynamics
from kanerva.lab.papers.burns2024 import _pictures

__all__ = ["chained", "cued", "ranked"]


def cued(noise: float, seed: int) -> tuple[Tensor, Tensor]:
    """Return the faces, centred and of length one, and a cue near each."""
    faces = _pictures.centred(_pictures.pictures("faces"))
    drawn = np.random.default_rng(seed).standard_normal(faces.shape) / faces.shape[1] ** 0.5
    return faces, faces + noise * torch.from_numpy(drawn)


def ranked(faces: Tensor, cues: Tensor, degree: int, beta: float, seed: int) -> dict[str, float]:
    """Return the share of the first ranks that are linked to the cued face, for each method."""
    import networkx

    graph = networkx.random_regular_graph(degree, len(faces), seed=seed)
    memory = kanerva.cdam(faces.shape[1], beta, 0.5, 0.5, mean=0.0, dtype=torch.float64)
    ids = memory.write(faces)
    memory.connect(graph, ids[torch.tensor(list(graph))])
    linked = memory.mixing().fill_diagonal_(0) > 0
    nearest = (cues @ faces.mT).argmax(-1)
    return {
        "weights": _precision(memory.weights(cues), linked, degree),
        "table": _precision(linked[nearest].double(), linked, degree),
        "overlap": _precision(correlated.overlaps(memory.recall(cues), faces), linked, degree),
    }


def _precision(scores: Tensor, linked: Tensor, degree: int) -> float:
    """Return the share of the first ranks that are linked; the cued face itself is left out."""
    first = scores.clone().fill_diagonal_(-torch.inf).topk(degree, dim=-1).indices
    return linked.gather(-1, first).double().mean().item()


def chained(
    faces: Tensor, cues: Tensor, beta: float, hops: Sequence[int], seed: int
) -> Iterator[tuple[str, int, float]]:
    """Follow a ring in random order from every cue; yield method, hops and the share right."""
    order = torch.from_numpy(np.random.default_rng(seed).permutation(len(faces)))
    place = order.argsort()
    memory = kanerva.cdam(faces.shape[1], beta, 0.0, 1.0, mean=0.0, dtype=torch.float64)
    ids = memory.write(faces)
    memory.link(ids[order], ids[order.roll(-1)])
    path = dynamics.chain(memory.read, cues, max(hops))
    start = place[(cues @ faces.mT).argmax(-1)]
    for count in hops:
        right = order[(place + count) % len(faces)]
        read = (path[count] @ faces.mT).argmax(-1)
        yield "chain", count, (read == right).double().mean().item()
        looked = order[(start + count) % len(faces)]
        yield "steps", count, (looked == right).double().mean().item()
