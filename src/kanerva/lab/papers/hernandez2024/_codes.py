"""Learned features of a fold: a codec and a classifier of its training part, trained once."""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float32, Float64
from torch import Tensor

from kanerva.lab import codec, data
from kanerva.lab.papers.hernandez2024 import _protocol

__all__ = ["Codes", "Design", "codes", "distance"]

# At most so many codes train the support vector classifier, and so many pictures are cues: its time
# grows with both.
MOST_TRAINED, MOST_CUES = 10_000, 1_000

Pictures = Float32[Tensor, "rows pixels"]


class Design(NamedTuple):
    """What is trained, and on what.

    Attributes:
        data: name of the set.
        layout: of the autoencoder. That of ``"small"`` has a classifier that is trained along with
            it; codes of ``"paper"`` are classified by a support vector classifier.
        epochs: of the training.
        fold: its number.
        split: percent of the pictures in the training, filling and test part.
        each: how many pictures of each class are taken; 0 for all.
        seed: of the initial weights and of the order of the training.
    """

    data: str
    layout: str
    epochs: int
    fold: int
    split: tuple[int, int, int]
    each: int = 0
    seed: int = 0


class Codes(NamedTuple):
    """A fold in learned features.

    Attributes:
        fold: the codes of the three parts in float64, their labels, and the classifier.
        codec: fitted to the training part.
        fill: the pictures that are stored, pixels from -1 to 1.
        test: those of the test part.
        shape: of a picture.
    """

    fold: _protocol.Fold
    codec: Any
    fill: Pictures
    test: Pictures
    shape: tuple[int, ...]

    def encode(self, pictures: Pictures) -> Float64[Tensor, "rows features"]:
        """Return the codes of pictures."""
        return _encoded(self.codec, pictures)

    def decode(self, x: Float64[Tensor, "rows features"]) -> Pictures:
        """Return the pictures of codes, pixels from -1 to 1."""
        found: Tensor = self.codec.decode(x)
        return found.clamp(-1, 1)


class _Head(NamedTuple):
    """The classifier of a codec, with the method that a fold calls."""

    codec: Any

    def predict(self, x: Any) -> Any:
        return self.codec.classify(torch.from_numpy(x)).numpy()


@lru_cache(maxsize=16)
def codes(design: Design) -> Codes:
    """Train a codec and a classifier on the training part of a fold, and encode all parts.

    The order of the pictures is drawn as that of all folds of digits.
    """
    colour = {"colour": True} if design.data == "cifar10" else {}
    found = data.load(design.data, domain="real", **colour)
    labels: Any = found.labels
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(found.real)))
    order = _first(labels[order], design.each, order)
    places = _protocol.places(design.fold, design.split, len(order))
    places[2] = places[2][:MOST_CUES]
    x = [found.real[order[part]] for part in places]
    classes = [labels[order[part]] for part in places]
    small = design.layout == "small"
    size = 64 if small else found.shape[0] * found.shape[1]
    network = codec.Autoencoder(found.shape, size, design.layout, design.epochs, design.seed)
    network.fit(x[0], classes[0] if small else None)
    parts = [
        _protocol.Digits(_encoded(network, one), label)
        for one, label in zip(x, classes, strict=True)
    ]
    classifier = _Head(network) if small else _machine(parts[0])
    fold = _protocol.Fold(parts[0], parts[1], parts[2], classifier, None)
    return Codes(fold, network, x[1], x[2], found.shape)


def distance(one: Pictures, other: Pictures) -> Float64[Tensor, "rows"]:
    """Return the mean squared distance of a pixel for each picture, in ranges of a pixel."""
    return ((one.double() - other.double()) / 2).square().mean(-1)


def _encoded(network: Any, pictures: Pictures) -> Float64[Tensor, "rows features"]:
    found: Tensor = network.encode(pictures)
    return found.double()


def _first(labels: Tensor, each: int, order: Tensor) -> Tensor:
    """Keep the first pictures of each class; all for 0."""
    if not each:
        return order
    marks = torch.nn.functional.one_hot(labels).cumsum(0)
    rank = marks.gather(1, labels.unsqueeze(1)).squeeze(1)
    return order[rank <= each]


def _machine(part: _protocol.Digits) -> Any:
    """Fit a support vector classifier of codes."""
    from sklearn.svm import SVC

    machine = SVC(C=_protocol.WEIGHT, random_state=0)
    return machine.fit(part.x[:MOST_TRAINED].numpy(), part.labels[:MOST_TRAINED].numpy())
