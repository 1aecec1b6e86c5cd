"""Store a data set in many memories, damage cues, recall them, and measure what is recalled."""

import dataclasses
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

import kanerva
from kanerva._core import checks
from kanerva._core.errors import InputError, describe, door, refuse
from kanerva._core.settings import settings
from kanerva.lab.data import DataSet, damage
from kanerva.lab.memories import Entry, Facts, Parameter, measure, named_errors, prepare, spared
from kanerva.lab.recall._notes import example, longest, notes
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._summary import verdicts
from kanerva.memory import Memory

__all__ = ["Comparison", "compare"]

BASELINES = {"cue": "The cue itself", "nearest": "Nearest neighbour"}
# Whose weights are drawn against distance: a sparse distributed memory and its approximations.
CURVES = ("sdm", "sdm_patterns", "attention")
# Cues of each level and seed whose weights are measured, and patterns that are drawn.
EXPLAINED, SHOWN = 10, 8
# Patterns whose weights are looked at for a longer one.
COMPARED = 100

Row = dict[str, Any]
Progress = Callable[[str, int, int], None]


class Comparison(NamedTuple):
    """The result of a comparison.

    Attributes:
        name: of the data.
        rows: a dict for each memory, level and seed.
        weights: a dict for each memory and distance: the weight of a pattern that far from the
            query, as a share of its weight at distance 0.
        pictures: title and ``(k, ...)`` array each: originals, cues, and what each memory recalled.
        parameters: of each memory, with reasons.
        notes: what was done to the data, and how to read the numbers.
        verdicts: a sentence for each memory.
        manifest: versions, seeds and settings.
        found: a dict for each cue of each memory, level and seed: ``stored``, the row of the
            pattern that was damaged, and ``found``, that of the stored pattern nearest to the
            result (None where the result is empty), counted from 0 in the order of storing; where
            there are classes, ``stored_class`` and ``found_class``, too.
    """

    name: str
    rows: list[Row]
    weights: list[Row]
    pictures: list[tuple[str, np.ndarray]]
    parameters: dict[str, list[Parameter]]
    notes: list[str]
    verdicts: list[str]
    manifest: dict[str, Any]
    found: list[Row]


