"""Pairs of digits in a hetero-associative entropic memory, and what is recalled from new cues."""

import string
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva.entropic import HeteroEntropicMemory, Quantiser
from kanerva.lab import data
from kanerva.lab.data._raw import extra
from kanerva.lab.papers._pictures import Shades

__all__ = ["METHODS", "Setting", "recalled", "shades"]

METHODS = ("random", "test", "search")
FEATURES = 16
# The digits from here on are never stored: first the cues, then what the classifiers are fitted to.
STORED = 720
# The ends of the levels of a feature, in percent of the stored ones.
PERCENTILES = (0.5, 99.5)
WHITE = 16.0
# Pictures in a table: a hexadecimal digit for each pixel.
SHADES = Shades(string.hexdigits[:16], 0.0, WHITE)
SHOWN = 8

Rows = Float64[Tensor, "rows features"]


class Setting(NamedTuple):
    """What one run does.

    * ``levels``: of a feature.
    * ``pairs``: how many are stored.
    * ``iota``: of the memory.
    * ``cues``: how many are recalled from.
    * ``seed``: of the order of the digits, and of the draws.
    """

    levels: int
    pairs: int
    iota: float
    cues: int
    seed: int


class Side(NamedTuple):
    """The pictures of one side of the pairs, as features.

    Attributes:
        pictures: ``(rows, 64)`` pixels from 0 to 16.
        codes: ``(rows, 16)`` the principal components of the stored ones, of all rows.
        mean: ``(64,)`` of the stored ones.
        parts: ``(16, 64)`` the components.
        quantiser: of the features.
        classifier: of the features.
    """

    pictures: Float64[Tensor, "rows 64"]
    codes: Rows
    mean: Float64[Tensor, "64"]
    parts: Float64[Tensor, "16 64"]
    quantiser: Quantiser
    classifier: Any

    def decode(self, codes: Rows) -> Float64[Tensor, "rows 64"]:
        """Return the pixels of features."""
        return self.mean + codes @ self.parts

    def classify(self, codes: Rows) -> Int64[Tensor, "rows"]:
        """Return the class of features."""
        if not len(codes):
            return torch.zeros(0, dtype=torch.int64)
        return torch.from_numpy(self.classifier.predict(codes.numpy()).astype(np.int64))


class Pairs(NamedTuple):
    """Digits and others of their classes, which are the right-hand sides.

    Attributes:
        left: pictures as they are.
        right: pictures turned by a quarter and mirrored.
        partner: ``(rows,)`` the row of the right-hand side that goes with each left-hand one.
        classes: ``(rows,)`` from 0 to 9, of both.
    """

    left: Side
    right: Side
    partner: Int64[Tensor, "rows"]
    classes: Int64[Tensor, "rows"]


def pairs(setting: Setting) -> Pairs:
    """Put the digits in order, pair them, and fit features, levels and classifiers."""
    found = data.load("digits", domain="real")
    assert found.labels is not None
    order = torch.from_numpy(np.random.default_rng(setting.seed).permutation(len(found.real)))
    pixels = 8 * (found.real.double() + 1)[order]
    classes = found.labels[order].long()
    turned = pixels.reshape(-1, 8, 8).rot90(1, (1, 2)).flip(2).reshape(-1, 64)
    left, right = (_side(one, classes, setting) for one in (pixels, turned))
    return Pairs(left, right, _partners(classes, setting.pairs), classes)


def _partners(classes: Int64[Tensor, "rows"], stored: int) -> Int64[Tensor, "rows"]:
    """Return the next digit of the same class, for the stored ones and for the others apart."""
    partner = torch.arange(len(classes))
    for part in (partner[:stored].clone(), partner[STORED:].clone()):
        for kind in range(10):
            own = part[classes[part] == kind]
            partner[own] = own.roll(1)
    return partner


def _side(pixels: Float64[Tensor, "rows 64"], classes: Tensor, setting: Setting) -> Side:
    stored = pixels[: setting.pairs].numpy()
    mean = stored.mean(0)
    parts = np.linalg.svd(stored - mean, full_matrices=False)[2][:FEATURES]
    codes = torch.from_numpy((pixels.numpy() - mean) @ parts.T)
    quantiser = Quantiser.fit(codes[: setting.pairs], setting.levels, percentiles=PERCENTILES)
    machines = extra("sklearn.svm", "scikit-learn", "a support vector classifier")
    rest = slice(STORED + setting.cues, None)
    classifier = machines.SVC(C=10.0, random_state=0).fit(codes[rest].numpy(), classes[rest])
    middle, axes = torch.from_numpy(mean), torch.from_numpy(parts)
    return Side(pixels, codes, middle, axes, quantiser, classifier)


