"""Load a transformer with its tokenizer, without running code of the folder that holds them."""

from typing import Any

import torch

from kanerva._core import checks
from kanerva._core.errors import InputError, door, refuse
from kanerva.lab.probing._reader import Reader
from kanerva.lab.probing._source import LANGUAGE, configured, find, quiet, refuse_model

__all__ = ["load"]

FOLDER = "a folder with a model and its tokenizer"


@door("probe")
def load(name: str, device: str = "cpu", *, allow_pickle: bool = False) -> Reader:
    """Load a model of transformers and its tokenizer.

    No code of the folder is run: only classes of transformers itself are loaded, and weights are
    read from safetensors files alone, because a pickle can run code when it is read.

    Args:
        name: a folder with both, an installed package that contains a folder ``model``, or a name
            on the hub.
        device: device of the model, as torch names it.
        allow_pickle: read weights from pickles, such as pytorch_model.bin, where there are no
            safetensors files.

    Returns:
        a ``Reader``: the model in evaluation mode, with its language head if it was trained with
        one.

    Raises:
        InputError: transformers is not installed, torch has no such device, or the model takes no
            texts.
        InputFileError: there is no such model, the hub cannot be reached, the model needs Python
            code of its own, or its weights are pickles that were not allowed.

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
    source = find(name, FOLDER)
    pickles = checks.flag("allow_pickle", allow_pickle)
    where = _device(device)
    try:
        with quiet():
            model, tokenizer = _loaded(source.folder, source.local, pickles)
    except InputError:
        raise
    except Exception as error:  # each version of transformers and its hub raises other classes
        do = "write both with their method save_pretrained, or check the network"
        refuse_model(source, error, pickles=pickles, must=FOLDER, do=do)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Reader(name, model.eval().to(where), tokenizer)


def _loaded(folder: str, local: bool, pickles: bool) -> tuple[Any, Any]:
    """Load a model and its tokenizer with the classes that the configuration names."""
    from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer

    config = configured(folder, local)
    options = {"local_files_only": local, "trust_remote_code": False}
    language = any(kind.endswith(LANGUAGE) for kind in config.architectures or ())
    kind = AutoModelForCausalLM if language else AutoModel
    # Some versions draw initial weights, which those of the file then replace.
    with torch.random.fork_rng(devices=[]):
        model = kind.from_pretrained(folder, use_safetensors=None if pickles else True, **options)
    taken = getattr(model, "main_input_name", "input_ids")
    if taken != "input_ids":
        do = "call it in Python on inputs of your own, inside kanerva.probe.watch"
        got = f"{type(model).__name__}, which takes {taken}"
        refuse("model", got=got, must="one that takes texts", do=do)
    return model, AutoTokenizer.from_pretrained(folder, **options)


def _device(name: str) -> torch.device:
    """Return a device that torch can use here."""
    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError, ValueError) as error:
        got = f"{name!r} ({str(error).splitlines()[0][:80]})"
        must = "one that torch can use here, such as 'cpu' or 'cuda'"
        refuse("device", got=got, must=must, do="leave it out for the CPU")
