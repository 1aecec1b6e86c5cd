"""A register of learned features of colour pictures: cues, recalls, and chains."""

import math
import string
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva.entropic import Chain
from kanerva.lab.papers._pictures import Shades
from kanerva.lab.papers.hernandez2024 import _codes, _protocol

__all__ = ["CUES", "SHADES", "Design", "answered"]

CUES = ("clean", "noise", "patch", "stored")
# Standard deviation of the noise and side of the patch: of pixels from 0 to 1, and in pixels of 32.
NOISE, SIDE = 0.3, 22
# How many pictures of each row are kept, and after which recalls.
KEPT, STEPS = 5, (0, 1, 2, 6)
# Pictures in a table, as words: numbers from -1 to 1.
SHADES = Shades(string.digits + string.ascii_letters, -1.0, 1.0)


class Design(NamedTuple):
    """One cell.

    Attributes:
        cue: what is done with the pictures of the test part; ``"stored"`` asks for the stored ones.
        levels: of a column.
        stored: percent of the filling part that are stored.
        sigma: of the Gaussian, as a share of the levels.
        depth: how many recalls follow one another.
        pictures: whether some of them are kept.
        seed: of damage and draws.
    """

    cue: str
    levels: int
    stored: float
    sigma: float
    depth: int
    pictures: bool
    seed: int


class _Asked(NamedTuple):
    """Cues and what they are measured against.

    Attributes:
        whole: the pictures before damage.
        given: the pictures as they are encoded.
        x: codes of the latter.
        labels: their classes.
        bare: the classes that the classifier gives to the codes.
    """

    whole: _codes.Pictures
    given: _codes.Pictures
    x: Float64[Tensor, "cues features"]
    labels: Int64[Tensor, "cues"]
    bare: Int64[Tensor, "cues"]


def answered(learned: _codes.Design, design: Design) -> list[dict[str, Any]]:
    """Return a row for every recall of a chain, and for chains one for the cue before them.

    Args:
        learned: what is trained.
        design: the cell.
    """
    found = _codes.codes(learned)
    asked = _asked(found, design)
    memory = _protocol.register(
        found.fold.fill.x, design.levels, sigma=design.sigma, share=design.stored / 100
    )
    through = (lambda x: found.encode(found.decode(x))) if design.depth > 1 else None
    chain = memory.chain(asked.x, design.depth, seed=design.seed, through=through)
    chosen = _chosen(found.fold) if design.pictures else None
    plain = _codes.distance(found.decode(found.fold.test.x), found.test)
    whole = {
        "entropy": memory.entropy(),
        "decoder": float(plain.mean().sqrt()),
    }
    first = 0 if design.depth > 1 else 1
    return [
        _measured(found, asked, chain, step, chosen) | whole
        for step in range(first, design.depth + 1)
    ]


def _measured(
    found: _codes.Codes,
    asked: _Asked,
    chain: Chain,
    step: int,
    chosen: Int64[Tensor, "shown"] | None,
) -> dict[str, Any]:
    """Score the states of one step."""
    accepted = chain.accepted[step]
    states, right = chain.states[step], torch.zeros(len(accepted), dtype=torch.bool)
    right[accepted] = found.fold.classify(states[accepted]) == asked.labels[accepted]
    score = _protocol.score(accepted, right, asked.bare == asked.labels)
    decoded = asked.given if step == 0 else found.decode(states)
    recalled = _error(_codes.distance(decoded, asked.whole), accepted)
    alone = _error(_codes.distance(found.decode(asked.x), asked.whole), accepted)
    words = ""
    if chosen is not None and step in STEPS:
        some = zip(decoded[chosen], accepted[chosen].tolist(), strict=True)
        words = "/".join(
            SHADES.word(picture.flatten().tolist()) if seen else "-" for picture, seen in some
        )
    return {
        "step": step,
        "recall": score.recall,
        "precision": score.precision,
        "accepted": score.accepted,
        "answers": score.answers,
        "cues": score.cues,
        "bare": score.bare,
        "error": recalled,
        "added": None if step == 0 or recalled is None or alone is None else recalled - alone,
        "pictures": words,
    }


def _error(squares: Float64[Tensor, "cues"], which: Bool[Tensor, "cues"]) -> float | None:
    """Return the root of the mean square of some; None for none."""
    return math.sqrt(float(squares[which].mean())) if bool(which.any()) else None


def _asked(found: _codes.Codes, design: Design) -> _Asked:
    part = found.fold.fill if design.cue == "stored" else found.fold.test
    whole = found.fill if design.cue == "stored" else found.test
    given = _damaged(whole, found.shape, design.cue, design.seed)
    x = part.x if given is whole else found.encode(given)
    return _Asked(whole, given, x, part.labels, found.fold.classify(x))


def _damaged(
    whole: _codes.Pictures, shape: tuple[int, ...], cue: str, seed: int
) -> _codes.Pictures:
    """Add noise to pictures, or blacken a square in their middle; pixels stay from -1 to 1."""
    if cue == "noise":
        noise = np.random.default_rng(seed).standard_normal(whole.shape)
        return (whole.double() + 2 * NOISE * torch.from_numpy(noise)).clamp(-1, 1).float()
    if cue == "patch":
        side = SIDE * shape[0] // 32
        top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
        pictures = whole.clone().reshape(-1, *shape)
        pictures[:, top : top + side, left : left + side] = -1.0
        return pictures.reshape(whole.shape)
    return whole


def _chosen(fold: _protocol.Fold) -> Int64[Tensor, "shown"]:
    """Return the first test picture of each of some classes that the classifier gets right."""
    labels = fold.test.labels
    right = fold.classify(fold.test.x) == labels
    places = [
        int(here[0])
        for label in sorted(set(labels.tolist()))
        if len(here := ((labels == label) & right).nonzero().flatten())
    ]
    return torch.tensor(places[:KEPT], dtype=torch.int64)
