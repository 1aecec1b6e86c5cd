"""Load a transformer with its tokenizer, without running code of the folder that holds them."""

import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch

from kanerva._core import checks
from kanerva._core.errors import InputError, InputFileError, InputTypeError, door, refuse
from kanerva.lab.probing._reader import Reader

__all__ = ["load"]

LANGUAGE = ("ForCausalLM", "LMHeadModel")  # ends of the names of classes with a language head
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


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
    if importlib.util.find_spec("transformers") is None:
        do = 'pip install "kanerva[hf]"'
        refuse("transformers", got="not there", must="installed", do=do)
    if not isinstance(name, str) or not name:
        must, do = "the name of a folder, a package or a model on the hub", "write it as a string"
        refuse("model", name, must=must, do=do, error=InputTypeError)
    pickles = checks.flag("allow_pickle", allow_pickle)
    where = _device(device)
    if _is_path(name) and not os.path.isdir(name):
        held = "a file" if os.path.exists(name) else "not there"
        got, do = f"the path {name!r}, which is {held}", "check the path of the folder"
        must = "a folder with a model and its tokenizer"
        refuse("model", got=got, must=must, do=do, error=InputFileError)
    folder = _folder(name)
    local = folder != name or os.path.isdir(name) or not _hub_answers()
    try:
        with _quiet():
            model, tokenizer = _loaded(folder, local, pickles)
    except InputError:
        raise
    except Exception as error:  # each version of transformers and its hub raises other classes
        _refuse_model(name, folder, error, pickles)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return Reader(name, model.eval().to(where), tokenizer)


def _loaded(folder: str, local: bool, pickles: bool) -> tuple[Any, Any]:
    """Load a model and its tokenizer with the classes that the configuration names."""
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoTokenizer

    # Without an explicit False, transformers offers on the terminal to run code of the folder.
    options = {"local_files_only": local, "trust_remote_code": False}
    config = AutoConfig.from_pretrained(folder, **options)
    _check_kernels(config)
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


def _check_kernels(config: Any) -> None:
    """Refuse a configuration that names an attention on the hub: its code would be downloaded."""
    parts = [config, *(part for part in vars(config).values() if hasattr(part, "to_dict"))]
    for part in parts:
        name = getattr(part, "_attn_implementation", None)
        if isinstance(name, str) and "/" in name:
            must, got = "one whose attention is in transformers itself", f"one that takes {name!r}"
            do = 'write "sdpa" as attn_implementation into its config.json'
            refuse("model", got=got, must=must, do=do, error=InputFileError)


def _refuse_model(name: str, folder: str, error: Exception, pickles: bool) -> NoReturn:
    """Say why a model could not be loaded."""
    reason = " ".join(str(error).split())
    got = f"{name!r} ({type(error).__name__}: {reason[:160] or 'no more is known'})"
    must = (
        "a folder with a model and its tokenizer, an installed package that contains one, "
        "or a name on the hub"
    )
    do = "write both with their method save_pretrained, or check the network"
    if "trust_remote_code" in reason:
        must, got = "of a class of transformers", f"{name!r}, which needs Python code of its own"
        do = "read that code, load the model with it in Python, and call probing.examine"
    elif "safetensors" in reason and not pickles and _has_pickles(folder):
        must, got = "one with weights in safetensors files", f"{name!r}, which has none"
        do = (
            "write it again with save_pretrained, or, where its pickles come from someone you "
            "trust, allow them with --allow-pickle or allow_pickle=True"
        )
    refuse("model", got=got, must=must, do=do, error=InputFileError)


def _has_pickles(folder: str) -> bool:
    """Return whether a folder holds pickles; True for a name on the hub, which cannot be listed."""
    path = Path(folder)
    return not path.is_dir() or any(any(path.glob(kind)) for kind in PICKLES)


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


def _is_path(name: str) -> bool:
    """Return whether a name can only be a path: those on the hub are ``MODEL`` or ``OWNER/MODEL``.

    A name below a folder that is there is taken as a path too.
    """
    parts = name.replace("\\", "/").split("/")
    if name.startswith((".", "/", "~")) or "\\" in name or len(parts) > 2:
        return True
    return len(parts) == 2 and (not parts[1] or os.path.isdir(parts[0]))


def _folder(name: str) -> str:
    """Return the folder of the model in an installed package; any other name as it is."""
    module = name.replace("-", "_")
    if os.sep in name or os.path.isdir(name) or not module.isidentifier():
        return name
    spec = importlib.util.find_spec(module)
    if not (spec and spec.origin):
        return name
    folder = Path(spec.origin).parent / "model"
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
