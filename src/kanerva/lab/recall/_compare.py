"""Store a data set in many memories, damage cues, recall them, and measure what is recalled."""

import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch

import kanerva
from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab.data import DataSet
from kanerva.lab.memories import prepare, spared
from kanerva.lab.recall._capacity import LEAST
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._notes import notes
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._run import BASELINES, Run
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._summary import best, verdicts

__all__ = ["Comparison", "compare"]

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Comparison(NamedTuple):
    """The result of a comparison.

    Attributes:
        name: of the data.
        rows: a dict for each codec, memory, level and seed.
        weights: a dict for each codec, memory and distance: the weight of a pattern that far from
            the query, as a share of its weight at distance 0.
        pictures: title and ``(k, ...)`` array each: originals, cues, and what each memory recalled.
        parameters: a dict for each parameter of each memory and codec: ``value``, ``why``, the
            value that ``theory`` gives, and where it was fitted to the data the ``tuned`` value and
            what it gains.
        sizes: a dict for each codec, memory, number of patterns ``stored`` and seed: the share of
            cues recalled exactly, at one level of damage.
        capacity: a dict for each codec and memory: how many patterns it ``holds``, the ``low`` and
            ``high`` of that over seeds, and what ``theory`` says of random patterns.
        notes: what was done to the data, and how to read the numbers.
        best: sentences on which memories recall most, and which of them cost least.
        verdicts: what each memory recalls and holds, and how it fails.
        manifest: versions, seeds and settings.
        found: a dict for each cue of each codec, memory, level and seed: ``stored``, the row of the
            pattern that was damaged, and ``found``, that of the stored pattern nearest to the
            result (None where the result is empty), counted from 0 in the order of storing; where
            there are classes, ``stored_class`` and ``found_class``, too.
    """

    name: str
    rows: list[Row]
    weights: list[Row]
    pictures: list[tuple[str, np.ndarray]]
    parameters: list[Row]
    sizes: list[Row]
    capacity: list[Row]
    notes: list[str]
    best: list[str]
    verdicts: list[str]
    manifest: dict[str, Any]
    found: list[Row]


@door("recall")
def compare(data: DataSet, plan: Plan, progress: Progress | None = None) -> Comparison:
    """Run a comparison.

    Args:
        data: as ``data.load`` returns it.
        plan: what to compare.
        progress: called with what is being done, parts done and parts in all.

    Returns:
        the rows of the table and all that a report needs.

    Raises:
        InputError: a plan that does not fit the data.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.lab.recall import Plan, compare
        >>> plan = Plan(memories=("exponential",), levels=(0.05,), seeds=1, cues=26)
        >>> result = compare(data.load("letters"), plan)
        >>> [row["exact"] for row in result.rows if row["memory"] == "exponential"]
        [1.0, 1.0]
    """
    start = time.perf_counter()
    checks.instance("data", data, DataSet, "load some with data.load")
    checks.instance("plan", plan, Plan, "give recall.Plan()")
    checks.function("progress", progress, "give one of a text and two numbers")
    x = data.real if plan.domain == "real" else data.bits
    if x is None:
        got = "'bits', of data loaded as real numbers"
        refuse("domain", must="one that the data have", got=got, do="use --domain real")
    if plan.capacity and len(x) < LEAST:
        got, do = f"{len(x)}", "give more, or leave the capacity out with --no-capacity"
        refuse("patterns", must=f"{LEAST} or more to measure a capacity", got=got, do=do)
    scorer = Scorer(x, data.labels, plan.domain)
    codes = [Coded(name, replace(data, real=x), plan, scorer, progress) for name in plan.codecs]
    # All memories are built before any is read, so that a wrong parameter is found at once.
    needed = plan.needed()
    built = [_prepared(coded, plan) for coded in codes]
    run = Run(data, x, plan, sum(map(len, built)), progress)
    for coded, memories in zip(codes, built, strict=True):
        for name, title in BASELINES.items():
            run.baseline(name, title, coded)
        for name in tuple(memories):
            parameters, memory = memories.pop(name)
            with spared(name, plan.entries[name], needed):
                run.measure(name, plan.entries[name], coded, parameters, memory)
    words = [*data.notes, *notes(data, plan, codes), *run.warnings, run.example()]
    manifest = _manifest(data, plan, codes, time.perf_counter() - start)
    return Comparison(
        name=data.name,
        rows=run.rows,
        weights=run.weights,
        pictures=run.pictures,
        parameters=run.parameters,
        sizes=run.sizes,
        capacity=run.capacity,
        notes=words,
        best=best(run.rows, run.parameters),
        verdicts=verdicts(run.rows, run.capacity, run.parameters),
        manifest=manifest,
        found=run.found,
    )


def _prepared(coded: Coded, plan: Plan) -> dict[str, Any]:
    """Choose the parameters of the memories for one code, and build them."""
    entries = plan.suited(coded.facts, coded.domain)
    given = {
        key: value
        for key, value in plan.given.items()
        if key.rpartition(".")[0] in entries or key.rpartition(".")[0] not in plan.entries
    }
    return prepare(entries, coded.facts, given, plan.needed())


def _manifest(data: DataSet, plan: Plan, codes: Sequence[Coded], seconds: float) -> dict[str, Any]:
    """Record versions, data and settings of the run."""
    return {
        "kanerva": kanerva.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "data": data.name,
        "patterns": len(data.real),
        "dim": data.real.shape[1],
        "domain": plan.domain,
        "codecs": {coded.name: coded.codec.about for coded in codes},
        "damage": plan.kind,
        "levels": list(plan.sweep()),
        "seeds": list(range(plan.seed, plan.seed + plan.seeds)),
        "cues": plan.cues,
        "steps": plan.steps,
        "tune": plan.tune,
        "capacity_level": plan.measured() if plan.capacity else None,
        "share": plan.share if plan.capacity else None,
        "given": dict(plan.given),
        "seconds": round(seconds, 1),
    }
