"""How much does each key count? Frozen parts that turn scores into weights.

Nearly every part is the gradient of a scalar potential, ``weights = dPhi/dscores``, and carries that potential; the energy of
a memory is built from it. A mask tells which scores are there (True) and which are not: what is masked gets weight zero and
adds nothing to the potential, and where nothing is left all weights are zero.
"""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, NoReturn

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva import _guard
from kanerva.theory import circle

__all__ = [
    "Argmax",
    "Circle",
    "Compact",
    "Difference",
    "Entmax",
    "Exponential",
    "Linear",
    "Normalised",
    "Power",
    "Separation",
    "Softmax",
    "Step",
    "TopK",
]

Beta = float | Tensor
Scores = Float[Tensor, "*batch m"]
Mask = Bool[Tensor, "*_mask"] | None


class Separation(ABC):
    """A rule that turns scores ``(..., m)`` into weights ``(..., m)``.

    Class attributes say what holds for every instance: ``normalised``, the weights sum to one wherever any is not zero;
    ``convex``, the potential is convex, so that the energy never rises along a recall; ``gradient``, the weights are the
    derivative of the potential; ``expects``, the similarities whose scores the rule is made for (empty: any).

    Example:
        >>> import torch
        >>> from kanerva.separation import Softmax
        >>> scores = torch.tensor([0.0, 1.0], requires_grad=True)
        >>> part = Softmax(beta=2.0)
        >>> part.potential(scores).backward()
        >>> torch.allclose(scores.grad, part(scores))
        True
    """

    normalised: ClassVar[bool] = False
    convex: ClassVar[bool] = True
    gradient: ClassVar[bool] = True
    expects: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""

    @abstractmethod
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the scalar Phi(scores) of each row."""

    def log_weights(self, scores: Scores) -> Scores:
        """Return the logarithm of weights that are never negative, up to a constant; ``Normalised`` asks for it."""
        _guard.refuse("Normalised", "part", "a separation with weights >= 0", repr(self), "choose Power, Exponential, Step or Compact")

    def difference(self, scores: Scores, mask: Mask = None) -> tuple[Scores, Float[Tensor, "*batch 1"]]:
        """Return weights and self-coupling of one-bit flips, up to one scale a row; ``Difference`` asks for it."""
        _guard.refuse("Difference", "part", "a sum over patterns", repr(self), "choose Linear, Power or Exponential")

    def coupling(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch 1"] | None:
        """Return how strongly each coordinate of the query acts on itself, to be taken off the field; None for not at all."""
        return None

    def temperature(self) -> Beta | None:
        """Return the inverse temperature, of the rule inside where one rule wraps another; None where there is none."""
        part = getattr(self, "part", None)
        return part.temperature() if isinstance(part, Separation) else getattr(self, "beta", None)

    def with_beta(self, beta: Beta) -> "Separation":
        """Return the same rule at another inverse temperature, such as a trained one."""
        values = {part.name: getattr(self, part.name) for part in fields(self) if part.init}  # type: ignore[arg-type]
        inner = values.get("part")
        return type(self)(**(values | ({"part": inner.with_beta(beta)} if inner else {"beta": beta})))


def _hide(scores: Tensor, mask: Mask, by: float = 0.0) -> Tensor:
    """Put ``by`` in the places that the mask leaves out."""
    return scores if mask is None else scores.masked_fill(~mask, by)


def _softmax(logits: Tensor, mask: Mask = None) -> Tensor:
    """Normalise exponentials; rows with nothing left get zeros, and a zero gradient."""
    if mask is None:
        return logits.softmax(-1)
    # A row of -inf alone would give NaN, in the gradient too: give it something finite, then hide all of it.
    row = mask.any(-1, keepdim=True)
    return _hide(_hide(logits, mask | ~row, -math.inf).softmax(-1), mask)


def _beta(part: str, beta: Any, *, open_low: bool = False) -> Beta:
    """Return an inverse temperature: a number, or a tensor of one number as it is."""
    do = "give an inverse temperature, such as 1 / math.sqrt(d)"
    if not isinstance(beta, Tensor):
        return _guard.plain(part, "beta", beta, 0, open_low=open_low, do=do)
    must = f"a finite number {'>' if open_low else '>='} 0, or a 0-dimensional floating tensor of one"
    if beta.ndim or beta.dtype not in _guard.FLOATS or beta.device.type == "meta":
        _guard.refuse(part, "beta", must, _guard.describe(beta), f"{do}, or learn nn.Parameter(torch.tensor(beta))")
    if not _guard.tracing():
        number = beta.item()
        if not math.isfinite(number) or number < 0 or (open_low and number == 0):
            _guard.refuse(part, "beta", must, f"{number:g}", f"{do}; learn its logarithm where training takes it below 0")
    return beta


def _weighs(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the scores and the mask that a rule is called with, and the weights that it gives."""

    @functools.wraps(rule)
    def checked(self: "Separation", scores: Tensor, mask: Mask = None) -> Tensor:
        _check_scores(self, scores, mask)
        return _check_size(self, rule(self, scores, mask), scores)

    return checked


