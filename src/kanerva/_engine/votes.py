r"""Fields over bits whose signs are exact, ties included.

The weights of a rule are functions of the score, up to a common factor, and scores of bits are
whole numbers. The field of one bit is then a sum over the scores that occur,

.. math:: y_j = \sum_s w(s)\, c_{sj}, \quad c_{sj} = \sum_{i:\, s_i = s} v_{ij},

whose counts c are whole numbers. A sum of floats, in whatever order, may give a tie a sign, or give
a sum near zero the wrong one. Such coordinates are found by a bound on the rounding error, and
summed again by the formula above, with weights that are exact where they are whole numbers.
"""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.settings import settings
from kanerva._engine import routes
from kanerva._engine.routes import Field
from kanerva._engine.scores import SCORE_BYTES, Kept, Mask, Rows, compare, left, mask_of
from kanerva.bits import WORD, Packed
from kanerva.separation import Separation
from kanerva.similarity import Similarity

# Roundings of a weight itself, beside those of the sum.
MARGIN = 64
# Doubtful coordinates of a query from which it is read again in float64.
MANY = 8
# Scores in a row are counted by their value up to this range, and sorted beyond it.
RANGE = 2**16


def field(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
) -> Field:
    """Sum -1/+1 values by the weights of -1/+1 keys, with exact signs.

    The signs are those of ``routes.field`` where the rule depends on the order of the scores, where
    a mask adds no whole numbers to them, where priors are no whole numbers, and, in float64, while
    torch traces a graph.
    """
    given = (keys, values, similarity, separation)
    if arrays.tracing() and query.dtype == torch.float32 and not separation.whole:
        # Sums in float64 are exact unless powers are high.
        return routes.field(query.double(), *given, mask)
    found = routes.field(query, *given, mask)
    if arrays.tracing() or keys.shape[0] == 0:
        return found
    if isinstance(mask, Kept) and not torch.equal(mask.prior, mask.prior.round()):
        return found
    if separation.whole and found.size is not None and bool(_exact(found.size).all()):
        return found
    unsure = _unsure(found, keys, separation)
    rows = unsure.any(-1).nonzero().squeeze(-1)
    if len(rows) == 0:
        return found
    part, kept = query[rows], mask_of(mask, rows)
    if found.value.dtype == torch.float32 and unsure.sum() > MANY * len(rows):
        # Sums in float64 leave fewer in doubt.
        again = field(part.double(), *given, kept).value
        return found._replace(value=found.value.detach().index_copy(0, rows, _narrow(again)))
    value = found.value.detach().clone()
    for some, columns in _doubts(
        unsure[rows], max(1, settings.budget // (SCORE_BYTES * keys.shape[0]))
    ):
        signs = _signs(part, *given, kept, some, columns)
        if signs is None:
            return found
        known = value[rows[some], columns].abs().clamp_min(torch.finfo(value.dtype).tiny)
        value[rows[some], columns] = signs.to(value) * known
    return found._replace(value=value)


def _doubts(unsure: Tensor, size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the places of doubtful coordinates, some at a time."""
    rows, columns = unsure.nonzero(as_tuple=True)
    return zip(torch.split(rows, size), torch.split(columns, size), strict=True)


def _narrow(value: Tensor) -> Tensor:
    """Return numbers in float32, none of which becomes zero."""
    least = torch.finfo(torch.float32).tiny
    return (value.sign() * value.abs().clamp_min(least)).float()


def _exact(size: Tensor) -> Tensor:
    """Return which sums of whole numbers are small enough to be exact; they are up to 2 / eps."""
    return size <= 1 / torch.finfo(size.dtype).eps


def _unsure(found: Field, keys: Rows, separation: Separation) -> Tensor:
    """Return where rounding errors may decide the sign of a field ``(b, e)``."""
    value, count = found.value.detach(), keys.shape[0]
    size = value.new_full((len(value),), 2.0) if found.size is None else found.size.to(value.dtype)
    eps = torch.finfo(value.dtype).eps
    beta = separation.temperature()
    known = float(beta.detach() if isinstance(beta, Tensor) else beta or 0)
    spread = 2 * known * keys.shape[1]
    bound = eps * (count + MARGIN + spread) * size
    if separation.whole:
        bound = torch.where(_exact(size), 0.0, bound)
    return value.abs() < bound.unsqueeze(-1)


def _signs(
    query: Tensor,
    keys: Rows,
    values: Rows,
    similarity: Similarity,
    separation: Separation,
    mask: Mask,
    rows: Tensor,
    columns: Tensor,
) -> Tensor | None:
    """Return the signs of some coordinates of the field; None where scores are not whole."""
    some, place = torch.unique_consecutive(rows, return_inverse=True)
    scores = compare(query[some], keys, similarity, mask_of(mask, some))
    # Larger numbers are all whole, but their neighbours are missing.
    exact = scores.abs().amax() <= 1 / torch.finfo(scores.dtype).eps
    if not exact or not torch.equal(scores, scores.round()):
        return None
    voted, scores = _columns(values, columns).double(), scores[place].double()
    if separation.coupled:
        # The bit itself does not take part in the score by which it is decided.
        scores = scores - query[rows, columns].double().unsqueeze(-1) * voted
    kept = left(mask_of(mask, rows))
    if kept is not None:
        voted = voted * kept
    levels, level = _levels(scores)
    counts = voted.new_zeros(len(rows), len(levels)).scatter_add_(1, level, voted)
    return _weighed(counts, levels, separation)


def _levels(scores: Tensor) -> tuple[Tensor, Tensor]:
    """Return the different scores, or all in their range, and the place of each among them."""
    low, high = (end.item() for end in scores.aminmax())
    if high - low > RANGE:
        return torch.unique(scores, return_inverse=True)
    levels = torch.arange(low, high + 1, dtype=scores.dtype, device=scores.device)
    return levels, (scores - low).long()


def _columns(values: Rows, columns: Tensor) -> Tensor:
    """Return some columns of -1/+1 values, one row for each."""
    if isinstance(values, Packed):
        words = values.words[:, columns // WORD] >> columns % WORD
        return ((words & 1) * 2 - 1).mT
    return values[:, columns].mT


def _weighed(counts: Tensor, levels: Tensor, separation: Separation) -> Tensor | None:
    """Return the signs of the sums of counts ``(p, l)`` over levels ``(l,)``."""
    weights = _weights(separation, levels.tolist())
    if weights is None:
        return None
    weight = counts.new_tensor(weights)
    total = counts @ weight
    bound = torch.finfo(total.dtype).eps * (len(levels) + MARGIN) * (counts.abs() @ weight.abs())
    signs = total.sign()
    for place in (total.abs() <= bound).nonzero().squeeze(-1).tolist():
        signs[place] = _exact_sign(counts[place], levels, separation)
    return signs


def _weights(separation: Separation, levels: Sequence[float]) -> list[float] | None:
    """Return the weights of scores as floats, over the largest one."""
    weights = separation.level_weights(levels)
    if weights is None:
        return None
    top = max(map(abs, weights), default=0) or 1
    return [weight / top for weight in weights]


def _exact_sign(counts: Tensor, levels: Tensor, separation: Separation) -> int:
    """Return the sign of one sum of counts over levels, exact where the weights are whole."""
    used = counts != 0
    if not used.any():  # all votes cancel
        return 0
    weights = separation.level_weights(levels[used].tolist())
    if not weights:
        return 0
    votes = counts[used].long().tolist()
    terms = [vote * weight for vote, weight in zip(votes, weights, strict=True)]
    whole = all(isinstance(term, int) for term in terms)
    total = sum(terms) if whole else math.fsum(terms)
    return (total > 0) - (total < 0)
