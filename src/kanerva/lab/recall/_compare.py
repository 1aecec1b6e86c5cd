"""Store a data set in many memories, damage cues, recall them, and say which memory gives back what."""

import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

import kanerva
from kanerva import theory
from kanerva._core import checks, files
from kanerva._core.errors import door, refuse
from kanerva._core.settings import settings
from kanerva.lab import plot, report
from kanerva.lab.data import DataSet, damage
from kanerva.lab.memories import ENTRIES, Facts, Number, Parameter, choose, measure
from kanerva.lab.recall._scorer import RIGHT, Scorer
from kanerva.lab.recall._summary import verdicts
from kanerva.memory import Locations, Memory

__all__ = ["Comparison", "Plan", "compare", "save"]

BASELINES = {"cue": "The cue itself", "nearest": "Nearest neighbour"}
LEVELS = {
    "gaussian": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0, 1.5),
    "flip": (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4),
}
# Whose weights are drawn against distance: a sparse distributed memory and what is said to be its like.
CURVES = ("sdm", "sdm_patterns", "attention")
# Sets in which +1 is ink on paper rather than light.
INK = ("digits", "letters", "mnist")
# Cues a level and seed whose weights are looked at, and pictures shown.
EXPLAINED, SHOWN = 10, 8

Row = dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """What to compare, and how hard.

    * ``memories``: names of ``lab.memories.ENTRIES``; empty for all that fit the domain.
    * ``kind``: of damage: ``"flip"``, ``"occlude"``, ``"gaussian"`` or ``"mask"``.
    * ``levels``: of damage; empty for a sweep that suits the kind.
    * ``seeds``: how many repetitions, each with other cues and other damage.
    * ``cues``: how many patterns are damaged and recalled for each level and seed.
    * ``steps``: at most so many reads a recall.
    * ``given``: parameters to take instead of theory's, such as ``{"sdm.radius": 24}``.
    * ``seed``: the first seed.
    * ``domain``: ``"bits"`` or ``"real"``.

    Example:
        >>> from kanerva.lab.recall import Plan
        >>> Plan(kind="mask").sweep()
        (0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4)
    """

    memories: tuple[str, ...] = ()
    kind: str = "flip"
    levels: tuple[float, ...] = ()
    seeds: int = 3
    cues: int = 100
    steps: int = 50
    given: Mapping[str, Number] = field(default_factory=dict)
    seed: int = 0
    domain: str = "bits"

    @door("recall")
    def __post_init__(self) -> None:
        checks.choice("domain", self.domain, ("bits", "real"))
        for name in self.memories:
            checks.choice("memory", name, tuple(ENTRIES))
            if self.domain not in ENTRIES[name].domains:
                refuse(
                    "memory",
                    must=f"one that stores {self.domain} numbers",
                    got=f"{name!r}, which stores bits",
                    do="use --domain bits",
                )
        for name, low in (("seeds", 1), ("cues", 1), ("steps", 1), ("seed", 0)):
            checks.integer(name, getattr(self, name), low)
        for level in self.levels:
            checks.number("levels", level, 0)

    def sweep(self) -> tuple[float, ...]:
        """Return the levels of damage, rising, each once."""
        return tuple(sorted(set(self.levels or LEVELS.get(self.kind, LEVELS["flip"]))))

    def names(self) -> list[str]:
        """Return the memories that take part, in the order of their table."""
        return [
            name
            for name, entry in ENTRIES.items()
            if (name in self.memories or not self.memories) and self.domain in entry.domains
        ]


class Comparison(NamedTuple):
    """What came out.

    Attributes:
        name: of the data.
        rows: a dict for each memory, level and seed.
        weights: a dict for each memory and distance: how much a pattern that far from the query counts.
        pictures: title and ``(k, ...)`` array each: originals, cues, and what each memory recalled.
        parameters: of each memory, with reasons.
        notes: what was done to the data, and how to read the numbers.
        verdicts: a sentence for each memory.
        manifest: versions, seeds and settings.
    """

    name: str
    rows: list[Row]
    weights: list[Row]
    pictures: list[tuple[str, np.ndarray]]
    parameters: dict[str, list[Parameter]]
    notes: list[str]
    verdicts: list[str]
    manifest: dict[str, Any]


