"""Count the gates of a model at a number of tokens, and how they grow with it."""

import platform
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from importlib.metadata import version
from typing import Any, NamedTuple

import torch

from kanerva import quarks
from kanerva._core import checks
from kanerva._core.errors import InputTypeError, door, refuse
from kanerva.lab.probing._arguments import called, longest, picture
from kanerva.lab.quarks import _words
from kanerva.lab.quarks._growth import Polynomial, at, crossing, polynomial
from kanerva.lab.quarks._inputs import inputs
from kanerva.lab.quarks._load import BY_HAND, Subject

__all__ = ["Count", "count"]

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]

TOKENS = 128
COUNTS = ("output", "synaptic", "additive", "linear", "tied", "selected")
GROWN = ("output", "synaptic", "additive", "linear")
# Lengths up to this one give the polynomials.
TOP = 64


class Count(NamedTuple):
    """What a model is made of.

    * ``name``: name of the model.
    * ``tokens``: of the text; None for a model of pictures.
    * ``output``, ``synaptic``, ``additive``, ``linear``, ``tied``, ``selected``, ``depth``,
      ``parameters``: as in ``kanerva.quarks.Tally``, of the whole model.
    * ``crossing``: tokens from which on there are more gates than products by weights; None where
      there is no such number.
    * ``longest``: the largest number of tokens that the model takes; None without a limit.
    * ``growth``: coefficients of 1, n and n² of the counts at n tokens; None where they do not grow
      as polynomials of degree 2, and for pictures.
    * ``kinds``: a dict for each class of modules, with what its modules compute themselves.
    * ``modules``: a dict for each module, with all modules in it.
    * ``unread``: the operations that could not be read, and how often each was met.
    * ``verdicts``: the main results, in sentences; ``notes``: what must be known to read them.
    * ``manifest``: model, settings and versions.
    """

    name: str
    tokens: int | None
    output: int
    synaptic: int
    additive: int
    linear: int
    tied: int
    selected: int
    depth: int
    parameters: int
    crossing: int | None
    longest: int | None
    growth: dict[str, list[int | float]] | None
    kinds: list[Row]
    modules: list[Row]
    unread: dict[str, int]
    verdicts: list[str]
    notes: list[str]
    manifest: dict[str, Any]


@door("quarks")
def count(subject: Subject, tokens: int | None = None, progress: Progress | None = None) -> Count:
    """Count the gates of a model, and find how they grow with the tokens.

    The counts at three lengths give polynomials of degree 2, and a fourth length tests them.

    Args:
        subject: of ``load``.
        tokens: of the text, >= 1; None for 128, or as many as the model takes where that is less.
            A model of two texts gets both of that length. A model of pictures takes none.
        progress: called with the name of a stage, the number of parts done, and the number of all
            parts.

    Returns:
        a ``Count``.

    Raises:
        InputError: the model takes fewer tokens or pictures, or it cannot be called with ids or
            pixels alone.

    Example:
        >>> import tempfile
        >>> from transformers import BertConfig
        >>> from kanerva.lab import quarks
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     BertConfig(num_hidden_layers=2).save_pretrained(folder)
        ...     found = quarks.count(quarks.load(folder), 32)
        >>> n, width, heads = 32, 768, 12
        >>> layers = 2 * (n * n * width + heads * n * n + 2 * n * width)
        >>> found.output == layers + n * width  # and the normalised embeddings
        True
        >>> found.synaptic == 2 * n * n * width
        True
    """
    if not isinstance(subject, Subject):
        do = "make it with kanerva.lab.quarks.load"
        refuse("subject", subject, must="a Subject", do=do, error=InputTypeError)
    start, limit = time.perf_counter(), longest(subject.model)
    free = not picture(subject.model)
    if not free and tokens is not None:
        must, do = (
            "left out for a model of pictures",
            "its tokens follow from the size of a picture",
        )
        refuse("tokens", tokens, must=must, do=do)
    size = _tokens(subject, tokens, limit) if free else 0
    lengths = _lengths(size, limit) if free else []
    steps = len(lengths) + 1
    report = progress or (lambda *_: None)
    whole = _tallied(subject, size)
    report("counting", 1, steps)
    grown = {size: whole}
    for done, length in enumerate(lengths, 2):
        grown[length] = _tallied(subject, length)
        report("counting", done, steps)
    found = _polynomials(grown, lengths) if lengths else None
    counts = {name: getattr(whole, name) for name in (*COUNTS, "depth", "parameters")}
    gates = None if found is None else _sum(found["output"], found["synaptic"])
    several = {
        "tokens": size if free else None,
        "crossing": None if found is None or gates is None else crossing(gates, found["linear"]),
        "longest": limit if free else None,
        "growth": None if found is None else {name: _plain(one) for name, one in found.items()},
    }
    facts: dict[str, Any] = {"name": subject.name, **counts, **several, "unread": whole.unread}
    return Count(
        **facts,
        kinds=_kinds(subject.model, whole),
        modules=_modules(subject.model, whole),
        verdicts=_words.verdicts(facts),
        notes=_words.notes(facts, subject, bool(lengths)),
        manifest=_manifest(subject, several) | {"seconds": round(time.perf_counter() - start, 1)},
    )


