"""Images that are no digits, and by what they are told from digits."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from kanerva import functional
from kanerva.entropic import EntropicMemory
from kanerva.lab.papers.hernandez2024 import _protocol
from kanerva.separation import Argmax
from kanerva.similarity import closeness

__all__ = ["SCORES", "Design", "area", "curve", "judged", "scores"]

Rows = Float64[Tensor, "rows columns"]
Stored = Float64[Tensor, "stored columns"]
Numbers = Float64[np.ndarray, "cues"]

# By what digits are told from other images; a small number is a digit.
SCORES = ("mismatches", "weight", "likelihood", "nearest")
TOLERANCES = (0, 4, 16)
# The shares of other images at which a curve is given.
RATES = np.concatenate([[0.0], np.geomspace(1e-3, 1.0, 25)])


class Design(NamedTuple):
    """The features, and which columns are kept.

    Attributes:
        features: ``"raw"`` or ``"pca"``.
        levels: of each column.
        kept: ``"all"`` columns, or those that are ``"varied"`` in what is stored.
        sigma: of the Gaussian, as a share of the levels.
        folds: how many, from the first on.
        shuffles: how many orders of the pixels in each.
        seed: of all draws.
    """

    features: str
    levels: int
    kept: str
    sigma: float
    folds: int
    shuffles: int
    seed: int


class Told(NamedTuple):
    """What one fold gives.

    Attributes:
        own: the numbers of digits that were not stored.
        images: those of other images by their name, a dict for each order of the pixels.
        limit: the distance to the nearest stored digit that as many digits stay within as are
            accepted without a mismatch.
        constant: how many columns did not vary in what is stored.
        recalled: digits whose class is recalled, in percent.
        bare: digits that the classifier gets right, in percent.
    """

    own: dict[str, Numbers]
    images: dict[str, list[dict[str, Numbers]]]
    limit: float
    constant: int
    recalled: float
    bare: float


def judged(design: Design) -> Iterator[dict[str, Any]]:
    """Give digits and other images to registers, and yield what these accept."""
    folds = [_fold(design, number) for number in range(design.folds)]
    for name in ("own", "shuffled", "random"):
        found = [(fold.limit, one) for fold in folds for one in fold.images[name]]
        row = _row("accepted", name)
        shares = np.array([[_share(one, xi) for xi in TOLERANCES] for _, one in found])
        row |= {f"xi{xi}": share for xi, share in zip(TOLERANCES, shares.mean(0), strict=True)}
        row["spread"] = float(shares[:, 0].std())
        row["near"] = 100 * float(
            np.mean([(one["nearest"] <= limit).mean() for limit, one in found])
        )
        row["near_less"] = row["near"] - row["xi0"] if name == "own" else None
        row["constant"] = float(np.mean([fold.constant for fold in folds]))
        if name == "own":
            row["recalled"] = float(np.mean([fold.recalled for fold in folds]))
            row["bare"] = float(np.mean([fold.bare for fold in folds]))
        yield row
    for name in SCORES:
        yield from _told(name, folds)


def _fold(design: Design, number: int) -> Told:
    """Fill one register, and compare digits and other images with it."""
    given = _protocol.fold(number, design.features)
    varied = given.fill.x.amin(0) < given.fill.x.amax(0)
    kept = torch.ones_like(varied) if design.kept == "all" else varied
    stored = given.fill.x[:, kept]
    memory = _protocol.register(stored, design.levels, sigma=design.sigma)
    pixels = _protocol.fold(number).test.x
    source = np.random.default_rng([design.seed, number])
    random = torch.from_numpy(source.integers(0, 17, tuple(pixels.shape))).double()
    orders = [source.permutation(pixels.shape[1]) for _ in range(design.shuffles)]
    pictures = {
        "own": [pixels],
        "shuffled": [pixels[:, torch.from_numpy(order)] for order in orders],
        "random": [random],
    }
    images = {
        name: [scores(memory, stored, given.encode(one)[:, kept]) for one in some]
        for name, some in pictures.items()
    }
    (own,) = images["own"]
    accepted = own["mismatches"] == 0
    limit = float(np.sort(own["nearest"])[accepted.sum() - 1]) if accepted.any() else -1.0
    recalled = stored.new_zeros(len(pixels), len(kept))
    recalled[:, ~kept] = given.fill.x[0, ~kept]
    recalled[:, kept] = memory.recall(given.test.x[:, kept], seed=design.seed)
    right = given.classify(recalled) == given.test.labels
    score = _protocol.score(
        torch.from_numpy(accepted), right, given.classify(given.test.x) == given.test.labels
    )
    return Told(own, images, limit, int((~varied).sum()), score.recall, score.bare)


def scores(memory: EntropicMemory, stored: Stored, x: Rows) -> dict[str, Numbers]:
    """Return the four numbers of every cue; all are small for digits."""
    found = memory.recognise(x)
    assert memory.quantiser is not None
    counts = memory.counts.double()
    logs = ((counts + 1) / (counts.sum(0) + memory.levels)).log()
    own = logs.gather(0, memory.quantiser.encode(x))
    near = functional.read(x, stored, stored, closeness, Argmax())
    return {
        "mismatches": found.mismatches.double().numpy(),
        "weight": -found.weight.numpy(),
        "likelihood": -own.sum(-1).numpy(),
        "nearest": (x - near).norm(dim=-1).numpy(),
    }


def area(own: Numbers, others: Float64[np.ndarray, "others"]) -> float:
    """Return the probability that a digit has a smaller number than another image; ties half."""
    ordered = np.sort(own)
    below = np.searchsorted(ordered, others, "left") + np.searchsorted(ordered, others, "right")
    return float(below.mean() / (2 * len(own)))


def curve(own: Numbers, others: Float64[np.ndarray, "others"]) -> Float64[np.ndarray, "shares"]:
    """Return the share of digits accepted where as many other images are as RATES says."""
    limits = np.unique(np.concatenate([own, others]))
    rates = [
        np.concatenate([[0.0], np.searchsorted(np.sort(part), limits, "right") / len(part)])
        for part in (others, own)
    ]
    false, true = rates
    # Of several points at one false rate, the highest is taken.
    places = np.unique(false)
    highest = np.array([true[false == place].max() for place in places])
    return np.asarray(np.interp(RATES, places, highest))


def _told(name: str, folds: list[Told]) -> Iterator[dict[str, Any]]:
    """Yield the area below the curve of one number, and the curve, as means over folds."""
    pairs = [
        (fold.own[name], np.concatenate([one[name] for one in fold.images["shuffled"]]))
        for fold in folds
    ]
    yield _row("area", name) | {"area": float(np.mean([area(*pair) for pair in pairs]))}
    rates = np.mean([curve(*pair) for pair in pairs], axis=0)
    for false, true in zip(RATES.tolist(), rates.tolist(), strict=True):
        yield _row("curve", name) | {"false": false, "true": true}


def _share(found: dict[str, Numbers], xi: int) -> float:
    """Return how many cues have at most xi mismatches, in percent."""
    return 100 * float((found["mismatches"] <= xi).mean())


def _row(part: str, name: str) -> dict[str, Any]:
    words = [f"xi{xi}" for xi in TOLERANCES]
    words += [
        "spread",
        "near",
        "near_less",
        "constant",
        "recalled",
        "bare",
        "area",
        "false",
        "true",
    ]
    return {"part": part, "name": name} | dict.fromkeys(words)
