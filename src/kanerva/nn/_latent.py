"""Attention of a few learned queries to an input of any length."""

from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import named, refuse
from kanerva.nn._attention import Attention

__all__ = ["LatentAttention"]

Context = Float[Tensor, "b k dim"]
Mask = Bool[Tensor, "b k"] | None

OPTIONS = ("normalise", "beta", "persistent", "value_dim", "separation", "bias", "steps")


class LatentAttention(nn.Module):
    r"""Reads an input of any length with a fixed number of learned queries.

    .. math:: y = \text{Attention}(\text{latents}, x)

    Args:
        dim: width of the input, the latents and the output, >= 1.
        heads: number of heads, >= 1; it divides ``dim``.
        latents: number of learned queries, >= 1, which is the number of rows of the output.
        **options: of ``Attention``.

    Attributes:
        latents: ``(latents, dim)``, trained; they start as normal random numbers of standard
            deviation 0.02.
        attention: the ``Attention`` from the latents to the input.

    Raises:
        InputError: as ``Attention`` does.

    Example:
        >>> import torch
        >>> from kanerva import nn
        >>> pool = nn.LatentAttention(dim=64, heads=4, latents=5)
        >>> pool(torch.zeros(2, 100, 64)).shape, pool(torch.zeros(2, 7, 64)).shape
        (torch.Size([2, 5, 64]), torch.Size([2, 5, 64]))

    Source: Jaegle and others 2021, Perceiver, the cross-attention of its latent array.
    """

    @named()
    def __init__(self, dim: int, heads: int, latents: int, **options: Any) -> None:
        super().__init__()
        checks.keywords(options, *OPTIONS)
        count = checks.integer("latents", latents, 1, checks.LONGEST)
        self.attention = Attention(dim, heads, **options)
        with checks.room("latents", f"{count} rows of {dim}", 12 * count * self.attention.dim):
            self.latents = nn.Parameter(torch.empty(count, self.attention.dim))
            self.reset(0)

    @torch.no_grad()
    @named()
    def reset(self, seed: int | torch.Generator) -> "LatentAttention":
        """Draw all weights again.

        Args:
            seed: an integer >= 0, or a CPU generator to be shared by the layers of a model.

        Returns:
            the module itself.

        Example:
            >>> from kanerva import nn
            >>> round(nn.LatentAttention(64, 4, latents=100).reset(1).latents.std().item(), 2)
            0.02
        """
        source = arrays.generator(seed)
        self.attention.reset(source)
        self.latents.copy_(0.02 * arrays.draw(torch.randn, self.latents, source))
        return self

    @named(query="latents")
    def forward(self, context: Context, mask: Mask = None) -> Float[Tensor, "b latents dim"]:
        """Read an input.

        Args:
            context: ``(b, k, dim)``.
            mask: ``(b, k)`` bool; False leaves a place out.

        Returns:
            ``(b, latents, dim)``.

        Raises:
            InputError: shapes or dtypes that do not fit.

        Example: see ``LatentAttention``.
        """
        output: Tensor = self.attention(self._queries(context), context, mask)
        return output

    @named(query="latents")
    def weights(self, context: Context, mask: Mask = None) -> Float[Tensor, "b heads latents _k"]:
        """Return the weights with which ``forward`` reads.

        Args:
            context: as in ``forward``.
            mask: as in ``forward``.

        Returns:
            ``(b, heads, latents, k + persistent)``.

        Example: see ``Attention.weights``.
        """
        return self.attention.weights(self._queries(context), context, mask)

    def _queries(self, context: Any) -> Tensor:
        """Repeat the latents for every input of the batch."""
        arrays.floats("context", context, self.attention.dim)
        if context.ndim != 3:
            must = f"of shape (batch, places, {self.attention.dim})"
            refuse("context", context, must=must, do="give it three dimensions")
        return self.latents.expand(context.shape[0], -1, -1)