def recalled(setting: Setting) -> Iterator[dict[str, Any]]:
    """Store pairs of digits, and recall each side from new digits of the other."""
    checks.integer("pairs", setting.pairs, FEATURES, STORED)
    checks.integer("cues", setting.cues, 10, 1000)
    given = pairs(setting)
    memory = HeteroEntropicMemory(
        FEATURES,
        setting.levels,
        FEATURES,
        setting.levels,
        iota=setting.iota,
        quantiser=given.left.quantiser,
        value_quantiser=given.right.quantiser,
        dtype=torch.float64,
    )
    stored = torch.arange(setting.pairs)
    memory.write(given.left.codes[stored], given.right.codes[given.partner[stored]])
    back = torch.empty_like(given.partner)
    back[given.partner] = torch.arange(len(back))
    yield from _rows(setting, memory, given, "right from left")
    turned = given._replace(left=given.right, right=given.left, partner=back)
    yield from _rows(setting, memory.reversed(), turned, "left from right")


def _rows(
    setting: Setting, memory: HeteroEntropicMemory, given: Pairs, direction: str
) -> Iterator[dict[str, Any]]:
    """Recall by each method from the same cues, the digits of the left-hand side."""
    rows = torch.arange(STORED, STORED + setting.cues)
    cues, classes = given.left.codes[rows], given.classes[rows]
    accepted = memory.explain(cues).accepted
    near = _nearest(setting, given, cues)
    facts = {
        "recalled": _percent(accepted),
        "entropy": memory.entropy(),
        "filled": _percent(memory.counts > 0),
    } | _contained(setting, memory, given)
    last = None
    for method in METHODS:
        found = memory.recall(cues, method=method, seed=setting.seed)
        away = memory.distance(found, cues)[accepted]
        right = given.right.classify(found[accepted]) == classes[accepted]
        yield {
            "direction": direction,
            "method": method,
            **facts,
            "distance": float(away.mean()) if len(away) else None,
            "further": 0.0 if last is None else _percent(away > last),
            "right": _percent(right),
            "nearest": _percent(near == classes),
            "bare": _percent(given.left.classify(cues) == classes),
            "pictures": _shown(given, found, accepted, rows),
        }
        last = away


def _nearest(setting: Setting, given: Pairs, cues: Rows) -> Int64[Tensor, "cues"]:
    """Return the class of the stored digit whose levels are nearest to those of each cue."""
    encode = given.left.quantiser.encode
    stored = encode(given.left.codes[: setting.pairs]).double()
    return given.classes[torch.cdist(encode(cues).double(), stored).argmin(-1)]


def _contained(
    setting: Setting, memory: HeteroEntropicMemory, given: Pairs
) -> dict[str, float | None]:
    """Return the shares of stored pairs, and of new ones of one and of two classes, accepted."""
    stored = torch.arange(setting.pairs)
    rows = torch.arange(STORED, STORED + setting.cues)
    other = given.partner[rows].roll(1)
    kinds = {"stored": (stored, given.partner[stored]), "same": (rows, given.partner[rows])}
    differ = given.classes[other] != given.classes[rows]
    kinds["different"] = (rows[differ], other[differ])
    return {
        name: _percent(memory.recognise(given.left.codes[a], given.right.codes[b]).accepted)
        for name, (a, b) in kinds.items()
    }


def _percent(found: Tensor) -> float | None:
    return 100 * float(found.double().mean()) if found.numel() else None


def _shown(given: Pairs, found: Rows, accepted: Tensor, rows: Tensor) -> str:
    """Return pictures of a few cues, of the right-hand sides of their class, and of the recalls."""
    some = [
        int(place[0])
        for kind in range(10)
        if len(place := ((given.classes[rows] == kind) & accepted).nonzero())
    ][:SHOWN]
    own = rows[some]
    pictures = (
        given.left.pictures[own],
        given.right.pictures[given.partner[own]],
        given.right.decode(found[some]),
    )
    return "/".join(" ".join(map(SHADES.word, part.tolist())) for part in pictures)


def shades(words: str) -> Any:
    """Return the pictures of a text of words as ``(k, 8, 8)`` from -1 to 1.

    Example:
        >>> shades("0" * 63 + "f")[0, 7, 6:].tolist()
        [-1.0, 1.0]
    """
    cells = [SHADES.read(word) for word in words.split()]
    return np.array(cells).reshape(-1, 8, 8) * (2 / WHITE) - 1
