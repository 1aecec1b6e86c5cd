"""Pictures in tasks of a few classes each, in an order that a seed draws."""

from functools import lru_cache
from typing import NamedTuple

import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from kanerva._core.errors import refuse
from kanerva.lab import data

__all__ = ["Part", "Tasks", "tasks"]

# The share of the pictures that are trained on.
TRAINED = 0.75


class Part(NamedTuple):
    """Some pictures.

    Attributes:
        x: ``(rows, pixels)`` from 0 to 1.
        labels: ``(rows,)``, the classes, in the order of the tasks.
    """

    x: Float32[Tensor, "rows pixels"]
    labels: Int64[Tensor, "rows"]


class Tasks(NamedTuple):
    """The tasks of a run.

    Attributes:
        train: the pictures of each task.
        test: pictures of all classes.
        classes: how many there are.
    """

    train: list[Part]
    test: Part
    classes: int

    @property
    def all(self) -> Part:
        """All pictures that are trained on."""
        return Part(*(torch.cat(same) for same in zip(*self.train, strict=True)))


@lru_cache(maxsize=4)
def _loaded(name: str) -> tuple[Tensor, Tensor]:
    """Return pictures from 0 to 1 and their classes."""
    found = data.load(name, domain="real")
    if found.labels is None:
        refuse("data", name, must="a set with classes", do="take digits, mnist or cifar10")
    return (found.real + 1) / 2, found.labels


def tasks(name: str, count: int, seed: int) -> Tasks:
    """Share the classes of a set among tasks.

    Args:
        name: of the set.
        count: how many tasks; it divides the number of classes.
        seed: of the order of the classes, and of the choice of the pictures that are trained on.
    """
    x, labels = _loaded(name)
    classes = int(labels.max()) + 1
    if classes % count:
        must, got = f"a divisor of the {classes} classes", f"{count}"
        refuse("tasks", got=got, must=must, do="give each task as many classes")
    source = torch.Generator().manual_seed(seed)
    place = torch.randperm(classes, generator=source).argsort()
    order = torch.randperm(len(x), generator=source)
    x, labels = x[order], place[labels[order]]
    trained = int(TRAINED * len(x))
    number = labels[:trained] // (classes // count)
    train = [
        Part(x[:trained][number == one], labels[:trained][number == one]) for one in range(count)
    ]
    return Tasks(train, Part(x[trained:], labels[trained:]), classes)
