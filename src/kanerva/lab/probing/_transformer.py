"""Load a transformer and its tokenizer, and make batches of texts for it."""

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


class Reader(NamedTuple):
    """A model and what makes texts into its input.

    * ``name``: what it is called.
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
        """Make batches of texts of like lengths, and say what was cut.

        Args:
            texts: blank ones are passed over.
            size: texts a batch, >= 1.
            length: tokens a text at most; 0 for as many as the model takes.

        Returns:
            what the model is called with, the shortest texts first, and notes.

        Raises:
            InputError: no text is left, or the tokenizer cannot pad.

        Example: see ``kanerva.lab.probing.examine``.
        """
        texts = [text for text in texts if text.strip()]
        if not texts:
            refuse(
                "text",
                must="one text or more",
                got="none",
                do="give a file with a text on each line",
            )
        if getattr(self.tokenizer, "pad_token", None) is None:
            do = "set tokenizer.pad_token, such as to tokenizer.eos_token"
            refuse("tokenizer", must="one that can pad", got="one without a token for that", do=do)
        most = (
            getattr(self.tokenizer, "model_max_length", None) or math.inf
        )  # fewer than the places where some are kept for padding
        longest = int(min(length or math.inf, _places(self.model.config), most))
        whole = [len(ids) for ids in self.tokenizer(list(texts), verbose=False)["input_ids"]]
        cut = sum(tokens > longest for tokens in whole)
        notes = (
            [f"{cut} of {len(texts)} texts are longer than {longest} tokens, and were cut there."]
            if cut
            else []
        )
        order = sorted(range(len(texts)), key=whole.__getitem__)
        taken = set(inspect.signature(self.model.forward).parameters)
        made = []
        for start in range(0, len(order), size):
            some = [texts[place] for place in order[start : start + size]]
            batch = self.tokenizer(
                some, padding=True, truncation=True, max_length=longest, return_tensors="pt"
            )
            if batch["input_ids"].shape[1] > longest:
                do = "leave room for the tokens that the tokenizer adds"
                refuse(
                    "length",
                    must="one that the tokenizer can cut texts to",
                    got=str(longest),
                    do=do,
                )
            made.append(
                {name: part.to(self.model.device) for name, part in batch.items() if name in taken}
            )
        return made, notes


@door("probe")
def load(name: str, device: str = "cpu") -> Reader:
    """Load a model of transformers and its tokenizer.

    Args:
        name: a folder with both, an installed package that carries a folder ``model``, or a name on the hub.
        device: where the model is to work, as torch names it.

    Returns:
        a ``Reader``: in evaluation mode, with the head for language where the model was trained with one.

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
        refuse("transformers", must="installed", got="not there", do='pip install "kanerva[hf]"')
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    where = _device(device)
    place = _place(name)
    local = place != name or Path(name).is_dir() or not _reachable()
    try:
        with _quiet():
            config = AutoConfig.from_pretrained(place, local_files_only=local)
            causal = any(
                kind.endswith(("ForCausalLM", "LMHeadModel")) for kind in config.architectures or ()
            )
            model = (AutoModelForCausalLM if causal else AutoModel).from_pretrained(
                place, local_files_only=local
            )
            tokenizer = AutoTokenizer.from_pretrained(place, local_files_only=local)
    except Exception as error:  # what a hub without a network, a folder without a model and a broken file raise differs by version
        must = "a folder with a model and its tokenizer, an installed package that carries one, or a name that the hub has"
        got = f"{name!r} ({type(error).__name__}: {' '.join(str(error).split())[:160] or 'no more is known'})"
        do = "give a folder that model.save_pretrained and tokenizer.save_pretrained wrote, or check the network"
        refuse("model", must=must, got=got, do=do, error=InputFileError)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Reader(name, model.eval().to(where), tokenizer)


def _device(name: str) -> torch.device:
    """Return a device that torch can calculate on here."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, ValueError) as error:
        got = f"{name!r} ({str(error).splitlines()[0][:80]})"
        refuse(
            "device",
            must="one that torch can use here, such as 'cpu' or 'cuda'",
            got=got,
            do="leave it out for the CPU",
        )


def _reachable() -> bool:
    """Tell within seconds whether the hub answers; without it only what was downloaded before is looked for."""
    from huggingface_hub import constants

    if getproxies():  # what stands between knows the way
        return True
    hub = urlsplit(constants.ENDPOINT)
    try:
        socket.create_connection((hub.hostname or "", hub.port or 443), timeout=5).close()
    except OSError:
        return False
    return True


def _places(config: Any) -> float:
    """Tell how many tokens a model takes."""
    named = (
        getattr(config, name, None)
        for name in ("max_position_embeddings", "n_positions", "max_seq_len")
    )
    return next((count for count in named if isinstance(count, int) and count > 0), 512)


def _place(name: str) -> str:
    """Turn the name of an installed package into the folder of the model that it carries."""
    module = name.replace("-", "_")
    if os.sep in name or Path(name).is_dir() or not module.isidentifier():
        return name
    found = importlib.util.find_spec(module)
    folder = Path(found.origin).parent / "model" if found and found.origin else Path(name)
    return str(folder) if (folder / "config.json").is_file() else name


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what transformers says about its progress, and of weights that a model does without, to itself."""
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