def _sums(potential: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the scores and the mask that a potential is called with, and its value; -inf is the logarithm of nothing."""

    @functools.wraps(potential)
    def checked(self: "Separation", scores: Tensor, mask: Mask = None) -> Tensor:
        _check_scores(self, scores, mask)
        value = potential(self, scores, mask)
        if not _guard.sound(value) and not (value.detach() < math.inf).all():
            _too_large(self, scores)
        return value

    return checked


def _check_scores(part: Separation, scores: Any, mask: Any) -> None:
    """Refuse what are no scores, and a mask that does not fit them."""
    name = type(part).__name__
    _guard.floats(name, "scores", scores)
    # Where a rule compares, NaN is lost: look for it there; elsewhere the weights show it.
    if isinstance(part, Step | Argmax | TopK | Normalised):
        _guard.finite(name, "scores", scores)
    if mask is None:
        return
    if _guard.dense(name, "mask", mask, "a bool tensor").dtype != torch.bool:
        _guard.refuse(name, "mask", "a bool tensor", _guard.describe(mask), "give True for what is there", _guard.InputTypeError)
    if _guard.together(mask.shape, scores.shape) != scores.shape:
        must, got = f"of a shape that broadcasts to {tuple(scores.shape)}", f"of shape {tuple(mask.shape)}"
        _guard.refuse(name, "mask", must, got, "give one entry for each score")


def _check_size(part: Separation, value: Tensor, scores: Tensor) -> Tensor:
    """Refuse weights that overflowed."""
    return value if _guard.sound(value) else _too_large(part, scores)


def _too_large(part: Separation, scores: Tensor) -> NoReturn:
    """Say that weights overflowed, unless the scores were not finite to begin with."""
    _guard.finite(type(part).__name__, "scores", scores)
    do = "scale scores or beta down, or wrap the rule in Normalised"
    _guard.refuse(type(part).__name__, "scores", "small enough that weights and sums stay finite", "too large: they overflow", do)


@dataclass(frozen=True)
class Linear(Separation):
    r"""Weighs by the score itself: the Hebbian rule.

    .. math:: w_i = s_i, \quad \Phi = \tfrac12 \sum_i s_i^2

    Example:
        >>> import torch
        >>> from kanerva.separation import Linear
        >>> Linear()(torch.tensor([2.0, -1.0])).tolist()
        [2.0, -1.0]

    Source: Hopfield 1982, with the sum over patterns taken last.
    """

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _hide(scores, mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return half the sum of squares."""
        return _hide(scores, mask).square().sum(-1) / 2

    def difference(self, scores: Scores, mask: Mask = None) -> tuple[Scores, Float[Tensor, "*batch 1"]]:
        """Return the scores, and one self-coupling for each pattern: the diagonal of the outer products."""
        return _hide(scores, mask), _hide(torch.ones_like(scores), mask).sum(-1, keepdim=True)


@dataclass(frozen=True)
class Power(Separation):
    r"""Weighs by a power of the positive part of the score.

    .. math:: w_i = [s_i]_+^{n-1}, \quad \Phi = \frac1n \sum_i [s_i]_+^n

    Args:
        order: n >= 2.

    Example:
        >>> import torch
        >>> from kanerva.separation import Power
        >>> Power(order=3)(torch.tensor([2.0, -1.0])).tolist()
        [4.0, 0.0]

    Source: Krotov and Hopfield 2016, rectified polynomials.
    """

    order: float

    def __post_init__(self) -> None:
        do = "give the power of the interaction; 2 is the classical network"
        _guard.keep(self, order=_guard.plain("Power", "order", self.order, 2, do=do))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _hide(scores, mask).relu() ** (self.order - 1)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the sum of n-th powers over n."""
        return (_hide(scores, mask).relu() ** self.order).sum(-1) / self.order

    def log_weights(self, scores: Scores) -> Scores:
        """Return (n - 1) log of the positive part."""
        positive = scores > 0
        return torch.where(positive, (self.order - 1) * torch.where(positive, scores, 1.0).log(), -math.inf)

    def difference(self, scores: Scores, mask: Mask = None) -> tuple[Scores, Float[Tensor, "*batch 1"]]:
        """Return [F(s+2) - F(s-2)] and [F(s+2) - 2F(s) + F(s-2)] summed, with F the n-th power over the largest."""
        scale = _hide(scores, mask).amax(-1, keepdim=True).relu() + 2
        up, here, down = (((scores + by) / scale).relu() ** self.order for by in (2, 0, -2))
        return _hide(up - down, mask), _hide(up - 2 * here + down, mask).sum(-1, keepdim=True)


@dataclass(frozen=True)
class Exponential(Separation):
    r"""Weighs by the exponential of the score; of large scores only ``Difference`` and ``Normalised`` keep it finite.

    .. math:: w_i = e^{\beta s_i}, \quad \Phi = \frac1\beta \sum_i e^{\beta s_i}

    Args:
        beta: inverse temperature > 0, in nats per unit of score.

    Example:
        >>> import torch
        >>> from kanerva.separation import Exponential
        >>> Exponential(beta=1.0)(torch.tensor([0.0, 1.0])).tolist()
        [1.0, 2.718...]

    Source: Demircigil and others 2017.
    """

    beta: Beta = 1.0

    def __post_init__(self) -> None:
        _guard.keep(self, beta=_beta("Exponential", self.beta, open_low=True))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _hide((self.beta * scores).exp(), mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the sum of exponentials over beta."""
        return self(scores, mask).sum(-1) / self.beta

    def log_weights(self, scores: Scores) -> Scores:
        """Return beta times the scores."""
        return self.beta * scores

    def difference(self, scores: Scores, mask: Mask = None) -> tuple[Scores, Float[Tensor, "*batch 1"]]:
        """Return softmax weights and a self-coupling of tanh(beta): the ratio of the two second differences."""
        weights = _softmax(self.beta * scores, mask)
        return weights, weights.sum(-1, keepdim=True) * torch.as_tensor(self.beta).to(scores).tanh()


@dataclass(frozen=True)
class Softmax(Separation):
    r"""Weighs by the normalised exponential of the score: attention.

    .. math:: w_i = \frac{e^{\beta s_i}}{\sum_j e^{\beta s_j}}, \quad \Phi = \frac1\beta \log \sum_i e^{\beta s_i}

    Args:
        beta: inverse temperature >= 0, in nats per unit of score; 0 weighs all alike. A tensor of one number can be trained.

    Example:
        >>> import math, torch
        >>> from kanerva.separation import Softmax
        >>> [round(w, 4) for w in Softmax(beta=1.0)(torch.tensor([0.0, math.log(3.0)])).tolist()]
        [0.25, 0.75]

    Source: Ramsauer and others 2021, eq. 2 (the energy) and 3 (the update).
    """

    beta: Beta
    normalised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _guard.keep(self, beta=_beta("Softmax", self.beta))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _softmax(self.beta * scores, mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log-sum-exp over beta; it has no value at beta = 0."""
        _positive("Softmax", self.beta)
        return _hide(self.beta * scores, mask, -math.inf).logsumexp(-1) / self.beta

    def log_weights(self, scores: Scores) -> Scores:
        """Return beta times the scores."""
        return self.beta * scores


@dataclass(frozen=True)
class Step(Separation):
    r"""Weighs by one what reaches the threshold, and by nothing the rest: a hard location is active or it is not.

    .. math:: w_i = [s_i \ge \theta], \quad \Phi = \sum_i [s_i - \theta]_+

    With ``agreement`` scores of n bits, the threshold n - radius activates within that Hamming distance.

    Args:
        threshold: a finite number, in units of the score.

    Example:
        >>> import torch
        >>> from kanerva.separation import Step
        >>> Step(threshold=2)(torch.tensor([1.0, 2.0, 3.0])).tolist()
        [0.0, 1.0, 1.0]

    Source: Kanerva 1988.
    """

    threshold: float

    def __post_init__(self) -> None:
        _guard.keep(self, threshold=_guard.plain("Step", "threshold", self.threshold))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _hide((scores >= self.threshold).to(scores.dtype), mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return how far the scores reach past the threshold, summed."""
        # Not relu, whose slope at the threshold is 0: there a location is active.
        return _hide(torch.where(scores >= self.threshold, scores - self.threshold, 0.0), mask).sum(-1)

    def log_weights(self, scores: Scores) -> Scores:
        """Return 0 where active and -inf elsewhere."""
        return self(scores).log()


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

    def __post_init__(self) -> None:
        bits = _guard.integer("Circle", "bits", self.bits, 1, _guard.BITS)
        radius = _guard.integer("Circle", "radius", self.radius, 0, bits - 1, "give a Hamming distance that leaves some bits out")
        _guard.keep(self, bits=bits, radius=radius, _log_share=torch.from_numpy(circle.log_fraction(bits, radius)))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores`` of agreement."""
        distance = self._distance(_hide(scores, mask))
        nearest = distance.amin(-1, keepdim=True)
        log_share = self._log_share.to(scores.device)
        # Shares may be too small for a float; those of the nearest key never are, once divided by its own.
        top = log_share[nearest]
        ratio = torch.where(top == -math.inf, 0.0, (log_share - top.nan_to_num(neginf=0.0)).exp()).to(scores.dtype)
        weights = _hide(ratio.gather(-1, distance), mask)
        mass = weights.sum(-1, keepdim=True)
        return weights / torch.where(mass == 0, 1.0, mass)

    def log_weights(self, scores: Scores) -> Scores:
        """Return the log of the shared share of the cube, -inf out of reach."""
        return self._log_share.to(scores.device)[self._distance(scores)].to(scores.dtype)

    def _distance(self, scores: Tensor) -> Tensor:
        """Turn agreements into whole distances."""
        distance = self.bits - scores.round().long()
        if not _guard.tracing() and distance.numel() and not 0 <= distance.amin() <= distance.amax() <= self.bits:
            must, do = f"agreements of {self.bits} bits", "score bits with similarity.agreement"
            _guard.refuse("Circle", "scores", must, _guard.describe(scores), do)
        return distance

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Refuse: there is none."""
        do = "fit a Softmax with theory.beta.fit for an energy"
        _guard.refuse("Circle.potential", "separation", "one with a potential", repr(self), do)


@dataclass(frozen=True)
class Argmax(Separation):
    r"""Weighs the largest score alone; equal largest ones share. The limit of ``Softmax`` for large beta.

    .. math:: w_i = [s_i = \max_j s_j] \,/\, \#, \quad \Phi = \max_i s_i

    Example:
        >>> import torch
        >>> from kanerva.separation import Argmax
        >>> Argmax()(torch.tensor([1.0, 3.0, 3.0])).tolist()
        [0.0, 0.5, 0.5]
    """

    normalised: ClassVar[bool] = True

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        top = _hide(scores, mask, -math.inf).amax(-1, keepdim=True)
        best = _hide((scores == top).to(scores.dtype), mask)
        return best / best.sum(-1, keepdim=True).clamp_min(1)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the largest score."""
        return _hide(scores, mask, -math.inf).amax(-1)


@dataclass(frozen=True)
class TopK(Separation):
    r"""Weighs the k largest scores by softmax, and nothing else; scores equal to the k-th are all kept.

    .. math:: w = \mathrm{softmax}(\beta s) \text{ over } T = \{i : s_i \ge s_{(k)}\}, \quad
        \Phi = \frac1\beta \log \sum_{i \in T} e^{\beta s_i}

    Args:
        k: how many, >= 1; fewer where fewer are stored.
        beta: inverse temperature >= 0.

    Example:
        >>> import torch
        >>> from kanerva.separation import TopK
        >>> TopK(k=2, beta=0.0)(torch.tensor([1.0, 3.0, 2.0])).tolist()
        [0.0, 0.5, 0.5]
    """

    k: int
    beta: Beta
    normalised: ClassVar[bool] = True
    convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _guard.keep(self, k=_guard.integer("TopK", "k", self.k, 1), beta=_beta("TopK", self.beta))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return _softmax(self.beta * scores, self._kept(scores, mask))

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log-sum-exp of the k largest over beta."""
        _positive("TopK", self.beta)
        return _hide(self.beta * scores, self._kept(scores, mask), -math.inf).logsumexp(-1) / self.beta

    def _kept(self, scores: Tensor, mask: Mask) -> Tensor:
        """Mark the k largest."""
        there = _hide(scores, mask, -math.inf)
        kept = there >= there.topk(min(self.k, scores.shape[-1]), -1).values[..., -1:]
        return kept if mask is None else kept & mask


@dataclass(frozen=True)
class Entmax(Separation):
    r"""Weighs by the alpha-entmax: softmax at alpha = 1, sparsemax at 2, sparser in between and beyond.

    .. math:: w = \arg\max_{p \in \Delta} \beta\, p \cdot s + H_\alpha(p), \quad
        \Phi = \frac1\beta \max_{p \in \Delta} \bigl(\beta\, p \cdot s + H_\alpha(p)\bigr), \quad
        H_\alpha(p) = \frac{1 - \sum_i p_i^\alpha}{\alpha(\alpha - 1)}

    Weights far below the largest are exactly zero, so a stored pattern can be read back without a trace of the others.

    Args:
        alpha: >= 1; 1, 1.5 and 2 are solved by sorting, others by bisection.
        beta: inverse temperature >= 0.

    Example:
        >>> import torch
        >>> from kanerva.separation import Entmax
        >>> Entmax(alpha=2.0, beta=1.0)(torch.tensor([0.0, 0.5, 2.0])).tolist()
        [0.0, 0.0, 1.0]

    Source: Peters, Niculae and Martins 2019; Hu and others 2023 and Santos and others 2024 for the memories.
    """

    alpha: float
    beta: Beta = 1.0
    normalised: ClassVar[bool] = True

    def __post_init__(self) -> None:
        alpha = _guard.plain("Entmax", "alpha", self.alpha, 1, do="give 1 for softmax, 2 for sparsemax, or more")
        _guard.keep(self, alpha=alpha, beta=_beta("Entmax", self.beta))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        logits = self.beta * scores
        if self.alpha == 1:
            return _softmax(logits, mask)
        kept = mask if mask is None else mask | ~mask.any(-1, keepdim=True)
        weights: Tensor = _EntmaxFunction.apply(_hide(logits, kept, -math.inf), self.alpha)  # type: ignore[no-untyped-call]
        return _hide(weights, mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the largest value of beta p.s + H(p), over beta."""
        _positive("Entmax", self.beta)
        if self.alpha == 1:
            return Softmax(self.beta).potential(scores, mask)
        p = self(scores, mask).detach()
        # Not 1 - sum p^alpha, which loses all its digits as alpha nears 1.
        entropy = -(p * torch.expm1((self.alpha - 1) * p.log())).sum(-1) / (self.alpha * (self.alpha - 1))
        value = (p * _hide(scores, mask)).sum(-1) + entropy / self.beta
        return value if mask is None else torch.where(mask.any(-1), value, -math.inf)


class _EntmaxFunction(torch.autograd.Function):
    """Entmax of logits along the last dimension, with its Jacobian diag(u) - u u^T / sum(u), u = p^(2 - alpha)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(logits: Tensor, alpha: float) -> Tensor:
        # In float32 at least, and the largest taken off first: what is left of large scores keeps its digits.
        exact = logits if logits.dtype == torch.float64 else logits.float()
        z = (exact - exact.amax(-1, keepdim=True)) * (alpha - 1)
        threshold = {1.5: _threshold_15, 2.0: _threshold_2}.get(float(alpha))
        p = (z - threshold(z)).relu() ** (1 / (alpha - 1)) if threshold else _bisect(z, alpha)
        return (p / p.sum(-1, keepdim=True)).to(logits.dtype)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.save_for_backward(output)
        ctx.alpha = inputs[1]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (p,) = ctx.saved_tensors
        u = torch.where(p > 0, torch.where(p > 0, p, 1.0) ** (2 - ctx.alpha), 0.0)
        mean = (u * grads[0]).sum(-1, keepdim=True) / u.sum(-1, keepdim=True)
        return u * (grads[0] - mean), None


def _threshold_2(z: Tensor) -> Tensor:
    """Find tau with sum [z - tau]_+ = 1 (Martins and Astudillo 2016, algorithm 1)."""
    ordered = z.sort(-1, descending=True).values.clamp_min(-2.0)
    count = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    tau = (ordered.cumsum(-1) - 1) / count
    support = (tau < ordered).sum(-1, keepdim=True).clamp_min(1)
    return tau.gather(-1, support - 1)


def _threshold_15(z: Tensor) -> Tensor:
    """Find tau with sum [z - tau]_+^2 = 1 (Peters, Niculae and Martins 2019, algorithm 2)."""
    ordered = z.sort(-1, descending=True).values.clamp_min(-2.0)
    count = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
    mean = ordered.cumsum(-1) / count
    spread = ordered.square().cumsum(-1) - count * mean.square()
    tau = mean - ((1 - spread) / count).clamp_min(0).sqrt()
    support = (tau <= ordered).sum(-1, keepdim=True).clamp_min(1)
    return tau.gather(-1, support - 1)


def _bisect(z: Tensor, alpha: float) -> Tensor:
    """Find p = [z - tau]_+^(1/(alpha-1)) with sum 1 or a little more, for z whose largest is 0: tau lies in [-1, 0)."""

    def weights(low: Tensor) -> Tensor:
        # Near alpha = 1 the base is near 1, and so is 1 + tau near 0: it is that which is looked for.
        return ((z - low).clamp_min(-1).log1p() / (alpha - 1)).exp() if alpha < 2 else (z - low).relu() ** (1 / (alpha - 1))

    low, width = torch.full_like(z[..., :1], 0.0 if alpha < 2 else -1.0), 1.0
    for _ in range(60 if z.dtype == torch.float64 else 32):
        width /= 2
        low = torch.where(weights(low + width).sum(-1, keepdim=True) >= 1, low + width, low)
    return weights(low)


@dataclass(frozen=True)
class Compact(Separation):
    r"""Weighs alike all that lies within reach, and nothing beyond it: the gradient of a log-sum-ReLU.

    .. math:: w_i = \frac{[1 + \beta s_i > 0]}{\sum_j [1 + \beta s_j]_+}, \quad \Phi = \frac1\beta \log \sum_i [1 + \beta s_i]_+

    With ``closeness`` scores the potential is the logarithm of an Epanechnikov density, up to a constant.

    Args:
        beta: inverse temperature > 0; with ``closeness`` the reach is ``sqrt(2 / beta)``.

    Example:
        >>> import torch
        >>> from kanerva.separation import Compact, Normalised
        >>> Normalised(Compact(beta=1.0))(torch.tensor([0.0, -0.5, -2.0])).tolist()
        [0.5, 0.5, 0.0]

    Source: Hoover and others 2025, "Dense associative memory with Epanechnikov energy".
    """

    beta: Beta
    convex: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _guard.keep(self, beta=_beta("Compact", self.beta, open_low=True))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        reach = _hide((1 + self.beta * scores).relu(), mask)
        mass = _check_size(self, reach.sum(-1, keepdim=True), scores)
        return (reach > 0).to(scores.dtype) / torch.where(mass == 0, 1.0, mass)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the log of the summed reach over beta; -inf where nothing is within reach."""
        return _hide((1 + self.beta * scores).relu(), mask).sum(-1).log() / self.beta

    def log_weights(self, scores: Scores) -> Scores:
        """Return 0 within reach and -inf beyond."""
        return (1 + self.beta * scores > 0).to(scores.dtype).log()


@dataclass(frozen=True)
class Normalised(Separation):
    r"""Divides the weights of another rule by their sum; finite even where the rule itself would overflow.

    .. math:: w_i = \frac{u_i}{\sum_j u_j}, \quad u = \text{part}(s)

    Args:
        part: a rule whose weights are never negative: Power, Exponential, Step or Compact.

    Example:
        >>> import torch
        >>> from kanerva.separation import Normalised, Power
        >>> Normalised(Power(order=30))(torch.tensor([1000.0, 990.0])).tolist()
        [0.572..., 0.427...]
    """

    part: Separation
    normalised: ClassVar[bool] = True
    convex: ClassVar[bool] = False
    gradient: ClassVar[bool] = False

    def __post_init__(self) -> None:
        _inner("Normalised", self.part)
        self.part.log_weights(torch.zeros(1))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        log_weights = self.part.log_weights(scores)
        there = log_weights > -math.inf
        return _softmax(log_weights, there if mask is None else there & mask)

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of the rule inside."""
        return self.part.potential(scores, mask)


@dataclass(frozen=True)
class Difference(Separation):
    r"""Weighs by what the potential gains over the flip of one bit, exactly, rather than by its slope.

    For a potential that is a sum over patterns, Phi = sum F(s_i), -1/+1 bits and ``dot`` scores, the energy falls when bit j
    takes the sign of

    .. math:: \sum_i w_i k_{ij} - c\, q_j, \quad w_i = \tfrac14 [F(s_i + 2) - F(s_i - 2)], \quad
        c = \tfrac14 \sum_i [F(s_i + 2) - 2 F(s_i) + F(s_i - 2)]

    The self-coupling c takes off what the bit gives to itself. With ``Linear`` it is the number of patterns, the diagonal
    that Hopfield leaves out; with ``Exponential`` it is tanh(beta) of the mass. Weights and c come up to one common factor a
    query, which the sign forgets.

    Args:
        part: Linear, Power or Exponential.

    Example:
        >>> import torch
        >>> from kanerva.separation import Difference, Linear
        >>> Difference(Linear()).coupling(torch.tensor([5.0, 1.0, -3.0])).item()  # three patterns
        3.0

    Source: Krotov and Hopfield 2016, their update rule; Demircigil and others 2017; written as one read here.
    """

    part: Separation
    gradient: ClassVar[bool] = False
    expects: ClassVar[tuple[str, ...]] = ("dot",)

    def __post_init__(self) -> None:
        _inner("Difference", self.part)
        self.part.difference(torch.zeros(1))

    @_weighs
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""
        return self.part.difference(scores, mask)[0]

    def coupling(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch 1"]:
        """Return c."""
        return self.part.difference(scores, mask)[1]

    @_sums
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of the rule inside."""
        return self.part.potential(scores, mask)


def _inner(name: str, part: Separation) -> None:
    """Refuse what is not a separation."""
    if not isinstance(part, Separation):
        do = "wrap a part of kanerva.separation"
        _guard.refuse(name, "part", "a separation", _guard.describe(part), do, _guard.InputTypeError)


def _positive(part: str, beta: Beta) -> None:
    """Refuse the potential at beta = 0, where it is infinite."""
    if not _guard.tracing() and float(beta.detach() if isinstance(beta, Tensor) else beta) == 0:
        _guard.refuse(f"{part}.potential", "beta", "> 0", "0", "give a positive inverse temperature, for an energy")
