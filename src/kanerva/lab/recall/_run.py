"""The trials of a comparison, and the rows, weights and pictures that they yield."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import checks
from kanerva._core.errors import InputError, InputTypeError
from kanerva.lab.data import DataSet
from kanerva.lab.memories import Entry, Parameter, build, named_errors
from kanerva.lab.recall._capacity import Holds, baseline, capacity
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._notes import example, longest
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._store import fill, settled
from kanerva.lab.recall._trials import Cues, Trial, drawn_trial, trials
from kanerva.lab.recall._tune import Bench, Tuned, tune
from kanerva.lab.recall._weights import curve, effective, pattern_weights
from kanerva.memory import Associative

__all__ = ["BASELINES", "Run"]

BASELINES = {"cue": "The cue itself", "nearest": "Nearest neighbour"}
# Whose weights are drawn against distance: a sparse distributed memory and its approximations.
CURVES = ("sdm", "sdm_patterns", "attention")
# Cues of each level and seed whose weights are measured, and patterns that are drawn.
EXPLAINED, SHOWN = 3, 8
# Patterns whose weights are looked at for a longer one.
COMPARED = 100
LISTS = ("rows", "weights", "pictures", "parameters", "sizes", "capacity", "warnings", "found")

Row = dict[str, Any]


class Run:
    """The trials of a comparison, and what they yield: see ``Comparison``.

    Args:
        data: the data.
        x: ``(m, n)`` the data in the domain that is stored.
        plan: of the comparison.
        count: how many memories are measured, for the progress.
        progress: called with what is being done, parts done and parts in all.
    """

    def __init__(
        self,
        data: DataSet,
        x: Float[Tensor, "m n"],
        plan: Plan,
        count: int,
        progress: Callable[[str, int, int], None] | None,
    ) -> None:
        self.data, self.x, self.plan, self.progress = data, x, plan, progress
        self.trials = list(trials(x, plan, data.shape))
        self.drawn = drawn_trial(self.trials)
        seeds = range(plan.seed, plan.seed + plan.seeds)
        self.cues = [Cues(x, plan, data.shape, seed) for seed in seeds]
        # The seed after all that are reported.
        self.tuning = Cues(x, plan, data.shape, plan.seed + plan.seeds)
        self.done, self.total = 0, count + len(BASELINES) * len(plan.codecs)
        self.rows: list[Row] = []
        self.weights: list[Row] = []
        self.pictures: list[tuple[str, np.ndarray]] = []
        self.parameters: list[Row] = []
        self.sizes: list[Row] = []
        self.capacity: list[Row] = []
        self.warnings: list[str] = []
        self.found: list[Row] = []
        self._draw("Original", x[self.drawn.chosen])
        self._draw("Cue", self.drawn.cue)

    def baseline(self, name: str, title: str, coded: Coded) -> None:
        """Recall the cues of every trial with a baseline."""
        self._recall(name, title, coded, None)
        if name == "nearest" and self.plan.capacity:
            self._holds(name, title, coded, baseline(coded, self.plan, self.cues), None)
        self.done += 1

    def measure(
        self,
        name: str,
        entry: Entry,
        coded: Coded,
        parameters: list[Parameter],
        memory: Associative,
    ) -> None:
        """Tune a memory, measure what it holds, fill it, and recall the cues of every trial.

        Nothing is kept of a memory that fails.
        """
        before = {one: len(getattr(self, one)) for one in LISTS}
        try:
            with named_errors(name, entry, "a memory that stores and recalls these patterns"):
                self._measure(name, entry, coded, parameters, memory)
        except InputError:
            for one, length in before.items():
                del getattr(self, one)[length:]
            raise
        self.done += 1

    def _measure(
        self,
        name: str,
        entry: Entry,
        coded: Coded,
        parameters: list[Parameter],
        memory: Associative,
    ) -> None:
        self._show(f"{entry.title}, {coded.name}")
        tuned: list[Tuned] = []
        if self.plan.tune:
            bench = Bench(coded, self.data, self.tuning, self.plan.steps)
            tuned = tune(name, entry, parameters, bench)
        if tuned:
            fitted = {one.parameter.name: one.parameter for one in tuned}
            parameters = [fitted.get(one.name, one) for one in parameters]
            memory = build(name, entry, coded.x.shape[1], parameters)
        self.parameters += _described(name, entry, coded, parameters, tuned)
        if self.plan.capacity:
            holds = capacity(memory, entry, coded, self.data, self.plan, self.cues)
            self._holds(name, entry.title, coded, holds, _theory(entry, coded, parameters))
        empty = memory.nbytes
        fill(memory, entry, coded, self.data, torch.arange(len(coded.x)))
        self._recall(name, entry.title, coded, memory)
        rows = self.rows[-len(self.trials) :]
        size = checks.integer("nbytes", memory.nbytes, 0)
        some = [coded.cue(trial)[:EXPLAINED] for trial in self.trials]
        for row, number in zip(rows, effective(memory, coded.x, some), strict=True):
            row |= {"effective": number, "bytes": size, "growth": (size - empty) / len(coded.x)}
        # In a memory that merges rows none of them wins.
        if coded.domain == "real" and len(memory) == len(coded.x):
            winner = pattern_weights(memory, coded.x, coded.x[:COMPARED]).argmax(-1)
            self.warnings += longest(self._titled(entry.title, coded), winner, coded.x.norm(dim=-1))
        if coded.domain == "bits" and coded.plain and name in CURVES:
            head = {"memory": name, "title": entry.title}
            self.weights += [head | point for point in curve(memory, coded.x, self.plan.seed)]

    def _holds(
        self, name: str, title: str, coded: Coded, holds: Holds, theory: float | None
    ) -> None:
        head: Row = {"memory": name, "title": title, "codec": coded.name}
        head |= {"level": self.plan.measured()}
        self.sizes += [head | row for row in holds.rows]
        interval = {"holds": holds.holds, "low": holds.low, "high": holds.high}
        self.capacity.append(head | interval | {"theory": theory})

    def _recall(self, name: str, title: str, coded: Coded, memory: Associative | None) -> None:
        """Recall the cues of every trial with a memory, or with the baseline of this name."""
        for trial in self.trials:
            self._show(f"{title}, {coded.name}")
            head: Row = {"memory": name, "title": title, "codec": coded.name}
            head |= {"damage": self.plan.kind, "level": trial.level, "seed": trial.seed}
            row, recalled, found = _recalled(name, memory, coded, trial, self.plan.steps)
            self.rows.append(head | row)
            self.found += self._found(head, trial, found)
            if trial is self.drawn and name != "cue":
                self._draw(self._titled(title, coded), coded.decode(recalled))

    def _titled(self, title: str, coded: Coded) -> str:
        """Name a memory with its code, if any."""
        return title if coded.plain else f"{title}, {coded.name}"

    def _found(self, head: Row, trial: Trial, rows: list[int | None]) -> Iterator[Row]:
        """Name the stored pattern nearest to each recall, and its class."""
        shared = {key: head[key] for key in ("memory", "codec", "level", "seed")}
        for stored, found in zip(trial.chosen.tolist(), rows, strict=True):
            row = shared | {"stored": stored, "found": found}
            if self.data.labels is not None:
                row["stored_class"], row["found_class"] = self._class(stored), self._class(found)
            yield row

    def example(self) -> str:
        """Say which pattern each memory finds from one of the cues that are drawn."""
        place = (self.drawn.level, self.drawn.seed, self.found[0]["codec"])
        same = [row for row in self.found if (row["level"], row["seed"], row["codec"]) == place]
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

    def _show(self, what: str) -> None:
        if self.progress:
            self.progress(what, self.done, self.total)


def _described(
    name: str, entry: Entry, coded: Coded, parameters: list[Parameter], tuned: list[Tuned]
) -> Iterator[Row]:
    """Describe the parameters of a memory: value, reason, theory's value, and what tuning gains."""
    fitted = {one.parameter.name: one for one in tuned}
    for one in parameters:
        best = fitted.get(one.name)
        yield {
            "memory": name,
            "title": entry.title,
            "codec": coded.name,
            "dim": coded.x.shape[1],
            "name": one.name,
            "main": one.tuned,
            "value": one.value,
            "why": one.why,
            "theory": one.value if best is None else best.theory,
            "tuned": None if best is None else one.value,
            "gain": None if best is None else best.gain,
        }


