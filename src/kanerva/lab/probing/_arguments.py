"""What a model is called with, texts of a number of tokens or pictures, and how it fails."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kanerva._core.errors import InputError, refuse
from kanerva.lab.probing._model import Subject
from kanerva.lab.probing._source import positions, quiet

__all__ = ["called", "longest", "marks", "picture", "size", "token"]

# A token id that is taken, unless it marks the structure or the vocabulary is smaller.
FIRST = 1000


def picture(model: Any) -> bool:
    """Return whether a model takes pictures."""
    return getattr(model, "main_input_name", "input_ids") == "pixel_values"


def longest(model: Any) -> int | None:
    """Return the largest number of tokens that a model takes; None where there is no limit."""
    config = _text(model)
    if getattr(config, "relative_attention_num_buckets", None):
        return None
    found = positions(config)
    if found is None:
        return None
    for module in model.modules():
        own = isinstance(module, torch.nn.Embedding) and module.num_embeddings == found
        if own and module.padding_idx is not None:
            return found - int(module.padding_idx) - 1  # as in RoBERTa: places follow the padding
    return found


@contextmanager
def called(subject: Subject, tokens: int, by_hand: str) -> Iterator[None]:
    """Call a model without messages of other libraries; refuse one that cannot be called so.

    Args:
        subject: the model.
        tokens: of the texts that it is called with.
        by_hand: what to do in Python with a model that fails, for the error.
    """
    log = logging.getLogger("torch._subclasses.fake_tensor")
    level = log.level
    log.setLevel(logging.CRITICAL)  # an operation that fails is logged, and then raised too
    try:
        with quiet():
            yield
    except InputError:
        raise
    except Exception as error:  # of the model's own code, so of any class
        name, reason = type(subject.model).__name__, " ".join(str(error).split())[:120]
        kind = type(error).__name__
        if subject.mode is not None and ("Data" in kind or "Dynamic" in kind):
            must = "one whose path does not depend on the values that it computes"
            do = f"give it with its weights, or {by_hand}"
        else:
            must = "one that is called with the ids of tokens, or with pixels, alone"
            do = by_hand
        at = "" if picture(subject.model) else f" at {tokens} tokens"
        refuse("model", got=f"{name}{at} ({kind}: {reason})", must=must, do=do)
    finally:
        log.setLevel(level)


def marks(model: Any) -> tuple[int, set[int]]:
    """Return the size of a vocabulary, and the ids of it that mark the structure."""
    config = _text(model)
    count = getattr(config, "vocab_size", None) or FIRST + 1
    found = {
        getattr(config, f"{name}_token_id", None)
        for name in ("pad", "bos", "eos", "sep", "cls", "mask", "decoder_start")
    }
    flat = {one for mark in found for one in (mark if isinstance(mark, list) else [mark])}
    return int(count), {one for one in flat if isinstance(one, int)}


def token(model: Any) -> int:
    """Return the id of a token that is no mark of the structure."""
    count, structure = marks(model)
    places = range(min(FIRST, count - 1), -1, -1)
    return next((place for place in places if place not in structure), 0)


def size(model: Any) -> tuple[int, int, int]:
    """Return channels, height and width of a picture."""
    config = model.config
    given = getattr(config, "image_size", None)
    if isinstance(given, list | tuple) and len(given) == 2:
        high, wide = given
    elif isinstance(given, int):
        high = wide = given
    else:
        high = wide = 224  # of models for pictures of any size
    return int(getattr(config, "num_channels", 3)), int(high), int(wide)


def _text(model: Any) -> Any:
    """Return the configuration of the part of a model that takes texts."""
    config = model.config
    found = getattr(config, "get_text_config", None)
    return config if found is None else found()
