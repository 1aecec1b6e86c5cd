"""Study what gates would add to a model: its stages, their parameters, and correlations."""

import platform
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import torch

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab.attach import _words
from kanerva.lab.attach._gates import Choice, correlated, measured, spread
from kanerva.lab.attach._inputs import Inputs, arguments, given, parts
from kanerva.lab.attach._load import BY_HAND, ours
from kanerva.lab.attach._stages import SCOPES, Laid, added, look, members
from kanerva.lab.probing._arguments import called
from kanerva.lab.probing._model import Subject
from kanerva.nn._gates import GATES

__all__ = ["Study", "study"]

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]
INNER = {"branches": "branches", "example": "inputs"}


class Study(NamedTuple):
    """What gates would add to a model.

    * ``name``: of the model; ``parameters``: its weights.
    * ``gate``, ``scope``, ``reduction``: what was chosen; ``reduction`` is None for that of each
      gate.
    * ``added``: the parameters of the chosen gates; ``mean``, ``lowest``, ``highest``: the mean of
      these gates, and the lowest and highest mean of a block, before any training; None without
      weights.
    * ``other``: the scope that the correlations are compared with.
    * ``stages``: a dict for each stage: name, number of blocks, width, places, and the branch of
      the first block and of the last.
    * ``costs``: a dict for each gate, with the parameters that it adds in each scope; None where it
      cannot be attached.
    * ``correlations``: a dict for each stage and what the correlation is over: its mean over pairs
      of blocks, that with the channels of one block permuted, that between different samples, and
      that of the other scope; None where gates do not vary. Empty without weights.
    * ``verdicts``: the main results, in sentences; ``notes``: what must be known to read them.
    * ``manifest``: model, settings and versions.
    """

    name: str
    parameters: int
    gate: str
    scope: str
    reduction: int | None
    added: int
    mean: float | None
    lowest: float | None
    highest: float | None
    other: str
    stages: list[Row]
    costs: list[Row]
    correlations: list[Row]
    verdicts: list[str]
    notes: list[str]
    manifest: dict[str, Any]


