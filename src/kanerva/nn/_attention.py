"""Attention as a module: linear maps around one read, persistent rows, one beta for each head."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.nn._heads import blame, no_autocast, products, sound, weigh
from kanerva.nn._reader import Reader, check_dtype, check_mask, draw_linear, linear, past, read
from kanerva.separation import Separation

__all__ = ["Attention"]

Query = Float[Tensor, "b q dim"]
Context = Float[Tensor, "b k dim"] | None
Mask = Bool[Tensor, "b *_mask"] | None


class Attention(Reader):
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

    Softmax is read by torch's fused kernel, which has no second derivatives: for these, call the
    layer inside ``torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH)``.

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
            omitted. With ``n * dim``, each key has n values of its own width, and all of them are
            read with the same weights, as by n reads.
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
        super().__init__(dim, heads, value_dim, normalise, steps)
        self.persistent = checks.integer("persistent", persistent, 0, checks.LONGEST)
        bias = checks.flag("bias", bias)
        self._set_rule(beta, separation)
        size = f"{self.dim}, with values of {self.value_dim} and {self.persistent} persistent rows"
        numbers = (self.dim + self.value_dim) * (2 * self.dim + self.persistent)
        with checks.room("dim", size, 8 * numbers):  # as many again while they are drawn
            self.query = linear(self.dim, self.dim, bias)
            self.key = linear(self.dim, self.dim, bias)
            self.value = linear(self.dim, self.value_dim, bias)
            self.out = linear(self.value_dim, self.dim, bias)
            self.persistent_key = self._persistent_rows(self.dim)
            self.persistent_value = self._persistent_rows(self.value_dim)
            self.reset(0)

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
        for part in (self.query, self.key, self.value, self.out):
            draw_linear(part, source)
        deviation = (self.dim // self.heads) ** -0.5
        for rows in (self.persistent_key, self.persistent_value):
            if rows is not None:
                rows.copy_(arrays.draw(torch.randn, rows, source) * deviation)
        self._reset_beta()
        return self

    @door("Attention")
    @blame
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
        keep, plain = self._left(queries, mask, causal)
        queries = self._moved(queries, keys, keep, plain)
        found = read(queries, keys, values, self.separation, keep, plain)
        output: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return sound(output, query=query, context=query if context is None else context)

    @door
    @blame
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
        keep, plain = self._left(queries, mask, causal)
        queries = self._moved(queries, keys, keep, plain)
        with no_autocast(query):
            keep = past(queries) if plain else keep
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
            shapes = ((query.shape[0], keys), (*query.shape[:2], keys))
            do = "leave persistent rows out: they are always attended to"
            check_mask(mask, shapes, do)

    def _check_rows(self, name: str, rows: Any) -> None:
        """Refuse a query or a context of the wrong shape or dtype."""
        arrays.floats(name, rows, self.dim)
        if rows.ndim != 3:
            must = f"of shape (batch, places, {self.dim})"
            refuse(name, rows, must=must, do="give it three dimensions")
        check_dtype(name, rows, self.query.weight.dtype)

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
        return self._scaled(queries), self._ready(keys), values

    def _left(
        self, queries: Tensor, mask: Tensor | None, causal: bool
    ) -> tuple[Tensor | None, bool]:
        """Return what is attended to, None for all, and whether to leave out what comes later.

        The fused kernel's own causal mask is faster, but it cannot be joined with another.
        """
        plain = causal and mask is None and not self.persistent
        return (None if plain else self._keep(queries, mask, causal)), plain

    def _keep(self, queries: Tensor, mask: Tensor | None, causal: bool) -> Tensor | None:
        """Return what is attended to, ``(b or 1, 1, q or 1, k + persistent)``; None for all."""
        keep = None
        if mask is not None:
            keep = mask[:, None, None] if mask.ndim == 2 else mask[:, None]
        if causal:
            keep = past(queries) if keep is None else keep & past(queries)
        if keep is None or not self.persistent:
            return keep
        return torch.cat((keep, keep.new_ones(*keep.shape[:-1], self.persistent)), -1)


def _append(rows: Tensor, persistent: Tensor) -> Tensor:
    """Append the persistent rows of each head to those of every batch."""
    return torch.cat((rows, persistent.to(rows.dtype).expand(rows.shape[0], -1, -1, -1)), 2)