def _theory(entry: Entry, coded: Coded, parameters: list[Parameter]) -> float | None:
    """Return how many random patterns of this length theory says the memory stores."""
    if entry.theory is None:
        return None
    try:
        found = entry.theory(coded.facts, {one.name: one.value for one in parameters})
        return None if found is None else checks.number("theory", found, 0)
    except InputTypeError:
        raise
    except InputError:  # the formula does not hold for these parameters, or exceeds floats
        return None


def _recalled(
    name: str, memory: Associative | None, coded: Coded, trial: Trial, steps: int
) -> tuple[Row, Tensor, list[int | None]]:
    """Recall one set of cues; score and time it."""
    cue = coded.cue(trial)
    start = time.perf_counter()
    taken: Tensor | None = None
    converged: Tensor | None = None
    if memory is not None:
        recalled, taken, converged, _ = settled(memory, cue, steps)
    elif name == "nearest":
        recalled = coded.x[coded.scorer.nearest(cue)]
    else:
        recalled = cue
    seconds = (time.perf_counter() - start) / len(cue)
    row, found = coded.judge(recalled, trial)
    row |= {
        "effective": None,
        "steps": None if taken is None else taken.double().mean().item(),
        "converged": None if converged is None else converged.double().mean().item(),
        "seconds": None if name == "cue" else seconds,
        "bytes": coded.x.numel() * coded.x.element_size() if name == "nearest" else None,
    }
    return row, recalled, found
