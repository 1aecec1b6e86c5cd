"""Rules that weigh a key by what its surroundings share with the query's: sparse distributed memory."""

import math
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.separation._base import (
    Mask,
    Partial,
    Scores,
    Separation,
    hide,
    of_logs,
    softmax,
    sums,
    weighs,
)
from kanerva.theory import cap, circle

TERMS = 64  # of a Chebyshev series: right to 1e-9 at usual radii, to 1e-6 at worst up to 30,000 dimensions
EDGE = 1e-6  # share of the dimension by which a radius keeps away from its ends, where cosines no longer tell caps apart


@dataclass(frozen=True)
class Circle(Separation):
    r"""Weighs by the share of the cube that lies within a radius of both query and key: sparse distributed memory.

    .. math:: w_i = \frac{I(h_i)}{\sum_j I(h_j)}, \quad h_i = n - s_i

    I(h) counts the points of the n-cube within ``radius`` of both of two vectors at Hamming distance h: the hard locations
    that share what was written with what is asked, where every location exists. There is no potential: the weights are
    defined at whole distances only.

    Args:
        bits: n >= 1, the length of the vectors.
        radius: activation radius in bits, 0 to ``bits - 1``.

    Example:
        >>> import torch
        >>> from kanerva.separation import Circle
        >>> Circle(bits=64, radius=5)(torch.tensor([64.0, 60.0, 53.0])).tolist()  # 8303633 : 231076 : 0 points
        [0.972..., 0.027..., 0.0]

    Source: Kanerva 1988, appendix B; Bricken and Pehlevan 2021.
    """

    bits: int
    radius: int
    normalised: ClassVar[bool] = True
    gradient: ClassVar[bool] = False
    expects: ClassVar[tuple[str, ...]] = ("agreement",)
    _log_share: Tensor = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        bits = checks.integer("bits", self.bits, 1, checks.BITS)
        radius = checks.integer(
            "radius", self.radius, 0, bits - 1, "give a Hamming distance that leaves some bits out"
        )
        checks.keep(
            self,
            bits=bits,
            radius=radius,
            _log_share=torch.from_numpy(circle.log_fraction(bits, radius)),
        )

    @weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores`` of agreement."""
        distance = self._distance(hide(scores, mask))
        nearest = distance.amin(-1, keepdim=True)
        log_share = self._log_share.to(scores.device)
        # Shares may be too small for a float; those of the nearest key never are, once divided by its own.
        top = log_share[nearest]
        ratio = torch.where(
            top == -math.inf, 0.0, (log_share - top.nan_to_num(neginf=0.0)).exp()
        ).to(scores.dtype)
        weights = hide(ratio.gather(-1, distance), mask)
        mass = weights.sum(-1, keepdim=True)
        return weights / torch.where(mass == 0, 1.0, mass)

    def log_weights(self, scores: Scores) -> Scores:
        """Return the log of the shared share of the cube, -inf out of reach."""
        return self._log_share.to(scores.device)[self._distance(scores)].to(scores.dtype)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        relative = (self._log_share - self._log_share[0]).to(
            scores.device
        )  # what is near 0 keeps its digits
        return of_logs(relative[self._distance(hide(scores, mask))].to(scores.dtype), mask)

    def _distance(self, scores: Tensor) -> Tensor:
        """Turn agreements into whole distances."""
        distance = self.bits - scores.round().long()
        if (
            not arrays.tracing()
            and distance.numel()
            and not 0 <= distance.amin() <= distance.amax() <= self.bits
        ):
            must, do = f"agreements of {self.bits} bits", "score bits with similarity.agreement"
            refuse("scores", scores, must=must, do=do)
        return distance

    @sums
    @door
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Refuse: there is none."""
        do = "fit a Softmax with theory.beta.fit for an energy"
        refuse("separation", must="one with a potential", got=repr(self), do=do)


