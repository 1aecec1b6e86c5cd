"""A model that is called once or taken apart: with its weights, or from its configuration alone."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from kanerva._core.errors import InputError, InputFileError, refuse
from kanerva.lab.probing._source import LANGUAGE, Source, configured, find, quiet, refuse_model

__all__ = ["Subject", "drawn", "opened"]

FOLDER = "a folder with a model, or with its configuration alone"
TAKEN = ("input_ids", "pixel_values")


class Subject(NamedTuple):
    """A model that is taken apart.

    * ``name``: as given.
    * ``model``: of transformers, in evaluation mode.
    * ``mode``: of torch, in which tensors have shapes but no numbers; None where the model has its
      weights.
    * ``note``: why it has none; empty where it has.
    """

    name: str
    model: Any
    mode: Any
    note: str


def opened(name: str, meta: bool, by_hand: str) -> Subject:
    """Load a model of texts or pictures with its weights, or build it without them.

    Args:
        name: a folder, an installed package that contains a folder ``model``, or a name on the hub.
        meta: build the model without its weights in any case.
        by_hand: what to do in Python with a model that takes neither, for the error.
    """
    source = find(name, FOLDER)
    if Path(source.folder).is_dir() and not Path(source.folder, "config.json").is_file():
        # Some versions guess a configuration from the name of the folder.
        got, do = f"{name!r}, without a config.json", "write it with save_pretrained"
        refuse("model", got=got, must=FOLDER, do=do, error=InputFileError)
    note = _note(source, meta)
    mode = _fake() if note else None
    try:
        # Some versions draw initial weights, which those of a file then replace.
        with quiet(), torch.random.fork_rng(devices=[]):
            model = _loaded(source) if mode is None else _emptied(_built(source), mode)
    except InputError:
        raise
    except Exception as error:  # each version of transformers and its hub raises other classes
        do = "write the model or its config.json with save_pretrained, or check the network"
        if not note:
            do += "; with --meta or meta=True its weights are not needed"
        refuse_model(source, error, pickles=True, must=FOLDER, do=do)
    taken = getattr(model, "main_input_name", "input_ids")
    if taken not in TAKEN:
        got = f"{type(model).__name__}, which takes {taken}"
        refuse("model", got=got, must="one that takes texts or pictures", do=by_hand)
    return Subject(name, model.eval(), mode, note)


def drawn(name: str, seed: int) -> Any:
    """Build a model from its configuration with random weights of a seed, in evaluation mode."""
    config, kind = _kind(find(name, FOLDER))
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = kind.from_config(config, trust_remote_code=False, dtype=torch.float32)
    return model.eval()


def _note(source: Source, meta: bool) -> str:
    """Return why a model is built without its weights; empty where it is not."""
    folder = Path(source.folder)
    if meta:
        return "The model was built from its configuration, without its weights."
    if not folder.is_dir() or any(folder.glob("*.safetensors")):
        return ""
    held = "weights in safetensors files" if any(folder.glob("*.bin")) else "weights"
    return f"The folder has no {held}: the model was built from its configuration."


def _fake() -> Any:
    """Return a mode in which tensors have shapes but no numbers."""
    from torch._subclasses import FakeTensorMode

    return FakeTensorMode(allow_non_fake_inputs=True)


def _kind(source: Source) -> tuple[Any, Any]:
    """Return a configuration and the class that it names, with a head for texts if it has one."""
    from transformers import AutoModel, AutoModelForCausalLM

    config = configured(source.folder, source.local)
    language = any(kind.endswith(LANGUAGE) for kind in config.architectures or ())
    return config, AutoModelForCausalLM if language else AutoModel


def _loaded(source: Source) -> Any:
    """Load a model with its weights."""
    _, kind = _kind(source)
    options = {"local_files_only": source.local, "trust_remote_code": False}
    return kind.from_pretrained(source.folder, use_safetensors=True, **options)


def _built(source: Source) -> Any:
    """Build a model whose tensors have shapes but no numbers."""
    config, kind = _kind(source)
    # In this dtype torch knows the shapes of all operations, also those of mixtures of experts.
    with torch.device("meta"):
        return kind.from_config(config, trust_remote_code=False, dtype=torch.bfloat16)


def _emptied(model: Any, mode: Any) -> Any:
    """Put tensors of the processor in the place of those without a device, also without numbers.

    A model takes the path that it would take on the processor, and shared weights stay shared.
    """
    found: dict[int, Any] = {}

    def empty(tensor: Any) -> Any:
        if id(tensor) not in found:
            with mode:
                new = torch.empty_like(tensor, device="cpu")
            kept = isinstance(tensor, torch.nn.Parameter)
            found[id(tensor)] = torch.nn.Parameter(new, requires_grad=False) if kept else new
        return found[id(tensor)]

    for module in model.modules():
        for held in (module._parameters, module._buffers):
            for name, tensor in held.items():
                if tensor is not None and tensor.is_meta:
                    held[name] = empty(tensor)
    return model
