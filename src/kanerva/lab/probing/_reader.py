"""A transformer with its tokenizer, and the batches of texts that it is called with."""

import inspect
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab.probing._source import positions

__all__ = ["Reader"]

UNKNOWN = 0.2  # the largest share of unknown tokens: beyond it, hardly any text reaches the model
OTHER = "save the tokenizer that the model was trained with beside it, with save_pretrained"


class Reader(NamedTuple):
    """A model with its tokenizer.

    * ``name``: name of the model.
    * ``model``: of transformers, in evaluation mode.
    * ``tokenizer``: of transformers.
    """

    name: str
    model: Any
    tokenizer: Any

    @door("probe")
    def batches(
        self, texts: Sequence[str], size: int, length: int = 0
    ) -> tuple[list[dict[str, Tensor]], list[str]]:
        """Tokenize texts into batches of similar lengths.

        Args:
            texts: blank ones are skipped.
            size: texts in a batch, >= 1.
            length: the largest number of tokens in a text; 0 for the largest that the model takes.

        Returns:
            the arguments of the model, the shortest texts first, and notes on what was cut and on
            tokens that are unknown to the tokenizer.

        Raises:
            InputError: no text is left, the tokenizer cannot pad, or it is not that of the model:
                more than 20 % of the tokens are unknown to it, or it gives ids that the model has
                no embedding for.

        Example: see ``kanerva.lab.probing.examine``.
        """
        size, texts = checks.integer("size", size, 1), _checked(texts)
        if getattr(self.tokenizer, "pad_token", None) is None:
            must, got = "one that can pad", "one without a padding token"
            do = "set tokenizer.pad_token, such as to tokenizer.eos_token"
            refuse("tokenizer", got=got, must=must, do=do)
        unknown = self.unknown(texts)
        longest = self._longest(checks.integer("length", length, 0))
        lengths = [len(ids) for ids in self.tokenizer(list(texts), verbose=False)["input_ids"]]
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        batches = [
            self._batch([texts[place] for place in order[start : start + size]], longest)
            for start in range(0, len(order), size)
        ]
        cut = sum(tokens > longest for tokens in lengths)
        notes = []
        if cut:
            note = f"{cut} of {len(texts)} texts are longer than {longest} tokens, and were cut"
            notes.append(f"{note} there.")
        if unknown:
            notes.append(f"{percent(unknown)} of the tokens are unknown to the tokenizer.")
        return batches, notes

    @door("probe")
    def unknown(self, texts: Sequence[str]) -> float:
        """Return the share of the tokens of texts that the tokenizer replaces by its unknown token.

        Args:
            texts: blank ones are skipped.

        Raises:
            InputError: the share is above 20 %, or the texts have no tokens.
        """
        texts = _checked(texts)
        options = {"add_special_tokens": False, "verbose": False}
        ids = [one for row in self.tokenizer(texts, **options)["input_ids"] for one in row]
        if not ids:
            got = "one that finds no token in the texts: its vocabulary is empty"
            refuse("tokenizer", got=got, must="that of the model", do=OTHER)
        token = getattr(self.tokenizer, "unk_token_id", None)
        share = 0.0 if token is None else ids.count(token) / len(ids)
        if share > UNKNOWN:
            must = f"that of the model, with at most {percent(UNKNOWN)} of the tokens unknown"
            got = f"one to which {percent(share)} of the tokens of the texts are unknown"
            refuse("tokenizer", got=got, must=must, do=f"{OTHER}, or give other texts")
        return share

    def _longest(self, length: int) -> int:
        """Return the largest number of tokens in a text."""
        # The tokenizer may take fewer than the model has positions, some of which are for padding.
        tokenizer = getattr(self.tokenizer, "model_max_length", None) or math.inf
        return int(min(length or math.inf, positions(self.model.config) or 512, tokenizer))

    def _batch(self, texts: list[str], longest: int) -> dict[str, Tensor]:
        """Tokenize the texts of one batch into the arguments of the model."""
        options = {"padding": True, "truncation": True, "max_length": longest}
        batch = self.tokenizer(texts, return_tensors="pt", **options)
        if batch["input_ids"].shape[1] > longest:
            must = "one that the tokenizer can cut texts to"
            do = "leave room for the tokens that the tokenizer adds"
            refuse("length", got=str(longest), must=must, do=do)
        self._check_ids(batch["input_ids"])
        taken = inspect.signature(self.model.forward).parameters
        return {name: part.to(self.model.device) for name, part in batch.items() if name in taken}

    def _check_ids(self, ids: Tensor) -> None:
        """Refuse ids that the model has no embedding for."""
        table = getattr(self.model.get_input_embeddings(), "weight", None)
        if not isinstance(table, Tensor) or not ids.numel():
            return
        largest, count = int(ids.max()), len(table)
        if largest >= count:
            must, got = f"that of the model, with ids below {count}", f"one that gives {largest}"
            refuse("tokenizer", got=got, must=must, do=OTHER)


def percent(share: float) -> str:
    """Write a share as a percentage."""
    return f"{100 * share:.3g} %"


def _checked(texts: Any) -> list[str]:
    """Return the texts that are not blank."""
    one = isinstance(texts, str)
    if one or not isinstance(texts, Sequence) or not all(isinstance(text, str) for text in texts):
        got = {"got": "one string"} if one else {"value": texts}
        refuse("texts", **got, must="a list of strings", do="give [text]", error=InputTypeError)
    kept = [text for text in texts if text.strip()]
    if not kept:
        do = "give a file with a text on each line"
        refuse("text", got="none", must="one text or more", do=do)
    return kept
