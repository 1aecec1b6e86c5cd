"""Rules that weigh a key by the hard locations that its surroundings share with the query's."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.separation._base import LogWeights, Mask, Scores, hide, nonzero, times
from kanerva.theory import cap, circle

# Terms of a Chebyshev series: exact to 1e-9 at usual radii, to 1e-6 at worst up to 30,000
# dimensions.
TERMS = 64
# Share of the dimension by which a radius keeps away from its ends, where cosines no longer
# distinguish caps.
EDGE = 1e-6


@dataclass(frozen=True)
class Circle(LogWeights):
    r"""Weighs by the share of the cube within a radius of both query and key.

    .. math:: w_i = \frac{I(h_i)}{\sum_j I(h_j)}, \quad h_i = n - s_i

    This is sparse distributed memory with a hard location at every point of the n-cube, seen from
    its patterns. I(h) counts the points within ``radius`` of both of two vectors at Hamming
    distance h: the locations that are active for the query and were active when the key was
    written. There is no potential, because the weights are defined at whole distances only.

    Args:
        bits: n >= 1, the length of the vectors.
        radius: activation radius in bits, 0 to ``bits - 1``.

    Example:
        >>> import torch
        >>> from kanerva.separation import Circle
        >>> rule = Circle(bits=64, radius=5)
        >>> rule(torch.tensor([64.0, 60.0, 53.0])).tolist()  # 8303633 : 231076 : 0 points
        [0.972..., 0.027..., 0.0]

    Source: Kanerva 1988, appendix B; Bricken and Pehlevan 2021.
    """

    bits: int = field()
    radius: int
    expects = ("agreement",)
    kernel = "shared"
    priors = True
    _log_share: Tensor = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        bits = checks.integer("bits", self.bits, 1, checks.BITS)
        do = "give a Hamming distance that leaves some bits out"
        radius = checks.integer("radius", self.radius, 0, bits - 1, do)
        log_share = torch.from_numpy(circle.log_fraction(bits, radius))
        checks.keep(self, bits=bits, radius=radius, _log_share=log_share)

    @property
    def length(self) -> int:  # type: ignore[override]
        return self.bits

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores by ratios to the nearest key, which are looked up by distance."""
        distance = self._distance(hide(scores, mask))
        log_share = self._log_share.to(scores.device)
        # A share may be too small for a float; its ratio to that of the nearest key is not.
        top = log_share[distance.amin(-1, keepdim=True)]
        ratio = (log_share - top.nan_to_num(neginf=0.0)).exp()
        ratio = torch.where(top == -math.inf, 0.0, ratio).to(scores.dtype)
        weights = times(hide(ratio.gather(-1, distance), mask), mask)
        return weights / nonzero(weights.sum(-1, keepdim=True))

    def logs(self, scores: Scores) -> Scores:
        """Return the log of the shared share of the cube in float64, -inf out of reach."""
        return self._log_share.to(scores.device)[self._distance(scores)]

    def _distance(self, scores: Tensor) -> Tensor:
        """Turn agreements into whole distances."""
        distance = self.bits - scores.round().long()
        if arrays.tracing() or not distance.numel():
            return distance.clamp(0, self.bits)
        if not 0 <= distance.amin() <= distance.amax() <= self.bits:
            must, do = f"agreements of {self.bits} bits", "score bits with similarity.agreement"
            refuse("scores", scores, must=must, do=do)
        return distance


