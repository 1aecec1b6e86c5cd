"""Records and sequences as one vector of bits, and which fillers are found in them."""

import importlib
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

import kanerva
from kanerva import bits
from kanerva._core import checks
from kanerva.theory import radius as radius_

__all__ = ["Design", "agreement", "answered", "expected"]

# Reads of the sparse distributed memory in a row.
STEPS = 20


class Design(NamedTuple):
    """What is bundled, and how a filler is found.

    * ``form``: ``"record"``: pairs of role and filler; ``"sequence"``: fillers, rotated by place.
    * ``width``: bits of a vector.
    * ``pairs``: that are bundled in one vector.
    * ``fillers``: known vectors, of which each pair has another one.
    * ``records``: how many vectors are bundled and asked for all of their fillers.
    * ``cleanup``: ``"nearest"``, ``"sdm"`` or ``"torch-hd"``.
    * ``share``: of all places within the radius of the sparse distributed memory.
    * ``seed``: of all draws.
    """

    form: str
    width: int
    pairs: int
    fillers: int
    records: int
    cleanup: str
    share: float
    seed: int


def answered(design: Design) -> dict[str, Any]:
    """Bundle pairs, and ask for every filler."""
    checks.integer("pairs", design.pairs, 1, design.fillers, "give each pair a filler of its own")
    source = torch.Generator().manual_seed(design.seed)
    items = bits.random(design.fillers, design.width, seed=source)
    size = (design.records, design.fillers)
    chosen = torch.rand(size, generator=source).argsort(1)[:, : design.pairs]
    roles = bits.random(design.records * design.pairs, design.width, seed=source)
    roles = roles.reshape(design.records, design.pairs, design.width)
    ask = _torchhd if design.cleanup == "torch-hd" else _asked
    read = ask(design, items[chosen], roles)
    found = _cleaned(design, read, items)
    return {
        "found": float((found == chosen).double().mean()),
        "expected": expected(design.width, design.pairs, design.fillers),
        "agree": float((read == items[chosen]).double().mean()),
        "closed": agreement(design.pairs),
    }


def agreement(pairs: int) -> float:
    """Return the probability that a bit of what is unbound is that of the filler.

    The bit of the filler decides where the other bits are tied, by one or by two.
    """
    return 0.5 + math.comb(pairs - 1, (pairs - 1) // 2) / 2**pairs


def expected(width: int, pairs: int, fillers: int) -> float:
    """Return the probability that the right filler agrees in more bits than all others.

    Its agreements are binomial, those of the others are with one half, and equals share.
    """
    import numpy as np
    from scipy.stats import binom

    counts = np.arange(width + 1)
    right = binom.pmf(counts, width, agreement(pairs))
    below, equal = binom.cdf(counts - 1, width, 0.5), binom.pmf(counts, width, 0.5)
    # The sum over how many of the others are equal, each case over one more than these.
    rare = fillers * equal < 1e-7  # the difference would be rounded away
    ties = (below + equal) ** fillers - below**fillers
    wins = ties / np.where(rare, 1.0, fillers * equal)
    share = np.where(rare, below ** (fillers - 1), wins)
    return float((right * share).sum())


def _asked(design: Design, fillers: Tensor, roles: Tensor) -> Tensor:
    """Return what the bundles give for each role or place, ``(records, pairs, bits)``."""
    if design.form == "record":
        bundles = bits.bundle(bits.bind(roles, fillers), seed=design.seed)
        return bits.bind(bundles[:, None], roles)
    places = range(design.pairs)
    turned = torch.stack([bits.permute(fillers[:, place], place) for place in places], 1)
    bundles = bits.bundle(turned, seed=design.seed)
    return torch.stack([bits.permute(bundles, -place) for place in places], 1)


def _torchhd(design: Design, fillers: Tensor, roles: Tensor) -> Tensor:
    """Do as ``_asked`` with the functions of torch-hd; ties are -1 there."""
    hd = importlib.import_module("torchhd")
    fillers, roles = (rows.as_subclass(hd.MAPTensor) for rows in (fillers, roles))
    if design.form == "record":
        bundles = hd.normalize(hd.multiset(hd.bind(roles, fillers)))
        return hd.bind(bundles[:, None], roles).as_subclass(Tensor)
    places = range(design.pairs)
    turned = [hd.permute(fillers[:, place], shifts=place) for place in places]
    bundles = hd.normalize(hd.multiset(torch.stack(turned, 1)))
    back = [hd.permute(bundles, shifts=-place) for place in places]
    return torch.stack(back, 1).as_subclass(Tensor)


def _cleaned(design: Design, read: Tensor, items: Tensor) -> Tensor:
    """Return which filler each vector becomes; -1 for none."""
    if design.cleanup == "sdm":
        radius = radius_.quantile(design.width, design.share)
        memory = kanerva.sdm_patterns(design.width, radius, seed=design.seed)
        memory.write(items)
        read = memory.recall(read, steps=STEPS)
    agreements = read @ items.T
    best = agreements.max(-1)
    if design.cleanup != "sdm":
        return best.indices
    return torch.where(best.values == design.width, best.indices, -1)
