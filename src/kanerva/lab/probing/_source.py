"""Where a model of transformers is: a folder, an installed package, or a name on the hub."""

import importlib.util
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import urlsplit
from urllib.request import getproxies

from kanerva._core.errors import InputFileError, InputTypeError, refuse

__all__ = [
    "LANGUAGE",
    "Source",
    "configured",
    "find",
    "has_pickles",
    "positions",
    "quiet",
    "refuse_model",
]

LANGUAGE = ("ForCausalLM", "LMHeadModel")  # ends of the names of classes with a language head
# Names of the largest number of tokens in configurations.
LENGTHS = ("max_position_embeddings", "n_positions", "max_seq_len")
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


class Source(NamedTuple):
    """Where a model is.

    * ``name``: as given.
    * ``folder``: that of the model, or its name on the hub.
    * ``local``: whether only files of this machine are used.
    """

    name: str
    folder: str
    local: bool


def find(name: Any, must: str) -> Source:
    """Return where a model is; refuse a path that is not there.

    Args:
        name: a folder, an installed package that contains a folder ``model``, or a name on the hub.
        must: what a folder holds, for the error.
    """
    if importlib.util.find_spec("transformers") is None:
        do = 'pip install "kanerva[hf]"'
        refuse("transformers", got="not there", must="installed", do=do)
    if not isinstance(name, str) or not name:
        kinds, do = "the name of a folder, a package or a model on the hub", "write it as a string"
        refuse("model", name, must=kinds, do=do, error=InputTypeError)
    if _is_path(name) and not os.path.isdir(name):
        held = "a file" if os.path.exists(name) else "not there"
        got, do = f"the path {name!r}, which is {held}", "check the path of the folder"
        refuse("model", got=got, must=must, do=do, error=InputFileError)
    folder = _folder(name)
    return Source(name, folder, folder != name or os.path.isdir(name) or not _hub_answers())


def configured(folder: str, local: bool) -> Any:
    """Return the configuration of a model of a class in transformers.

    No code of the folder is run.
    """
    from transformers import AutoConfig

    # Without an explicit False, transformers offers on the terminal to run code of the folder.
    config = AutoConfig.from_pretrained(folder, local_files_only=local, trust_remote_code=False)
    _check_kernels(config)
    return config


def _check_kernels(config: Any) -> None:
    """Refuse a configuration that names an attention on the hub: its code would be downloaded."""
    parts = [config, *(part for part in vars(config).values() if hasattr(part, "to_dict"))]
    for part in parts:
        name = getattr(part, "_attn_implementation", None)
        if isinstance(name, str) and "/" in name:
            must, got = "one whose attention is in transformers itself", f"one that takes {name!r}"
            do = 'write "sdpa" as attn_implementation into its config.json'
            refuse("model", got=got, must=must, do=do, error=InputFileError)


def refuse_model(
    source: Source, error: Exception, *, pickles: bool, must: str, do: str
) -> NoReturn:
    """Say why a model could not be loaded."""
    name, folder = source.name, source.folder
    reason = " ".join(str(error).split())
    got = f"{name!r} ({type(error).__name__}: {reason[:160] or 'no more is known'})"
    must = f"{must}, an installed package that contains one, or a name on the hub"
    if "trust_remote_code" in reason:
        must, got = "of a class of transformers", f"{name!r}, which needs Python code of its own"
        do = "read that code, load the model with it in Python, and call probing.examine"
    elif "safetensors" in reason and not pickles and has_pickles(folder):
        must, got = "one with weights in safetensors files", f"{name!r}, which has none"
        do = (
            "write it again with save_pretrained, or, where its pickles come from someone you "
            "trust, allow them with --allow-pickle or allow_pickle=True"
        )
    refuse("model", got=got, must=must, do=do, error=InputFileError)


def has_pickles(folder: str) -> bool:
    """Return whether a folder holds pickles; True for a name on the hub, which cannot be listed."""
    path = Path(folder)
    return not path.is_dir() or any(any(path.glob(kind)) for kind in PICKLES)


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
def quiet() -> Iterator[None]:
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


def positions(config: Any) -> int | None:
    """Return the largest number of tokens that a configuration names; None where it names none."""
    counts = (getattr(config, name, None) for name in LENGTHS)
    return next((count for count in counts if isinstance(count, int) and count > 0), None)
