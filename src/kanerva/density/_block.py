"""A block of a transformer, in two parts: the rows of its attention, and what is read from rows."""

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

__all__ = ["Block", "Rows", "blank", "reset"]

# Keys and values of tokens in one layer, ``(..., heads, tokens, width / heads)`` each.
Rows = tuple[Tensor, Tensor]


class Block(nn.Module):
    """Attention and a feed-forward layer, each behind a layer norm and added to its input.

    Args:
        width: of a token.
        heads: of the attention; they divide ``width``.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.project, self.out = blank(width, 3 * width), blank(width, width)
        self.wide, self.narrow = blank(width, 4 * width), blank(4 * width, width)

    def rows(self, x: Tensor) -> tuple[Tensor, Rows]:
        """Return the queries of tokens ``(..., t, width)``, and their keys and values."""
        mapped = self.project(self.norms[0](x)).unflatten(-1, (3 * self.heads, -1))
        query, key, value = mapped.transpose(-2, -3).chunk(3, dim=-3)
        return query, (key, value)

    def forward(self, x: Tensor, query: Tensor, rows: Rows, mask: Tensor) -> Tensor:
        """Add what tokens read from rows: those that the mask ``(t, rows)`` of bool keeps."""
        read = scaled_dot_product_attention(query, *rows, attn_mask=mask)
        x = x + self.out(read.transpose(-2, -3).flatten(-2))
        fed: Tensor = self.narrow(gelu(self.wide(self.norms[1](x))))
        return x + fed


def blank(width: int, out: int) -> nn.Linear:
    """Return a linear map whose weights are not drawn yet."""
    return nn.utils.skip_init(nn.Linear, width, out)  # type: ignore[no-untyped-call]


@torch.no_grad()
def reset(module: nn.Module, source: torch.Generator) -> None:
    """Draw the weights of all linear maps uniform within 1 / sqrt(their input width) of zero."""
    for part in module.modules():
        if isinstance(part, nn.Linear):
            drawn = torch.rand(part.weight.shape, generator=source)
            part.weight.copy_((2 * drawn - 1) * part.in_features**-0.5)
            part.bias.zero_()