class Trial(NamedTuple):
    """One set of damaged cues."""

    level: float
    seed: int
    chosen: Int64[Tensor, "cues"]
    cue: Float[Tensor, "cues n"]


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
        [1.0]
    """
    start = time.perf_counter()
    checks.instance("data", data, DataSet, "load some with data.load")
    checks.instance("plan", plan, Plan, "give recall.Plan()")
    checks.function("progress", progress, "give one of a text and two numbers")
    x = data.real if plan.domain == "real" else data.bits
    if x is None:
        got = "'bits', of data loaded as real numbers"
        refuse("domain", must="one that the data have", got=got, do="use --domain real")
    facts = measure(x, plan.seed)
    # All memories are built before any is read, so that a wrong parameter is found at once.
    needed = plan.needed()
    built = prepare(plan.suited(facts), facts, plan.given, needed)
    parameters: dict[str, list[Parameter]] = {}
    run = _Run(x, data, plan, len(built), progress)
    for name, title in BASELINES.items():
        run.recall(name, title, None)
    for name in tuple(built):
        chosen, memory = built.pop(name)
        with spared(name, plan.entries[name], needed):
            run.measure(name, plan.entries[name], memory)
            parameters[name] = chosen
    words = [*data.notes, *notes(data, plan, facts), *run.warnings, run.example()]
    manifest = _manifest(data, plan, facts, time.perf_counter() - start)
    parts = (run.rows, run.weights, run.pictures, parameters, words)
    return Comparison(data.name, *parts, verdicts(run.rows), manifest, run.found)


class _Run:
    """The trials of a comparison, and the rows, weights and pictures that they yield."""

    def __init__(
        self,
        x: Float[Tensor, "m n"],
        data: DataSet,
        plan: Plan,
        count: int,
        progress: Progress | None,
    ) -> None:
        self.x, self.data, self.plan, self.progress = x, data, plan, progress
        self.scorer = Scorer(x, data.labels, plan.domain)
        self.trials = list(_trials(x, plan, data.shape))
        self.drawn = _drawn_trial(self.trials)
        self.total = (count + len(BASELINES)) * len(self.trials)
        self.rows: list[Row] = []
        self.weights: list[Row] = []
        self.pictures: list[tuple[str, np.ndarray]] = []
        self.warnings: list[str] = []
        self.found: list[Row] = []
        self._draw("Original", x[self.drawn.chosen])

    def measure(self, name: str, entry: Entry, memory: Memory) -> None:
        """Fill a memory, recall the cues of every trial, and measure its size and its weights.

        Nothing is kept of a memory that fails.
        """
        parts: tuple[list[Any], ...] = (
            self.rows,
            self.weights,
            self.pictures,
            self.warnings,
            self.found,
        )
        before = [len(part) for part in parts]
        try:
            with named_errors(name, entry, "a memory that stores and recalls these patterns"):
                self._measure(name, entry, memory)
        except InputError:
            for part, length in zip(parts, before, strict=True):
                del part[length:]
            raise

    def _measure(self, name: str, entry: Entry, memory: Memory) -> None:
        if entry.fill is None:
            memory.write(self.x)
        else:
            entry.fill(memory, dataclasses.replace(self.data, real=self.x))
        self.recall(name, entry.title, memory)
        rows = self.rows[-len(self.trials) :]
        size = checks.integer("nbytes", memory.nbytes, 0)
        for row, effective in zip(rows, _effective(memory, self.x, self.trials), strict=True):
            row |= {"effective": effective, "bytes": size}
        if self.plan.domain == "real":
            winner = _pattern_weights(memory, self.x, self.x[:COMPARED]).argmax(-1)
            self.warnings += longest(entry.title, winner, self.x.norm(dim=-1))
        if self.plan.domain == "bits" and name in CURVES:
            head = {"memory": name, "title": entry.title}
            self.weights += [head | point for point in _curve(memory, self.x, self.plan.seed)]

    def recall(self, name: str, title: str, memory: Memory | None) -> None:
        """Recall the cues of every trial with a memory, or with the baseline of this name."""
        for trial in self.trials:
            if self.progress:
                self.progress(title, len(self.rows), self.total)
            head: Row = {"memory": name, "title": title, "damage": self.plan.kind}
            head |= {"level": trial.level, "seed": trial.seed}
            row, recalled = _recall(name, memory, self.scorer, trial, self.plan.steps)
            self.rows.append(head | row)
            self.found += self._found(head, trial, recalled)
            if trial is self.drawn:
                self._draw("Cue" if name == "cue" else title, self.scorer.clean(recalled))

    def _found(self, head: Row, trial: Trial, recalled: Tensor) -> Iterator[Row]:
        """Name the stored pattern nearest to each recall, and its class."""
        shared = {key: head[key] for key in ("memory", "level", "seed")}
        rows = self.scorer.found(recalled, trial.chosen)
        for stored, found in zip(trial.chosen.tolist(), rows, strict=True):
            row = shared | {"stored": stored, "found": found}
            if self.data.labels is not None:
                row["stored_class"], row["found_class"] = self._class(stored), self._class(found)
            yield row

    def example(self) -> str:
        """Say which pattern each memory finds from one of the cues that are drawn."""
        place = (self.drawn.level, self.drawn.seed)
        same = [row for row in self.found if (row["level"], row["seed"]) == place]
        return example(same, {row["memory"]: row["title"] for row in self.rows})

    def _class(self, row: int | None) -> str | None:
        """Return the name of the class of a pattern."""
        if row is None or self.data.labels is None:
            return None
        label = int(self.data.labels[row])
        return self.data.classes[label] if self.data.classes else str(label)

    def _draw(self, title: str, x: Tensor) -> None:
        """Keep some vectors as pictures, where the data are pictures; ink is drawn dark."""
        if self.data.shape:
            rows = (-x if self.data.ink else x)[:SHOWN]
            pictures = rows.reshape(-1, *self.data.shape).clamp(-1, 1).numpy()
            self.pictures.append((title, pictures))


def _trials(x: Tensor, plan: Plan, shape: tuple[int, ...]) -> Iterator[Trial]:
    """Choose and damage the cues of every level and seed."""
    for seed in range(plan.seed, plan.seed + plan.seeds):
        chosen = torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))[: plan.cues]
        for level in plan.sweep():
            cue = damage(x[chosen], plan.kind, level, seed=seed, shape=shape, domain=plan.domain)
            yield Trial(level, seed, chosen, cue)


def _drawn_trial(trials: Sequence[Trial]) -> Trial:
    """Choose the trial whose cues are drawn: some damage, but not the most."""
    first = [trial for trial in trials if trial.seed == trials[0].seed]
    return first[min(len(first) - 1, max(1, len(first) // 2))]


def _recall(
    name: str, memory: Memory | None, scorer: Scorer, trial: Trial, steps: int
) -> tuple[Row, Tensor]:
    """Recall one set of cues; score and time it."""
    start = time.perf_counter()
    taken: Tensor | None = None
    converged: Tensor | None = None
    if memory is not None:
        recalled, taken, converged, _ = memory.settle(trial.cue, steps=steps)
    elif name == "nearest":
        recalled = scorer.x[scorer.nearest(trial.cue)]
    else:
        recalled = trial.cue
    seconds = (time.perf_counter() - start) / len(trial.cue)
    if not isinstance(recalled, Tensor) or recalled.shape != trial.cue.shape:
        must, got = "one whose reads have the shape of their queries", describe(recalled)
        refuse("memory", must=must, got=got, do="correct its read")
    if not torch.isfinite(recalled).all():
        must, got = "one whose recall stays finite", f"{name!r}, which overflows"
        refuse("memory", must=must, got=got, do="lower its beta with --set")
    row = scorer.score(recalled, trial.cue, trial.chosen) | {
        "effective": None,
        "steps": None if taken is None else taken.double().mean().item(),
        "converged": None if converged is None else converged.double().mean().item(),
        "seconds": None if name == "cue" else seconds,
        "bytes": scorer.x.numel() * scorer.x.element_size() if name == "nearest" else None,
    }
    return row, recalled


def _effective(memory: Memory, x: Tensor, trials: Sequence[Trial]) -> list[float]:
    """Return, for each trial, the mean effective number of patterns in a read of some cues.

    The effective number is 1 / sum p^2, with p the shares of the patterns in the weight.
    """
    cues = [trial.cue[:EXPLAINED] for trial in trials]
    weights = _pattern_weights(memory, x, torch.cat(cues)).abs().double()
    share = weights / weights.sum(-1, keepdim=True).clamp_min(1e-300)
    squares = share.square().sum(-1)
    effective = torch.where(squares > 0, 1 / squares.clamp_min(1e-300), 0.0)
    return effective.reshape(len(trials), -1).mean(-1).tolist()


def _pattern_weights(memory: Memory, x: Tensor, cues: Tensor) -> Tensor:
    """Weigh the stored patterns for some cues, a few at a time."""
    rows = max(1, settings.budget // (64 * len(x)))
    return torch.cat([memory.pattern_weights(part, x) for part in torch.split(cues, rows)])


def _curve(memory: Memory, x: Tensor, seed: int) -> Iterator[Row]:
    """Weigh patterns at every distance from a query; what the memory stored before is removed."""
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(seed))
    patterns = x[:1].repeat(len(order) + 1, 1).double()
    for distance, coordinate in enumerate(order.tolist(), 1):
        patterns[distance:, coordinate] *= -1
    memory.clear()
    memory.double().write(patterns)
    weights = memory.pattern_weights(patterns[0], patterns)
    shares = weights / weights[0] if weights[0] else weights
    for distance, weight in enumerate(shares.tolist()):
        yield {"distance": distance, "weight": weight}


def _manifest(data: DataSet, plan: Plan, facts: Facts, seconds: float) -> dict[str, Any]:
    """Record versions, data and settings of the run."""
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