@door("attach")
def study(
    subject: Subject,
    gate: str = "dia",
    scope: str = "stage",
    reduction: int | None = None,
    *,
    branches: Sequence[str] | None = None,
    inputs: str | Path | None = None,
    samples: int | None = None,
    tokens: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Study:
    """Find the stages of a model, what each gate would add, and how untrained gates correlate.

    The model is called in evaluation mode and without gradients, and left as it was. A model with
    random weights takes the statistics of its batch normalisations from the inputs.

    Args:
        subject: of ``load``.
        gate: the one whose correlation is measured: ``"dia"``, ``"se"``, ``"eca"``, ``"sge"``,
            ``"cbam"``, ``"srm"``, ``"recall"``, ``"constant"`` or ``"scale"``.
        scope: ``"stage"``, ``"block"`` or ``"model"``, the blocks that share a gate.
        reduction: >= 1, what divides the width inside a gate; None for that of each gate.
        branches: patterns of the modules whose output is gated; None for the known families.
        inputs: a ``.npy`` file of pictures ``(b, c, h, w)`` or ids of tokens ``(b, n)``; None for
            random ones.
        samples: >= 2, how many inputs; None for 16 random ones, or all of the file.
        tokens: >= 1, of each random text; None for 32, or as many as the model takes.
        seed: >= 0, of gates, random inputs and nulls.
        progress: called with the name of a stage, the number of parts done, and the number of all
            parts.

    Returns:
        a ``Study``.

    Raises:
        InputError: a model of no known family without ``branches``, branches that match nothing, a
            scope or a gate that the model cannot have, or a number out of range.
        InputFileError: the file of inputs cannot be read.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import attach
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig(hidden_size=24, intermediate_size=9).save_pretrained(folder)
        ...     found = attach.study(attach.load(folder))
        >>> found.stages[0]["blocks"], found.costs[0]["stage"] == 10 * 24 * 6 + 2 * 6 + 8 * 24
        (24, True)
        >>> found.correlations[0]["mean"] > 0.8
        True

    Source: Huang and others 2024.
    """
    if not isinstance(subject, Subject):
        do = "make it with kanerva.lab.attach.load"
        refuse("subject", subject, must="a Subject", do=do, error=InputTypeError)
    start = time.perf_counter()
    checks.choice("gate", gate, list(GATES))
    checks.choice("scope", scope, SCOPES)
    if reduction is not None:
        reduction = checks.integer("reduction", reduction, 1, checks.LONGEST)
    some = None if branches is None else list(checks.several("branches", branches, "patterns"))
    draws = _seeds(checks.integer("seed", seed, 0, 2**63 - 1))
    taken = given(subject, inputs, samples, tokens, arrays.generator(draws[0]))
    laid = _laid(subject, some, taken)
    costs, reasons = added(laid, reduction)
    cost = next(row for row in costs if row["gate"] == gate)[scope]
    if cost is None:
        _refuse(laid, gate, scope)
    facts: Row = {
        "name": subject.name,
        "parameters": sum(weight.numel() for weight in subject.model.parameters()),
        "gate": gate,
        "scope": scope,
        "reduction": reduction,
        "added": cost,
        "other": "stage" if scope == "block" else "block",
        "stages": [_stage(one) for one in laid],
        "costs": costs,
        "mean": None,
        "lowest": None,
        "highest": None,
        "correlations": [],
    }
    if subject.mode is None:
        choice = Choice(some, gate, scope, reduction, draws[1])
        facts |= _gates(subject, choice, taken, facts["other"], draws[2], progress)
    return Study(
        **facts,
        verdicts=_words.verdicts(facts, type(subject.model).__name__),
        notes=_words.notes(facts, subject, taken, reasons),
        manifest=_manifest(subject, taken, seed)
        | {"seconds": round(time.perf_counter() - start, 1)},
    )


def _seeds(seed: int) -> list[int]:
    """Return seeds for inputs, gates and nulls, whose numbers have nothing in common."""
    source = torch.Generator().manual_seed(seed)
    found: list[int] = torch.randint(2**62, (3,), generator=source).tolist()
    return found


def _laid(subject: Subject, branches: list[str] | None, taken: Inputs) -> list[Laid]:
    """Return the stages of a model, called once with two of the inputs."""
    with ExitStack() as stack:
        if subject.mode is not None:
            stack.enter_context(subject.mode)
        example = arguments(subject, taken.rows[:2])
        stack.enter_context(ours(**INNER))
        stack.enter_context(called(subject, taken.rows.shape[-1], BY_HAND))
        return look(subject.model, branches, example)


def _refuse(laid: Sequence[Laid], gate: str, scope: str) -> None:
    """Refuse a scope or a gate that the model cannot have."""
    if members(laid, scope):
        must = "one that these branches can have"
        refuse("gate", gate, must=must, do="choose another, such as 'se'")
    widths = ", ".join(str(one.stage.channels) for one in laid)
    must = "'stage' or 'block', as the branches differ in width"
    refuse("scope", got=f"'model', over widths of {widths}", must=must, do="choose 'stage'")


def _stage(one: Laid) -> Row:
    """Return a stage as a row of a table."""
    return {
        "stage": one.name,
        "blocks": len(one.blocks),
        "width": one.stage.channels,
        "places": list(one.stage.places),
        "first": one.blocks[0],
        "last": one.blocks[-1],
    }


def _gates(
    subject: Subject,
    choice: Choice,
    taken: Inputs,
    other: str,
    seed: int,
    progress: Progress | None,
) -> Row:
    """Return the correlations of the gates that were chosen, and their mean."""
    report = progress or (lambda *_: None)
    total = 2 * len(parts(taken.rows))
    done = iter(range(1, total + 1))

    def advance() -> None:
        report("calling the model", next(done), total)

    with ours(**INNER), called(subject, taken.rows.shape[-1], BY_HAND):
        chosen, apart = (
            measured(subject, choice._replace(scope=scope), taken.rows, advance)
            for scope in (choice.scope, other)
        )
    mean, low, high = spread(list(chosen.values()))
    rows = correlated(chosen, apart, seed)
    return {"correlations": rows, "mean": mean, "lowest": low, "highest": high}


def _manifest(subject: Subject, taken: Inputs, seed: int) -> Row:
    packages = ("kanerva", "torch", "transformers")
    return {
        "model": subject.name,
        "class": type(subject.model).__name__,
        "weights": _weights(subject),
        "inputs": list(taken.rows.shape),
        "seed": seed,
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
    }


def _weights(subject: Subject) -> str:
    """Return what the weights of a model are, in one word or two."""
    if subject.mode is not None:
        return "not loaded"
    return "random" if subject.note else "loaded"
