"""Load a model that is taken apart: with its weights, or from its configuration alone."""

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.probing._model import Subject, opened

__all__ = ["BY_HAND", "Subject", "load"]

BY_HAND = "call it in Python on inputs of your own, inside kanerva.quarks.watch"


@door("quarks")
def load(name: str, *, meta: bool = False) -> Subject:
    """Load a model of transformers with its weights, or build it without them.

    Counts depend on shapes alone, unless a model chooses its path by the values that it computes.
    A model without weights takes no memory, however large it is. No code of a folder is run, and
    weights are read from safetensors files alone; where a folder has none, the model is built from
    its configuration.

    Args:
        name: a folder with a model, or with its ``config.json`` alone; an installed package that
            contains a folder ``model``; or a name on the hub.
        meta: build the model without its weights in any case.

    Returns:
        a ``Subject``.

    Raises:
        InputError: transformers is not installed, or the model takes neither texts nor pictures.
        InputFileError: there is no such model, the hub cannot be reached, or the model needs Python
            code of its own.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import quarks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig().save_pretrained(folder)
        ...     subject = quarks.load(folder)
        >>> type(subject.model).__name__, subject.note
        ('BertModel', 'The folder has no weights: the model was built from its configuration.')
    """
    return opened(name, checks.flag("meta", meta), BY_HAND)
