"""Attention as a module: linear maps around one read, persistent rows, one beta for each head."""

import functools
import math
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva._engine import fused
from kanerva.nn._heads import check_rule, no_autocast, products, sound, unit, weigh, widen
from kanerva.separation import Separation, Softmax
from kanerva.theory import beta as beta_
from kanerva.theory import radius as radius_

__all__ = ["Attention"]

# Stored patterns of the sparse distributed memory whose fitted beta is the default.
PATTERNS = 1024

Query = Float[Tensor, "b q dim"]
Context = Float[Tensor, "b k dim"] | None
Mask = Bool[Tensor, "b *_mask"] | None


class Attention(nn.Module):
    r"""Attends with several heads, each of which reads the context as a memory.

    .. math:: y = W_o \sum_i w_i v_i, \quad w = \text{separation}(s), \quad
        s_i = \beta_h \frac{q \cdot k_i}{|q| |k_i|} \text{ normalised, else }
        \frac{q \cdot k_i}{\sqrt d}

    Normalised, queries and keys have length one, and every head learns its own inverse temperature
    beta. The scores are multiplied by it and the rule has beta = 1, so that the cosine is
    multiplied by beta once. A rule without a temperature, such as ``probe.CosineCircle`` or
    ``separation.Cap``, takes the cosines themselves.

    With more than one step, the query first moves among the keys, as the state of a Hopfield
    network does, and the values are read at the last step:

    .. math:: q \leftarrow \sum_i w_i k_i \text{, normalised: over its length}

    The initial weights are those of ``reset(0)``. Reset the layers of one model with different
    seeds, or with one generator.

    Args:
        dim: width of queries, context and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim`` into heads of width d = ``dim / heads``.
        normalise: scale queries and keys to length one.
        beta: > 0, initial inverse temperature of every head, per unit of cosine; with ``normalise``
            only. The default is that of ``separation``. Without a separation, it is the beta of the
            softmax fitted (``theory.beta.fit``) to the sparse distributed memory of d bits at the
            radius best for signal to noise (``theory.radius.optimal``) with 1024 patterns: 15.9 for
            d = 64.
        persistent: number of learned pairs of key and value that each head attends to in addition
            to the context, >= 0; no mask leaves them out.
        value_dim: width of the values of all heads together, a multiple of ``heads``; ``dim`` if
            omitted.
        separation: any rule without self-coupling; ``Softmax`` if omitted. Without ``normalise`` it
            keeps its own beta, and ``Softmax(1.0)`` is scaled dot-product attention.
        bias: whether the four linear maps have a bias.
        steps: reads in a row, >= 1; all but the last are of keys.

    Attributes:
        log_beta: ``(heads,)`` logarithms of the inverse temperatures, trained; None where the rule
            has none or the heads are not normalised.
        persistent_key: ``(heads, persistent, d)``, trained; None for no persistent rows.
        persistent_value: ``(heads, persistent, value_dim / heads)``, trained; None for no
            persistent rows.

    Raises:
        InputError: widths that ``heads`` does not divide, a beta that is not used, or a rule made
            for other scores.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> attention = nn.Attention(dim=128, heads=2, persistent=4)
        >>> text = torch.eye(10, 128)[None]
        >>> attention(text, causal=True).shape, attention.weights(text).shape
        (torch.Size([1, 10, 128]), torch.Size([1, 2, 10, 14]))
        >>> [round(beta, 1) for beta in attention.log_beta.exp().tolist()]
        [15.9, 15.9]

    Source: Vaswani and others 2017; Henry and others 2020 for the normalisation; Sukhbaatar and
    others 2019 for persistent rows; Bricken and Pehlevan 2021 for beta; Ramsauer and others 2021
    for steps.
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
        steps: int = 1,
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
        self.persistent = checks.integer("persistent", persistent, 0, checks.LONGEST)
        self.normalise, bias = checks.flag("normalise", normalise), checks.flag("bias", bias)
        self.steps = checks.integer("steps", steps, 1, do="give the number of reads in a row")
        self._set_rule(beta, separation)
        size = f"{self.dim}, with values of {self.value_dim} and {self.persistent} persistent rows"
        numbers = (self.dim + self.value_dim) * (2 * self.dim + self.persistent)
        with checks.room("dim", size, 8 * numbers):  # as many again while they are drawn
            self.query = _linear(self.dim, self.dim, bias)
            self.key = _linear(self.dim, self.dim, bias)
            self.value = _linear(self.dim, self.value_dim, bias)
            self.out = _linear(self.value_dim, self.dim, bias)
            self.persistent_key = self._persistent_rows(self.dim)
            self.persistent_value = self._persistent_rows(self.value_dim)
            self.reset(0)

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
        self.start = checks.number("beta", beta, 0, open_low=True)
        self.log_beta = nn.Parameter(torch.empty(self.heads))

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Attention":
        """Draw all weights again.

        The weights of a linear map are uniform within 1 / sqrt(its input width) of zero, persistent
        rows are normal with variance 1 / d, biases are zero, and every beta has its initial value.

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
            bound = linear.in_features**-0.5
            draw = torch.rand(linear.weight.shape, generator=source)
            linear.weight.copy_((2 * draw - 1) * bound)
            if linear.bias is not None:
                linear.bias.zero_()
        deviation = (self.dim // self.heads) ** -0.5
        for rows in (self.persistent_key, self.persistent_value):
            if rows is not None:
                rows.copy_(torch.randn(rows.shape, generator=source) * deviation)
        if self.log_beta is not None:
            self.log_beta.fill_(math.log(self.start))  # type: ignore[arg-type]
        return self

    @door("Attention")
    def forward(
        self, query: Query, context: Context = None, mask: Mask = None, causal: bool = False
    ) -> Query:
        """Attend from a query to a context, or to itself.

        Softmax is computed by torch's ``scaled_dot_product_attention``, in the dtype of the values;
        other rules build all scores ``(b, heads, q, k)``, in float32 or wider.

        Args:
            query: ``(b, q, dim)``.
            context: ``(b, k, dim)``; the query itself if omitted.
            mask: ``(b, k)`` or ``(b, q, k)`` bool; False leaves a place out.
            causal: each place attends to itself and to those before it; without a context only.

        Returns:
            ``(b, q, dim)``; where everything is left out, the last linear map of zeros.

        Raises:
            InputError: shapes or dtypes that do not fit, or numbers that are not finite. In a
                compiled module, what reads them is NaN.

        Example: see ``Attention``.
        """
        self._check(query, context, mask, causal)
        queries, keys, values = self._project(query, context)
        queries = self._moved(queries, keys, mask, causal)
        read = self._read(queries, keys, values, mask, causal)
        output: Tensor = self.out(read.transpose(1, 2).flatten(2))
        return sound(output, query=query, context=query if context is None else context)

    @door
    def weights(
        self, query: Query, context: Context = None, mask: Mask = None, causal: bool = False
    ) -> Float[Tensor, "b heads q _k"]:
        """Return the weights with which ``forward`` reads the values.

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
        queries, keys, _ = self._project(query, context)
        queries = self._moved(queries, keys, mask, causal)
        with no_autocast(query):
            keep = self._keep(queries, mask, causal)
            weights = weigh(products(queries, keys), self.separation, keep).to(query.dtype)
        return sound(weights, query=query, context=query if context is None else context)

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with."""
        beta = "" if self.start is None else f"beta={self.start:g}, "
        return (
            f"dim={self.dim}, heads={self.heads}, normalise={self.normalise}, {beta}"
            f"persistent={self.persistent}, value_dim={self.value_dim}, "
            f"separation={self.separation}" + (f", steps={self.steps}" if self.steps > 1 else "")
        )

    def _persistent_rows(self, width: int) -> nn.Parameter | None:
        """Return uninitialised persistent rows for heads of ``width`` together."""
        if not self.persistent:
            return None
        return nn.Parameter(torch.empty(self.heads, self.persistent, width // self.heads))

    def _check(self, query: Any, context: Any, mask: Any, causal: bool) -> None:
        """Refuse input of the wrong shape or dtype."""
        checks.flag("causal", causal)
        self._check_rows("query", query)
        if context is not None:
            self._check_rows("context", context)
            if context.shape[0] != query.shape[0]:
                must = f"of batch {query.shape[0]}, as the query is"
                got = f"of batch {context.shape[0]}"
                refuse("context", got=got, must=must, do="give one context for each query")
            if causal:
                do = "give a mask (b, q, k) of the places that each query may attend to"
                refuse("causal", got="True", must="False with a context", do=do)
        if mask is not None:
            keys = query.shape[1] if context is None else context.shape[1]
            self._check_mask(mask, tuple(query.shape[:2]), keys)

    def _check_rows(self, name: str, rows: Any) -> None:
        """Refuse a query or a context of the wrong shape or dtype."""
        arrays.floats(name, rows, self.dim)
        if rows.ndim != 3:
            must = f"of shape (batch, places, {self.dim})"
            refuse(name, rows, must=must, do="give it three dimensions")
        own = self.query.weight.dtype
        if rows.dtype != own and not torch.is_autocast_enabled(rows.device.type):
            do = f"convert it with {name}.to({own}), or the module"
            refuse(name, rows, must=f"{own}, as the weights are", do=do, error=InputTypeError)

    def _check_mask(self, mask: Any, shape: tuple[int, int], keys: int) -> None:
        """Refuse a mask of the wrong shape or dtype."""
        shapes = ((shape[0], keys), (*shape, keys))
        must = f"a bool tensor of shape {shapes[0]} or {shapes[1]}"
        if arrays.dense("mask", mask, must, torch.bool).dtype != torch.bool:
            do = "give True for what may be attended to"
            refuse("mask", mask, must=must, do=do, error=InputTypeError)
        if tuple(mask.shape) not in shapes:
            do = "leave persistent rows out: they are always attended to"
            refuse("mask", mask, must=must, do=do)

    def _project(self, query: Tensor, context: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values of all heads.

        The product of queries and keys is what the rule takes. Both are float32 or wider; the
        values keep their dtype.
        """
        source = query if context is None else context
        queries = self._split(self.query(query))
        keys = self._split(self.key(source))
        values = self._split(self.value(source))
        if self.persistent_key is not None and self.persistent_value is not None:
            keys = _append(keys, self.persistent_key)
            values = _append(values, self.persistent_value)
        return self._scaled(queries), unit(keys) if self.normalise else widen(keys), values

    def _scaled(self, queries: Tensor) -> Tensor:
        """Scale the queries of all heads, so that their products with keys are what is weighed."""
        if not self.normalise:
            return widen(queries) * queries.shape[-1] ** -0.5
        queries = unit(queries)
        if self.log_beta is None:
            return queries
        return queries * widen(self.log_beta).exp()[:, None, None]

    def _moved(self, queries: Tensor, keys: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
        """Return the queries after all reads of keys."""
        for _ in range(self.steps - 1):
            queries = self._scaled(self._read(queries, keys, keys, mask, causal))
        return queries

    def _read(
        self, queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None, causal: bool
    ) -> Tensor:
        """Read once in every head, ``(b, h, q, e)``, in the dtype of the values."""
        beta = fused.inverse_temperature(self.separation)
        if beta is None or not keys.shape[2]:
            with no_autocast(values):
                keep = self._keep(queries, mask, causal)
                weights = weigh(products(queries, keys), self.separation, keep)
                return (weights @ values.to(weights.dtype)).to(values.dtype)
        # The kernel's own causal mask is faster, but it cannot be joined with another.
        plain = causal and mask is None and not self.persistent
        keep = None if plain else self._keep(queries, mask, causal)
        scaled, keys = (queries * beta).to(values.dtype), keys.to(values.dtype)
        read: Tensor = fused.attend(scaled, keys, values, keep, causal=plain)
        # Where all scores of a row are NaN or -inf, the kernel gives zeros.
        lost = ~scaled.isfinite().all(-1, keepdim=True)
        lost = lost | ~keys.isfinite().flatten(2).all(-1)[..., None, None]
        return read.masked_fill(lost, math.nan)

    def _split(self, rows: Tensor) -> Tensor:
        """Split ``(b, n, width)`` into heads ``(b, h, n, width / h)``."""
        batch, count, width = rows.shape
        return rows.reshape(batch, count, self.heads, width // self.heads).transpose(1, 2)

    def _keep(self, queries: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
        """Return what is attended to, ``(b or 1, 1, q or 1, k + persistent)``; None for all."""
        keep = None
        if mask is not None:
            keep = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
        if causal:
            count = queries.shape[2]
            past = torch.ones(count, count, dtype=torch.bool, device=queries.device).tril()
            keep = past[None, None] if keep is None else keep & past
        if keep is None or not self.persistent:
            return keep
        return torch.cat((keep, keep.new_ones(*keep.shape[:-1], self.persistent)), -1)


def _linear(width: int, out: int, bias: bool) -> nn.Linear:
    """Return a linear map whose weights are not initialised."""
    return nn.utils.skip_init(nn.Linear, width, out, bias=bias)  # type: ignore[no-untyped-call]


def _append(rows: Tensor, persistent: Tensor) -> Tensor:
    """Append the persistent rows of each head to those of every batch."""
    return torch.cat((rows, persistent.to(rows.dtype).expand(rows.shape[0], -1, -1, -1)), 2)


@functools.lru_cache(256)
def _default_beta(dim: int) -> float:
    """Return the beta of the softmax fitted to the best memory of ``dim`` bits."""
    bits = max(2, dim)
    radius = max(1, radius_.optimal(bits, PATTERNS).radius)
    return beta_.fit(bits, min(radius, bits // 2)).beta
