"""Load a model that gates are attached to; one without weights gets random ones."""

from collections.abc import Iterator
from contextlib import contextmanager

from kanerva._core import checks
from kanerva._core.errors import InputError, door
from kanerva.lab.probing._model import Subject, drawn, opened

__all__ = ["BY_HAND", "load", "ours"]

BY_HAND = "call kanerva.nn.share in Python, with an example of its inputs"
# More weights than these are not drawn.
MOST = 300_000_000


@door("attach")
def load(name: str, *, meta: bool = False, seed: int = 0) -> Subject:
    """Load a model of transformers with its weights, or build it from its configuration.

    Without weights, such as in a folder with a ``config.json`` alone, they are drawn, unless there
    are more than 300 million; then the model has shapes and no numbers. No code of a folder is run,
    and weights are read from safetensors files alone.

    Args:
        name: a folder with a model, or with its ``config.json`` alone; an installed package that
            contains a folder ``model``; or a name on the hub.
        meta: build the model without any weights.
        seed: >= 0, of the weights that are drawn.

    Returns:
        a ``Subject``.

    Raises:
        InputError: transformers is not installed, or the model takes neither texts nor pictures.
        InputFileError: there is no such model, the hub cannot be reached, or the model needs Python
            code of its own.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import attach
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig(hidden_size=24, intermediate_size=9).save_pretrained(folder)
        ...     subject = attach.load(folder)
        >>> type(subject.model).__name__, subject.note[-23:]
        ('BertModel', 'Its weights are random.')
    """
    checks.integer("seed", seed, 0, 2**63 - 1)
    meta = checks.flag("meta", meta)
    subject = opened(name, meta, BY_HAND)
    if subject.mode is None or meta:
        return subject
    count = sum(weight.numel() for weight in subject.model.parameters())
    if count > MOST:
        note = f"{subject.note} It has {count:,} weights, and more than {MOST:,} are not drawn."
        return subject._replace(note=note)
    note = f"{subject.note} Its weights are random."
    return Subject(name, drawn(name, seed), None, note)


@contextmanager
def ours(**known: str) -> Iterator[None]:
    """Give errors of inner functions to the function that was called, under its own arguments.

    Args:
        **known: the name of an inner argument, and the name under which it is taken here.
    """
    try:
        yield
    except InputError as error:
        argument = known.get(error.argument, error.argument)
        raise type(error)("", argument, error.must, error.got, error.do) from None
