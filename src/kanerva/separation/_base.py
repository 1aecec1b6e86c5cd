"""What every rule is, and what all of them check and share."""

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import fields
from typing import Any, ClassVar, NamedTuple, NoReturn

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse

Beta = float | Tensor
Scores = Float[Tensor, "*batch m"]
Mask = Bool[Tensor, "*_mask"] | None


class Partial(NamedTuple):
    r"""Some of the keys weighed as if they were all: what sums over blocks of keys are made of.

    The weights of all keys are :math:`e^{\text{shift}}\, \text{weights} / \sum e^{\text{shift}}\, \text{mass}`, block by block.

    Attributes:
        weights: ``(b, m)`` up to a factor a row.
        shift: ``(b, 1)`` logarithm of that factor; None for 0.
        mass: ``(b, 1)`` what they are divided by, up to the same factor; None where they are not.
        coupling: ``(b, 1)`` what the query gives to itself, up to the same factor; None for nothing.
    """

    weights: Tensor
    shift: Tensor | None = None
    mass: Tensor | None = None
    coupling: Tensor | None = None


class Separation(ABC):
    """A rule that turns scores ``(..., m)`` into weights ``(..., m)``.

    Class attributes say what holds for every instance: ``normalised``, the weights sum to one wherever any is not zero;
    ``convex``, the potential is convex, so that the energy never rises along a recall; ``gradient``, the weights are the
    derivative of the potential; ``expects``, the similarities whose scores the rule is made for (empty: any); ``compares``, the
    rule compares scores, where NaN is lost, so that it must be looked for first (elsewhere the weights show it).

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
    compares: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores``."""

    @abstractmethod
    def potential(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the scalar Phi(scores) of each row."""

    def partial(self, scores: Scores, mask: Mask = None) -> Partial | None:
        """Weigh some of the keys; None where a weight hangs on all the other scores, as where they are ordered."""
        return None

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"] | None:
        """Return the potential of all keys from those of parts of them; None where it is not made of them."""
        return None

    def reach(self, scores: Scores) -> Float[Tensor, "*batch 1"] | None:
        """Return a score below which nothing weighs anything, given some of the scores; None where all may weigh something."""
        return None

    @door("Normalised")
    def log_weights(self, scores: Scores) -> Scores:
        """Return the logarithm of weights that are never negative, up to a constant; ``Normalised`` asks for it."""
        refuse(
            "part",
            must="a separation with weights >= 0",
            got=repr(self),
            do="choose Power, Exponential, Step or Compact",
        )

    @door("Difference")
    def difference(self, scores: Scores, mask: Mask = None) -> Partial:
        """Return weights and self-coupling of one-bit flips; ``Difference`` asks for it."""
        refuse(
            "part",
            must="a sum over patterns",
            got=repr(self),
            do="choose Linear, Power or Exponential",
        )

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
        return type(self)(
            **(values | ({"part": inner.with_beta(beta)} if inner else {"beta": beta}))
        )


class Sum(Separation):
    """A rule that weighs each score by itself: its potential is a sum over the keys."""

    def partial(self, scores: Scores, mask: Mask = None) -> Partial:
        """Weigh some of the keys."""
        rule = type(self).__call__
        return Partial(getattr(rule, "__wrapped__", rule)(self, scores, mask))

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> Float[Tensor, "*batch"]:
        """Return the sum."""
        return potentials.sum(0)


def hide(scores: Tensor, mask: Mask, by: float = 0.0) -> Tensor:
    """Put ``by`` in the places that the mask leaves out."""
    return scores if mask is None else scores.masked_fill(~mask, by)


def softmax(logits: Tensor, mask: Mask = None) -> Tensor:
    """Normalise exponentials; rows with nothing left get zeros, and a zero gradient."""
    if mask is None:
        return logits.softmax(-1)
    # A row of -inf alone would give NaN, in the gradient too: give it something finite, then hide all of it.
    row = mask.any(-1, keepdim=True)
    return hide(hide(logits, mask | ~row, -math.inf).softmax(-1), mask)


def of_logs(logs: Tensor, mask: Mask = None) -> Partial:
    """Weigh some of the keys by the exponential of ``logs``, which are changed where nothing is learned from them."""
    logs = hide(logs, mask, -math.inf)
    top = logs.detach().amax(-1, keepdim=True)
    # -inf cannot be taken off itself: where nothing is left, nothing is taken off.
    base = torch.where(top == -math.inf, 0.0, top)
    weights = (logs - base).exp() if logs.requires_grad else logs.sub_(base).exp_()
    return Partial(weights, top, weights.sum(-1, keepdim=True))


def checked_beta(beta: Any, *, open_low: bool = False) -> Beta:
    """Return an inverse temperature: a number, or a tensor of one number as it is."""
    do = "give an inverse temperature, such as 1 / math.sqrt(d)"
    if not isinstance(beta, Tensor):
        return checks.plain("beta", beta, 0, open_low=open_low, do=do)
    must = (
        f"a finite number {'>' if open_low else '>='} 0, or a 0-dimensional floating tensor of one"
    )
    if beta.ndim or beta.dtype not in arrays.FLOATS or beta.device.type == "meta":
        refuse("beta", beta, must=must, do=f"{do}, or learn nn.Parameter(torch.tensor(beta))")
    if not arrays.tracing():
        number = beta.item()
        if not math.isfinite(number) or number < 0 or (open_low and number == 0):
            refuse(
                "beta",
                must=must,
                got=f"{number:g}",
                do=f"{do}; learn its logarithm where training takes it below 0",
            )
    return beta


def weighs(rule: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the scores and the mask that a rule is called with, and the weights that it gives."""

    @door
    @functools.wraps(rule)
    def checked(self: "Separation", scores: Tensor, mask: Mask = None) -> Tensor:
        _check_scores(self, scores, mask)
        return check_size(self, rule(self, scores, mask), scores)

    return checked


def sums(potential: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Check the scores and the mask that a potential is called with, and its value; -inf is the logarithm of nothing."""

    @door
    @functools.wraps(potential)
    def checked(self: "Separation", scores: Tensor, mask: Mask = None) -> Tensor:
        _check_scores(self, scores, mask)
        value = potential(self, scores, mask)
        if not arrays.sound(value) and not (value.detach() < math.inf).all():
            _too_large(self, scores)
        return value

    return checked


def _check_scores(part: Separation, scores: Any, mask: Any) -> None:
    """Refuse what are no scores, and a mask that does not fit them."""
    arrays.floats("scores", scores)
    if part.compares:
        arrays.finite("scores", scores)
    if mask is None:
        return
    if arrays.dense("mask", mask, "a bool tensor").dtype != torch.bool:
        refuse(
            "mask",
            mask,
            must="a bool tensor",
            do="give True for what is there",
            error=InputTypeError,
        )
    if arrays.together(mask.shape, scores.shape) != scores.shape:
        must, got = (
            f"of a shape that broadcasts to {tuple(scores.shape)}",
            f"of shape {tuple(mask.shape)}",
        )
        refuse("mask", must=must, got=got, do="give one entry for each score")


def check_size(part: Separation, value: Tensor, scores: Tensor) -> Tensor:
    """Refuse weights that overflowed."""
    return value if arrays.sound(value) else _too_large(part, scores)


def _too_large(part: Separation, scores: Tensor) -> NoReturn:
    """Say that weights overflowed, unless the scores were not finite to begin with."""
    arrays.finite("scores", scores)
    do = "scale scores or beta down, or wrap the rule in Normalised"
    refuse(
        "scores",
        must="small enough that weights and sums stay finite",
        got="too large: they overflow",
        do=do,
    )


def positive_beta(beta: Beta) -> None:
    """Refuse the potential at beta = 0, where it is infinite."""
    if not arrays.tracing() and float(beta.detach() if isinstance(beta, Tensor) else beta) == 0:
        refuse("beta", must="> 0", got="0", do="give a positive inverse temperature, for an energy")