class Trial(NamedTuple):
    """One set of damaged cues."""

    level: float
    seed: int
    chosen: Int64[Tensor, "cues"]
    cue: Float[Tensor, "cues n"]


@door("recall")
def compare(
    data: DataSet, plan: Plan, progress: Callable[[str, int, int], None] | None = None
) -> Comparison:
    """Run a comparison.

    Args:
        data: as ``data.load`` gives it.
        plan: what to compare.
        progress: called with what is being done, parts done and parts in all.

    Returns:
        the rows of the table and all that a report needs.

    Raises:
        InputError: a plan that does not fit the data.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.lab.recall import Plan, compare
        >>> letters = data.load("letters")
        >>> result = compare(letters, Plan(memories=("exponential",), levels=(0.05,), seeds=1, cues=26))
        >>> [row["exact"] for row in result.rows if row["memory"] == "exponential"]
        [1.0]
    """
    start = time.perf_counter()
    x = data.real if plan.domain == "real" else data.bits
    if x is None:
        refuse(
            "domain",
            must="one that the data have",
            got="'bits', of data loaded as real numbers",
            do="use --domain real",
        )
    facts = measure(x, plan.seed)
    parameters = choose(plan.names(), facts, plan.given)
    # All are built before any is asked, so that a wrong parameter is found at once.
    memories = {
        name: ENTRIES[name].build(facts.dim, **{one.name: one.value for one in chosen})
        for name, chosen in parameters.items()
    }
    scorer = Scorer(x, data.labels, plan.domain)
    trials = list(_trials(x, plan, data.shape))
    total = (len(parameters) + len(BASELINES)) * len(trials)
    rows: list[Row] = []
    weights: list[Row] = []
    pictures = _pictures(x, data, trials)
    for name in [*BASELINES, *parameters]:
        title = BASELINES.get(name) or ENTRIES[name].title
        memory = memories.pop(name, None)
        if memory is not None:
            memory.write(x)
        for trial in trials:
            if progress:
                progress(title, len(rows), total)
            row, recalled = _run(name, memory, scorer, trial, plan)
            rows.append(
                {
                    "memory": name,
                    "title": title,
                    "damage": plan.kind,
                    "level": trial.level,
                    "seed": trial.seed,
                }
                | row
            )
            if pictures and trial is _shown(trials) and name != "cue":
                pictures.append((title, _drawn(scorer.clean(recalled), data)))
        if memory is None:
            continue
        size = _size(memory)
        for row, value in zip(rows[-len(trials) :], _effective(memory, x, trials), strict=True):
            row |= {"effective": value, "bytes": size}
        if plan.domain == "bits" and name in CURVES:
            weights += [
                {"memory": name, "title": title} | point for point in _curve(memory, x, plan.seed)
            ]
    notes = [*data.notes, *_notes(data, plan, facts)]
    manifest = _manifest(data, plan, facts, time.perf_counter() - start)
    return Comparison(
        data.name, rows, weights, pictures, parameters, notes, verdicts(rows), manifest
    )


def _trials(x: Tensor, plan: Plan, shape: tuple[int, ...]) -> Iterator[Trial]:
    """Choose and damage the cues of every level and seed."""
    for seed in range(plan.seed, plan.seed + plan.seeds):
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[: plan.cues]
        for level in plan.sweep():
            yield Trial(
                level,
                seed,
                chosen,
                damage(x[chosen], plan.kind, level, seed=seed, shape=shape, domain=plan.domain),
            )


def _run(
    name: str, memory: Memory | None, scorer: Scorer, trial: Trial, plan: Plan
) -> tuple[Row, Tensor]:
    """Recall one set of cues; score and time it."""
    start = time.perf_counter()
    steps: Tensor | None = None
    rest: Tensor | None = None
    if memory is not None:
        recalled, steps, rest = memory.settle(trial.cue, steps=plan.steps)
    else:
        recalled = trial.cue if name == "cue" else scorer.x[scorer.closeness(trial.cue).argmax(-1)]
    seconds = (time.perf_counter() - start) / len(trial.cue)
    if not torch.isfinite(recalled).all():
        refuse(
            "memory",
            must="one whose recall stays finite",
            got=f"{name!r}, which overflows",
            do="lower its beta with --set",
        )
    row = scorer.score(recalled, trial.cue, trial.chosen) | {
        "effective": None,
        "steps": None if steps is None else steps.double().mean().item(),
        "converged": None if rest is None else rest.double().mean().item(),
        "seconds": None if name == "cue" else seconds,
        "bytes": scorer.x.numel() * scorer.x.element_size() if name == "nearest" else None,
    }
    return row, recalled


