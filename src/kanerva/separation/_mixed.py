"""Weights that go along the edges of a graph over the keys."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.separation._base import Mask, Scores, Separation, Wrapper, hide, inner, nonzero, times


class Edges(NamedTuple):
    """A graph over keys as its edges; each pair of keys occurs once, in rising order.

    * ``sources``, ``targets``: ``(n,)`` int64, places of keys.
    * ``strengths``: ``(n,)``.
    * ``count``: m, the number of keys.
    """

    sources: Int64[Tensor, "n"]
    targets: Int64[Tensor, "n"]
    strengths: Float[Tensor, "n"]
    count: int  # type: ignore[assignment]  # tuple.count is of no use here

    def sums(self, rows: Float[Tensor, "m e"], back: bool = False) -> Float[Tensor, "m e"]:
        """Return M rows, the sum over the targets of each source; with ``back`` that of M^T."""
        strengths = self.strengths.to(rows.dtype)
        ends = (self.targets, self.sources) if back else (self.sources, self.targets)
        if arrays.tracing():  # a traced graph takes no sparse matrix
            taken = strengths.unsqueeze(-1) * rows[ends[1]]
            return torch.zeros_like(rows).index_add(0, ends[0], taken)
        places, size = torch.stack((self.sources, self.targets)), (self.count, self.count)
        matrix = torch.sparse_coo_tensor(
            places, strengths, size, is_coalesced=True, check_invariants=False
        )
        return torch.sparse.mm(matrix.t() if back else matrix, rows)

    def __repr__(self) -> str:
        return f"<{len(self.strengths)} edges over {self.count} keys>"


@dataclass(frozen=True, eq=False)
class Mixed(Wrapper):
    r"""Sends the weights of another rule once along a graph, and subtracts their mean share.

    .. math:: u = a\,w + h\,w M - \tfrac{c}{m} \mathbf 1, \quad w = \text{part}(s), \quad
        \Phi(s) = a\,\Phi_{\text{part}}(s) - \tfrac{c}{m} \sum_i s_i \text{ where } h = 0

    :math:`M_{ij}` is the strength of the edge from key i to key j. With values x the read is
    :math:`\sum_j u_j x_j`, which is a read of w with the values a x + h M x, less c times the mean
    value. The weights u may be negative. Keys that a mask leaves out neither send nor receive, and
    m counts those that are left, each as often as it counts.

    Args:
        part: any rule without self-coupling.
        auto: a, the strength of auto-association, finite.
        hetero: h, the strength of hetero-association, finite.
        mean: c, how often the mean is subtracted, finite.
        mixing: M, ``(m, m)`` floating, dense or sparse, finite; None for a graph without edges.

    Example:
        >>> import torch
        >>> from kanerva.separation import Argmax, Mixed
        >>> ring = torch.tensor([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]])
        >>> rule = Mixed(Argmax(), auto=0.5, hetero=0.25, mixing=ring)
        >>> rule(torch.tensor([0.0, 2.0, 1.0])).tolist()
        [0.0, 0.5, 0.25]

    Source: Burns 2024, whose values are a x + h M x; the weights of Haga and Fukai 2021.
    """

    part: Separation
    auto: float = 1.0
    hetero: float = 0.0
    mean: float = 0.0
    mixing: Tensor | Edges | None = None
    priors = Wrapper.priors

    @door
    def __post_init__(self) -> None:
        inner(self.part, coupled=False)
        numbers = {name: checks.plain(name, getattr(self, name)) for name in STRENGTHS}
        checks.keep(self, **numbers)
        if self.mixing is not None and not isinstance(self.mixing, Edges):
            checks.keep(self, mixing=_vetted(self.mixing))

    @property
    def bits(self) -> bool | int:  # type: ignore[override]
        return self.part.bits is True

    @property
    def gradient(self) -> bool:  # type: ignore[override]
        return self.part.gradient and not self._spreads

    @property
    def convex(self) -> bool:  # type: ignore[override]
        return self.part.convex and self.auto >= 0

    @property
    def _spreads(self) -> bool:
        """Whether weights go along edges."""
        return self.hetero != 0 and self.mixing is not None

    def forward(self, scores: Scores, mask: Mask = None) -> Scores:
        """Weigh scores by the rule inside, and send the weights along the graph."""
        return self.spread(self.part.unchecked_weights(scores, mask), mask)

    def spread(self, weights: Scores, mask: Mask = None) -> Scores:
        """Send weights ``(..., m)`` along the graph, and subtract their mean share."""
        mixed = self.auto * weights
        if self._spreads:
            mixed = mixed + self.hetero * _along(weights, self.mixing)  # type: ignore[arg-type]
        if self.mean:
            share = torch.as_tensor(self.mean / _count(weights, mask), dtype=weights.dtype)
            mixed = mixed - times(share.to(weights.device), mask)
        return hide(mixed, mask)

    def phi(self, scores: Scores, mask: Mask = None) -> Float[Tensor, "*batch"]:
        """Return the potential of a graph without edges; refuse one with edges."""
        if self._spreads:
            must, do = "one with a potential: hetero 0, or no edges", "follow the reads instead"
            refuse("separation", got=f"one with hetero {self.hetero:g}", must=must, do=do)
        inside = self.part.unchecked_potential(scores, mask)
        value = self.auto * inside
        if self.mean:
            kept = times(hide(scores, mask), mask)
            value = value - self.mean * (kept / _count(scores, mask)).sum(-1)
        # The logarithm of an empty sum stays what it is, whatever the sign of its factor.
        return torch.where(inside == -torch.inf, inside, value)

    def void(self) -> float | Tensor:
        """Return the potential where no key is left: that of the rule inside."""
        return self.part.void()

    def join(self, potentials: Float[Tensor, "parts *batch"]) -> None:
        """Return None: the mean is over all keys."""
        return


STRENGTHS = ("auto", "hetero", "mean")


def _vetted(mixing: Tensor) -> Tensor:
    """Return a matrix, dense or in coordinates; refuse one that is no graph over keys."""
    must = "a floating tensor of shape (m, m), dense or sparse, and finite"
    if not isinstance(mixing, Tensor) or mixing.dtype not in arrays.FLOATS or mixing.is_nested:
        do = "give the strength of the edge from key i to key j in row i, column j"
        refuse("mixing", mixing, must=must, do=do, error=InputTypeError)
    if mixing.ndim != 2 or mixing.shape[0] != mixing.shape[1]:
        refuse("mixing", must=must, got=f"of shape {tuple(mixing.shape)}", do="make it square")
    if mixing.is_meta:
        refuse("mixing", mixing, must=must, do="give one that holds numbers", error=InputTypeError)
    if mixing.layout is not torch.strided:
        mixing = mixing.to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
    strengths = mixing if mixing.layout is torch.strided else mixing.values()
    if not arrays.sound(strengths):
        refuse("mixing", must=must, got="with NaN or infinite strengths", do="remove those edges")
    return mixing


def _along(weights: Tensor, mixing: Tensor | Edges) -> Tensor:
    """Return w M for weights ``(..., m)``."""
    count = mixing.count if isinstance(mixing, Edges) else mixing.shape[0]
    if count != weights.shape[-1]:
        must, got = f"over the {weights.shape[-1]} keys of the scores", f"over {count}"
        refuse("mixing", must=must, got=got, do="give one row and column for each key")
    rows = weights.reshape(-1, weights.shape[-1]).mT
    if isinstance(mixing, Edges):
        return mixing.sums(rows, back=True).mT.reshape(weights.shape)
    mixing = mixing.to(weights.dtype)
    if mixing.layout is torch.strided:
        return weights @ mixing
    return torch.sparse.mm(mixing.t(), rows).mT.reshape(weights.shape)


def _count(weights: Tensor, mask: Mask) -> Tensor | float:
    """Return how many keys are left, each as often as it counts; 1 for none."""
    if mask is None:
        return max(1, weights.shape[-1])
    return nonzero(mask.expand(weights.shape).sum(-1, keepdim=True)).to(weights.dtype)
