"""How near is a query to each key? Pure functions; larger is always nearer.

Each takes queries ``(..., d)`` and keys ``(m, d)`` and gives scores ``(..., m)``. None is scaled: the inverse temperature
``beta`` multiplies scores exactly once, inside the separation.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

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


@door
def dot(query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]) -> Float[Tensor, "*batch m"]:
    r"""Score by the scalar product.

    .. math:: s_i = q \cdot k_i

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.dot(torch.tensor([1.0, 2.0]), torch.eye(2)).tolist()
        [1.0, 2.0]
    """
    _pair(query, keys)
    return _scored(query, keys, query @ keys.mT)


@door
def cosine(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score by the cosine of the angle; a vector of zeros, or shorter than 1e-12, is at cosine 0 from everything.

    .. math:: s_i = \frac{q \cdot k_i}{|q| |k_i|}

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.cosine(torch.tensor([3.0, 4.0]), torch.eye(2)).tolist()
        [0.60..., 0.80...]
    """
    _pair(query, keys)
    return _direction("query", query) @ _direction("keys", keys).mT


@door
def closeness(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score by minus half the squared distance, the exponent of a Gaussian.

    .. math:: s_i = -\tfrac12 |q - k_i|^2

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.closeness(torch.tensor([2.0, 0.0]), torch.eye(2)).tolist()
        [-0.5, -2.5]
    """
    _pair(query, keys)
    # Distances do not change when everything moves together; near the origin their squares lose fewer digits.
    origin = keys[:1].detach().sum(0)
    near, away = query - origin, keys - origin
    scores = near @ away.mT - 0.5 * (near.square().sum(-1, keepdim=True) + away.square().sum(-1))
    return _scored(query, keys, scores)


@door
def agreement(
    query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
) -> Float[Tensor, "*batch m"]:
    r"""Score -1/+1 vectors by how many of their d bits agree, which is d minus the Hamming distance.

    .. math:: s_i = \tfrac12 (d + q \cdot k_i)

    Example:
        >>> import torch
        >>> from kanerva import similarity
        >>> similarity.agreement(torch.tensor([1.0, 1.0, -1.0]), torch.tensor([[1.0, -1.0, -1.0]])).tolist()
        [2.0]
    """
    _pair(query, keys)
    return _scored(query, keys, (query @ keys.mT + query.shape[-1]) * 0.5)


@door
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
    _pair(query, keys)
    # Of half precisions torch takes no distances.
    exact = torch.promote_types(query.dtype, torch.float32)
    rows = query.unsqueeze(-2) if query.ndim == 1 else query
    distance: Tensor = torch.cdist(rows.to(exact), keys.to(exact), p=1.0).to(query.dtype)
    return _scored(query, keys, -(distance.squeeze(-2) if query.ndim == 1 else distance))


def _pair(query: Tensor, keys: Tensor) -> None:
    """Refuse a query and keys that cannot be compared; their numbers are looked at only where the scores are odd."""
    arrays.floats("query", query)
    arrays.rows("keys", keys, dim=query.shape[-1])
    if keys.dtype != query.dtype or keys.device != query.device:
        must, got = (
            f"{query.dtype} on {query.device}, as the query is",
            f"{keys.dtype} on {keys.device}",
        )
        refuse(
            "keys", must=must, got=got, do="convert it with keys.to(query)", error=InputTypeError
        )


def _scored(query: Tensor, keys: Tensor, scores: Tensor) -> Tensor:
    """Return scores that are finite; say which input is to blame for others."""
    if not arrays.sound(scores):
        arrays.finite("query", query)
        arrays.finite("keys", keys)
        must, do = (
            f"small enough that its scores stay within {scores.dtype}",
            "scale queries and keys down, or take torch.float64",
        )
        refuse("query", must=must, got="too large: they overflow", do=do)
    return scores


def _direction(argument: str, rows: Tensor) -> Tensor:
    """Scale rows to length one."""
    length = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    if not arrays.sound(length):
        arrays.finite(argument, rows)
        must, do = (
            f"small enough that lengths stay within {rows.dtype}",
            "scale queries and keys down, or take torch.float64",
        )
        refuse(argument, must=must, got="too large: a length overflows", do=do)
    return rows / length.clamp_min(1e-12)


@dataclass(frozen=True)
class Overlap:
    r"""Score by the number of hard locations that query and key share, in a memory of finitely many random ones.

    .. math:: s_i \sim \mathrm{Poisson}\!\left(M \, I(h_i) / 2^n\right), \quad h_i = \mathrm{Hamming}(q, k_i)

    The count is a fixed property of the two vectors, as it is in a memory with fixed locations: it is drawn from a hash of
    query, key and seed, so the same pair always gives the same count, whatever the batch, the order or the step.

    One read is right as often as among real locations. A recall of several may differ from theirs where few locations are
    shared: each of its reads draws anew, while real vectors that are near to each other share their locations.

    Args:
        bits: n, the length of an address.
        radius: activation radius in bits, 0 to ``bits - 1``.
        locations: M, how many random locations there are; may be as large as ``2.0**bits``.
        seed: an integer >= 0.

    Example:
        >>> from kanerva import bits, similarity
        >>> shared = similarity.Overlap(bits=1000, radius=451, locations=1_000_000, seed=0)
        >>> keys = bits.random(200, 1000, seed=0)
        >>> round(shared(keys, keys).diagonal().mean().item())  # theory: 1071.85
        1072

    Source: Bricken and Pehlevan 2021, eq. 4 gives the mean; the spread is that of independent random locations.
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
            do = "give fewer, or leave locations out of sdm_patterns for an unlimited memory"
            refuse(
                "locations",
                must=f"few enough to share {LARGEST:g} at most",
                got=f"{locations:g}, sharing {means[0]:g}",
                do=do,
            )
        counts, starts = _poisson(means)
        checks.keep(
            self,
            _means=torch.from_numpy(means),
            _counts=torch.from_numpy(counts),
            _starts=torch.from_numpy(starts),
        )

    @door("Overlap")
    def __call__(
        self, query: Float[Tensor, "*batch d"], keys: Float[Tensor, "m d"]
    ) -> Float[Tensor, "*batch m"]:
        """Draw the shared counts ``(..., m)``."""
        distance = (self.bits - agreement(query, keys)).round().long()
        if (
            not arrays.tracing()
            and distance.numel()
            and not 0 <= distance.amin() <= distance.amax() <= self.bits
        ):
            must, do = (
                f"{self.bits} bits of -1/+1, as the keys are",
                "turn 0/1 into -1/+1 with kanerva.bits.from_binary",
            )
            refuse("query", query, must=must, do=do)
        pair = bits.mix(bits.fingerprint(query, self.seed)).unsqueeze(-1) + bits.mix(
            bits.fingerprint(keys, self.seed)
        )
        return self._quantile(distance, bits.uniform(bits.mix(pair))).to(query.dtype)

    def _quantile(self, distance: Tensor, u: Tensor) -> Tensor:
        """Turn uniform numbers into Poisson counts, whose mean depends on the distance."""
        counts, starts, means = (
            table.to(u.device) for table in (self._counts, self._starts, self._means)
        )
        small = torch.searchsorted(counts, distance + u, right=True) - starts[distance]
        # Cornish and Fisher's expansion, right to a rounding where the mean is large.
        mean, z = means[distance], torch.special.ndtri(u.clamp_min(2.0**-53))
        large = (mean + mean.sqrt() * z + (z.square() - 1) / 6).round()
        return torch.where(mean > EXACT_BELOW, large, small.to(u.dtype))


EXACT_BELOW = 256.0
# Sums of more than so many shared locations would leave the range of float32.
LARGEST = 1e30


def _poisson(means: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Lay the Poisson distribution functions of all distances end to end: distance + P(count <= k), and where each begins."""
    from scipy.special import pdtr

    curves = []
    for distance, mean in enumerate(means):
        reach = 0 if mean > EXACT_BELOW else int(mean + 10 * math.sqrt(mean) + 20)
        curve = distance + pdtr(np.arange(reach + 1), mean)
        curve[-1] = distance + 1.0
        curves.append(curve)
    lengths = np.array([len(curve) for curve in curves])
    return np.concatenate(curves), np.cumsum(lengths) - lengths
