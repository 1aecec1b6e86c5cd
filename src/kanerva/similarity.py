"""Similarities: pure functions from queries ``(..., d)`` and keys ``(m, d)`` to scores.

Larger is nearer. No score is scaled: the inverse temperature ``beta`` multiplies the scores once,
inside the separation.

A similarity is any function of query and keys. What a memory must know of it besides is an
attribute of the function:

* ``bits``: queries and keys must be -1/+1; False by default;
* ``length``: the length of the vectors that it is made for; None by default, for any;
* ``regulariser``: R in the energy E(q) = R(q) - Phi(s(q)), a function from queries ``(..., d)`` to
  ``(...)``; None by default: a memory that compares by it has no energy;
* ``shape``: the kernel that exp(beta s - beta R(q)) is in space, apart from a factor of the key:
  ``"gaussian"``, ``"product"`` (a Gaussian with the factor exp(beta |k|^2 / 2)), ``"laplace"``, or
  ``"vmf"`` on the unit sphere, where queries and keys stand for their directions; None by default;
* ``exact``: a slower function of the same scores, from differences of coordinates, which keeps the
  digits of vectors that are near to each other and far from the origin; None by default;
* ``line``: a function from d to (a, b) where the score of -1/+1 vectors is a q.k + b; None by
  default;
* ``partly``: the score by some coordinates alone, a function of queries ``(b, d)``, which are zero
  where a coordinate is not known, of ``(b, d)`` ones and zeros that say which are known, and of
  keys; None by default, for scores that are no sums over coordinates;
* ``product``: the score is the scalar product, so that a flip of one bit changes it by that bit of
  the key; False by default;
* ``transparent``: a query that is not finite has no finite score, so that it shows in the result;
  False by default: the query is checked first;
* ``unchecked``: the same function without checks of its input, for callers that have checked it.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from kanerva import bits
from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.theory import circle

__all__ = ["Overlap", "agreement", "closeness", "cosine", "dot", "manhattan"]

Similarity = Callable[[Tensor, Tensor], Tensor]
Regulariser = Callable[[Tensor], Tensor]


def declared(similarity: Similarity, name: str, default: Any = None) -> Any:
    """Return an attribute of a similarity, or the default where it has none."""
    return getattr(similarity, name, default)


def _half_square(query: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    return query.square().sum(-1) / 2


def _partly_dot(
    query: Float[Tensor, "b d"], known: Float[Tensor, "b d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "b m"]:
    return query @ keys.mT


def _partly_agreement(
    query: Float[Tensor, "b d"], known: Float[Tensor, "b d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "b m"]:
    return (query @ keys.mT + known.sum(-1, keepdim=True)) * 0.5


def _partly_closeness(
    query: Float[Tensor, "b d"], known: Float[Tensor, "b d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "b m"]:
    origin = keys[:1].detach().sum(0)
    near, away = (query - origin) * known, keys - origin
    own = near.square().sum(-1, keepdim=True)
    return near @ away.mT - 0.5 * (own + known @ away.square().mT)


def _partly_manhattan(
    query: Float[Tensor, "b d"], known: Float[Tensor, "b d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "b m"]:
    total = query.new_zeros(len(query), len(keys))
    columns = (part.unbind(-1) for part in (query, known, keys))
    for x, seen, key in zip(*columns, strict=True):  # one (b, m) at a time
        total = total - seen.unsqueeze(-1) * (x.unsqueeze(-1) - key).abs()
    return total


def _zero(query: Float[Tensor, "*batch d"]) -> Float[Tensor, "*batch"]:
    return torch.zeros_like(query[..., 0])


def _similarity(**facts: Any) -> Callable[[Similarity], Similarity]:
    """Check the input and the scores of a similarity, and attach its attributes."""

    def checked(score: Similarity) -> Similarity:
        @door
        @functools.wraps(score)
        def scored(
            query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
        ) -> Float[Tensor, "*batch m"]:
            _check(query, keys)
            scores = score(query, keys)
            return scores if arrays.sound(scores) else _overflows(query, keys, scores)

        vars(scored).update({"transparent": True, "unchecked": score} | facts)
        return scored

    return checked


@_similarity(
    regulariser=_half_square,
    product=True,
    shape="product",
    line=lambda dim: (1.0, 0.0),
    partly=_partly_dot,
)
def dot(query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m"]:
    r"""Score by the scalar product.

    .. math:: s_i = q \cdot k_i

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.dot(torch.tensor([1.0, 2.0]), torch.eye(2)).tolist()
        [1.0, 2.0]
    """
    return query @ keys.mT


@_similarity(regulariser=_zero, shape="vmf", line=lambda dim: (1 / dim, 0.0))
def cosine(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score by the cosine of the angle.

    .. math:: s_i = \frac{q \cdot k_i}{|q| |k_i|}

    A vector shorter than 1e-12 has cosine 0 to every other.

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.cosine(torch.tensor([3.0, 4.0]), torch.eye(2)).tolist()
        [0.60..., 0.80...]
    """
    return _direction(query) @ _direction(keys).mT


