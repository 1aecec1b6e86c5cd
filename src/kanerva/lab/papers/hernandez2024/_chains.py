"""Chains of recalls: what class their states have, and what kind of item they are."""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from kanerva._core import checks
from kanerva.lab.data._raw import extra
from kanerva.lab.papers.hernandez2024 import _pictures, _protocol

__all__ = ["CUES", "Design", "chained", "damaged", "kinds", "median", "sorted_kinds"]

CUES = ("clean", "noisy")
# The largest shade of a pixel.
WHITE = 16.0
SHOWN = 10
# Digits that are stored for the kinds of states; the others are unseen.
STORED = 1400

Rows = Float64[Tensor, "rows features"]


class Design(NamedTuple):
    """A chain: the register, the cues and the draws."""

    features: str
    cue: str
    levels: int
    sigma: float
    xi: int
    depth: int
    seed: int


def damaged(pixels: Rows, share: float, seed: int) -> Rows:
    """Replace a share of the pixels of each digit by uniform numbers from 0 to 16."""
    source = np.random.default_rng(seed)
    hit = torch.from_numpy(source.random(pixels.shape) < share)
    return torch.where(hit, WHITE * torch.from_numpy(source.random(pixels.shape)), pixels)


def chained(design: Design, folds: int, share: float) -> Iterator[dict[str, Any]]:
    """Follow chains from the test part of each fold, and classify every state.

    Args:
        design: of the chains.
        folds: how many, from the first on.
        share: of the pixels of a noisy cue that are replaced.
    """
    checks.integer("folds", folds, 1, _protocol.FOLDS)
    for number in range(folds):
        fold = _protocol.fold(number, design.features)
        pixels = _protocol.fold(number).test.x
        seen = damaged(pixels, share, design.seed) if design.cue == "noisy" else pixels
        cues, labels = fold.encode(seen), fold.test.labels
        memory = _protocol.register(fold.fill.x, design.levels, sigma=design.sigma, xi=design.xi)

        def through(state: Tensor, fold: _protocol.Fold = fold) -> Tensor:
            return fold.encode(fold.decode(state).clamp(0, WHITE))

        feed = None if fold.components is None else through
        chain = memory.chain(cues, design.depth, seed=design.seed, through=feed)
        right = fold.classify(cues) == labels
        begun = chain.accepted[1]
        for depth, (state, alive) in enumerate(zip(*chain, strict=True)):
            yield {
                "fold": number,
                "depth": depth,
                "accepted": _percent(alive),
                **_kept(fold, state, labels, alive, begun, right),
                "error": _error(fold.decode(state), pixels, alive & begun),
                "pictures": _shown(fold.decode(state), labels, begun, alive) if not number else "",
            }


def _kept(
    fold: _protocol.Fold,
    state: Rows,
    labels: Int64[Tensor, "rows"],
    alive: Bool[Tensor, "rows"],
    begun: Bool[Tensor, "rows"],
    right: Bool[Tensor, "rows"],
) -> dict[str, float | None]:
    """Return the share of the states whose class is right, and that of the bare cues."""
    some = alive & begun
    found = fold.classify(state[some]) == labels[some]
    return {
        "kept": _percent(found) if len(found) else None,
        "bare": _percent(right[begun]) if bool(begun.any()) else None,
    }


def _error(found: Rows, pixels: Rows, alive: Bool[Tensor, "rows"]) -> float | None:
    """Return the root of the mean square error of states, in shades."""
    some = (found - pixels)[alive]
    return float(some.square().mean().sqrt()) if len(some) else None


def _percent(found: Bool[Tensor, "rows"]) -> float:
    return 100 * float(found.double().mean())


def _shown(
    pixels: Rows,
    labels: Int64[Tensor, "rows"],
    begun: Bool[Tensor, "rows"],
    alive: Bool[Tensor, "rows"],
) -> str:
    """Return the first accepted digit of each class as words; empty ones for ended chains."""
    words = []
    for label in range(SHOWN):
        places = torch.nonzero(begun & (labels == label)).flatten()
        drawn = len(places) > 0 and bool(alive[places[0]])
        words.append(_pictures.word(pixels[places[0]].tolist()) if drawn else "")
    return "/".join(words)


@lru_cache(maxsize=2)
def _halves(swapped: bool) -> tuple[_protocol.Digits, _protocol.Digits, Any]:
    """Return the stored and the unseen digits, and a classifier of those that are no cues."""
    every = _protocol.digits()
    stored = _protocol.Digits(every.x[:STORED], every.labels[:STORED])
    unseen = _protocol.Digits(every.x[STORED:], every.labels[STORED:])
    learned = stored if swapped else unseen
    machines = extra("sklearn.svm", "scikit-learn", "a support vector classifier")
    machine = machines.SVC(C=_protocol.WEIGHT, random_state=0)
    return stored, unseen, machine.fit(learned.x.numpy(), learned.labels.numpy())


def _apart(x: Float64[Tensor, "b d"], rows: Float64[Tensor, "m d"]) -> Float64[Tensor, "b m"]:
    return torch.cdist(x, rows, compute_mode="use_mm_for_euclid_dist")


def median(stored: Rows) -> float:
    """Return the median distance of a stored row to the nearest other one."""
    apart = _apart(stored, stored)
    apart.fill_diagonal_(torch.inf)
    return float(apart.min(-1).values.median())


def sorted_kinds(
    states: Float64[Tensor, "b d"],
    stored: Float64[Tensor, "m d"],
    own: Int64[Tensor, "b"],
    near: float,
) -> Int64[Tensor, "b"]:
    """Return the kind of each state: 0 its own item, 1 another stored item, 2 neither.

    Args:
        states: rows.
        stored: rows.
        own: the place of the item from which a chain started; -1 where it is not stored.
        near: the distance up to which a state is an item.
    """
    found = _apart(states, stored).min(-1)
    kind = torch.where(found.indices == own, 0, 1)
    return torch.where(found.values <= near, kind, 2)


def kinds(cue: str, levels: int, sigma: float, depth: int, seed: int) -> Iterator[dict[str, Any]]:
    """Follow chains from stored or unseen digits, and tell the kinds of their states.

    Args:
        cue: stored or unseen.
        levels: of the register.
        sigma: of the recalls.
        depth: of the chains.
        seed: of the draws.
    """
    stored, unseen, machine = _halves(cue == "unseen")
    given = stored if cue == "stored" else unseen
    own = torch.arange(len(stored.x)) if cue == "stored" else torch.full((len(unseen.x),), -1)
    memory = _protocol.register(stored.x, levels, sigma=sigma)
    near = median(stored.x)
    begun = memory.recognise(given.x).accepted
    cues, labels, own = given.x[begun], given.labels[begun], own[begun]
    chain = memory.chain(cues, depth, seed=seed)
    bare = torch.from_numpy(machine.predict(cues.numpy())) == labels
    shown = [int(torch.nonzero(labels == label)[0]) for label in range(SHOWN)]
    for step, state in enumerate(chain.states):
        found = sorted_kinds(state, stored.x, own, near)
        kept = torch.from_numpy(machine.predict(state.numpy())) == labels
        words = [f"{_pictures.word(state[one].tolist())}{int(found[one])}" for one in shown]
        yield {
            "s": sigma * levels,
            "depth": step,
            "own": _share(found == 0),
            "recollected": _share(found == 1),
            "imagined": _share(found == 2),
            "accepted": _percent(begun),
            "kept": _percent(kept),
            "bare": _percent(bare),
            "near": near,
            "pictures": "/".join(words),
        }


def _share(found: Bool[Tensor, "rows"]) -> float:
    return float(found.double().mean())