def _size(memory: Memory) -> int:
    """Count the bytes that a memory holds."""
    return sum(tensor.numel() * tensor.element_size() for tensor in memory.state_dict().values())


def _effective(memory: Memory, x: Tensor, trials: Sequence[Trial]) -> list[float]:
    """Count, for each trial, how many stored patterns a read of some cues blends: 1 / sum p^2, p their shares of the weight."""
    cues = [trial.cue[:EXPLAINED] for trial in trials]
    weights = _pattern_weights(memory, x, torch.cat(cues)).abs().double()
    share = weights / weights.sum(-1, keepdim=True).clamp_min(1e-300)
    squares = share.square().sum(-1)
    effective = torch.where(squares > 0, 1 / squares.clamp_min(1e-300), 0.0)
    return effective.reshape(len(trials), -1).mean(-1).tolist()


def _pattern_weights(memory: Memory, x: Tensor, cues: Tensor) -> Tensor:
    """Weigh the stored patterns: in a location store, by the active locations that cue and pattern share."""
    rows = max(1, settings.budget // (64 * memory.keys.shape[0]))
    if not isinstance(memory, Locations):
        return torch.cat([memory.weights(part) for part in _parts(cues, rows)])
    active = [memory.weights(part) for part in _parts(cues, rows)]
    shared = (
        [part @ written.T for part in active] for written in map(memory.weights, _parts(x, rows))
    )
    return torch.cat([torch.cat(column) for column in shared], -1)


def _parts(x: Tensor, rows: int) -> list[Tensor]:
    return [x[start : start + rows] for start in range(0, len(x), rows)]


def _curve(memory: Memory, x: Tensor, seed: int) -> Iterator[Row]:
    """Follow how much a pattern counts as the query moves away from it, one bit at a time."""
    key = x[:1]
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))
    turn = torch.ones(x.shape[1] + 1, x.shape[1])
    for distance in range(1, len(turn)):
        turn[distance:, order[distance - 1]] = -1
    if isinstance(memory, Locations):
        shared = _pattern_weights(memory, key, key * turn).flatten()
        weight = shared / shared[0].clamp_min(1)
    else:
        logs = memory.separation.log_weights(memory.similarity(key * turn, key)).flatten().double()
        weight = (logs - logs[0]).exp()
    yield from (
        {"distance": distance, "weight": value} for distance, value in enumerate(weight.tolist())
    )


