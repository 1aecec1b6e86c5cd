"""Measure what changes in a model when memories take the place of its heads."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax, normalize

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe._replace import Memory, replace

__all__ = ["Effect", "effects"]

NEIGHBOURS = 10


class Effect(NamedTuple):
    """What a replacement changes; None where a model has no such output.

    * ``hidden``: mean cosine between a token's vector before and after, at each layer of the model.
    * ``divergence``: Kullback-Leibler divergence of the model's predictions after from those before, nats a token.
    * ``loss``, ``loss_before``: cross-entropy of the next token, nats, of models that predict it.
    * ``embedding``: mean cosine between a text's embedding before and after: the mean of its tokens' last vectors.
    * ``nearest``: share of the texts whose nearest other text stays the same.
    * ``neighbours``: share of the ten nearest other texts that stay.
    * ``unreached``: share of the reads that found nothing in reach.
    """

    hidden: tuple[float, ...]
    divergence: float | None
    loss: float | None
    loss_before: float | None
    embedding: float
    nearest: float | None
    neighbours: float | None
    unreached: float


class _Tally:
    """Sums of what one replacement changes, and the embeddings."""

    def __init__(self) -> None:
        self.hidden: Tensor | None = None
        self.tokens = self.predicted = 0
        self.divergence: float | None = None
        self.loss = 0.0
        self.embeddings: list[Tensor] = []
        self.rows = self.empty = 0

    def add(self, before: "_Seen", after: "_Seen") -> None:
        """Compare a batch before and after."""
        alike = torch.stack(
            [
                cosine_similarity(one, other, dim=-1).sum()
                for one, other in zip(before.hidden, after.hidden, strict=True)
            ]
        )
        self.hidden = alike.double() if self.hidden is None else self.hidden + alike
        self.tokens += len(before.hidden[0])
        self.embeddings.append(after.embedding)
        if before.logs is not None and after.logs is not None:
            self.divergence = (self.divergence or 0.0) + float(
                (before.logs.exp() * (before.logs - after.logs)).sum()
            )
        if after.loss is not None:
            self.loss, self.predicted = self.loss + after.loss[0], self.predicted + after.loss[1]


class _Seen(NamedTuple):
    """What a model gave for one batch: vectors of real tokens by layer, embeddings, logarithms of predictions, loss and its count."""

    hidden: list[Tensor]
    embedding: Tensor
    logs: Tensor | None
    loss: tuple[float, int] | None


@door
def effects(
    model: nn.Module,
    batches: Iterable[Mapping[str, Tensor]],
    memories: Mapping[str, Memory | tuple[Memory, int]],
    *,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    progress: Callable[[str, int], None] | None = None,
) -> dict[str, Effect]:
    """Run a model on texts with its own heads and with each of some memories in their place, and compare.

    Args:
        model: of transformers; an encoder, or one that predicts the next token.
        batches: what it is called with, such as a tokenizer's output; each is gone through once, with every memory.
        memories: by name, as in ``replace``; a pair is a memory and its ``steps``.
        layers: as in ``replace``.
        heads: as in ``replace``.
        progress: called with the name of what has been run and the number of batches done.

    Returns:
        an ``Effect`` for each name. In training mode dropout would change more than the memories do, so that is refused.

    Raises:
        InputError: no batch, no memory, a model in training mode, or one in which no memory was ever asked.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> from kanerva.separation import Argmax, Softmax
        >>> small = BertConfig(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64, vocab_size=50)
        >>> texts = [{"input_ids": torch.arange(40).reshape(4, 10)}]
        >>> found = probe.effects(BertModel(small).eval(), texts, {"own": Softmax(1.0), "nearest": Argmax()})
        >>> round(found["own"].embedding, 4), found["own"].nearest, found["nearest"].embedding < found["own"].embedding
        (1.0, 1.0, True)
    """
    if not isinstance(memories, Mapping) or not memories:
        refuse(
            "memories",
            memories,
            must="one or more, each by its name",
            do="give {'nearest': Argmax()}",
        )
    if isinstance(batches, Mapping):
        refuse(
            "batches",
            must="a list of what the model is called with",
            got="one batch",
            do="give [batch]",
            error=InputTypeError,
        )
    if model.training:
        refuse(
            "model",
            must="in evaluation mode",
            got="in training mode, where dropout changes it too",
            do="call model.eval()",
        )
    plain, tallies = _Tally(), {name: _Tally() for name in memories}
    for done, batch in enumerate(batches):
        before = _seen(model, batch)
        plain.add(before, before)
        for name, memory in memories.items():
            part, steps = memory if isinstance(memory, tuple) else (memory, 1)
            with replace(model, part, layers=layers, heads=heads, steps=steps) as reads:
                tallies[name].add(before, _seen(model, batch))
            tallies[name].rows, tallies[name].empty = (
                tallies[name].rows + reads.rows,
                tallies[name].empty + reads.empty,
            )
            if progress:
                progress(name, done)
    if not plain.embeddings:
        refuse("batches", must="one or more", got="none", do="give a list of a tokenizer's outputs")
    if not plain.tokens:
        refuse(
            "batches",
            must="of one token or more",
            got="nothing but padding",
            do="give texts, and their own attention_mask",
        )
    if not all(tally.rows for tally in tallies.values()):
        do = "give the model as it was before torch.compile, and layers that are at work"
        refuse(
            "model",
            must="one whose heads can be heard at work",
            got="one whose heads never asked a memory",
            do=do,
        )
    near = _near(plain.embeddings)
    return {name: _effect(tally, plain, near) for name, tally in tallies.items()}


@torch.no_grad()
def _seen(model: Any, batch: Mapping[str, Tensor]) -> _Seen:
    """Call a model on a batch and keep what is compared."""
    output = model(**batch, output_hidden_states=True)
    hidden = getattr(output, "hidden_states", None) or getattr(
        output, "decoder_hidden_states", None
    )
    if hidden is None:
        got = f"{type(model).__name__}, which gives none"
        refuse(
            "model",
            must="one that gives hidden states",
            got=got,
            do="load an encoder or a language model of transformers",
        )
    mask = batch.get(
        "attention_mask" if getattr(output, "hidden_states", None) else "decoder_attention_mask"
    )
    real = (
        torch.ones_like(hidden[0][..., 0], dtype=torch.bool)
        if mask is None or mask.shape != hidden[0].shape[:2]
        else mask.bool()
    )
    last = hidden[-1].float().masked_fill(~real[..., None], 0)
    embedding = normalize(last.sum(1) / real.sum(1, keepdim=True).clamp_min(1), dim=-1)[
        real.any(1)
    ].cpu()
    logits, ids = getattr(output, "logits", None), batch.get("input_ids")
    logs = None if logits is None or logits.ndim != 3 else log_softmax(logits.float(), -1)
    loss = None
    if logs is not None and ids is not None and _predicts(model):
        target = ids[:, 1:].masked_fill(~(real[:, 1:] & real[:, :-1]), -100)
        loss = (
            float(cross_entropy(logs[:, :-1].transpose(1, 2), target, reduction="sum")),
            int((target >= 0).sum()),
        )
    return _Seen(
        [one.float()[real] for one in hidden], embedding, None if logs is None else logs[real], loss
    )


def _predicts(model: Any) -> bool:
    """Tell whether a model predicts the next token."""
    return type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))


def _near(embeddings: list[Tensor]) -> Tensor | None:
    """Return the ten nearest other texts of each text, nearest first; None for fewer than three texts."""
    texts = torch.cat(embeddings)
    if len(texts) < 3:
        return None
    alike = texts @ texts.mT
    return alike.fill_diagonal_(-2).topk(min(NEIGHBOURS, len(texts) - 1), dim=-1).indices


def _effect(tally: _Tally, plain: _Tally, near: Tensor | None) -> Effect:
    assert tally.hidden is not None
    own = _near(tally.embeddings)
    stays = (
        None
        if own is None or near is None
        else float((own[:, :, None] == near[:, None, :]).any(-1).double().mean())
    )
    first = (
        None if own is None or near is None else float((own[:, 0] == near[:, 0]).double().mean())
    )
    alike = float(
        (torch.cat(tally.embeddings) * torch.cat(plain.embeddings)).sum(-1).double().mean()
    )
    return Effect(
        tuple((tally.hidden / tally.tokens).tolist()),
        None if tally.divergence is None else tally.divergence / tally.tokens,
        tally.loss / tally.predicted if tally.predicted else None,
        plain.loss / plain.predicted if plain.predicted else None,
        alike,
        first,
        stays,
        tally.empty / tally.rows,
    )
