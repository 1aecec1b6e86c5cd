"""What a model is called with: texts of a number of tokens, or one picture."""

from typing import Any

import torch

from kanerva.lab.probing._arguments import picture, size, token
from kanerva.lab.probing._model import Subject

__all__ = ["inputs"]


def inputs(subject: Subject, tokens: int) -> dict[str, Any]:
    """Return the arguments of a call: one text of so many tokens, or one picture.

    A model of two texts, such as a translation, gets both of that length.
    """
    model = subject.model
    if picture(model):
        pixels = torch.zeros(1, *size(model), dtype=model.dtype)
        given: dict[str, Any] = {"pixel_values": pixels}
    else:
        given = {"input_ids": torch.full((1, tokens), token(model))}
        if getattr(model.config, "is_encoder_decoder", False):
            given["decoder_input_ids"] = given["input_ids"].clone()
    if subject.mode is None:
        return given
    return {name: subject.mode.from_tensor(one) for name, one in given.items()}
