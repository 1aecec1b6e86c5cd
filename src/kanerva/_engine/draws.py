"""Draws: one of the keys of a read, with probability its weight."""

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva._engine import routes
from kanerva._engine.scores import Mask, Rows, chunks
from kanerva.separation import Separation
from kanerva.similarity import Similarity

__all__ = ["chances", "draw", "numbered", "pick"]

# The largest number of draws at once.
MOST = 2**40


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
        place = torch.arange(len(part), device=part.device).expand(len(chance), -1)
        found.append(pick(weights.double().cumsum(-1), place, chance[:, start:stop]))
        start = stop
    return torch.cat(found, -1)


def numbered(draws: int | None, room: int, device: torch.device) -> Int64[Tensor, "draws"]:
    """Check how many draws are wanted, None for one, and return their numbers, 1, 2, ...

    Args:
        draws: as the caller gives it.
        room: bytes that one draw takes.
        device: of the numbers.
    """
    count = 1 if draws is None else checks.integer("draws", draws, 1, MOST, "leave it out for one")
    with checks.room("draws", f"{count}", room * count):
        return torch.arange(1, count + 1, device=device)


# torch.compile turns the products of a whole ``arange`` and a large number into C++ that overflows
# (torch 2.13, on the CPU), so that these numbers are computed outside the graph.
@torch.compiler.disable  # type: ignore[untyped-decorator]
def chances(
    hashed: Int64[Tensor, "*batch"], which: Int64[Tensor, "draws"], place: Int64[Tensor, "columns"]
) -> Float64[Tensor, "draws *batch columns"]:
    """Return uniform numbers in [0, 1) from hashes, the number of a draw, and that of a column.

    Every number is one of its own, so that it does not depend on how many there are.
    """
    several = bits.mix(which * bits.GOLDEN).reshape(-1, *(1,) * hashed.ndim)
    columns = bits.mix(hashed + several).unsqueeze(-1) + place * bits.GOLDEN
    return bits.uniform(bits.mix(columns))


def pick(
    cumulative: Float64[Tensor, "rows m"],
    row: Int64[Tensor, "*shape"],
    chance: Float64[Tensor, "*shape"],
) -> Int64[Tensor, "*shape"]:
    """Return the first place of a row at which cumulated weights exceed a share of the last one.

    The range of a search is halved, with one look into the table a step. A place without weight is
    never returned; -1 stands where the last sum is 0.
    """
    count = cumulative.shape[-1]
    if count == 0:
        return torch.full_like(row, -1)
    total = cumulative[:, -1]
    # Rounding may take a share to the total, which no sum exceeds.
    flat = torch.where(cumulative == total.unsqueeze(-1), torch.inf, cumulative).reshape(-1)
    whole, first = total[row], row * count
    share, at, left = chance * whole, first, count
    while left > 1:
        half = left // 2
        at = torch.add(at, flat[at + (half - 1)] <= share, alpha=half)
        left -= half
    return torch.where(whole > 0, at - first, -1)
