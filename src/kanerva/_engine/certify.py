"""Softmax reads from the few keys that matter, with a bound on the error."""

from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import refuse
from kanerva._engine import prune, routes
from kanerva._engine.prune import Coarse
from kanerva._engine.scores import Rows, learns
from kanerva.bits import Packed
from kanerva.separation import Separation, Softmax
from kanerva.similarity import Similarity, dot

EXACT = (torch.float32, torch.float64)


class Certified(NamedTuple):
    """A read with a bound on its error.

    Attributes:
        value: ``(..., e)``.
        bound: ``(...)`` float64; no coordinate of ``value`` is further from the exact read.
        active: ``(...)`` of how many keys it was made.
    """

    value: Float[Tensor, "*batch e"]
    bound: Float[Tensor, "*batch"]
    active: Int64[Tensor, "*batch"]


def vet(similarity: Similarity, separation: Separation) -> Softmax:
    """Return the rule if it is one whose far keys can be bounded: Softmax of dot products."""
    if similarity is not dot:
        name = getattr(similarity, "__name__", repr(similarity))
        refuse("similarity", got=name, must="dot", do="read without tolerance")
    if type(separation) is not Softmax or float(separation.beta) <= 0:
        must = "Softmax with beta > 0"
        refuse("separation", got=repr(separation), must=must, do="read without tolerance")
    return separation


def certify(
    query: Tensor,
    keys: Rows,
    values: Rows,
    separation: Softmax,
    tolerance: float,
    near: Coarse | None,
) -> Certified:
    """Read queries ``(..., d)`` from the few keys that matter; the numbers are checked here."""
    whole = isinstance(values, Packed) or not values.is_floating_point()
    if whole or isinstance(keys, Packed) or query.dtype not in EXACT:
        must = "float32 or float64, for floating keys and values"
        kind = "bits.Packed" if isinstance(keys, Packed) else str(keys.dtype)
        got = f"{query.dtype} for keys of {kind}"
        refuse("query", got=got, must=must, do="read without tolerance")
    assert isinstance(keys, Tensor)
    assert isinstance(values, Tensor)
    tolerance = checks.number("tolerance", tolerance, torch.finfo(query.dtype).eps, 1)
    if learns(query, keys, values):
        must = "without a gradient, because the keys that are left out have none"
        do = "read without tolerance, or under torch.no_grad()"
        refuse("query", got="to be trained", must=must, do=do)
    rows = query.reshape(-1, query.shape[-1]).detach()
    arrays.finite("query", rows)
    near = prune.coarse(keys.detach(), values.detach()) if near is None else near
    beta = float(separation.beta)
    value, bound, active = prune.pruned(rows, keys, values, beta, tolerance, near)
    many = (active == 0).nonzero().squeeze(-1)
    if len(many):
        plain = routes.field(rows[many], keys, values, dot, separation, None).value
        value, active = value.index_copy(0, many, plain), active.index_fill(0, many, len(keys))
        bound = bound.index_copy(0, many, prune.plain_bound(rows[many], keys, beta, near))
    batch = query.shape[:-1]
    value = value.reshape(*batch, values.shape[-1])
    return Certified(value, bound.reshape(batch), active.reshape(batch))
