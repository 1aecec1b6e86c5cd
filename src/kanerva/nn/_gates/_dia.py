"""The cell of dense-and-implicit attention: a recurrent state along the depth of a network."""

import warnings
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse, warn
from kanerva.nn._gates._base import Gate, Gated, Stage, affine, bottleneck, draw, pool, spread
from kanerva.nn._heads import no_autocast, sound, widen

__all__ = ["DIA", "CellState", "DIACell", "narrowed"]

Pooled = Float[Tensor, "b c"]
SQUASH = {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
REDUCTION = 4


class CellState(NamedTuple):
    """The state of a ``DIACell``, in float32 or wider.

    Attributes:
        hidden: ``(b, cells * channels)``, the outputs of all cells of the stack, the first in
            front.
        cell: ``(b, cells * channels)``, their cell states.
    """

    hidden: Float[Tensor, "b n"]
    cell: Float[Tensor, "b n"]


class DIACell(nn.Module):
    r"""A recurrent cell whose output is the gate of the channels of a block.

    .. math:: [i\,|\,f\,|\,g\,|\,o] = G_x(y_t) + G_h(h_{t-1}), \quad
        c_t = \sigma(f) \odot c_{t-1} + \sigma(i) \odot \tanh(g), \quad
        h_t = \sigma(o) \odot \text{squash}(c_t)

    It differs from a cell of an LSTM in two points. The two linear maps are bottlenecks G, made of
    a linear map to max(1, channels // reduction), a rectifier, and a linear map to four times the
    channels. And c is squashed by the sigmoid, so that the gate is between 0 and 1. State and cell
    are zero at the first block. With weights of zero the first gate is 0.25, and it is close to
    that with those of ``reset``. With k the inner width, a cell has 10 c k + 2 k + 8 c parameters.

    Args:
        channels: c, width of the blocks, >= 1.
        reduction: >= 1, what divides the width inside the two maps.
        squash: ``"sigmoid"``, ``"tanh"`` or ``"relu"``, how c is squashed.
        cells: >= 1; every cell above the first takes the output of the one below as its input, and
            the output of the last is the gate.
        seed: an integer >= 0 or a CPU generator, for the first weights.

    Attributes:
        input: G_x, two linear maps with a rectifier between them.
        hidden: G_h, the same.
        above: the next cell of the stack, or None.

    Raises:
        InputError: a number out of range, or an unknown name.

    Warns:
        UserWarning: fewer channels than the reduction, whose inner width is 1.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> cell = nn.DIACell(channels=16)
        >>> sum(weight.numel() for weight in cell.parameters())
        776
        >>> gate, state = cell(torch.zeros(2, 16))
        >>> gate, state = cell(torch.ones(2, 16), state)
        >>> gate.shape, bool(((gate > 0) & (gate < 1)).all())
        (torch.Size([2, 16]), True)

    Source: Huang and others 2020; the code published with it.
    """

    @door
    def __init__(
        self,
        channels: int,
        reduction: int = REDUCTION,
        squash: str = "sigmoid",
        cells: int = 1,
        seed: int | torch.Generator = 0,
    ) -> None:
        super().__init__()
        self.channels = checks.integer("channels", channels, 1, checks.LONGEST)
        inner = narrowed(self.channels, reduction)
        self.reduction, self.squash = int(reduction), checks.choice("squash", squash, list(SQUASH))
        self.cells = checks.integer("cells", cells, 1, 1000)
        source = arrays.generator(seed)
        size = f"{self.channels}, with an inner width of {inner}"
        with checks.room("channels", size, 40 * self.channels * (inner + 1) * self.cells):
            self.input = bottleneck(self.channels, inner, 4 * self.channels)
            self.hidden = bottleneck(self.channels, inner, 4 * self.channels)
        self.above: DIACell | None = None
        if self.cells > 1:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the same warning was given above
                rest = (self.reduction, self.squash, self.cells - 1)
                self.above = DIACell(self.channels, *rest)
        self.reset(source)

    @torch.no_grad()
    @door
    def reset(self, seed: int | torch.Generator) -> "DIACell":
        """Draw the weights of all cells again, as torch draws those of linear maps.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> one, other = nn.DIACell(8).reset(1), nn.DIACell(8).reset(2)
            >>> (one.input[0].weight == other.input[0].weight).any().item()
            False
        """
        draw(self, arrays.generator(seed))
        return self

    @door("DIACell")
    def forward(self, pooled: Pooled, state: CellState | None = None) -> tuple[Pooled, CellState]:
        """Return the gate of a block, and the state for the next one.

        Args:
            pooled: ``(b, channels)``, the mean of each channel of the residual branch.
            state: of the block before, two tensors ``(b, cells * channels)``; zeros if omitted.

        Returns:
            the gate ``(b, channels)``, in the dtype of ``pooled``, and the state.

        Raises:
            InputError: shapes that do not fit, or numbers that are not finite.

        Example: see ``DIACell``.
        """
        arrays.floats("pooled", pooled, self.channels)
        if pooled.ndim != 2:
            must = f"of shape (batch, {self.channels})"
            refuse("pooled", pooled, must=must, do="average over the places first")
        if state is not None:
            state = self._state(state, len(pooled))
        with no_autocast(pooled):
            gate, state = self.step(widen(pooled), state)
        return sound(gate.to(pooled.dtype), pooled=pooled), state

    def step(self, rows: Tensor, state: CellState | None) -> tuple[Tensor, CellState]:
        """Compute as ``forward`` does, on rows in float32 or wider, without checks."""
        width = self.channels
        if state is None:
            zero = rows.new_zeros(rows.shape[0], width * self.cells)
            state = CellState(zero, zero)
        hidden, cell = (one[:, :width] for one in state)
        parts = affine(self.input, rows) + affine(self.hidden, hidden)
        enter, forget, candidate, leave = parts.chunk(4, 1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        hidden = leave.sigmoid() * SQUASH[self.squash](cell)
        if self.above is None:
            return hidden, CellState(hidden, cell)
        rest = CellState(*(one[:, width:] for one in state))
        gate, rest = self.above.step(hidden, rest)
        joined = (torch.cat(pair, 1) for pair in zip((hidden, cell), rest, strict=True))
        return gate, CellState(*joined)

    def extra_repr(self) -> str:
        """Return the arguments that the module was built with."""
        return (
            f"channels={self.channels}, reduction={self.reduction}, squash={self.squash!r}, "
            f"cells={self.cells}"
        )

    def _state(self, state: Any, batch: int) -> CellState:
        """Return a given state, if it has the shapes of this cell."""
        shape = (batch, self.cells * self.channels)
        must, do = f"two floating tensors of shape {shape}", "give what the last call returned"
        if not isinstance(state, tuple) or len(state) != 2:
            refuse("state", state, must=must, do=do)
        for one in state:
            arrays.floats("state", one, shape[1])
            if tuple(one.shape) != shape:
                refuse("state", one, must=must, do=do)
        return CellState(*map(widen, state))


class DIA(Gate):
    r"""Gates channels by a ``DIACell``, whose state runs along the depth of the stage.

    .. math:: h_t, s_t = \text{cell}(\text{mean}(a_t), s_{t-1})
    """

    def __init__(self, stage: Stage, **options: Any) -> None:
        super().__init__()
        self.cell = DIACell(stage.channels, stage.reduction or REDUCTION, **options)

    def forward(self, features: Tensor, state: CellState | None) -> Gated:
        """Return the gate, ``(b, c, 1, ...)``, and the state."""
        gate, state = self.cell.step(pool(features), state)
        return spread(gate, features), state


def narrowed(channels: int, reduction: Any) -> int:
    """Return the inner width of a bottleneck; warn where it would be 0."""
    reduction = checks.integer("reduction", reduction, 1, checks.LONGEST)
    if channels < reduction:
        text = f"{channels} channels are fewer than the reduction {reduction}: the inner width is 1"
        warn(text)
    return max(1, channels // reduction)