@dataclass(frozen=True)
class Cap(Separation):
    r"""Weighs by the share of the sphere that lies within a radius of both query and key: the continuous memory.

    .. math:: w_i = \frac{p(s_i)}{\sum_j p(s_j)}, \quad p(u \cdot v) = P(x \cdot u \ge t \text{ and } x \cdot v \ge t), \quad
        t = 1 - 2 r / d

    x is uniform on the unit sphere: the hard locations that share what was written with what is asked, where every location
    exists. Scores are cosines; at 2 t^2 - 1 and below nothing is shared. There is no potential, but the weights have a
    slope. At cosine 1 the true one is infinite; there it is taken one rounding of the scores' dtype below, large but finite.

    Args:
        dim: d >= 3, length of the vectors.
        radius: r, any real number above 0 and below ``dim / 2``, by a millionth of ``dim`` at least. For -1/+1 vectors it
            counts bits.

    Example:
        >>> import torch
        >>> from kanerva.separation import Cap
        >>> Cap(dim=64, radius=11)(torch.tensor([1.0, 0.75, -0.5])).tolist()  # 10^-8.8 and 10^-11.0 of the sphere, and nothing
        [0.993..., 0.006..., 0.0]

    Source: Bricken and Pehlevan 2021, the continuous memory; the slope is that of Plackett 1954 for normal variables.
    """

    dim: int
    radius: float
    normalised: ClassVar[bool] = True
    gradient: ClassVar[bool] = False
    expects: ClassVar[tuple[str, ...]] = ("cosine",)
    compares: ClassVar[bool] = True
    _ratio: float = field(init=False, repr=False, compare=False)
    _terms: tuple[float, ...] = field(init=False, repr=False, compare=False)
    _height: float = field(init=False, repr=False, compare=False)

    @door
    def __post_init__(self) -> None:
        dim = checks.integer("dim", self.dim, 3, checks.BITS)
        do = "give one that leaves more than half the sphere out; cap.quantile turns a share of it into a radius"
        radius = checks.plain("radius", self.radius, EDGE * dim, (0.5 - EDGE) * dim, do=do)
        checks.keep(self, dim=dim, radius=radius)
        checks.keep(self, _ratio=math.sqrt(self._square) / (1 - 2 * radius / dim))
        whole = cap.log_activation(dim, radius)
        terms = np.polynomial.chebyshev.chebinterpolate(self._rest, TERMS - 1)
        terms[0] -= whole
        checks.keep(self, _terms=tuple(terms.tolist()))
        checks.keep(
            self, _height=math.exp((dim / 2 - 1) * math.log(self._square) - whole) / (2 * math.pi)
        )

    @weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores`` of cosine."""
        inside, logs = self._shared(hide(scores, mask))
        return softmax(logs, inside if mask is None else inside & mask).to(scores.dtype)

    def log_weights(self, scores: Scores) -> Scores:
        """Return the log of the shared part of a cap, 0 at cosine 1 and -inf out of reach."""
        inside, logs = self._shared(scores)
        return torch.where(inside, logs, -math.inf).to(scores.dtype)

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        return of_logs(self.log_weights(hide(scores, mask)), mask)

    @sums
    @door
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Refuse: there is none."""
        do = "fit a Softmax with theory.beta.fit for an energy"
        refuse("separation", must="one with a potential", got=repr(self), do=do)

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
        logs: Tensor = _CapFunction.apply(torch.where(inside, gap, 0.0), self)  # type: ignore[no-untyped-call]
        return inside, logs

    def _rest(self, place: Any) -> Any:
        """Return ln p less its steep part, for places -1 to 1 from cosine 1 to the end of reach: what is smooth there.

        With tan(angle / 2) = sinh z = s sqrt(1 - t^2) / t, ln p is d / 2 ln(1 - s^2) and a smooth function of z.
        """
        cosine = 1 - 2 * np.tanh((place + 1) / 2 * math.asinh(self._ratio)) ** 2
        # the gap as theory.cap sees it, so that the same rounding is taken off again
        gap = 1 - cosine
        left = (2 * self._square - gap) / (2 - gap) / self._square
        return cap.log_fraction(self.dim, self.radius, cosine) - self.dim / 2 * np.log(left)


class _CapFunction(torch.autograd.Function):
    """The log of the shared part of a cap against 1 - cosine, and its slope, which has a closed form."""

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
        gap = gap.clamp_min(torch.finfo(gap.dtype).eps)
        steep = ((ctx.part.dim / 2 - 1) * _log_left(gap, ctx.part) - logs).exp()
        return -grads[0] * ctx.part._height * steep / (gap * (2 - gap)).sqrt(), None


def _log_left(gap: Tensor, part: Cap) -> Tensor:
    """Return ln(1 - s^2): how much of the way to the end of reach is left."""
    done = gap / (2 - gap) / part._ratio**2
    return (-done.clamp_max(1 - torch.finfo(gap.dtype).eps)).log1p()


def resolved(terms: tuple[float, ...], eps: float) -> tuple[float, ...]:
    """Leave out the last terms of a series, as far as a dtype of that resolution does not see them."""
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
