"""Measure the heads of a transformer during its forward passes, without changing its outputs."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import torch
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse, warn
from kanerva.probe import _fit
from kanerva.probe._calls import Call
from kanerva.probe._head import Head
from kanerva.probe._inputs import Inputs
from kanerva.probe._intercept import intercepted
from kanerva.probe._sites import Site, chosen, listed, sites
from kanerva.probe._summary import Summary

__all__ = ["Heads", "watch"]

LAST = 2**63 - 1


class Heads(Sequence[Head]):
    """The measured heads of a model, layer by layer; see ``watch``.

    A head is ``heads[5]`` by its place, or ``heads[layer, index]``.

    Example:
        >>> import torch
        >>> from kanerva import probe
        >>> layer = torch.nn.TransformerEncoderLayer(16, 4, batch_first=True).eval()
        >>> with probe.watch(layer) as heads, torch.no_grad():
        ...     _ = layer(torch.ones(2, 10, 16))
        >>> len(heads), heads[0, 3].attended
        (4, 10.0)
    """

    def __init__(self, model: nn.Module, found: Sequence[Site]) -> None:
        self.model = model
        self._sites = {site.layer: site for site in found}
        self._summaries: dict[int, Summary] = {}

    @property
    def layers(self) -> list[int]:
        """The attentions that were called."""
        return sorted(self._summaries)

    def _all(self) -> list[Head]:
        return [
            Head(self._sites[layer], index, self._summaries[layer])
            for layer in self.layers
            for index in range(self._summaries[layer].heads)
        ]

    def __len__(self) -> int:
        return sum(summary.heads for summary in self._summaries.values())

    @overload
    def __getitem__(self, place: int | tuple[int, int]) -> Head: ...
    @overload
    def __getitem__(self, place: slice) -> list[Head]: ...
    @door("heads")
    def __getitem__(self, place: Any) -> Any:
        pair = isinstance(place, tuple) and len(place) == 2
        if not pair and not isinstance(place, slice) and not hasattr(place, "__index__"):
            must, do = "an integer, a slice, or (layer, index)", "write heads[5] or heads[1, 0]"
            refuse("place", place, must=must, do=do, error=InputTypeError)
        if not pair:
            place = place if isinstance(place, slice) else checks.integer("place", place, -LAST)
            if not len(self):
                must, do = "called inside probe.watch", "call heads.model on a text there"
                refuse("model", got="not called yet", must=must, do=do)
            # Beyond the end, an IndexError ends loops over a sequence.
            return self._all()[place if isinstance(place, slice) else min(place, LAST)]
        layer, index = place
        if layer not in self._summaries:
            must = f"one of {self.layers}" if self._summaries else "one that was called"
            refuse("layer", got=repr(layer), must=must, do="see heads.layers")
        summary = self._summaries[layer]
        index = checks.integer("index", index, 0, summary.heads - 1)
        return Head(self._sites[layer], index, summary)

    def table(self, patterns: int | None = None, space: str = "binary") -> list[dict[str, Any]]:
        """Return measurements and fits as a table, one row for each head.

        Args:
            patterns: as in ``Head.fit``.
            space: as in ``Head.fit``.

        Returns:
            rows with the names of ``Head``, then those of ``Fit``.
        """
        return [head.numbers() | _fit.named(head.fit(patterns, space)) for head in self._all()]


@contextmanager
@door
def watch(
    model: nn.Module,
    *,
    layers: Sequence[int] | None = None,
    special: Sequence[int] | None = None,
    size: int | None = 256,
    rows: int = 32,
    shuffled: bool = False,
    seed: int = 0,
) -> Iterator[Heads]:
    """Measure the heads of a transformer in every forward pass inside the block.

    The outputs of the model stay the same, bit for bit, and afterwards the model is as before. Only
    modules of torch that would take a fused kernel (``nn.TransformerEncoderLayer`` and
    ``nn.MultiheadAttention``, in evaluation mode without gradients) compute without it, so that the
    last digit can differ. For
    each head the measurements are: the lengths of queries, keys and values; cosines and softmax
    inputs; the effective beta; entropy and effective number of attended tokens; and how the weight
    is distributed. The memory needed does not grow with the number of calls. Padding is left out
    where the model is called with ``attention_mask``.

    Args:
        model: of transformers >= 4.56, or any module that calls
            ``torch.nn.functional.scaled_dot_product_attention`` or
            ``multi_head_attention_forward``, such as ``nn.TransformerEncoder``.
        layers: the attentions to measure, by their place in the model, from 0; all if omitted.
        special: ids of tokens that only mark the structure of a text, such as
            ``tokenizer.all_special_ids``; the weight on them is measured where the model is called
            with ``input_ids``.
        size: the largest number of queries analysed in each layer and call, chosen at random; None
            for all. Lengths are measured for all queries.
        rows: number of rows of scores that are kept for each layer, for ``Head.fit``,
            ``Head.agreement`` and ``Head.phase``.
        shuffled: permute the coordinates of the keys, all keys in the same order. This is a
            control: lengths stay the same, but the keys no longer match the queries.
        seed: of the random choices, >= 0.

    Yields:
        ``Heads``, a sequence with one ``Head`` for each head, updated by every call of the model.

    Raises:
        InputError: the model has no attention that can be intercepted, or no such layer.

    Warns:
        UserWarning: at the end, where the outputs of heads show that the model changes its scores
            or weights in a way that cannot be seen; see ``Head.mismatch``.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> from kanerva import probe
        >>> _ = torch.manual_seed(0)
        >>> config = GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)
        >>> model = GPT2LMHeadModel(config).eval()
        >>> with probe.watch(model) as heads:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> len(heads), heads[1, 0].attended
        (6, 5.5)
        >>> found = heads[1, 0].fit()
        >>> found.regime, found.outside, found.agreement.variation < 1
        ('noise', 'broader', True)
    """
    found = chosen(sites(model), layers)
    ids = None
    if special is not None:
        none = isinstance(special, list | tuple) and not special
        given = [] if none else listed("special", special)
        checked = [checks.integer("special", one, 0, LAST) for one in given]
        ids = torch.tensor(checked, dtype=torch.long)
    size = None if size is None else checks.integer("size", size, 1)
    rows, seed = checks.integer("rows", rows, 0, 10_000), checks.integer("seed", seed, 0, LAST)
    shuffled = checks.flag("shuffled", shuffled)
    heads, inputs, lock = Heads(model, found), Inputs(model, ids), threading.Lock()

    def observe(site: Site, call: Call, output: Tensor) -> None:
        if arrays.backward():
            return
        own = (seed + site.layer) % LAST
        if shuffled:
            call = call._replace(key=_permuted(call.key, own))
        if shuffled or site.module.training:  # dropout changes the output too
            call = call._replace(output=None)
        with lock:
            if site.layer not in heads._summaries:
                heads._summaries[site.layer] = Summary(call.query.shape[1], size, rows, own)
            heads._summaries[site.layer].add(call, inputs.tokens(site, call))

    with inputs.recorded(), intercepted(model, [(site, observe) for site in found]):
        yield heads
    _warn(heads)


def _warn(heads: Heads) -> None:
    """Say that the model does more between the products and the softmax than was seen."""
    hidden = [head for head in heads._all() if head.hidden]
    if hidden:
        most = max(head.mismatch or 0.0 for head in hidden)
        warn(
            f"probe.watch: in {len(hidden)} of {len(heads)} heads the output is not the read with "
            f"the measured weights (Head.mismatch is up to {most:.2g}): the model changes its "
            "scores or weights in a way that cannot be seen, so that beta, radius and phase "
            "describe its scaled products alone."
        )


def _permuted(key: Tensor, seed: int) -> Tensor:
    """Permute the coordinates of all keys alike."""
    source = torch.Generator().manual_seed(seed)
    order = torch.randperm(key.shape[-1], generator=source)
    return key[..., order.to(key.device)]
