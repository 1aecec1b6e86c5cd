"""What a model is called with now: which tokens are padding, and which are special."""

import inspect
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanerva.probe._calls import Call
from kanerva.probe._sites import Site

__all__ = ["Inputs", "Tokens"]


class Tokens(NamedTuple):
    """What is known of the tokens of a call; None where it is not known.

    * ``real``: ``(b, q)`` bool, False for queries that are padding.
    * ``special``: ``(b, k)`` bool, True for keys of special tokens.
    * ``first``: ``(b,)`` place of the first key that is not padding.
    """

    real: Tensor | None = None
    special: Tensor | None = None
    first: Tensor | None = None


class Inputs(threading.local):
    """The arguments of the current forward pass of a model, in each thread.

    Args:
        model: the model.
        special: ids of special tokens; None where they are not known.
    """

    def __init__(self, model: nn.Module, special: Tensor | None = None) -> None:
        self.model, self.special = model, special
        self.current: dict[str, Any] = {}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Record the arguments of every forward pass of the model."""
        signature = inspect.signature(self.model.forward)

        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            try:
                self.current = signature.bind_partial(*args, **kwargs).arguments
            except TypeError:
                self.current = {}

        def after(module: nn.Module, args: Any, output: Any) -> None:
            self.current = {}

        hooks = (
            self.model.register_forward_pre_hook(before, with_kwargs=True),
            self.model.register_forward_hook(after, always_call=True),
        )
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def tokens(self, site: Site, call: Call) -> Tokens:
        """Return which tokens of a call are padding or special, by the arguments of the model."""
        if "vision" in site.name or "visual" in site.name:
            return Tokens()  # masks and ids are those of the text beside the image
        (batch, _, queries, _), keys = call.query.shape, call.key.shape[2]
        own = "decoder_" if self._decodes(site) else ""
        source = "" if site.kind == "cross" else own  # of what the keys are computed from
        ids = self._of_shape(f"{source}input_ids", batch, keys)
        special = None
        if ids is not None and self.special is not None:
            special = torch.isin(ids, self.special.to(ids.device))
        mask = self._given(f"{source}attention_mask")
        first = None
        if mask is not None and len(mask) == batch and mask.shape[1] <= keys:
            first = mask.bool().int().argmax(-1)
        return Tokens(self._real(own, batch, queries), special, first)

    def _decodes(self, site: Site) -> bool:
        """Return whether the queries of an attention are tokens of a decoder beside an encoder."""
        decoder = site.kind == "cross" or "decoder" in site.name.split(".")
        config = getattr(self.model, "config", None)
        return decoder and bool(getattr(config, "is_encoder_decoder", False))

    def _real(self, side: str, batch: int, queries: int) -> Tensor | None:
        """Return which queries are no padding."""
        real = self._of_shape(f"{side}attention_mask", batch, queries)
        if real is not None:
            return real.bool()
        names = (f"{side}input_ids", f"{side}inputs_embeds")
        if all(self._of_shape(name, batch, queries) is None for name in names):
            return None
        # With a cache, the mask covers the tokens of earlier calls too.
        real = self._given(f"{side}attention_mask")
        if real is None or len(real) != batch or real.shape[1] < queries:
            return None
        return real[:, -queries:].bool()

    def _given(self, name: str) -> Tensor | None:
        """Return an argument if it is a tensor with a dimension of texts and one of tokens."""
        value = self.current.get(name)
        dims = 3 if name.endswith("embeds") else 2
        return value if isinstance(value, Tensor) and value.ndim == dims else None

    def _of_shape(self, name: str, batch: int, length: int) -> Tensor | None:
        """Return an argument if it has so many texts of so many tokens."""
        value = self._given(name)
        return value if value is not None and value.shape[:2] == (batch, length) else None