@dataclass(frozen=True)
class Cap(LogWeights):
    r"""Weighs by the share of the sphere within a radius of both query and key.

    .. math:: w_i = \frac{p(s_i)}{\sum_j p(s_j)}, \quad
        p(u \cdot v) = P(x \cdot u \ge t \text{ and } x \cdot v \ge t), \quad t = 1 - 2 r / d

    This is the continuous sparse distributed memory with a hard location at every point x of the
    unit sphere. Scores are cosines; at cosines of 2 t^2 - 1 and below nothing is shared. There is
    no potential, but the weights have a slope. At cosine 1 the true slope is infinite; there the
    slope one rounding of the scores' dtype below is taken, which is large but finite.

    Args:
        dim: d >= 3, length of the vectors.
        radius: r, any real number above 0 and below ``dim / 2``, by a millionth of ``dim`` at
            least. For -1/+1 vectors it counts bits.

    Example:
        >>> import torch
        >>> from kanerva.separation import Cap
        >>> rule = Cap(dim=64, radius=11)
        >>> rule(torch.tensor([1.0, 0.75, -0.5])).tolist()  # 10^-8.8, 10^-11.0 of the sphere, none
        [0.993..., 0.006..., 0.0]

    Source: Bricken and Pehlevan 2021, the continuous memory; the slope is that of Plackett 1954 for
    normal variables.
    """

    dim: int
    radius: float
    expects = ("cosine",)
    _ratio: float = field(init=False, repr=False, compare=False)
    _terms: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _height: float = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        dim = checks.integer("dim", self.dim, 3, checks.BITS)
        do = "leave more than half the sphere out; cap.quantile turns a share of it into a radius"
        radius = checks.plain("radius", self.radius, EDGE * dim, (0.5 - EDGE) * dim, do=do)
        checks.keep(self, dim=dim, radius=radius)
        checks.keep(self, _ratio=math.sqrt(self._square) / (1 - 2 * radius / dim))
        whole = cap.log_activation(dim, radius)
        terms = np.polynomial.chebyshev.chebinterpolate(self._rest, TERMS - 1)
        terms[0] -= whole
        height = math.exp((dim / 2 - 1) * math.log(self._square) - whole) / (2 * math.pi)
        checks.keep(self, _terms=tuple(terms.tolist()), _height=height)

    @property
    def length(self) -> int:  # type: ignore[override]
        return self.dim

    def logs(self, scores: Scores) -> Scores:
        """Return the log of the shared part of a cap, 0 at cosine 1 and -inf out of reach."""
        inside, logs = self._shared(scores)
        return torch.where(inside, logs, -math.inf)

    @property
    def _square(self) -> float:
        """Return 1 - t^2."""
        return 4 * self.radius * (self.dim - self.radius) / self.dim**2

    def _shared(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """Say which cosines are within reach, and the log of what is shared there."""
        gap = 1 - (scores if scores.dtype == torch.float64 else scores.float())
        slack = torch.finfo(scores.dtype).eps ** 0.5
        if (
            not arrays.tracing()
            and gap.numel()
            and not -slack <= gap.amin() <= gap.amax() <= 2 + slack
        ):
            refuse("scores", scores, must="cosines", do="score vectors with similarity.cosine")
        inside = gap < 2 * self._square
        gap = torch.where(inside, gap, 0.0)
        if arrays.forward():
            return inside, _linear(gap, self)
        logs: Tensor = _CapFunction.apply(gap, self)  # type: ignore[no-untyped-call]
        return inside, logs

    def _rest(self, place: Any) -> Any:
        """Return the smooth part of ln p, for places -1 to 1 from cosine 1 to the end of reach.

        With tan(angle / 2) = sinh z = s sqrt(1 - t^2) / t, ln p is d / 2 ln(1 - s^2) plus a smooth
        function of z.
        """
        cosine = 1 - 2 * np.tanh((place + 1) / 2 * math.asinh(self._ratio)) ** 2
        # the gap as theory.cap sees it, so that the same rounding is taken off again
        gap = 1 - cosine
        left = (2 * self._square - gap) / (2 - gap) / self._square
        return cap.log_fraction(self.dim, self.radius, cosine) - self.dim / 2 * np.log(left)


class _CapFunction(torch.autograd.Function):
    """The log of the shared part of a cap against 1 - cosine, with its slope in closed form."""

    generate_vmap_rule = True

    @staticmethod
    def forward(gap: Tensor, part: Cap) -> Tensor:
        gap = gap.clamp_min(0)
        tangent = gap / (2 - gap)
        # z = asinh(sqrt(tangent)), which torch takes ten times as long for
        z = (tangent.sqrt() + tangent / (1 + (1 + tangent).sqrt())).log1p()
        return _series(z * (2 / math.asinh(part._ratio)) - 1, part._terms).add_(
            _log_left(gap, part), alpha=part.dim / 2
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Cap], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)
        ctx.part = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        gap, logs = ctx.saved_tensors
        return grads[0] * _slope(gap, logs, ctx.part), None


def _slope(gap: Tensor, logs: Tensor, part: Cap) -> Tensor:
    """Return the derivative of the log of the shared part, ``logs``, with 1 - cosine."""
    gap = gap.clamp_min(torch.finfo(gap.dtype).eps)
    steep = ((part.dim / 2 - 1) * _log_left(gap, part) - logs).exp()
    return -part._height * steep / (gap * (2 - gap)).sqrt()


def _linear(gap: Tensor, part: Cap) -> Tensor:
    """Return the log of the shared part as its tangent, for forward-mode derivatives."""
    known = gap.detach()
    logs = _CapFunction.forward(known, part)
    return logs + _slope(known, logs, part) * (gap - known)


def _log_left(gap: Tensor, part: Cap) -> Tensor:
    """Return ln(1 - s^2): how much of the way to the end of reach is left."""
    done = gap / (2 - gap) / part._ratio**2
    return (-done.clamp_max(1 - torch.finfo(gap.dtype).eps)).log1p()


def resolved(terms: tuple[float, ...], eps: float) -> tuple[float, ...]:
    """Leave out the last terms of a series that are below the resolution of a dtype."""
    small, count = max(eps, 1e-11), len(terms)
    while count > 1 and sum(map(abs, terms[count - 1 :])) < small:
        count -= 1
    return terms[:count]


def _series(x: Tensor, terms: tuple[float, ...]) -> Tensor:
    """Sum a Chebyshev series for x in [-1, 1], as far as the dtype resolves it (Clenshaw 1955)."""
    terms = resolved(terms, torch.finfo(x.dtype).eps)
    twice, one, two = 2 * x, torch.zeros_like(x), torch.zeros_like(x)
    for term in terms[:0:-1]:
        one, two = (twice * one).sub_(two).add_(term), one
    return (x * one).sub_(two).add_(terms[0])
