"""Learned rows of keys and values, which any query reads."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.nn._heads import blame, no_autocast, products, sound, weigh
from kanerva.nn._reader import Reader, check_dtype, draw_linear, linear, read
from kanerva.separation import Separation

__all__ = ["Lookup"]

Query = Float[Tensor, "*batch dim"]
Mask = Bool[Tensor, "*_mask"] | None


class Lookup(Reader):
    r"""Reads a table of learned rows, of which each head has its own.

    .. math:: y = W_o \sum_i w_i v_i, \quad w = \text{separation}(s), \quad
        s_i = \beta_h \frac{q \cdot k_i}{|q| |k_i|} \text{ normalised, else }
        \frac{q \cdot k_i}{\sqrt d}, \quad q = W_q x

    This is ``Attention`` to persistent rows alone, without the two maps of a context. Scores, rules
    and steps are as there: with more than one step, the query first moves among the keys.

    A value may be wider than a key. With ``value_dim = n * dim`` each key has n values of the width
    of a key, all read with the same weights; ``out`` joins them.

    The initial weights are those of ``reset(0)``.

    Args:
        dim: width of queries and output, >= 1.
        heads: number of heads, >= 1; it divides ``dim`` into heads of width d = ``dim / heads``.
        rows: number of rows of each head, >= 1.
        value_dim: width of the values of all heads together, a multiple of ``heads``; ``dim`` if
            omitted.
        steps: reads in a row, >= 1; all but the last are of keys.
        normalise: scale queries and keys to length one.
        beta: > 0, initial inverse temperature of every head, as in ``Attention``.
        separation: any rule without self-coupling; ``Softmax`` if omitted.

    Attributes:
        key: ``(heads, rows, d)``, trained.
        value: ``(heads, rows, value_dim / heads)``, trained.
        log_beta: ``(heads,)`` logarithms of the inverse temperatures, trained; None where the rule
            has none or the heads are not normalised.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> table = nn.Lookup(dim=64, heads=4, rows=100)
        >>> table(torch.ones(2, 7, 64)).shape, table(torch.ones(64)).shape
        (torch.Size([2, 7, 64]), torch.Size([64]))
        >>> table.weights(torch.ones(64)).shape
        torch.Size([4, 100])

    Source: Ramsauer and others 2021, the Hopfield layer with trained patterns; Sukhbaatar and
    others 2019, all-attention.
    """

    @door
    def __init__(
        self,
        dim: int,
        heads: int,
        rows: int,
        value_dim: int | None = None,
        *,
        steps: int = 1,
        normalise: bool = True,
        beta: float | None = None,
        separation: Separation | None = None,
    ) -> None:
        super().__init__(dim, heads, value_dim, normalise, steps)
        self.rows = checks.integer("rows", rows, 1, checks.LONGEST)
        self._set_rule(beta, separation)
        size = f"{self.rows} rows of {self.dim}, with values of {self.value_dim}"
        numbers = (self.dim + self.value_dim) * (self.dim + self.rows)
        with checks.room("rows", size, 8 * numbers):  # as many again while they are drawn
            self.query = linear(self.dim, self.dim, True)
            self.out = linear(self.value_dim, self.dim, True)
            shape = (self.heads, self.rows)
            self.key = nn.Parameter(torch.empty(*shape, self.dim // self.heads))
            self.value = nn.Parameter(torch.empty(*shape, self.value_dim // self.heads))
            self.reset(0)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "Lookup":
        """Draw all weights again.

        The weights of a linear map are uniform within 1 / sqrt(its input width) of zero, the rows
        are normal with variance 1 / d, biases are zero, and every beta has its initial value.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> one, other = nn.Lookup(64, 4, 10).reset(1), nn.Lookup(64, 4, 10).reset(2)
            >>> (one.key == other.key).any().item()
            False
        """
        source = arrays.generator(seed)
        for part in (self.query, self.out):
            draw_linear(part, source)
        deviation = (self.dim // self.heads) ** -0.5
        for table in (self.key, self.value):
            table.copy_(arrays.draw(torch.randn, table, source) * deviation)
        self._reset_beta()
        return self

    @torch.no_grad()
    @door
    def load(
        self, keys: Float[Tensor, "rows dim"], values: Float[Tensor, "rows value_dim"]
    ) -> "Lookup":
        """Fill all rows from data, in place of the learned ones.

        The keys go through the map of the queries, so that a query equal to one of them finds its
        row in every head. The values are taken as they are, in parts, one for each head; a query
        that finds row i alone gives ``out(values[i])``.

        Args:
            keys: ``(rows, dim)``, in the dtype of the weights.
            values: ``(rows, value_dim)``, in the dtype of the weights.

        Returns:
            the module itself.

        Raises:
            InputError: shapes or dtypes that do not fit, or numbers that are not finite; then no
                row is changed.

        Example:
            >>> import torch
            >>> from kanerva import nn
            >>> table = nn.Lookup(dim=8, heads=2, rows=3, beta=50.0)
            >>> faces = torch.eye(3, 8)
            >>> table.load(faces, faces).weights(faces[1])[0].round(decimals=2).tolist()
            [0.0, 1.0, 0.0]
        """
        for name, given, width in (("keys", keys, self.dim), ("values", values, self.value_dim)):
            arrays.rows(name, given, self.rows, width)
            arrays.floats(name, given, width)
            check_dtype(name, given, self.key.dtype)
            arrays.finite(name, given)
        found = self._split(self.query(keys)[None])[0]
        self.key.copy_(sound(found, keys=keys))
        self.value.copy_(self._split(values[None])[0])
        return self

    @door("Lookup")
    @blame
    def forward(self, query: Query, mask: Mask = None) -> Query:
        """Read the rows.

        Args:
            query: ``(..., dim)``.
            mask: bool, broadcasts to ``(..., rows)``; False leaves a row out.

        Returns:
            ``(..., dim)``; where all rows are left out, the last linear map of zeros.

        Raises:
            InputError: shapes or dtypes that do not fit, or numbers that are not finite. In a
                compiled module, what reads them is NaN.

        Example: see ``Lookup``.
        """
        queries, keep = self._queries(query, mask)
        found = read(queries, self._keys(), self.value[None], self.separation, keep)
        output: Tensor = self.out(found.transpose(1, 2).flatten(2))
        return sound(output.reshape(query.shape), query=query)

    @door
    @blame
    def weights(self, query: Query, mask: Mask = None) -> Float[Tensor, "*batch heads rows"]:
        """Return the weights with which ``forward`` reads the values.

        Args:
            query: as in ``forward``.
            mask: as in ``forward``.

        Returns:
            ``(..., heads, rows)``.

        Raises:
            InputError: as in ``forward``.

        Example: see ``Lookup``.
        """
        queries, keep = self._queries(query, mask)
        with no_autocast(query):
            weights = weigh(products(queries, self._keys()), self.separation, keep)
        weights = weights[0].transpose(0, 1).to(query.dtype)
        return sound(weights.reshape(*query.shape[:-1], self.heads, self.rows), query=query)

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with."""
        beta = "" if self.start is None else f"beta={self.start:g}, "
        return (
            f"dim={self.dim}, heads={self.heads}, rows={self.rows}, value_dim={self.value_dim}, "
            f"steps={self.steps}, normalise={self.normalise}, {beta}separation={self.separation}"
        )

    def _keys(self) -> Tensor:
        """Return the keys as queries are compared with them, ``(1, heads, rows, d)``."""
        return self._ready(self.key)[None]

    def _queries(self, query: Any, mask: Any) -> tuple[Tensor, Tensor | None]:
        """Return the queries of all heads after their steps, as one batch, and what they read."""
        check_dtype("query", arrays.floats("query", query, self.dim), self.key.dtype)
        keep = None if mask is None else self._keep(mask, query.shape[:-1])
        rows = self.query(query).reshape(1, -1, self.dim)
        return self._moved(self._scaled(self._split(rows)), self._keys(), keep, False), keep

    def _keep(self, mask: Any, lead: torch.Size) -> Tensor:
        """Return which rows each query reads, ``(1, 1, queries, rows)``."""
        shape = (*lead, self.rows)
        must = f"a bool tensor that broadcasts to {shape}"
        if arrays.dense("mask", mask, must, torch.bool).dtype != torch.bool:
            do = "give True for the rows that may be read"
            refuse("mask", mask, must=must, do=do, error=InputTypeError)
        if arrays.together(mask.shape, shape) != shape:
            refuse("mask", mask, must=must, do="give one entry for each row")
        return mask.expand(shape).reshape(1, 1, -1, self.rows)
