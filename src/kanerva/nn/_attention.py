"""Attention as a module: linear maps around one read, with persistent rows and a temperature for each head."""

import functools
import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.nn._heads import checked, products, sphere, weigh, wide, widely
from kanerva.separation import Separation, Softmax
from kanerva.theory import beta as beta_
from kanerva.theory import radius as radius_

__all__ = ["Attention"]

PATTERNS = 1024  # that the memory is made for whose beta a head starts from

Query = Float[Tensor, "b q dim"]
Context = Float[Tensor, "b k dim"] | None
Mask = Bool[Tensor, "b *_mask"] | None


class Attention(nn.Module):
    r"""Attends with several heads, each of which reads the input as a memory.

    .. math:: y = W_o \sum_i w_i v_i, \quad w = \text{separation}(s), \quad
        s_i = \beta_h \frac{q \cdot k_i}{|q| |k_i|} \text{ normalised, else } \frac{q \cdot k_i}{\sqrt d}

    Normalised, queries and keys lie on the sphere, and every head learns its own inverse temperature. Since it differs from
    head to head, the scores are scaled by it and the rule inside has beta = 1: together they multiply the cosine by beta once. A
    rule without a temperature, such as ``probe.CosineCircle`` or ``separation.Cap``, gets the cosines themselves.

    Weights start as draws of seed 0; ``reset`` draws others. Give layers of one model different ones.

    Args:
        dim: width of queries, context and output, >= 1.
        heads: how many, >= 1; they divide ``dim`` into heads of width d = ``dim / heads``.
        normalise: put queries and keys on the sphere.
        beta: > 0, where every head's inverse temperature starts, per unit of cosine; with ``normalise`` alone. If left out that of
            ``separation``; without one, the softmax nearest (``theory.beta.fit``) to the sparse distributed memory of d bits whose
            radius is best for signal to noise (``theory.radius.optimal``) with 1024 patterns: 15.9 for d = 64.
        persistent: how many learned pairs of key and value each head attends to beside the input, >= 0; no mask hides them.
        value_dim: width of all heads' values together, a multiple of ``heads``; ``dim`` if left out.
        separation: any rule without self-coupling; ``Softmax`` if left out. Without ``normalise`` it keeps its own beta, and
            ``Softmax(1.0)`` is scaled dot product attention.
        bias: whether the four linear maps have one.

    Attributes:
        log_beta: ``(heads,)`` logarithms of the inverse temperatures, trained; None where there are none.
        persistent_key: ``(heads, persistent, d)``, trained; None for none.
        persistent_value: ``(heads, persistent, value_dim / heads)``, trained; None for none.

    Raises:
        InputError: widths that heads do not divide, a beta that nothing uses, or a rule made for other scores.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> attention = nn.Attention(dim=128, heads=2, persistent=4)
        >>> text = torch.eye(10, 128)[None]
        >>> attention(text, causal=True).shape, attention.weights(text).shape
        (torch.Size([1, 10, 128]), torch.Size([1, 2, 10, 14]))
        >>> [round(beta, 1) for beta in attention.log_beta.exp().tolist()]
        [15.9, 15.9]

    Source: Vaswani and others 2017; Henry and others 2020 for the sphere; Sukhbaatar and others 2019 for persistent rows; Bricken
    and Pehlevan 2021 for beta.
    """

    @door
    def __init__(
        self,
        dim: int,
        heads: int,
        *,
        normalise: bool = True,
        beta: float | None = None,
        persistent: int = 0,
        value_dim: int | None = None,
        separation: Separation | None = None,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.dim = checks.integer("dim", dim, 1, checks.LONGEST)
        self.heads = checks.integer("heads", heads, 1, checks.LONGEST)
        self.value_dim = (
            self.dim
            if value_dim is None
            else checks.integer("value_dim", value_dim, 1, checks.LONGEST)
        )
        for name, width in (("dim", self.dim), ("value_dim", self.value_dim)):
            if width % self.heads:
                refuse(
                    name,
                    must=f"a multiple of the {self.heads} heads",
                    got=str(width),
                    do="give each head the same width",
                )
        self.persistent = checks.integer("persistent", persistent, 0, checks.LONGEST)
        self.normalise = bool(normalise)
        self._temper(beta, separation)
        with checks.room(
            "dim",
            f"{self.dim}, with values of {self.value_dim} and {self.persistent} persistent rows",
        ):
            self.query = _linear(self.dim, self.dim, bias)
            self.key = _linear(self.dim, self.dim, bias)
            self.value = _linear(self.dim, self.value_dim, bias)
            self.out = _linear(self.value_dim, self.dim, bias)
            self.persistent_key = self._rows(self.dim)
            self.persistent_value = self._rows(self.value_dim)
            self.reset(0)

    def _temper(self, beta: float | None, separation: Separation | None) -> None:
        """Take the temperature out of the rule where heads learn their own."""
        part = Softmax(1.0) if separation is None else separation
        checked("cosine" if self.normalise else "dot", part, "choose normalise=True")
        own = part.temperature()
        tempered = self.normalise and own is not None
        if beta is not None and not tempered:
            why = (
                f"{part} has no temperature"
                if self.normalise
                else "queries and keys are not normalised"
            )
            refuse(
                "beta",
                must=f"left out where {why}",
                got=f"{beta}",
                do="leave it out, or give the rule one of its own",
            )
        self.separation = part.with_beta(1.0) if tempered else part
        self.start = None
        if tempered:
            if beta is None:
                given = own.item() if isinstance(own, Tensor) else own
                beta = _default(self.dim // self.heads) if separation is None else given
            self.start = checks.number("beta", beta, 0, open_low=True)
        self.log_beta = nn.Parameter(torch.empty(self.heads)) if tempered else None

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Attention":
        """Draw all weights anew.

        Linear maps are drawn evenly within 1 / sqrt(their input) of zero, persistent rows from a normal distribution of variance
        1 / d; biases are zero and every beta is where it starts.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> one, other = nn.Attention(64, 4).reset(1), nn.Attention(64, 4).reset(2)
            >>> (one.query.weight == other.query.weight).any().item()
            False
        """
        source = arrays.generator(seed)
        for linear in (self.query, self.key, self.value, self.out):
            reach = linear.in_features**-0.5
            linear.weight.copy_((2 * torch.rand(linear.weight.shape, generator=source) - 1) * reach)
            if linear.bias is not None:
                linear.bias.zero_()
        for rows in (self.persistent_key, self.persistent_value):
            if rows is not None:
                rows.copy_(
                    torch.randn(rows.shape, generator=source) * (self.dim // self.heads) ** -0.5
                )
        if self.log_beta is not None:
            self.log_beta.fill_(math.log(self.start))  # type: ignore[arg-type]
        return self

    def forward(
        self, query: Query, context: Context = None, mask: Mask = None, causal: bool = False
    ) -> Query:
        """Attend from a query to a context, or to itself.

        Softmax goes through torch's ``scaled_dot_product_attention``, in the dtype of the values; other rules build
        all scores ``(b, heads, q, k)``, in float32 at least.

        Args:
            query: ``(b, q, dim)``.
            context: ``(b, k, dim)``; the query itself if left out.
            mask: ``(b, k)`` or ``(b, q, k)``, True for what may be attended to.
            causal: let each place attend to itself and those before it; without a context alone.

        Returns:
            ``(b, q, dim)``; where nothing may be attended to, what the last linear map makes of zeros.

        Raises:
            InputError: shapes or dtypes that do not fit.

        Example: see ``Attention``.
        """
        self._check(query, context, mask, causal)
        queries, keys, values = self._parts(query, context)
        if isinstance(self.separation, Softmax) and keys.shape[2]:
            queries = queries * self.separation.beta
            if causal and mask is None and not self.persistent:
                read = scaled_dot_product_attention(
                    queries.to(values.dtype),
                    keys.to(values.dtype),
                    values,
                    is_causal=True,
                    scale=1.0,
                )
            else:
                read = _fast(
                    queries.to(values.dtype),
                    keys.to(values.dtype),
                    values,
                    self._keep(query, mask, causal),
                )
        else:
            with widely(values):
                weights = weigh(
                    products(queries, keys), self.separation, self._keep(query, mask, causal)
                )
                read = (weights @ values.to(weights.dtype)).to(values.dtype)
        output: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return output

    def weights(
        self, query: Query, context: Context = None, mask: Mask = None, causal: bool = False
    ) -> Float[Tensor, "b heads q _k"]:
        """Weigh what ``forward`` attends to.

        Args:
            query: as in ``forward``.
            context: as in ``forward``.
            mask: as in ``forward``.
            causal: as in ``forward``.

        Returns:
            ``(b, heads, q, k + persistent)``, persistent rows last.

        Raises:
            InputError: as in ``forward``.

        Example: see ``Attention``.
        """
        self._check(query, context, mask, causal)
        queries, keys, _ = self._parts(query, context)
        with widely(query):
            return weigh(
                products(queries, keys), self.separation, self._keep(query, mask, causal)
            ).to(query.dtype)

    def extra_repr(self) -> str:
        """Name what it was made with."""
        text = f"dim={self.dim}, heads={self.heads}, normalise={self.normalise}"
        text += "" if self.start is None else f", beta={self.start:g}"
        return f"{text}, persistent={self.persistent}, value_dim={self.value_dim}, separation={self.separation}"

    def _rows(self, width: int) -> nn.Parameter | None:
        return (
            nn.Parameter(torch.empty(self.heads, self.persistent, width // self.heads))
            if self.persistent
            else None
        )

    def _check(self, query: Any, context: Any, mask: Any, causal: bool) -> None:
        """Refuse input of the wrong shape or dtype."""
        own = self.query.weight.dtype
        for name, given in (("query", query), ("context", query if context is None else context)):
            arrays.floats(name, given, self.dim)
            if given.ndim != 3:
                refuse(
                    name,
                    given,
                    must=f"of shape (batch, places, {self.dim})",
                    do="give it three dimensions",
                )
            if given.dtype != own and not torch.is_autocast_enabled(given.device.type):
                do = f"convert it with {name}.to({own}), or the module"
                refuse(name, given, must=f"{own}, as the weights are", do=do, error=InputTypeError)
        if context is not None and context.shape[0] != query.shape[0]:
            must, got = (
                f"of batch {query.shape[0]}, as the query is",
                f"of batch {context.shape[0]}",
            )
            refuse("context", must=must, got=got, do="give one context for each query")
        if causal and context is not None:
            refuse(
                "causal",
                must="False with a context",
                got="True",
                do="give mask (b, q, k), which says what comes before what",
            )
        if mask is not None:
            self._check_mask(
                mask,
                tuple(query.shape[:2]),
                query.shape[1] if context is None else context.shape[1],
            )

    def _check_mask(self, mask: Any, shape: tuple[int, int], keys: int) -> None:
        must = f"a bool tensor of shape {(shape[0], keys)} or {(*shape, keys)}"
        if arrays.dense("mask", mask, must).dtype != torch.bool:
            do = "give True for what may be attended to"
            refuse("mask", mask, must=must, do=do, error=InputTypeError)
        if tuple(mask.shape) not in ((shape[0], keys), (*shape, keys)):
            refuse(
                "mask", mask, must=must, do="leave persistent rows out: they are always attended to"
            )

    def _parts(self, query: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries and keys, whose product is what the rule takes, in float32 at least, and values in their own dtype."""
        source = query if context is None else context
        queries, keys, values = (
            self._split(self.query(query)),
            self._split(self.key(source)),
            self._split(self.value(source)),
        )
        if self.persistent_key is not None and self.persistent_value is not None:
            keys, values = (
                _beside(keys, self.persistent_key),
                _beside(values, self.persistent_value),
            )
        if not self.normalise:
            return wide(queries) * queries.shape[-1] ** -0.5, wide(keys), values
        queries, keys = sphere(queries), sphere(keys)
        if self.log_beta is not None:
            queries = queries * wide(self.log_beta).exp()[:, None, None]
        return queries, keys, values

    def _split(self, rows: Tensor) -> Tensor:
        """Cut ``(b, n, width)`` into heads ``(b, h, n, width / h)``."""
        return rows.reshape(*rows.shape[:2], self.heads, rows.shape[2] // self.heads).transpose(
            1, 2
        )

    def _keep(self, query: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
        """Say what is attended to, ``(b or 1, 1, q or 1, k + persistent)``; None for everything."""
        keep = None if mask is None else mask[:, None, None] if mask.ndim == 2 else mask[:, None]
        if causal:
            past = torch.ones(
                query.shape[1], query.shape[1], dtype=torch.bool, device=query.device
            ).tril()[None, None]
            keep = past if keep is None else keep & past
        if keep is None or not self.persistent:
            return keep
        return torch.cat((keep, keep.new_ones(*keep.shape[:-1], self.persistent)), -1)


def _linear(wide: int, narrow: int, bias: bool) -> nn.Linear:
    """Make a linear map without drawing its weights."""
    return nn.utils.skip_init(nn.Linear, wide, narrow, bias=bool(bias))  # type: ignore[no-untyped-call]


def _beside(rows: Tensor, more: Tensor) -> Tensor:
    """Put the rows of a head behind those of every batch."""
    return torch.cat((rows, more.to(rows.dtype).expand(rows.shape[0], -1, -1, -1)), 2)


def _fast(query: Tensor, key: Tensor, value: Tensor, keep: Tensor | None) -> Tensor:
    """Read by softmax without building the weights; a row with nothing left is zeros, and so is its gradient."""
    if keep is None:
        return scaled_dot_product_attention(query, key, value, scale=1.0)
    row = keep.any(-1, keepdim=True)
    return scaled_dot_product_attention(
        query, key, value, attn_mask=keep | ~row, scale=1.0
    ).masked_fill(~row, 0)


@functools.lru_cache(256)
def _default(dim: int) -> float:
    """Fit softmax to the memory of heads of so many bits."""
    bits = max(2, dim)
    return beta_.fit(bits, min(max(1, radius_.optimal(bits, PATTERNS).radius), bits // 2)).beta
