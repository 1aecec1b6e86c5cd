"""Draws: one of the keys of a read, with probability its weight."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays
from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva._engine.scores import Mask, Rows, chunks
from kanerva.separation import Separation
from kanerva.similarity import Similarity

__all__ = ["chances", "draw", "pick"]


def draw(
    query: Float[Tensor, "b d"],
    keys: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    chance: Float64[Tensor, "draws b"],
) -> Int64[Tensor, "draws b"]:
    """Draw keys in proportion to their weights; -1 where no key has a weight."""
    found, start = [], 0
    for part, kept in chunks(query, keys.shape[0], mask):
        weights = routes.weights(part, keys, similarity, separation, kept)
        if not arrays.tracing() and bool((weights < 0).any()):
            must, do = "a rule whose weights are not negative", "take Softmax or another rule"
            refuse("separation", got=f"{separation}, with weights below 0", must=must, do=do)
        stop = start + len(part)
        found.append(pick(weights.double().cumsum(-1), chance[:, start:stop]))
        start = stop
    return torch.cat(found, -1)


def chances(
    hashed: Int64[Tensor, "*batch"], draws: int, coordinates: int = 1
) -> Float64[Tensor, "draws *batch coordinates"]:
    """Return uniform numbers in [0, 1), from the hash, the number of the draw and the coordinate.

    The first draws are the same, however many are made.
    """
    device = hashed.device
    several = bits.mix(torch.arange(1, draws + 1, device=device) * bits.GOLDEN)
    several = several.reshape(-1, *(1,) * hashed.ndim)
    place = torch.arange(1, coordinates + 1, device=device) * bits.GOLDEN
    return bits.uniform(bits.mix(bits.mix(hashed + several).unsqueeze(-1) + place))


def pick(
    cumulative: Float64[Tensor, "b m"], chance: Float64[Tensor, "draws b"]
) -> Int64[Tensor, "draws b"]:
    """Return the first place at which cumulated weights exceed a share of the last one.

    A place without weight is never returned; -1 stands where the last sum is 0.
    """
    if cumulative.shape[-1] == 0:
        return torch.full_like(chance, -1, dtype=torch.int64)
    total = cumulative[:, -1]
    # Rounding must not reach the total, which no place exceeds.
    share = torch.minimum(chance * total, torch.nextafter(total, torch.zeros_like(total)))
    places = torch.searchsorted(cumulative, share.T.contiguous(), right=True).T
    return torch.where(total > 0, places, -1)
