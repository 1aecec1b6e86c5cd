"""A gate that is a memory over depth: features query the gates of earlier blocks."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva.nn._gates._base import Gate, Gated, Stage, affine, bottleneck, pool, spread
from kanerva.nn._gates._dia import REDUCTION, narrowed
from kanerva.nn._reader import linear, read
from kanerva.separation import Softmax

__all__ = ["Recall", "Recalled"]


class Recalled(NamedTuple):
    """What a block finds of the t blocks before it.

    Attributes:
        keys: ``(b, t, d)``.
        gates: ``(b, t, c)``.
    """

    keys: Float[Tensor, "b t d"]
    gates: Float[Tensor, "b t c"]


class Recall(Gate):
    r"""Gates channels by their means, and by the gates of earlier blocks with similar means.

    .. math:: h_t = \sigma\bigl(G(y_t) + G_r(r_t)\bigr), \quad
        r_t = \sum_{s < t} \text{softmax}_s\Bigl(\frac{Q y_t \cdot K y_s}{\sqrt d}\Bigr) h_s,
        \quad y_t = \text{mean}(a_t)

    This is a read of a memory that is written block by block, in place of a recurrent cell. At the
    first block r is zero. Queries and keys have d = max(1, c // reduction) numbers. The inner
    widths of the bottlenecks G are such that the gate has as many parameters as a ``DIACell``, but
    for two per cent at the usual reduction. Without earlier blocks, as with one gate for each
    block, Q and K have no effect and no gradient.
    """

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        width = stage.channels
        inner = narrowed(width, stage.reduction or REDUCTION)
        self.query = linear(width, inner, True)
        self.key = linear(width, inner, True)
        # Both widths together; the cell has 10 c d + 2 d + 8 c parameters.
        both = round((8 * width * inner + 6 * width) / (2 * width + 1))
        self.maps = bottleneck(width, both // 2, width)
        self.recalled = bottleneck(width, both - both // 2, width)

    def forward(self, features: Tensor, state: Recalled | None) -> Gated:
        """Return the gate, ``(b, c, 1, ...)``, and the keys and gates of all blocks so far."""
        rows = pool(features)
        query, key = (
            torch.nn.functional.linear(rows, part.weight.to(rows.dtype), part.bias.to(rows.dtype))
            for part in (self.query, self.key)
        )
        found = torch.zeros_like(rows)
        if state is not None:
            query = query[:, None, None] * query.shape[1] ** -0.5
            keys, gates = (one[:, None] for one in state)
            found = read(query, keys, gates, Softmax(1.0))[:, 0, 0]
        gate = (affine(self.maps, rows) + affine(self.recalled, found)).sigmoid()
        new = Recalled(key[:, None], gate[:, None])
        if state is not None:
            new = Recalled(*(torch.cat(pair, 1) for pair in zip(state, new, strict=True)))
        return spread(gate, features), new
