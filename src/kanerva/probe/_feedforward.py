"""Read the feed-forward layers of a transformer as memories that were written during training."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.errors import door, refuse
from kanerva.probe import _layers
from kanerva.probe._inputs import Inputs
from kanerva.probe._layers import Layer
from kanerva.probe._temperature import StoreFit, nearest

__all__ = ["Activated", "Store", "feedforward"]

BLOCK = 2**22  # numbers that are processed at once


class Activated(NamedTuple):
    """The strongest memories of every token, the strongest first.

    * ``indices``: ``(b, t, top)``; -1 in padding.
    * ``activations``: ``(b, t, top)``, with their signs; 0 in padding.
    """

    indices: Int64[Tensor, "b t top"]
    activations: Float[Tensor, "b t top"]


class Store:
    r"""A feed-forward layer as a memory, with measurements of its activations.

    .. math:: y = \sum_i a_i\, \text{value}_i + \text{offset}, \quad
        a_i = f(x \cdot \text{key}_i + \text{bias}_i)

    In a gated layer the keys are those of the gate, and a linear function of the input multiplies
    a_i. The weight of a memory is the positive part of a_i, because GELU and SiLU are only slightly
    negative below zero. In a gated layer it is abs(a_i), because the linear factor has either sign.
    p are the weights divided by their sum. Every measurement is a mean over the tokens so far,
    without padding, and None before any.

    Attributes:
        layer: place among the feed-forward layers of the model, from 0.
        name: name of its block, or of the block that contains it.
        gated: whether a linear function of the input multiplies the activations.
        tokens: number of tokens so far.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> small = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2,
        ...                    num_attention_heads=4, intermediate_size=64)
        >>> model = BertModel(small).eval()
        >>> with probe.feedforward(model) as stores:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> store = stores[0]
        >>> store.name, store.keys.shape, store.values.shape, store.tokens
        ('encoder.layer.0', torch.Size([64, 32]), torch.Size([64, 32]), 20)
        >>> 1 < store.effective < 64, store.last.activations.shape
        (True, torch.Size([2, 10, 10]))

    Source: Geva, Schuster, Berant and Levy 2021, section 2; Bricken and Pehlevan 2021, on
    persistent memory.
    """

    def __init__(self, found: Layer, layer: int, top: int, rows: int, seed: int) -> None:
        self._found, self._most, self._room = found, top, rows
        self.name, self.layer, self.gated, self.tokens = found.name, layer, found.gated, 0
        self._source = torch.Generator().manual_seed(seed)
        self._often = torch.zeros(len(self.values), dtype=torch.int64)
        self._total = torch.zeros(len(self.values), dtype=torch.float64)
        self._sums = dict.fromkeys(("active", "effective", "entropy"), 0.0)
        self._rows: list[tuple[Tensor, Tensor]] = []
        self._last: Any = None
        self._scores: Tensor | None = None  # of the current call, until its activations are known
        self._activated = 0

    def __repr__(self) -> str:
        if self.effective is None:
            return f"Store({self.layer}: nothing seen)"
        return f"Store({self.layer}: effective {self.effective:.1f} of {len(self.values)})"

    @property
    def keys(self) -> Float[Tensor, "hidden d"]:
        """Keys, as a view of the weights; in a gated layer the rows of the gate."""
        return _layers.rows(self._found.up)[: len(self.values)]

    @property
    def values(self) -> Float[Tensor, "hidden e"]:
        """Values, as a view of the weights."""
        return _layers.rows(self._found.down).T

    @property
    def bias(self) -> Float[Tensor, "hidden"] | None:
        """Bias of the products with the keys, as a view; None for none."""
        bias = _layers.bias(self._found.up)
        return None if bias is None else bias[: len(self.values)]

    @property
    def offset(self) -> Float[Tensor, "e"] | None:
        """Bias of the result, the same for every token, as a view; None for none."""
        return _layers.bias(self._found.down)

    @property
    def active(self) -> float | None:
        """Share of the memories with a positive activation.

        In a gated layer, the share of those whose product with the key is positive.
        """
        return self._sums["active"] / self.tokens if self.tokens else None

    @property
    def effective(self) -> float | None:
        """Effective number of memories in a read, 1 / sum of p squared.

        Tokens without a positive weight do not count.
        """
        return self._sums["effective"] / self._activated if self._activated else None

    @property
    def entropy(self) -> float | None:
        """Entropy of p, in nats; tokens without a positive weight do not count."""
        return self._sums["entropy"] / self._activated if self._activated else None

    @property
    @door("top")
    def top(self) -> list[tuple[int, float]]:
        """The memories most often among the ``top`` of a token, each with its share of the tokens.

        The most frequent one comes first.
        """
        self._check_tokens()
        return [(index, count / self.tokens) for index, count in _largest(self._often, self._most)]

    @property
    @door("last")
    def last(self) -> Activated:
        """The ``top`` memories of every token of the last call, as ``Activated``."""
        self._check_tokens()
        return self._last

    @door("strongest")
    def strongest(self, n: int = 10) -> list[tuple[int, float]]:
        """Return the memories with the largest mean weight.

        Args:
            n: how many, >= 1; those whose weight was always zero are left out.

        Returns:
            index and mean weight, the largest first.

        Raises:
            InputError: the model was not called.

        Example: see ``feedforward``.
        """
        n = checks.integer("n", n, 1)
        self._check_tokens()
        return [(index, total / self.tokens) for index, total in _largest(self._total, n)]

    @door("fit")
    def fit(self) -> StoreFit:
        """Find the softmax read over the same keys that is nearest to p on the kept tokens.

        Returns:
            a ``StoreFit``: beta, the agreement by total variation, and that of equal weights.

        Raises:
            InputError: no token was kept.

        Example: see ``feedforward``.
        """
        if not self._rows:
            must = "one or more in which a memory was activated"
            do = "call the model inside probe.feedforward, with rows >= 1"
            refuse("rows", got="none", must=must, do=do)
        shares, scores = (torch.stack(side).double() for side in zip(*self._rows, strict=True))
        return nearest(shares, scores)

    def _check_tokens(self) -> None:
        if not self.tokens:
            do = "call the model inside probe.feedforward, on more than padding"
            refuse("tokens", got="none", must="one or more", do=do)

    def _hooks(self, inputs: Inputs) -> list[Any]:
        """Register the hooks that observe the input and the output of the activation function."""

        def after_keys(module: nn.Module, args: Any, output: Tensor) -> None:
            # A copy, because the activation function may work in place.
            self._scores = output.detach()[..., : len(self._often)].clone()

        def before_values(module: nn.Module, args: Any) -> None:
            scores, self._scores = self._scores, None
            if arrays.backward() or scores is None or not args:
                return
            if scores.numel() and scores.shape == args[0].shape and scores.ndim >= 2:
                self._add(scores, args[0].detach(), inputs)

        return [
            self._found.up.register_forward_hook(after_keys),
            self._found.down.register_forward_pre_hook(before_values),
        ]

    @torch.no_grad()
    def _add(self, scores: Tensor, activations: Tensor, inputs: Inputs) -> None:
        """Add one call, in blocks."""
        shape = _layers.shape(self.name, activations, inputs)
        real = _layers.real(self.name, activations.reshape(*shape, -1), inputs)
        wide = torch.promote_types(activations.dtype, torch.float32)
        count = shape[0] * shape[1]
        indices = torch.full((count, self._most), -1)
        strengths = torch.zeros(indices.shape, dtype=wide)
        places = torch.arange(count)
        if real is not None:
            places = real.flatten().cpu().nonzero().squeeze(1)
        rows = [side.reshape(count, -1) for side in (scores, activations)]
        for block in torch.split(places, max(1, BLOCK // len(self._often))):
            before, after = (side[block.to(side.device)].to(wide) for side in rows)
            top = self._add_tokens(before, after)
            indices[block], strengths[block] = top.cpu(), after.gather(-1, top).cpu()
        self._last = Activated(indices.reshape(*shape, -1), strengths.reshape(*shape, -1))

    def _add_tokens(self, scores: Tensor, activations: Tensor) -> Tensor:
        """Add tokens ``(n, hidden)``; return their strongest memories ``(n, top)``."""
        weights = activations.abs() if self.gated else activations.clamp_min(0)
        total = weights.sum(-1)
        activated = (total > 0) & total.isfinite()
        shares = weights[activated] / total[activated, None]
        self.tokens += len(weights)
        self._activated += len(shares)
        active = (scores if self.gated else activations) > 0
        self._sums["active"] += float(active.double().mean(-1).sum())
        self._sums["effective"] += float((1 / shares.square().sum(-1)).double().sum())
        self._sums["entropy"] += float(torch.special.entr(shares).sum(-1).double().sum())
        largest, top = weights.topk(self._most, -1)
        positive = top[activated][largest[activated] > 0]
        self._often += torch.bincount(positive, minlength=len(self._often)).cpu()
        self._total += weights[activated].sum(0).double().cpu()
        self._sample(shares, scores[activated])
        return top

    def _sample(self, shares: Tensor, scores: Tensor) -> None:
        """Sample tokens so that all so far were kept with equal probability.

        Source: Vitter 1985, algorithm R.
        """
        rank = torch.arange(self._activated - len(shares), self._activated)
        drawn = torch.rand(len(rank), generator=self._source, dtype=torch.float64) * (rank + 1)
        places = torch.where(rank < self._room, rank, drawn.long())
        for token in (places < self._room).nonzero().squeeze(1).tolist():
            place = int(places[token])
            kept = (shares[token].float().cpu(), scores[token].float().cpu())
            self._rows[place : place + 1] = [kept]


@contextmanager
@door
def feedforward(
    model: nn.Module, *, top: int = 10, rows: int = 32, seed: int = 0
) -> Iterator[list[Store]]:
    """Measure the feed-forward layers of a transformer in every forward pass inside the block.

    Keys and values are the weights of the layer; the activations are the weights of a read. The
    outputs of the model stay the same, bit for bit, and the memory needed does not grow with the
    number of calls. Padding is left out where the model is called with ``attention_mask``, except
    in experts, to which tokens are sent one by one.

    Args:
        model: of transformers, or any model whose blocks name their layers as one of its families
            does.
        top: number of memories that are returned for a token, 1 to the number in the smallest
            layer.
        rows: number of tokens that are kept for each layer, for ``Store.fit``.
        seed: of the choice of tokens, >= 0.

    Yields:
        a ``Store`` for each layer, in the order of the model, updated by every call of the model.

    Raises:
        InputError: the model has no feed-forward layer that is known.

    Example:
        >>> import torch
        >>> from transformers import GPT2Config, GPT2LMHeadModel
        >>> from kanerva import probe
        >>> _ = torch.manual_seed(0)
        >>> config = GPT2Config(n_embd=48, n_layer=2, n_head=3, vocab_size=50, n_positions=32)
        >>> model = GPT2LMHeadModel(config).eval()
        >>> with probe.feedforward(model, top=5) as stores:
        ...     _ = model(torch.arange(20).reshape(2, 10))
        >>> store = stores[1]
        >>> store.name, store.keys.shape, store.tokens, store.last.indices.shape
        ('transformer.h.1.mlp', torch.Size([192, 48]), 20, torch.Size([2, 10, 5]))
        >>> 1 < store.effective < 192, len(store.strongest(3))
        (True, 3)
        >>> store.fit().overlap >= store.fit().uniform
        True
    """
    found = _layers.layers(model)
    smallest = min(_layers.rows(layer.down).shape[1] for layer in found)
    top = checks.integer("top", top, 1, smallest)
    last = 2**63 - 1
    rows, seed = checks.integer("rows", rows, 0, 10_000), checks.integer("seed", seed, 0, last)
    stores = [
        Store(layer, place, top, rows, (seed + place) % last) for place, layer in enumerate(found)
    ]
    inputs = Inputs(model)
    hooks: list[Any] = []
    try:
        with inputs.recorded():
            for store in stores:
                hooks += store._hooks(inputs)
            yield stores
    finally:
        for hook in hooks:
            hook.remove()
        for store in stores:
            store._scores = None


def _largest(numbers: Tensor, count: int) -> list[tuple[int, Any]]:
    """Return the places and sizes of the largest positive numbers; equal ones in their order."""
    order = numbers.sort(descending=True, stable=True).indices[:count]
    return [(place, numbers[place].item()) for place in order.tolist() if numbers[place] > 0]
