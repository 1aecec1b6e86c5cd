"""What a model is called with: texts of a number of tokens, or one picture."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kanerva._core.errors import InputError, refuse
from kanerva.lab.probing._source import positions, quiet
from kanerva.lab.quarks._load import Subject

__all__ = ["called", "inputs", "longest", "picture"]

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


def inputs(subject: Subject, tokens: int) -> dict[str, Any]:
    """Return the arguments of a call: one text of so many tokens, or one picture.

    A model of two texts, such as a translation, gets both of that length.
    """
    model = subject.model
    if picture(model):
        pixels = torch.zeros(1, *_size(model), dtype=model.dtype)
        given: dict[str, Any] = {"pixel_values": pixels}
    else:
        given = {"input_ids": torch.full((1, tokens), _token(model))}
        if getattr(model.config, "is_encoder_decoder", False):
            given["decoder_input_ids"] = given["input_ids"].clone()
    if subject.mode is None:
        return given
    return {name: subject.mode.from_tensor(one) for name, one in given.items()}


@contextmanager
def called(subject: Subject, tokens: int) -> Iterator[None]:
    """Call a model without messages of other libraries; refuse one that cannot be called so."""
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
            do = "count it with its weights, or call it in Python inside kanerva.quarks.watch"
        else:
            must = "one that is called with the ids of tokens, or with pixels, alone"
            do = "call it in Python on inputs of your own, inside kanerva.quarks.watch"
        at = "" if picture(subject.model) else f" at {tokens} tokens"
        refuse("model", got=f"{name}{at} ({kind}: {reason})", must=must, do=do)
    finally:
        log.setLevel(level)


def _text(model: Any) -> Any:
    """Return the configuration of the part of a model that takes texts."""
    config = model.config
    found = getattr(config, "get_text_config", None)
    return config if found is None else found()


def _token(model: Any) -> int:
    """Return the id of a token that is no mark of the structure."""
    config = _text(model)
    count = getattr(config, "vocab_size", None) or FIRST + 1
    marks = {
        getattr(config, f"{name}_token_id", None)
        for name in ("pad", "bos", "eos", "sep", "cls", "mask", "decoder_start")
    }
    flat = {one for mark in marks for one in (mark if isinstance(mark, list) else [mark])}
    places = range(min(FIRST, count - 1), -1, -1)
    return next((place for place in places if place not in flat), 0)


def _size(model: Any) -> tuple[int, int, int]:
    """Return channels, height and width of a picture."""
    config = model.config
    size = getattr(config, "image_size", None)
    if isinstance(size, list | tuple) and len(size) == 2:
        high, wide = size
    elif isinstance(size, int):
        high = wide = size
    else:
        high = wide = 224  # of models for pictures of any size
    return int(getattr(config, "num_channels", 3)), int(high), int(wide)
