"""Models of the shape of GPT-2 on the text of characters, measured by ``kanerva.probe``."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from kanerva import probe
from kanerva.lab.papers.henry2020 import _text
from kanerva.lab.papers.henry2020._block import HEADS
from kanerva.lab.papers.henry2020._model import BATCH, LAYERS
from kanerva.lab.papers.henry2020._training import updated

__all__ = ["Reading", "readings"]

# Pieces of the held-out text on which the heads are measured.
MEASURED = 64


class Reading(NamedTuple):
    """The heads of a model, measured.

    * ``weights``: ``"trained"``, ``"shuffled"``, the same with permuted coordinates of the keys, or
      ``"random"``, before training.
    * ``heads``: as ``kanerva.probe.watch`` returns them.
    * ``bits``: bits a character on the text that is held out; None for shuffled keys.
    """

    weights: str
    heads: probe.Heads
    bits: float | None


def readings(width: int, context: int, updates: int, seed: int) -> Iterator[Reading]:
    """Train a model, and measure its heads before and after."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(_text.SYMBOLS), n_positions=context, n_embd=HEADS * width, n_layer=LAYERS,
        n_head=HEADS, attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0, use_cache=False,
        bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = GPT2LMHeadModel(config)
    source = torch.Generator().manual_seed(seed)
    yield _reading("random", model, context)

    def loss() -> Tensor:
        text, _ = _text.split()
        x, following = _text.batch(text, BATCH, context, source)
        logits = model(x).logits
        return nn.functional.cross_entropy(logits.flatten(0, 1), following.flatten())

    model.train()
    for _ in updated(model, updates, updates, loss):
        pass
    yield _reading("trained", model, context)
    yield _reading("shuffled", model, context, shuffled=True)


@torch.no_grad()
def _reading(weights: str, model: Any, context: int, *, shuffled: bool = False) -> Reading:
    """Measure the heads of a model on held-out text."""
    model.eval()
    x, _ = _text.held_out(context, MEASURED)
    with probe.watch(model, shuffled=shuffled) as heads:
        for some in torch.split(x, BATCH):
            model(some)
    bits = None if shuffled else _text.judge(lambda some: model(some).logits, context)
    return Reading(weights, heads, bits)
