"""A null pattern: one more key, without a value, to which a part of the weight goes."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.separation._base import Beta, Mask, Scores, Separation, Wrapper, inner


@dataclass(frozen=True)
class Sink(Wrapper):
    r"""Adds a key without a value to the keys of another rule; its score is the same everywhere.

    .. math:: w = \text{the first } m \text{ of } \text{part}(s_1, \dots, s_m, c), \quad
        \Phi(s) = \Phi_{\text{part}}(s_1, \dots, s_m, c)

    With ``Softmax(beta)`` this is attention with a learned sink,

    .. math:: w_i = \frac{e^{\beta s_i}}{e^{\beta c} + \sum_j e^{\beta s_j}}, \quad
        \Phi = \frac1\beta \log\Big(e^{\beta c} + \sum_j e^{\beta s_j}\Big)

    The weights sum to less than one: the rest goes to the null pattern, and a query far from all
    keys reads nearly nothing. At c = 0 it is the softmax that is "off by one". The potential is
    that of the null pattern alone where no key is left.

    Args:
        part: any rule without self-coupling.
        score: c, the score of the null pattern, in the units of the scores. A floating tensor that
            broadcasts to ``scores[..., :1]`` can be trained, such as one number, or ``(h, 1, 1)``
            for heads of scores ``(b, h, q, k)``. It is no parameter of a memory or a module that
            reads with the rule: give it to the optimiser.

    Example:
        >>> import math, torch
        >>> from kanerva.separation import Sink, Softmax
        >>> rule = Sink(Softmax(beta=1.0), score=math.log(4.0))
        >>> [round(w, 4) for w in rule(torch.tensor([0.0, math.log(3.0)])).tolist()]
        [0.125, 0.375]
        >>> round(rule.potential(torch.tensor([0.0, math.log(3.0)])).exp().item(), 4)
        8.0

    Source: Xiao and others 2024, section 3.3 (a sink in the softmax); OpenAI 2025, gpt-oss, whose
    heads learn c.
    """

    part: Separation
    score: Beta
    priors = Wrapper.priors
    compares = True  # beside the null pattern, a score of -inf would be a weight of 0

    @door
    def __post_init__(self) -> None:
        inner(self.part, coupled=False)
        checks.keep(self, score=_checked(self.score))

    @property
    def gradient(self) -> bool:  # type: ignore[override]
        return self.part.gradient

    @property
    def convex(self) -> bool:  # type: ignore[override]
        return self.part.convex

    @property
    def binary(self) -> bool:  # type: ignore[override]
        return self.part.binary

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh ``scores`` beside that of the null pattern."""
        return self.part.unchecked_weights(*self._with_null(scores, mask))[..., :-1]

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of all scores and of the null pattern."""
        return self.part.unchecked_potential(*self._with_null(scores, mask))

    def void(self) -> Tensor:
        """Return the potential of the null pattern alone."""
        like = self.score if isinstance(self.score, Tensor) else torch.zeros(())
        return self.phi(like.new_zeros((*like.shape[:-1], 0)))

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> None:
        """Return None: the potential of every block contains that of the null pattern."""
        return

    def _with_null(self, scores: Tensor, mask: Mask) -> tuple[Tensor, Mask]:
        """Append the null pattern to scores and to their mask."""
        column = (*scores.shape[:-1], 1)
        if not isinstance(self.score, Tensor):
            null = scores.new_full(column, self.score)
        elif arrays.together(self.score.shape, column) != column:
            must = f"a number, or a tensor that broadcasts to {column}"
            do = "give one for each row of scores, or one for all"
            refuse("score", self.score, must=must, do=do)
        else:
            null = self.score.to(scores).expand(column)
        scores = torch.cat((scores, null), -1)
        if mask is not None:
            mask = torch.cat((mask, mask.new_ones((*mask.shape[:-1], 1))), -1)
        return scores, mask


def _checked(score: Beta) -> Beta:
    """Return the score of a null pattern: a finite number, or a floating tensor unchanged."""
    if not isinstance(score, Tensor):
        return checks.plain("score", score)
    must = "a finite number, or a floating tensor"
    if arrays.dense("score", score, must).dtype not in arrays.FLOATS:
        do = "convert it with score.to(torch.float32)"
        refuse("score", score, must=must, do=do, error=InputTypeError)
    return arrays.finite("score", score)
