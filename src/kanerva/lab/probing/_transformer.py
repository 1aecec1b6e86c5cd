"""Load a transformer with its tokenizer, and make batches of texts for it."""

import importlib.util
import inspect
import math
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from torch import Tensor

from kanerva._core.errors import InputFileError, door, refuse

__all__ = ["Reader", "load"]

LANGUAGE = ("ForCausalLM", "LMHeadModel")  # ends of the names of classes with a language head
LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len")


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
            the arguments of the model, the shortest texts first, and notes on what was cut.

        Raises:
            InputError: no text is left, or the tokenizer cannot pad.

        Example: see ``kanerva.lab.probing.examine``.
        """
        texts = [text for text in texts if text.strip()]
        if not texts:
            do = "give a file with a text on each line"
            refuse("text", got="none", must="one text or more", do=do)
        if getattr(self.tokenizer, "pad_token", None) is None:
            must, got = "one that can pad", "one without a padding token"
            do = "set tokenizer.pad_token, such as to tokenizer.eos_token"
            refuse("tokenizer", got=got, must=must, do=do)
        longest = self._longest(length)
        lengths = [len(ids) for ids in self.tokenizer(list(texts), verbose=False)["input_ids"]]
        order = sorted(range(len(texts)), key=lengths.__getitem__)
        batches = [
            self._batch([texts[place] for place in order[start : start + size]], longest)
            for start in range(0, len(order), size)
        ]
        cut = sum(tokens > longest for tokens in lengths)
        note = f"{cut} of {len(texts)} texts are longer than {longest} tokens, and were cut there."
        return batches, [note] if cut else []

    def _longest(self, length: int) -> int:
        """Return the largest number of tokens in a text."""
        # The tokenizer may take fewer than the model has positions, some of which are for padding.
        tokenizer = getattr(self.tokenizer, "model_max_length", None) or math.inf
        return int(min(length or math.inf, _positions(self.model.config), tokenizer))

    def _batch(self, texts: list[str], longest: int) -> dict[str, Tensor]:
        """Tokenize the texts of one batch into the arguments of the model."""
        options = {"padding": True, "truncation": True, "max_length": longest}
        batch = self.tokenizer(texts, return_tensors="pt", **options)
        if batch["input_ids"].shape[1] > longest:
            must = "one that the tokenizer can cut texts to"
            do = "leave room for the tokens that the tokenizer adds"
            refuse("length", got=str(longest), must=must, do=do)
        taken = inspect.signature(self.model.forward).parameters
        return {name: part.to(self.model.device) for name, part in batch.items() if name in taken}


@door("probe")
def load(name: str, device: str = "cpu") -> Reader:
    """Load a model of transformers and its tokenizer.

    Args:
        name: a folder with both, an installed package that contains a folder ``model``, or a name
            on the hub.
        device: device of the model, as torch names it.

    Returns:
        a ``Reader``: the model in evaluation mode, with its language head if it was trained with
        one.

    Raises:
        InputError: transformers is not installed, or torch has no such device.
        InputFileError: there is no such model, or the hub cannot be reached.

    Example:
        >>> import tempfile
        >>> from kanerva import InputFileError
        >>> from kanerva.lab import probing
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     try:
        ...         probing.load(empty)
        ...     except InputFileError as error:
        ...         print(error.argument)
        model
    """
    if importlib.util.find_spec("transformers") is None:
        do = 'pip install "kanerva[hf]"'
        refuse("transformers", got="not there", must="installed", do=do)
    where = _device(device)
    folder = _folder(name)
    local = folder != name or Path(name).is_dir() or not _hub_answers()
    try:
        with _quiet():
            model, tokenizer = _loaded(folder, local)
    except Exception as error:  # each version of transformers and its hub raises other classes
        reason = " ".join(str(error).split())[:160] or "no more is known"
        got = f"{name!r} ({type(error).__name__}: {reason})"
        must = (
            "a folder with a model and its tokenizer, an installed package that contains one, "
            "or a name on the hub"
        )
        do = "write both with their method save_pretrained, or check the network"
        refuse("model", got=got, must=must, do=do, error=InputFileError)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Reader(name, model.eval().to(where), tokenizer)


def _loaded(folder: str, local: bool) -> tuple[Any, Any]:
    """Load a model and its tokenizer with the classes that the configuration names."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    config = AutoConfig.from_pretrained(folder, local_files_only=local)
    language = any(kind.endswith(LANGUAGE) for kind in config.architectures or ())
    kind = AutoModelForCausalLM if language else AutoModel
    model = kind.from_pretrained(folder, local_files_only=local)
    return model, AutoTokenizer.from_pretrained(folder, local_files_only=local)


def _device(name: str) -> torch.device:
    """Return a device that torch can use here."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, ValueError) as error:
        got = f"{name!r} ({str(error).splitlines()[0][:80]})"
        must = "one that torch can use here, such as 'cpu' or 'cuda'"
        refuse("device", got=got, must=must, do="leave it out for the CPU")


def _hub_answers() -> bool:
    """Return within seconds whether the hub answers; otherwise only downloaded files are used."""
    from huggingface_hub import constants

    if getproxies():  # a proxy reaches the hub where a direct connection may not
        return True
    hub = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((hub.hostname or "", hub.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


def _positions(config: Any) -> float:
    """Return the largest number of tokens that a model takes."""
    counts = (getattr(config, name, None) for name in LENGTHS)
    return next((count for count in counts if isinstance(count, int) and count > 0), 512)


def _folder(name: str) -> str:
    """Return the folder of the model in an installed package; any other name as it is."""
    module = name.replace("-", "_")
    if os.sep in name or Path(name).is_dir() or not module.isidentifier():
        return name
    spec = importlib.util.find_spec(module)
    folder = Path(spec.origin).parent / "model" if spec and spec.origin else Path(name)
    return str(folder) if (folder / "config.json").is_file() else name


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress progress bars of transformers, and warnings about weights that are not used."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