def _tokens(subject: Subject, tokens: int | None, limit: int | None) -> int:
    """Return how many tokens a text has."""
    if tokens is None:
        return TOKENS if limit is None else min(TOKENS, limit)
    size = checks.integer("tokens", tokens, 1, 10**9)
    if limit is not None and size > limit:
        must = f"at most {limit:,}, the positions of {type(subject.model).__name__}"
        refuse("tokens", got=f"{size:,}", must=must, do="give fewer")
    return size


def _lengths(size: int, limit: int | None) -> list[int]:
    """Return three lengths that give the polynomials; none where the model takes too few."""
    top = TOP if limit is None else min(TOP, limit)
    found = [top // 4, top // 2, 3 * top // 4]
    if top < 8:
        return []
    # The asked one tests the polynomials, so it must be another.
    return found if size not in found else [one for one in (*found, top) if one != size]


def _tallied(subject: Subject, tokens: int) -> quarks.Tally:
    """Count one call of the model."""
    with ExitStack() as stack:
        if subject.mode is not None:
            stack.enter_context(subject.mode)
        given = inputs(subject, tokens)
        stack.enter_context(called(subject, tokens, BY_HAND))
        stack.enter_context(torch.no_grad())
        tally = stack.enter_context(quarks.watch(subject.model))
        subject.model(**given)
    return tally


def _polynomials(
    grown: Mapping[int, quarks.Tally], lengths: list[int]
) -> dict[str, Polynomial] | None:
    """Return how each count grows; None where that is no polynomial of degree 2.

    A further length contradicts it, or it would fall below 0 for long texts.
    """
    found = {}
    for name in GROWN:
        counts = [getattr(grown[length], name) for length in lengths]
        found[name] = polynomial(lengths, counts)
        _, slope, square = found[name]
        falls = square < 0 or (square == 0 and slope < 0)
        if falls or any(at(found[name], n) != getattr(one, name) for n, one in grown.items()):
            return None
    return found


def _sum(one: Polynomial, other: Polynomial) -> Polynomial:
    constant, slope, square = (a + b for a, b in zip(one, other, strict=True))
    return constant, slope, square


def _plain(found: Polynomial) -> list[int | float]:
    """Return the coefficients as JSON has them."""
    return [int(one) if one.denominator == 1 else float(one) for one in map(Fraction, found)]


def _called(tally: quarks.Tally) -> bool:
    return any(getattr(tally, name) for name in (*COUNTS, "depth")) or bool(tally.unread)


def _single(whole: quarks.Tally) -> dict[str, quarks.Tally]:
    """Return the tally of each module under the first of its names."""
    names: dict[int, str] = {}
    for name, tally in whole.modules.items():
        names.setdefault(id(tally), name)
    return {name: whole.modules[name] for name in names.values()}


def _modules(model: Any, whole: quarks.Tally) -> list[Row]:
    """Return what each module computes, with all modules in it."""
    return [
        {
            "module": name or "the whole model",
            "kind": type(model.get_submodule(name)).__name__,
            **{one: getattr(tally, one) for one in (*COUNTS, "depth", "parameters")},
        }
        for name, tally in _single(whole).items()
        if not name or _called(tally)
    ]


def _kinds(model: Any, whole: quarks.Tally) -> list[Row]:
    """Return what the modules of each class compute themselves, the most gates first."""
    kinds: dict[str, Row] = {}
    seen: set[int] = set()
    for name, own in _owned(whole).items():
        module = model.get_submodule(name)
        held = [one for one in module.parameters(recurse=False) if id(one) not in seen]
        seen.update(map(id, held))
        parameters = sum(one.numel() for one in held)
        if not (parameters or any(own.values())):
            continue
        kind = type(module).__name__
        row = kinds.setdefault(kind, {"kind": kind, "modules": 0})
        row["modules"] += 1
        for key, value in (*own.items(), ("parameters", parameters)):
            row[key] = row.get(key, 0) + value
    rows = [row | {"gates": row["output"] + row["synaptic"]} for row in kinds.values()]
    return sorted(rows, key=lambda row: (-row["gates"], -row["linear"], -row["additive"]))


def _owned(whole: quarks.Tally) -> dict[str, dict[str, int]]:
    """Return the counts of each module without those of the modules in it."""
    tallies = _single(whole)
    own = {name: {one: getattr(tally, one) for one in COUNTS} for name, tally in tallies.items()}
    for name, tally in tallies.items():
        above = name
        while above:
            above = above.rpartition(".")[0]
            # A list of modules is not called, and its modules belong to the one that holds it.
            if above in own and (not above or _called(tallies[above])):
                for one in COUNTS:
                    own[above][one] -= getattr(tally, one)
                break
    # Of a module that is called inside another one than holds it, which is rare.
    return {name: {one: max(0, n) for one, n in counts.items()} for name, counts in own.items()}


def _manifest(subject: Subject, several: Mapping[str, Any]) -> dict[str, Any]:
    packages = ("kanerva", "torch", "transformers")
    return {
        "model": subject.name,
        "class": type(subject.model).__name__,
        "weights": "not loaded" if subject.mode else "loaded",
        "tokens": several["tokens"],
        "versions": {"python": platform.python_version()}
        | {name: version(name) for name in packages},
    }
