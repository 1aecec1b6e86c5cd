"""What the layers of this package share: heads, a rule with a beta for each head, and the read."""

import functools
import math
from typing import Any

import torch
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, refuse
from kanerva._engine import fused
from kanerva.nn._heads import check_rule, no_autocast, products, unit, weigh, widen
from kanerva.separation import Separation, Softmax
from kanerva.theory import beta as beta_
from kanerva.theory import radius as radius_

__all__ = [
    "bare",
    "Reader",
    "check_dtype",
    "check_mask",
    "draw_linear",
    "linear",
    "past",
    "positive",
    "read",
]

# Stored patterns of the sparse distributed memory whose fitted beta is the default.
PATTERNS = 1024
# Positive numbers that float32 holds, also where they are kept by their rounded logarithms.
LEAST, MOST = 1e-37, 1e38


class Reader(nn.Module):
    """Heads that read keys by a rule, whose inverse temperature each head learns where it can.

    Args:
        dim: width of queries and of the output, checked.
        heads: number of heads, checked.
        value_dim: width of the values of all heads together; ``dim`` for None.
        normalise: scale queries and keys to length one.
        steps: reads in a row; all but the last are of keys.

    Attributes:
        log_beta: ``(heads,)`` logarithms of the inverse temperatures; None where the rule has none
            or the heads are not normalised.
    """

    def __init__(
        self, dim: int, heads: int, value_dim: int | None, normalise: bool, steps: int
    ) -> None:
        super().__init__()
        self.dim = checks.integer("dim", dim, 1, checks.LONGEST)
        self.heads = checks.integer("heads", heads, 1, checks.LONGEST)
        value_dim = dim if value_dim is None else value_dim
        self.value_dim = checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        for name, width in (("dim", self.dim), ("value_dim", self.value_dim)):
            if width % self.heads:
                must, do = f"a multiple of the {self.heads} heads", "give each head the same width"
                refuse(name, got=str(width), must=must, do=do)
        self.normalise = checks.flag("normalise", normalise)
        self.steps = checks.integer("steps", steps, 1, do="give the number of reads in a row")

    def _set_rule(self, beta: float | None, separation: Separation | None) -> None:
        """Set the rule; where heads learn their own beta, the rule itself has beta 1."""
        rule = Softmax(1.0) if separation is None else separation
        check_rule("cosine" if self.normalise else "dot", rule, do="choose normalise=True")
        own = rule.temperature()
        learned = self.normalise and own is not None
        if beta is not None and not learned:
            why = "queries and keys are not normalised"
            why = f"{rule} has no temperature" if self.normalise else why
            do = "leave it out, or give the rule one of its own"
            refuse("beta", got=f"{beta}", must=f"left out where {why}", do=do)
        self.separation = rule
        self.start = self.log_beta = None
        if not learned:
            return
        if beta is None and separation is None:
            beta = _default_beta(self.dim // self.heads)
        elif beta is None:
            beta = own.item() if isinstance(own, Tensor) else own
        self.separation = rule.with_beta(1.0)
        self.start = positive("beta", beta)
        self.log_beta = nn.Parameter(torch.empty(self.heads))

    def _reset_beta(self) -> None:
        """Give every head its initial beta."""
        if self.log_beta is not None:
            self.log_beta.fill_(math.log(self.start))  # type: ignore[arg-type]

    def _split(self, rows: Tensor) -> Tensor:
        """Split ``(b, n, width)`` into heads ``(b, h, n, width / h)``."""
        batch, count, width = rows.shape
        return rows.reshape(batch, count, self.heads, width // self.heads).transpose(1, 2)

    def _scaled(self, queries: Tensor) -> Tensor:
        """Scale the queries of all heads, so that their products with keys are what is weighed."""
        if not self.normalise:
            return widen(queries) * queries.shape[-1] ** -0.5
        queries = unit(queries)
        if self.log_beta is None:
            return queries
        return queries * widen(self.log_beta).exp()[:, None, None]

    def _ready(self, keys: Tensor) -> Tensor:
        """Return the keys of all heads as the queries are compared with them."""
        return unit(keys) if self.normalise else widen(keys)

    def _moved(self, queries: Tensor, keys: Tensor, keep: Tensor | None, causal: bool) -> Tensor:
        """Return the queries after all reads of keys."""
        for _ in range(self.steps - 1):
            queries = self._scaled(read(queries, keys, keys, self.separation, keep, causal))
        return queries


def read(
    queries: Tensor,
    keys: Tensor,
    values: Tensor,
    separation: Separation,
    keep: Tensor | None = None,
    causal: bool = False,
) -> Tensor:
    """Read once in every head, ``(b, h, q, e)``, in the dtype of the values.

    Args:
        queries: ``(b, h, q, d)``, whose products with the keys are what is weighed.
        keys: ``(b, h, k, d)``.
        values: ``(b, h, k, e)``.
        separation: the rule.
        keep: bool, broadcasts to ``(b, h, q, k)``; False leaves a key out.
        causal: leave out the keys after the place of the query; without ``keep`` only.
    """
    beta = fused.inverse_temperature(separation)
    # The kernel has no derivatives of second order, nor in forward mode.
    if beta is None or not keys.shape[2] or arrays.forward():
        with no_autocast(values):
            keep = past(queries) if causal else keep
            weights = weigh(products(queries, keys), separation, keep)
            return (weights @ values.to(weights.dtype)).to(values.dtype)
    scaled, keys = (queries * beta).to(values.dtype), keys.to(values.dtype)
    found: Tensor = fused.attend(scaled, keys, values, keep, causal=causal)
    # Where all scores of a row are NaN or -inf, the kernel gives zeros.
    lost = ~scaled.isfinite().all(-1, keepdim=True)
    lost = lost | ~keys.isfinite().flatten(2).all(-1)[..., None, None]
    return found.masked_fill(lost, math.nan)


def past(queries: Tensor) -> Tensor:
    """Return which places come no later than each query ``(b, h, q, d)``, as ``(1, 1, q, q)``."""
    count = queries.shape[2]
    return torch.ones(count, count, dtype=torch.bool, device=queries.device).tril()[None, None]


def positive(argument: str, value: Any) -> float:
    """Return a number > 0 that float32 holds, in which the layers compute."""
    number = checks.number(argument, value, 0, open_low=True)
    if not LEAST <= number <= MOST:
        must = f"from {LEAST:g} to {MOST:g}, which float32 holds"
        refuse(argument, got=f"{number:g}", must=must, do="give a number within these limits")
    return number


def check_dtype(name: str, rows: Tensor, own: torch.dtype) -> None:
    """Refuse rows of another dtype than that of the weights, but for autocast."""
    cast = torch.is_autocast_enabled(rows.device.type) and rows.dtype != torch.float64
    if rows.dtype != own and not cast:
        do = f"convert it with {name}.to({own}), or the module"
        refuse(name, rows, must=f"{own}, as the weights are", do=do, error=InputTypeError)


def check_mask(
    mask: Any,
    shapes: tuple[tuple[int, ...], ...],
    do: str,
    true: str = "give True for what may be attended to",
) -> None:
    """Refuse a mask that is not bool or has none of some shapes.

    Args:
        mask: what was given.
        shapes: those that are taken.
        do: what to do about another shape.
        true: what to do about another dtype.
    """
    if arrays.dense("mask", mask, "a bool tensor", torch.bool).dtype != torch.bool:
        refuse("mask", mask, must="a bool tensor", do=true, error=InputTypeError)
    # Sizes of a traced graph can be symbols, which have no text.
    if tuple(mask.shape) not in shapes:
        must = f"a bool tensor of shape {' or '.join(map(str, shapes))}"
        refuse("mask", mask, must=must, do=do)


def linear(width: int, out: int, bias: bool) -> nn.Linear:
    """Return a linear map on the default device, whose weights are not initialised."""
    part: nn.Linear = bare(nn.Linear, width, out, bias=bias)
    return part


def bare(kind: type[nn.Module], *sizes: int, **options: Any) -> Any:
    """Return a module on the default device, whose weights are not initialised."""
    options["device"] = torch.get_default_device()
    return nn.utils.skip_init(kind, *sizes, **options)  # type: ignore[no-untyped-call]


def draw_linear(part: nn.Linear, source: torch.Generator) -> None:
    """Draw weights uniform within 1 / sqrt(input width) of zero; biases are zero."""
    bound = part.in_features**-0.5
    part.weight.copy_((2 * arrays.draw(torch.rand, part.weight, source) - 1) * bound)
    if part.bias is not None:
        part.bias.zero_()


@functools.lru_cache(256)
def _default_beta(dim: int) -> float:
    """Return the beta of the softmax fitted to the best memory of ``dim`` bits."""
    bits = max(2, dim)
    radius = max(1, radius_.optimal(bits, PATTERNS).radius)
    return beta_.fit(bits, min(radius, bits // 2)).beta