def _shown(trials: Sequence[Trial]) -> Trial:
    """Choose the trial whose cues become pictures: some damage, but not the most."""
    first = [trial for trial in trials if trial.seed == trials[0].seed]
    return first[min(len(first) - 1, max(1, len(first) // 2))]


def _pictures(x: Tensor, data: DataSet, trials: Sequence[Trial]) -> list[tuple[str, np.ndarray]]:
    """Begin the pictures with originals and cues, where the data are pictures."""
    if not data.shape:
        return []
    trial = _shown(trials)
    return [("Original", _drawn(x[trial.chosen], data)), ("Cue", _drawn(trial.cue, data))]


def _drawn(x: Tensor, data: DataSet) -> np.ndarray:
    """Lay vectors out as pictures; ink is drawn dark."""
    return (-x if data.name in INK else x)[:SHOWN].reshape(-1, *data.shape).clamp(-1, 1).numpy()


def _notes(data: DataSet, plan: Plan, facts: Facts) -> list[str]:
    """Say how to read the numbers."""
    kind = "bits" if plan.domain == "bits" else "numbers"
    notes = [f"{facts.patterns:,} patterns of {facts.dim:,} {kind} were stored in every memory."]
    if plan.domain == "bits":
        # The distance within which one other pattern is expected, if all were random.
        random = theory.radius.quantile(facts.dim, 1 / facts.patterns)
        if facts.gap / 2 < 0.75 * random:
            notes.append(
                f"The nearest other pattern is {facts.gap / 2:.0f} bits away at the median; of random patterns it would be "
                f"about {random}. The parameters that theory gives are made for random patterns: try others with --set."
            )
    if data.duplicates:
        notes.append(
            f"{data.duplicates} patterns equal an earlier one; a recall of either counts as right."
        )
    if data.constant:
        notes.append(f"{data.constant} coordinates are the same in all patterns.")
    if plan.domain == "bits":
        notes.append("Memories that hand back real numbers are read by their signs.")
    else:
        notes.append(f"A number counts as right within {RIGHT:.0%} of its range.")
    notes.append("Means are over cues and seeds; error bars are the standard deviation over seeds.")
    return notes


def _manifest(data: DataSet, plan: Plan, facts: Facts, seconds: float) -> dict[str, Any]:
    """Record what the run was made of."""
    return {
        "kanerva": kanerva.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "data": data.name,
        "patterns": facts.patterns,
        "dim": facts.dim,
        "domain": plan.domain,
        "damage": plan.kind,
        "levels": list(plan.sweep()),
        "seeds": list(range(plan.seed, plan.seed + plan.seeds)),
        "cues": plan.cues,
        "steps": plan.steps,
        "given": dict(plan.given),
        "seconds": round(seconds, 1),
    }


@door("recall")
def save(result: Comparison, folder: str | Path, columns: Sequence[str]) -> list[Path]:
    """Write a comparison to a folder: table, weights, manifest, and with the ``plot`` extra the figures and the report.

    Each file is written whole or not at all, the report last.

    Args:
        result: of ``compare``.
        folder: made if it is not there.
        columns: measures shown in the report, the main one first.

    Returns:
        the files written; the last is ``report.html`` where the extra is installed.

    Raises:
        InputFileError: the folder cannot be written to.

    Example:
        >>> import pathlib, tempfile
        >>> from kanerva.lab import data
        >>> from kanerva.lab.recall import Plan, compare, save
        >>> result = compare(data.load("letters"), Plan(memories=("hopfield",), levels=(0.1, 0.2), seeds=1, cues=5))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save(result, folder, ["exact"])[-1].name
        'report.html'
    """
    folder = files.folder(folder)
    tables = {"table.csv": result.rows, "weights.csv": result.weights}
    written = [folder / name for name, rows in tables.items() if rows]
    for path in written:
        report.write_csv(tables[path.name], path)
    told = {
        name: [choice._asdict() for choice in choices]
        for name, choices in result.parameters.items()
    }
    written.append(folder / "manifest.json")
    report.write_json(
        {**result.manifest, "parameters": told, "notes": result.notes, "verdicts": result.verdicts},
        written[-1],
    )
    if not all(map(find_spec, ("matplotlib", "jinja2"))):
        return written
    curves = plot.recall_curves(result.rows, columns[0])
    written += plot.save(curves, folder, "figure")
    narrow = plot.svg(plot.recall_curves(result.rows, columns[0], across=2))
    figures: list[tuple[str, *tuple[str, ...]]] = [
        ("Recalled exactly, against damage", plot.svg(curves), narrow)
    ]
    if result.pictures:
        gallery = plot.gallery(result.pictures)
        written += plot.save(gallery, folder, "pictures")
        figures.insert(0, ("Stored, damaged, recalled", plot.svg(gallery)))
    if result.weights:
        weights = plot.weight_curves(result.weights)
        written += plot.save(weights, folder, "weights")
        figures.append(
            ("How much a pattern counts, by its distance from the query", plot.svg(weights))
        )
    stored = f"{result.manifest['patterns']:,}"
    page = report.page(
        heading=(
            f"Recall of {result.name}",
            f"{stored} patterns in {len(result.parameters)} memories, asked with damaged cues.",
        ),
        verdicts=result.verdicts,
        rows=result.rows,
        columns=columns,
        figures=figures,
        notes=result.notes,
        parameters=[
            (ENTRIES[name].title, *choice)
            for name, choices in result.parameters.items()
            for choice in choices
        ],
        manifest=result.manifest,
    )
    written.append(folder / "report.html")
    with files.atomic(written[-1]) as temporary:
        temporary.write_text(page, encoding="utf-8")
    return written