def _apart(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    """Score as ``closeness`` does, from differences."""
    distance = torch.cdist(query, keys, compute_mode="donot_use_mm_for_euclid_dist")
    return -0.5 * distance.square()


vars(_apart).update({"unchecked": _apart, "regulariser": _zero, "transparent": True})


@_similarity(
    regulariser=_zero,
    shape="gaussian",
    line=lambda dim: (1.0, -float(dim)),
    exact=_apart,
    partly=_partly_closeness,
)
def closeness(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score by minus half the squared Euclidean distance, the exponent of a Gaussian.

    .. math:: s_i = -\tfrac12 |q - k_i|^2

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.closeness(torch.tensor([2.0, 0.0]), torch.eye(2)).tolist()
        [-0.5, -2.5]
    """
    # Distances do not change under translation; near the origin their squares lose fewer digits.
    origin = keys[:1].detach().sum(0)
    near, away = query - origin, keys - origin
    return near @ away.mT - 0.5 * (near.square().sum(-1, keepdim=True) + away.square().sum(-1))


@_similarity(
    bits=True, regulariser=_zero, line=lambda dim: (0.5, dim / 2), partly=_partly_agreement
)
def agreement(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score -1/+1 vectors by how many of their d bits agree: d minus the Hamming distance.

    .. math:: s_i = \tfrac12 (d + q \cdot k_i)

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> key = torch.tensor([[1.0, -1.0, -1.0]])
        >>> similarity.agreement(torch.tensor([1.0, 1.0, -1.0]), key).tolist()
        [2.0]
    """
    return (query @ keys.mT + query.shape[-1]) * 0.5


@_similarity(
    regulariser=_zero,
    shape="laplace",
    line=lambda dim: (1.0, -float(dim)),
    partly=_partly_manhattan,
)
def manhattan(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score by minus the sum of absolute differences.

    .. math:: s_i = -\sum_j |q_j - k_{ij}|

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.manhattan(torch.tensor([2.0, 0.0]), torch.eye(2)).tolist()
        [-1.0, -3.0]
    """
    if arrays.forward():  # torch has no forward derivative of its distances
        return -(query.unsqueeze(-2) - keys).abs().sum(-1)
    # torch has no distances of half precisions.
    exact = torch.promote_types(query.dtype, torch.float32)
    rows = query.unsqueeze(-2) if query.ndim == 1 else query
    distance: Tensor = torch.cdist(rows.to(exact), keys.to(exact), p=1.0).to(query.dtype)
    return -(distance.squeeze(-2) if query.ndim == 1 else distance)


def _check(query: Tensor, keys: Tensor) -> None:
    """Refuse a query and keys that cannot be compared."""
    arrays.floats("query", query)
    arrays.rows("keys", keys, dim=query.shape[-1], advised=query.dtype)
    if keys.dtype != query.dtype or keys.device != query.device:
        must = f"{query.dtype} on {query.device}, as the query is"
        got, do = f"{keys.dtype} on {keys.device}", "convert it with keys.to(query)"
        refuse("keys", got=got, must=must, do=do, error=InputTypeError)


def _overflows(query: Tensor, keys: Tensor, scores: Tensor) -> Tensor:
    """Report which input makes scores that are not finite."""
    arrays.finite("query", query)
    arrays.finite("keys", keys)
    must = f"small enough that its scores stay within {scores.dtype}"
    do = "scale queries and keys down, or take torch.float64"
    refuse("query", got="too large: they overflow", must=must, do=do)


def _direction(rows: Tensor) -> Tensor:
    """Scale rows to length one; NaN where the length overflows, which is no direction."""
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    return rows / torch.where(length.isfinite(), length.clamp_min(1e-12), torch.nan)


@dataclass(frozen=True)
class Overlap:
    r"""Score by the number of hard locations that query and key share.

    .. math:: s_i \sim \mathrm{Poisson}\!\left(M \, I(h_i) / 2^n\right), \quad
        h_i = \mathrm{Hamming}(q, k_i)

    The memory has M random locations, finitely many. The count is a fixed property of the two
    vectors, as it is in a memory with fixed locations: it is computed from a hash of query, key and
    seed, so the same pair always has the same count, whatever the batch, the order or the step.

    One read is right as often as with real locations. A recall of several reads may differ from
    theirs where few locations are shared, because each read draws independently, while real vectors
    that are near to each other share their locations.

    Args:
        bits: n, the length of an address.
        radius: activation radius in bits, 0 to ``bits - 1``.
        locations: M, how many random locations there are, up to ``2.0**bits`` and beyond.
        seed: an integer >= 0.

    Example:
        >>> from kanerva import bits, similarity
        >>> shared = similarity.Overlap(bits=1000, radius=451, locations=1_000_000, seed=0)
        >>> keys = bits.random(200, 1000, seed=0)
        >>> round(shared(keys, keys).diagonal().mean().item())  # theory: 1071.85
        1072

    Source: Bricken and Pehlevan 2021, eq. 4 gives the mean; the spread is that of independent
    random locations.
    """

    bits: int
    radius: int
    locations: float
    seed: int = 0
    _means: Tensor = field(init=False, repr=False, compare=False)
    _counts: Tensor = field(init=False, repr=False, compare=False)
    _starts: Tensor = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        bits = checks.integer("bits", self.bits, 1, checks.BITS)
        do = "give a Hamming distance that leaves some bits out"
        radius = checks.integer("radius", self.radius, 0, bits - 1, do)
        locations = checks.plain("locations", self.locations, 1)
        seed = checks.integer("seed", self.seed, 0, 2**63 - 1)
        checks.keep(self, bits=bits, radius=radius, locations=locations, seed=seed)
        means = np.exp(circle.log_fraction(self.bits, self.radius) + math.log(self.locations))
        if means[0] > LARGEST:
            must, got = f"few enough to share {LARGEST:g} at most", f"sharing {means[0]:g}"
            do = "give fewer, or leave locations out of sdm_patterns for an unlimited memory"
            refuse("locations", got=f"{locations:g}, {got}", must=must, do=do)
        names = ("_means", "_counts", "_starts")
        tables = (means, *_poisson(means))
        checks.keep(self, **dict(zip(names, map(torch.from_numpy, tables), strict=True)))

    @property
    def length(self) -> int:
        """Length of the vectors."""
        return self.bits

    @door
    def __call__(
        self, query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
    ) -> Float[Tensor, "*batch m"]:
        """Compute the shared counts ``(..., m)``."""
        distance = (self.bits - agreement(query, keys)).round().long()
        known = not arrays.tracing() and distance.numel() > 0
        if known and not 0 <= distance.amin() <= distance.amax() <= self.bits:
            must = f"{self.bits} bits of -1/+1, as the keys are"
            do = "turn 0/1 into -1/+1 with kanerva.bits.from_binary"
            refuse("query", query, must=must, do=do)
        # A traced graph cannot refuse other numbers than bits: they must not index the tables.
        distance = distance.clamp(0, self.bits) if arrays.tracing() else distance
        pair = bits.mix(bits.fingerprint(query, self.seed)).unsqueeze(-1)
        pair = pair + bits.mix(bits.fingerprint(keys, self.seed))
        return self._quantile(distance, bits.uniform(bits.mix(pair))).to(query.dtype)

    def _quantile(self, distance: Tensor, u: Tensor) -> Tensor:
        """Turn uniform numbers into Poisson counts, whose mean depends on the distance."""
        tables = (self._counts, self._starts, self._means)
        counts, starts, means = (table.to(u.device) for table in tables)
        small = torch.searchsorted(counts, distance + u, right=True) - starts[distance]
        # The expansion of Cornish and Fisher is right to a rounding where the mean is large.
        mean, z = means[distance], torch.special.ndtri(u.clamp_min(2.0**-53))
        large = (mean + mean.sqrt() * z + (z.square() - 1) / 6).round()
        return torch.where(mean > EXACT_BELOW, large, small.to(u.dtype))


# Up to this mean the Poisson distribution is tabulated.
EXACT_BELOW = 256.0
# Sums of more shared locations would leave the range of float32.
LARGEST = 1e30


def _poisson(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lay the Poisson distribution functions of all distances end to end.

    An entry is distance + P(count <= k); the second array gives where each distance begins.
    """
    from scipy.special import pdtr

    curves = []
    for distance, mean in enumerate(means):
        reach = 0 if mean > EXACT_BELOW else int(mean + 10 * math.sqrt(mean) + 20)
        curve = distance + pdtr(np.arange(reach + 1), mean)
        curve[-1] = distance + 1.0
        curves.append(curve)
    lengths = np.array([len(curve) for curve in curves])
    return np.concatenate(curves), np.cumsum(lengths) - lengths
