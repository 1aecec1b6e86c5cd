"""An energy that a transformer learns to read off its context."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.density import _points
from kanerva.density._block import Block, Rows, blank, reset
from kanerva.density._langevin import Langevin, gradient, starts, walk

__all__ = ["Given", "InContext"]

Points = Float[Tensor, "*batch n d"]
Queries = Float[Tensor, "*more k d"]


class InContext(nn.Module):
    r"""A causal transformer whose output for a query is an energy, given the points of a context.

    .. math:: p(x \mid x_1, \ldots, x_j) \propto \exp(-E(x \mid x_1, \ldots, x_j))

    Points of the context and queries are tokens with one linear map and a type vector each, and no
    positions. A point of the context sees those before it and itself. A query sees some of the
    context and itself, no other query. So one pass gives the energies of all queries and of all
    lengths of the context, and no query changes what is computed for the context. The weights stay
    as they are when the context changes: what the model knows of the context is read from it, as
    from a memory. Blocks are pre-norm, with GELU, and four times the width inside; there is no norm
    before the last linear map, since it would bound the energy of points far away.

    Args:
        dim: d, length of a point, >= 1.
        width: of a token, a multiple of ``heads``.
        layers: number of blocks, >= 1.
        heads: number of heads of each block, >= 1.
        seed: of the weights, an integer >= 0 or a CPU generator.
        dtype: a floating dtype, of the weights, the points and the energies.

    Raises:
        InputError: numbers out of their range, or a width that ``heads`` does not divide.

    Example:
        >>> import torch
        >>> from kanerva.density import InContext
        >>> model = InContext(dim=2, width=16)
        >>> points = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, 0.0]])
        >>> model.energy(points, points).shape  # given none, the first, the first two
        torch.Size([3])
        >>> grid = torch.rand(100, 2, generator=torch.Generator().manual_seed(0))
        >>> model.energy(points, grid, seen=3).shape  # each given all three
        torch.Size([100])

    Source: Schaeffer and others 2024, "In-Context Learning of Energy Functions".
    """

    @door
    def __init__(
        self,
        dim: int,
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        *,
        seed: int | torch.Generator = 0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__()
        self.dim = checks.integer("dim", dim, 1, checks.LONGEST)
        width = checks.integer("width", width, 1, checks.LONGEST)
        layers = checks.integer("layers", layers, 1, checks.LONGEST)
        heads = checks.integer("heads", heads, 1, checks.LONGEST)
        if width % heads:
            must, do = f"a multiple of the {heads} heads", "give each head the same width"
            refuse("width", got=str(width), must=must, do=do)
        arrays.floating(dtype)
        source = arrays.generator(seed)
        numbers = width * (12 * width * layers + self.dim)
        with checks.room("width", f"{width}, in {layers} layers", 8 * numbers):
            self.place = blank(self.dim, width)
            self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
            self.out = blank(width, 1)
            reset(self, source)
            # Type vectors of the points of a context, and of queries.
            self.types = nn.Parameter(torch.randn(2, width, generator=source) * width**-0.5)
            self.to(dtype)

    def forward(
        self, context: Points, query: Queries, seen: int | None = None
    ) -> Float[Tensor, "*shared k"]:
        """Return the energies, as ``energy`` does."""
        return self.energy(context, query, seen)

    @door
    def energy(
        self, context: Points, query: Queries, seen: int | None = None
    ) -> Float[Tensor, "*shared k"]:
        r"""Return the energy of each query, given the points of the context that it sees.

        .. math:: E_i = E(q_i \mid x_1, \ldots, x_{i-1})

        Leading dimensions broadcast, and what is computed for a context is shared by its queries.
        So the maps of all lengths of one context ``(n, d)`` are one call, with queries
        ``(points, n, d)``.

        Args:
            context: ``(..., n, d)`` in the dtype of the weights, finite; n may be 0.
            query: ``(..., k, d)``, finite.
            seen: None, where query i sees the points before i, none to k - 1 of them; k is n + 1 at
                most. Or a number from 0 to n: every query sees so many points, for any k.

        Returns:
            ``(..., k)``, in a unit of the model's own, and up to a constant that may depend on the
            context.

        Raises:
            InputError: shapes or dtypes that do not fit, or numbers that are not finite.

        Example:
            >>> import torch
            >>> from kanerva.density import InContext
            >>> model, points = InContext(dim=2, width=16), torch.eye(2)
            >>> maps = model.energy(points, torch.zeros(5, 2, 2))
            >>> one = model.energy(points, torch.zeros(1, 2), seen=1)
            >>> maps.shape, torch.allclose(maps[:, 1], one)
            (torch.Size([5, 2]), True)
        """
        context, query = _points.checked(context, query, self.dim, self.types)
        given = Given(self, context, _points.visible(context, query, seen))
        return self._finite(given(query))

    @door
    def score(
        self, context: Points, query: Queries, seen: int | None = None
    ) -> Float[Tensor, "*shared k d"]:
        r"""Return the slope of the log density at each query, which points to where data lie.

        .. math:: s_i = -\nabla_{q_i} E(q_i \mid x_1, \ldots, x_{i-1})

        Args:
            context: ``(..., n, d)``, as in ``energy``.
            query: ``(..., k, d)``.
            seen: as in ``energy``.

        Returns:
            ``(..., k, d)``, detached.

        Raises:
            InputError: as ``energy``.

        Example:
            >>> import torch
            >>> from kanerva.density import InContext
            >>> InContext(dim=2, width=16).score(torch.eye(2), torch.zeros(2, 2)).shape
            torch.Size([2, 2])
        """
        context, query = _points.checked(context, query, self.dim, self.types)
        with torch.no_grad():
            given = Given(self, context, _points.visible(context, query, seen))
        shared = arrays.together(context.shape[:-2], query.shape[:-2])
        assert shared is not None
        return -self._finite(gradient(given, query.expand(*shared, *query.shape[-2:])))

    @door
    def sample(
        self,
        context: Points,
        count: int,
        chain: Langevin | None = None,
        seed: int | torch.Generator = 0,
    ) -> Float[Tensor, "*batch count d"]:
        """Draw samples of the next point, given a whole context.

        Args:
            context: ``(..., n, d)``, as in ``energy``.
            count: number of samples for each context, >= 0.
            chain: how they are drawn; ``Langevin()`` if omitted.
            seed: of the starts and the noise, an integer >= 0 or a CPU generator.

        Returns:
            ``(..., count, d)``.

        Raises:
            InputError: as ``energy``, or chains that leave the range of the dtype.

        Example:
            >>> import torch
            >>> from kanerva.density import InContext
            >>> InContext(dim=2, width=16).sample(torch.eye(2), 5).shape
            torch.Size([5, 2])
        """
        count, source = checks.integer("count", count, 0, checks.LONGEST), arrays.generator(seed)
        chain = Langevin.of(chain)
        context, _ = _points.checked(context, context, self.dim, self.types)
        with torch.no_grad():
            given = Given(self, context, context.shape[-2])
        shape = (*context.shape[:-2], count, self.dim)
        with checks.room(
            "count", f"{count} for each context", 32 * count * context[..., 0].numel()
        ):
            found = walk(given, starts(shape, self.types, chain, source), chain, source)
        if not arrays.sound(found):
            must, do = "such that its samples stay finite", "lower its rate, or scale the data"
            refuse("chain", got=f"{chain}, which leaves the range of floats", must=must, do=do)
        return found

    def _finite(self, found: Tensor) -> Tensor:
        """Return what was computed if it is finite."""
        if not arrays.sound(found):
            must, do = "such that its energy is finite", "scale the data, or train the model anew"
            refuse("query", got="one whose energy overflows", must=must, do=do)
        return found


class Given:
    """The energy of a model, given contexts that are read once.

    Args:
        model: as it is now.
        context: ``(..., n, d)``.
        seen: how many points every query sees; None where query i sees those before it.
    """

    def __init__(self, model: InContext, context: Tensor, seen: int | None) -> None:
        self.model, self.seen = model, seen
        # Queries that all see the same points are a dimension of their own, a row each, so that the
        # cost is linear in their number.
        context = context if seen is None else context[..., None, :seen, :]
        self.shape, count = context.shape[:-2], context.shape[-2]
        x = (model.place(context) + model.types[0]).reshape(
            math.prod(self.shape), count, len(model.types[0])
        )
        causal = torch.ones(count, count, dtype=torch.bool, device=x.device).tril()
        self.layers: list[Rows] = []
        for place, block in enumerate(model.blocks, 1):
            assert isinstance(block, Block)
            asked, rows = block.rows(x)
            self.layers.append(rows)
            if place < len(model.blocks):  # nothing reads the points after the last rows
                x = block(x, asked, rows, causal)

    def __call__(self, query: Tensor) -> Tensor:
        """Return the energies ``(..., k)`` of queries ``(..., k, d)``."""
        query = query if self.seen is None else query.unsqueeze(-2)
        shape, count = arrays.together(self.shape, query.shape[:-2]), query.shape[-2]
        assert shape is not None
        x = self.model.place(query) + self.model.types[1]
        x = x.expand(*shape, -1, -1).reshape(math.prod(shape), count, x.shape[-1])
        mask = self._mask(count, x.device)
        for block, layer in zip(self.model.blocks, self.layers, strict=True):
            assert isinstance(block, Block)
            asked, own = block.rows(x)
            keys, values = (
                self._before(old, new, shape) for old, new in zip(layer, own, strict=True)
            )
            x = block(x, asked, (keys, values), mask)
        found: Tensor = self.model.out(x)
        return found.reshape(shape if self.seen is not None else (*shape, count))

    def _mask(self, count: int, device: torch.device) -> Tensor:
        """Return what each of so many queries sees: points of the context, and itself."""
        held = self.layers[0][0].shape[-2]
        own = torch.eye(count, dtype=torch.bool, device=device)
        seen = torch.ones(count, held, dtype=torch.bool, device=device)
        return torch.cat((seen.tril(-1) if self.seen is None else seen, own), -1)

    def _before(self, old: Tensor, new: Tensor, shape: tuple[int, ...]) -> Tensor:
        """Put the rows of the context before those of the queries, in every batch."""
        old = old.reshape(*self.shape, *old.shape[1:]).expand(*shape, -1, -1, -1)
        return torch.cat((old.reshape(len(new), *old.shape[-3:]), new), -2)
