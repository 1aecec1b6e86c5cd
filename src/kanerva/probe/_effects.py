"""Measure how the outputs of a model change when its heads are replaced by memories."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cosine_similarity, cross_entropy, log_softmax, normalize

from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.probe._replace import Memory, Reads, replace
from kanerva.probe._sites import sites

__all__ = ["Effect", "effects"]

NEIGHBOURS = 10


class Effect(NamedTuple):
    """How a replacement changes a model; None where the model has no such output.

    * ``hidden``: mean cosine between the vector of a token before and after, for each layer.
    * ``divergence``: Kullback-Leibler divergence of the predictions after from those before, in
      nats a token.
    * ``loss``, ``loss_before``: cross-entropy of the next token in nats, for models that predict
      it.
    * ``embedding``: mean cosine between the embedding of a text before and after; the embedding is
      the normalised mean of the last vectors of its tokens.
    * ``nearest``: share of the texts whose nearest other text stays the same.
    * ``neighbours``: share of the ten nearest other texts that stay among them.
    * ``unreached``: share of the reads with nothing in reach.
    """

    hidden: tuple[float, ...]
    divergence: float | None
    loss: float | None
    loss_before: float | None
    embedding: float
    nearest: float | None
    neighbours: float | None
    unreached: float


class _Outputs(NamedTuple):
    """Outputs of a model for one batch, without padding.

    * ``hidden``: vectors of the tokens, ``(tokens, d)``, for each layer.
    * ``embedding``: of the texts, ``(texts, d)``.
    * ``logs``: log-probabilities of the next tokens; None for none.
    * ``loss``: sum of the cross-entropies, and how many tokens are predicted; None for none.
    """

    hidden: list[Tensor]
    embedding: Tensor
    logs: Tensor | None
    loss: tuple[float, int] | None


class _Sums:
    """Sums over the batches of how one replacement changes the outputs, and the embeddings."""

    def __init__(self) -> None:
        self.hidden: Tensor | float = 0.0
        self.tokens = self.predicted = 0
        self.divergence: float | None = None
        self.loss = 0.0
        self.embeddings: list[Tensor] = []
        self.rows = self.empty = 0

    def add(self, before: _Outputs, after: _Outputs, reads: Reads | None = None) -> None:
        """Compare a batch before and after."""
        pairs = zip(before.hidden, after.hidden, strict=True)
        cosines = [cosine_similarity(one, other, dim=-1).sum() for one, other in pairs]
        self.hidden = self.hidden + torch.stack(cosines).double()
        self.tokens += len(before.hidden[0])
        self.embeddings.append(after.embedding)
        if before.logs is not None and after.logs is not None:
            divergence = float((before.logs.exp() * (before.logs - after.logs)).sum())
            self.divergence = (self.divergence or 0.0) + divergence
        if after.loss is not None:
            self.loss += after.loss[0]
            self.predicted += after.loss[1]
        if reads is not None:
            self.rows += reads.rows
            self.empty += reads.empty


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
    """Compare the outputs of a model on texts with those after each of several replacements.

    Args:
        model: of transformers, in evaluation mode; an encoder, or one that predicts the next token.
        batches: arguments of the model, such as a tokenizer's outputs. The model is called on each
            batch once by itself and once with every replacement.
        memories: as in ``replace``, by name; a pair is a memory and its ``steps``.
        layers: as in ``replace``.
        heads: as in ``replace``.
        progress: called with a name and the index of the batch whenever one has been run.

    Returns:
        an ``Effect`` for each name.

    Raises:
        InputError: no batch, no memory, a model none of whose heads is replaced, or a model in
            training mode, where dropout would change more than the memories do.

    Example:
        >>> import torch
        >>> from transformers import BertConfig, BertModel
        >>> from kanerva import probe
        >>> from kanerva.separation import Argmax, Softmax
        >>> small = BertConfig(vocab_size=50, hidden_size=32, num_hidden_layers=2,
        ...                    num_attention_heads=4, intermediate_size=64)
        >>> texts = [{"input_ids": torch.arange(40).reshape(4, 10)}]
        >>> memories = {"own": Softmax(1.0), "nearest": Argmax()}
        >>> found = probe.effects(BertModel(small).eval(), texts, memories)
        >>> round(found["own"].embedding, 4), found["own"].nearest
        (1.0, 1.0)
        >>> found["nearest"].embedding < found["own"].embedding
        True
    """
    _check(model, batches, memories, progress)
    plain, sums = _Sums(), {name: _Sums() for name in memories}
    for place, batch in enumerate(batches):
        if not isinstance(batch, Mapping):
            must, do = "of the arguments of the model", "give a tokenizer's outputs"
            refuse("batches", batch, must=must, do=do, error=InputTypeError)
        before = _outputs(model, batch)
        plain.add(before, before)
        for name, memory in memories.items():
            rule, steps = memory if isinstance(memory, tuple) else (memory, 1)
            with replace(model, rule, layers=layers, heads=heads, steps=steps) as reads:
                after = _outputs(model, batch)
            sums[name].add(before, after, reads)
            if progress:
                progress(name, place)
    _check_calls(plain, sums)
    near = _nearest_texts(plain.embeddings)
    return {name: _effect(own, plain, near) for name, own in sums.items()}


def _check(model: Any, batches: Any, memories: Any, progress: Any) -> None:
    """Refuse a model, batches, memories or a function of the wrong kind."""
    sites(model)
    if progress is not None and not callable(progress):
        must, do = "a function of a name and an index", "leave it out"
        refuse("progress", progress, must=must, do=do, error=InputTypeError)
    if not isinstance(memories, Mapping) or not memories:
        must, do = "one or more, each by its name", "give {'nearest': Argmax()}"
        refuse("memories", memories, must=must, do=do)
    for memory in memories.values():
        if isinstance(memory, tuple) and len(memory) != 2:
            must, do = "each a memory, or a memory and its steps", "give (Softmax(1.0), 3)"
            refuse("memories", memory, must=must, do=do, error=InputTypeError)
    if isinstance(batches, Mapping):
        must, got = "a list of batches, each with the arguments of the model", "one batch"
        refuse("batches", got=got, must=must, do="give [batch]", error=InputTypeError)
    if not isinstance(batches, Iterable) or (isinstance(batches, Tensor) and not batches.ndim):
        must, do = "a list of batches, each with the arguments of the model", "give [batch]"
        refuse("batches", batches, must=must, do=do, error=InputTypeError)
    if model.training:
        got = "in training mode, where dropout changes the outputs too"
        refuse("model", got=got, must="in evaluation mode", do="call model.eval()")


def _check_calls(plain: _Sums, sums: Mapping[str, _Sums]) -> None:
    """Refuse batches without tokens, and a model none of whose heads was replaced."""
    if not plain.embeddings:
        do = "give a list of a tokenizer's outputs"
        refuse("batches", got="none", must="one or more", do=do)
    if not plain.tokens:
        must, do = "of one token or more", "give texts, and their own attention_mask"
        refuse("batches", got="nothing but padding", must=must, do=do)
    if not all(own.rows for own in sums.values()):
        must, got = "one whose heads can be replaced", "one whose chosen heads were not called"
        do = "give the model as it was before torch.compile, and layers that it calls"
        refuse("model", got=got, must=must, do=do)


@torch.no_grad()
def _outputs(model: Any, batch: Mapping[str, Tensor]) -> _Outputs:
    """Call a model on a batch, and return the outputs that are compared."""
    output = model(**batch, output_hidden_states=True)
    hidden, side = getattr(output, "hidden_states", None), ""
    if not hidden:
        hidden, side = getattr(output, "decoder_hidden_states", None), "decoder_"
    if hidden is None:
        must, do = "one that returns hidden states", "load an encoder or a language model"
        refuse("model", got=f"{type(model).__name__}, which returns none", must=must, do=do)
    mask = batch.get(f"{side}attention_mask")
    if mask is None or mask.shape != hidden[0].shape[:2]:
        mask = torch.ones_like(hidden[0][..., 0])
    real = mask.bool()
    last = hidden[-1].float().masked_fill(~real[..., None], 0)
    means = last.sum(1) / real.sum(1, keepdim=True).clamp_min(1)
    embedding = normalize(means, dim=-1)[real.any(1)].cpu()
    vectors = [one.float()[real] for one in hidden]
    logits, ids = getattr(output, "logits", None), batch.get("input_ids")
    if logits is None or logits.ndim != 3:
        return _Outputs(vectors, embedding, None, None)
    logs = log_softmax(logits.float(), -1)
    loss = _loss(logs, ids, real) if ids is not None and _predicts(model) else None
    return _Outputs(vectors, embedding, logs[real], loss)


def _loss(logs: Tensor, ids: Tensor, real: Tensor) -> tuple[float, int]:
    """Return the sum of the cross-entropies of the next tokens, and how many there are."""
    target = ids[:, 1:].masked_fill(~(real[:, 1:] & real[:, :-1]), -100)
    total = cross_entropy(logs[:, :-1].transpose(1, 2), target, reduction="sum")
    return float(total), int((target >= 0).sum())


def _predicts(model: Any) -> bool:
    """Return whether a model predicts the next token."""
    return type(model).__name__.endswith(("ForCausalLM", "LMHeadModel"))


def _nearest_texts(embeddings: list[Tensor]) -> Tensor | None:
    """Return the ten nearest other texts of each text, nearest first; None below three texts."""
    texts = torch.cat(embeddings)
    if len(texts) < 3:
        return None
    cosines = (texts @ texts.mT).fill_diagonal_(-2)
    return cosines.topk(min(NEIGHBOURS, len(texts) - 1), dim=-1).indices


def _effect(sums: _Sums, plain: _Sums, near: Tensor | None) -> Effect:
    """Divide the sums by their counts."""
    assert isinstance(sums.hidden, Tensor)
    own = _nearest_texts(sums.embeddings)
    nearest = neighbours = None
    if own is not None and near is not None:
        nearest = float((own[:, 0] == near[:, 0]).double().mean())
        neighbours = float((own[:, :, None] == near[:, None, :]).any(-1).double().mean())
    cosines = (torch.cat(sums.embeddings) * torch.cat(plain.embeddings)).sum(-1)
    return Effect(
        hidden=tuple((sums.hidden / sums.tokens).tolist()),
        divergence=None if sums.divergence is None else sums.divergence / sums.tokens,
        loss=sums.loss / sums.predicted if sums.predicted else None,
        loss_before=plain.loss / plain.predicted if plain.predicted else None,
        embedding=float(cosines.double().mean()),
        nearest=nearest,
        neighbours=neighbours,
        unreached=sums.empty / sums.rows,
    )
