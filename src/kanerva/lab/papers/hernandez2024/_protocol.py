"""The protocol of the experiments on digits: folds, features, a classifier, and the scores.

The digits are put in one random order. For fold f of ten, that order starts at f tenths of it; the
first part trains the classifier, the next fills the memory, and the last tests it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva.entropic import Gaussian, Quantiser, Recognition
from kanerva.lab import data
from kanerva.lab.data._raw import extra

__all__ = [
    "FEATURES",
    "FOLDS",
    "LARGER_FILLING",
    "LARGER_TRAINING",
    "MOST_FILLING",
    "Digits",
    "Fold",
    "Score",
    "deviation",
    "digits",
    "fold",
    "places",
    "quantised",
    "register",
    "score",
    "scored",
]

FOLDS = 10
# Percent of the digits that train the classifier, fill the memory and test it.
LARGER_TRAINING, LARGER_FILLING, MOST_FILLING = (70, 20, 10), (57, 33, 10), (10, 80, 10)
FEATURES = ("raw", "pca")
COMPONENTS = 32
# The weight of an error in the support vector classifier.
WEIGHT = 10.0

Rows = Float64[Tensor, "rows features"]
Pixels = Float64[Tensor, "rows pixels"]
Labels = Int64[Tensor, "rows"]


class Digits(NamedTuple):
    """Some digits.

    Attributes:
        x: ``(rows, features)``; raw pixels are whole numbers from 0 to 16.
        labels: ``(rows,)`` from 0 to 9.
    """

    x: Rows
    labels: Labels


class Fold(NamedTuple):
    """The three parts of one fold, in their features, with a classifier of these.

    Attributes:
        train: what the features and the classifier are fitted to.
        fill: what is stored.
        test: cues.
        classifier: fitted once; ``classify`` calls it.
        components: the principal components; None for raw pixels.
    """

    train: Digits
    fill: Digits
    test: Digits
    classifier: Any
    components: Any

    def classify(self, x: Rows) -> Labels:
        """Return the class of every row of features."""
        if not len(x):
            return torch.zeros(0, dtype=torch.int64)
        return torch.from_numpy(self.classifier.predict(x.numpy()).astype(np.int64))

    def encode(self, pixels: Pixels) -> Rows:
        """Return the features of pixels."""
        if self.components is None:
            return pixels
        return torch.from_numpy(self.components.transform(pixels.numpy()))

    def decode(self, x: Rows) -> Pixels:
        """Return the pixels of features; those that were left out are at their mean."""
        if self.components is None:
            return x
        return torch.from_numpy(self.components.inverse_transform(x.numpy()))


class Score(NamedTuple):
    """What the answers to some cues are worth, in percent of the cues unless said.

    Attributes:
        precision: correct answers, in percent of the answers; None where there is none.
        recall: correct answers.
        accepted: answers.
        bare: cues that the classifier gets right without a memory.
        answers: how many answers there are.
        correct: how many of them are correct.
        cues: how many cues there are.
    """

    precision: float | None
    recall: float
    accepted: float
    bare: float
    answers: int
    correct: int
    cues: int


@runtime_checkable
class Memory(Protocol):
    """What is scored: a memory that accepts or rejects cues, and recalls."""

    def recognise(self, query: Any, known: Any = None) -> Recognition:
        """Decide whether cues are contained."""

    def recall(self, query: Any, *, seed: int = 0) -> Tensor:
        """Draw a recall."""


@lru_cache(maxsize=1)
def digits() -> Digits:
    """Return the 1,797 digits of scikit-learn, pixels from 0 to 16, in the order of all folds."""
    found = data.load("digits", domain="real")
    assert found.labels is not None
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(found.real)))
    return Digits(8 * (found.real.double() + 1)[order], found.labels[order])


def places(
    number: int, split: Sequence[int] = LARGER_TRAINING, size: int = 1797
) -> list[Int64[Tensor, "part"]]:
    """Return where the parts of a fold lie in the order of all folds.

    Example:
        >>> [part.tolist() for part in places(1, (50, 30, 10), size=20)]
        [[2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [12, 13, 14, 15, 16, 17], [18, 19]]
    """
    start = checks.integer("fold", number, 0, FOLDS - 1) * size // FOLDS
    counts = [size * share // 100 for share in split]
    order = torch.arange(size).roll(-start)
    return list(torch.split(order[: sum(counts)], counts))


@lru_cache(maxsize=64)
def fold(number: int, features: str = "raw", split: tuple[int, int, int] = LARGER_TRAINING) -> Fold:
    """Return a fold, with a support vector classifier of its training part.

    Args:
        number: from 0 to 9.
        features: ``"raw"`` pixels, or ``"pca"`` for the 32 principal components of the training
            part.
        split: percent of the digits in the training, filling and test part.
    """
    checks.choice("features", features, FEATURES)
    every = digits()
    parts = [Digits(every.x[part], every.labels[part]) for part in places(number, split)]
    components = None
    if features == "pca":
        decomposition = extra("sklearn.decomposition", "scikit-learn", "principal components")
        components = decomposition.PCA(COMPONENTS, svd_solver="full", random_state=0).fit(
            parts[0].x.numpy()
        )
        parts = [
            Digits(torch.from_numpy(components.transform(part.x.numpy())), part.labels)
            for part in parts
        ]
    machines = extra("sklearn.svm", "scikit-learn", "a support vector classifier")
    classifier = machines.SVC(C=WEIGHT, random_state=0).fit(
        parts[0].x.numpy(), parts[0].labels.numpy()
    )
    return Fold(parts[0], parts[1], parts[2], classifier, components)


def quantised(stored: Rows, levels: int, per: str = "column", outside: str = "clip") -> Quantiser:
    """Return the quantiser of what is stored, with its ends for each column or for all."""
    return Quantiser.fit(stored, levels, per, outside=outside)


def register(
    stored: Rows, levels: int, *, sigma: float = 0.1, share: float = 1.0, **limits: Any
) -> Any:
    """Return one register that holds a share of some rows; the ends of levels are those of all.

    Args:
        stored: ``(rows, features)``.
        levels: of each column.
        sigma: of the Gaussian, as a share of the levels.
        share: of the rows, from the first on, that are written.
        limits: further arguments of ``EntropicMemory``.
    """
    from kanerva.entropic import EntropicMemory

    made: dict[str, Any] = {
        "spread": Gaussian(sigma),
        "quantiser": quantised(stored, levels),
    } | limits
    memory = EntropicMemory(stored.shape[1], levels, dtype=torch.float64, **made)
    memory.write(stored[: round(share * len(stored))])
    return memory


def scored(given: Fold, memory: Memory, x: Rows, labels: Labels, seed: int = 0) -> Score:
    """Recall cues from a memory, classify what is recalled, and score the classes.

    Args:
        given: the fold, for its classifier.
        memory: filled.
        x: cues in the features of the fold.
        labels: their classes.
        seed: of the draws.
    """
    accepted = memory.recognise(x).accepted
    right = torch.zeros(len(x), dtype=torch.bool)
    right[accepted] = given.classify(memory.recall(x[accepted], seed=seed)) == labels[accepted]
    return score(accepted, right, given.classify(x) == labels)


def score(
    accepted: Bool[Tensor, "cues"], right: Bool[Tensor, "cues"], bare: Bool[Tensor, "cues"]
) -> Score:
    """Count answers, and those that are right; no answers have no precision.

    Args:
        accepted: which cues get an answer.
        right: which answers are correct; those of rejected cues do not count.
        bare: which cues the classifier alone gets right.
    """
    answers, correct = int(accepted.sum()), int((accepted & right).sum())
    percent = 100 / len(accepted)
    return Score(
        100 * correct / answers if answers else None,
        percent * correct,
        percent * answers,
        percent * int(bare.sum()),
        answers,
        correct,
        len(accepted),
    )


def deviation(values: Sequence[float]) -> float:
    """Return the standard deviation over folds, with all of them as the population."""
    return float(np.std(values)) if len(values) else 0.0
