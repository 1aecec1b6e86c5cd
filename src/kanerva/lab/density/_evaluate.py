"""Fit memories to a part of the rows, and ask how likely the others are."""

import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

import kanerva
from kanerva._core import checks
from kanerva._core.errors import door, refuse
from kanerva.lab import plugins
from kanerva.lab.data import DataSet
from kanerva.lab.density._fitted import Fitted, Row, mean
from kanerva.lab.density._kernels import kernels
from kanerva.lab.density._mixtures import Mixtures
from kanerva.lab.density._plan import MEMORIES, Plan
from kanerva.lab.density._words import notes, verdicts

__all__ = ["Evaluation", "evaluate"]

Progress = Callable[[str, int, int], None]
# The rows of the lowest likelihood that are listed, and the pictures that are drawn.
STRANGE, SHOWN = 8, 8
# A column is uneven where more than this share of the kept rows has one value in it.
HALF = 0.5


class Evaluation(NamedTuple):
    """The result of an evaluation; rows of the data are counted from 0.

    * ``name``: of the data.
    * ``rows``: a dict for each memory: ``bandwidth`` and ``why``; ``held`` and ``left``, the mean
      log-likelihood of held-out rows and of kept rows under all others, in nats, None where a row
      has none, with the standard errors ``held_se`` and ``left_se``; ``unreached``, the held-out
      rows of likelihood zero; ``memories`` and ``bytes``; ``ari``, the adjusted Rand index of its
      memories and the classes.
    * ``best``: the comparison of the two memories of the highest likelihood: ``memory``,
      ``second``, ``gain`` in nats a row, and its standard error ``gain_se``, of the pairs of one
      row; empty where only one memory reaches all rows.
    * ``strangest``: a dict for each memory and place: the held-out ``row``, its ``class`` and
      ``nats``, the ``nearest`` kept row, and the ``distance`` to it.
    * ``samples``: a dict for each row drawn, its numbers under ``x1``, ``x2``, ...
    * ``curves``: a dict for each memory, ``bandwidth``, and ``of``, which rows, with their mean
      log-likelihood ``nats``.
    * ``pictures``: of two figures, ``"samples"`` and ``"strangest"``: title and ``(k, ...)`` array
      each; empty where the data are no pictures.
    * ``verdicts``: the main results, in sentences; ``notes``: how to read the numbers.
    * ``manifest``: data, settings and versions.
    """

    name: str
    rows: list[Row]
    best: Row
    strangest: list[Row]
    samples: list[Row]
    curves: list[Row]
    pictures: dict[str, list[tuple[str, np.ndarray]]]
    verdicts: list[str]
    notes: list[str]
    manifest: dict[str, Any]


@door("density")
def evaluate(data: DataSet, plan: Plan, progress: Progress | None = None) -> Evaluation:
    """Fit every memory to the rows that are kept, and measure the likelihood of the others.

    The numbers of the data, which are between -1 and 1, are moved to [0, 1]: densities are in the
    unit of the whole range.

    Args:
        data: as ``data.load`` returns it.
        plan: what to evaluate.
        progress: called with what is being done, parts done and parts in all.

    Returns:
        an ``Evaluation``.

    Raises:
        InputError: too few rows, rows that are all equal, or so many copies of rows that no
            bandwidth is the best.

    Example:
        >>> from kanerva.lab import data
        >>> from kanerva.lab.density import Plan, evaluate
        >>> found = evaluate(data.load("iris"), Plan(memories=("gaussian", "laplace"), samples=2))
        >>> [row["memory"] for row in found.rows], found.best["memory"], len(found.samples)
        (['gaussian', 'laplace'], 'laplace', 4)
    """
    start = time.perf_counter()
    checks.instance("data", data, DataSet, "load some with data.load")
    checks.instance("plan", plan, Plan, "give density.Plan()")
    checks.function("progress", progress, "give one of a text and two numbers")
    work = Work(data, plan)
    for done, name in enumerate(plan.memories):
        if progress:
            progress(MEMORIES[name], done, len(plan.memories))
        with plugins.prefixed(name):
            work.measure(name)
    best = work.best()
    manifest = _manifest(data, plan, work, time.perf_counter() - start)
    return Evaluation(
        name=data.name,
        rows=work.rows,
        best=best,
        strangest=work.strangest,
        samples=work.samples,
        curves=work.curves,
        pictures=work.pictures if data.shape else {},
        verdicts=verdicts(work.rows, best, work.strangest, manifest),
        notes=notes(data, work.rows, manifest),
        manifest=manifest,
    )


class Work:
    """The rows of an evaluation, and what they yield: see ``Evaluation``.

    Args:
        data: the data.
        plan: of the evaluation.
    """

    def __init__(self, data: DataSet, plan: Plan) -> None:
        self.data, self.plan = data, plan
        x = (data.real.double() + 1) / 2
        order = torch.randperm(len(x), generator=torch.Generator().manual_seed(plan.seed))
        cut = plan.split(len(x))
        self.places, self.kept_places = order[:cut].sort().values, order[cut:]
        self.held, self.kept = x[self.places], x[self.kept_places]
        if bool((self.kept == self.kept[0]).all()):
            do = "give rows that differ, or another --seed"
            got = f"{len(self.kept)} equal rows where {data.name!r} is split"
            refuse("data", got=got, must="rows that differ", do=do)
        self.mixtures = Mixtures(self.kept, plan.bandwidth, plan.seed)
        distances = torch.cdist(self.held, self.kept)
        self.apart, nearest = distances.min(-1)
        self.nearest = self.kept_places[nearest]
        self.likely: dict[str, Tensor] = {}
        self.rows: list[Row] = []
        self.strangest: list[Row] = []
        self.samples: list[Row] = []
        self.curves: list[Row] = []
        self.pictures: dict[str, list[tuple[str, np.ndarray]]] = {"samples": [], "strangest": []}
        self._draw("samples", "Kept", self.kept)
        self._draw("samples", "Held out", self.held)

    def measure(self, name: str) -> None:
        """Fit a memory, and measure it."""
        title, plan = MEMORIES[name], self.plan
        fit = {"crp": lambda: self.mixtures.crp, "elbo": lambda: self.mixtures.elbo}
        plain = partial(kernels, name, self.kept, self.held, plan.bandwidth)
        fitted = fit.get(name, plain)()
        likely = self.likely[name] = fitted.log_prob(self.held)
        head = {"memory": name, "title": title}
        self.rows.append(head | self._numbers(fitted, likely))
        self.curves += [head | point for point in fitted.curve]
        strange = likely.argsort(stable=True)
        self.strangest += [
            head | {"rank": rank, **self._strange(place, likely)}
            for rank, place in enumerate(strange[:STRANGE].tolist(), 1)
        ]
        drawn = fitted.sample(plan.samples, plan.seed)
        self.samples += [
            head | {f"x{place}": number for place, number in enumerate(row, 1)}
            for row in drawn.tolist()
        ]
        self._draw("strangest", title, self.held[strange])
        if plan.samples:
            self._draw("samples", title, drawn)

    def best(self) -> Row:
        """Compare the two memories under which the held-out rows are most likely."""
        reached = [row for row in self.rows if row["held"] is not None]
        if len(reached) < 2:
            return {}
        first, second = sorted(reached, key=lambda row: -row["held"])[:2]
        gain = self.likely[first["memory"]] - self.likely[second["memory"]]
        found = {"memory": first["memory"], "second": second["memory"]}
        return found | {"gain": mean(gain), "gain_se": _error(gain)}

    def _numbers(self, fitted: Fitted, likely: Float64[Tensor, "n"]) -> Row:
        left = fitted.leave_one_out
        return {
            "bandwidth": fitted.bandwidth,
            "why": fitted.why,
            "held": mean(likely),
            "held_se": _error(likely),
            "left": mean(left),
            "left_se": _error(left),
            "unreached": int(likely.isinf().sum()),
            "memories": len(fitted.memory),
            "bytes": fitted.memory.nbytes,
            "ari": self._agreement(fitted.ids),
        }

    def _agreement(self, ids: Int64[Tensor, "m"] | None) -> float | None:
        """Return the adjusted Rand index of memories and classes, where both are there."""
        if ids is None or self.data.labels is None or find_spec("sklearn") is None:
            return None
        from sklearn.metrics import adjusted_rand_score

        return float(adjusted_rand_score(self.data.labels[self.kept_places].numpy(), ids.numpy()))

    def _strange(self, place: int, likely: Float64[Tensor, "n"]) -> Row:
        """Describe a held-out row."""
        row, nats = int(self.places[place]), float(likely[place])
        found: Row = {"row": row}
        if self.data.labels is not None:
            found["class"] = self._class(row)
        found["nats"] = nats if np.isfinite(nats) else None
        return found | {"nearest": int(self.nearest[place]), "distance": float(self.apart[place])}

    def _class(self, row: int) -> str:
        """Return the name of the class of a row that has one."""
        assert self.data.labels is not None
        label = int(self.data.labels[row])
        return self.data.classes[label] if self.data.classes else str(label)

    def _draw(self, figure: str, title: str, rows: Float64[Tensor, "n d"]) -> None:
        """Keep some rows as pictures, where the data are pictures; ink is drawn dark."""
        if self.data.shape:
            shades = (2 * rows[:SHOWN] - 1).clamp(-1, 1)
            shades = -shades if self.data.ink else shades
            shape = (len(shades), *self.data.shape)
            self.pictures[figure].append((title, shades.reshape(shape).numpy()))


def _error(nats: Float64[Tensor, "n"]) -> float | None:
    """Return the standard error of a mean; None where a row has no likelihood."""
    return None if mean(nats) is None else float(nats.std() / len(nats) ** 0.5)


def _manifest(data: DataSet, plan: Plan, work: Work, seconds: float) -> dict[str, Any]:
    """Record data, settings and versions."""
    kept = work.kept
    copies = len(kept) - len(np.unique(kept.numpy(), axis=0))
    shares = (kept == kept.mode(0).values).double().mean(0)
    return {
        "data": data.name,
        "rows": len(data.real),
        "dim": data.real.shape[1],
        "kept": len(kept),
        "held_out": len(work.held),
        "unit": "of the range of each number, which is moved to [0, 1]",
        "constant_columns": int((shares == 1).sum()),
        "uneven_columns": int(((shares > HALF) & (shares < 1)).sum()),
        "kept_copies": copies,
        "held_copies": int((work.apart == 0).sum()),
        "classes": 0 if data.labels is None else len(set(data.labels.tolist())),
        "memories": list(plan.memories),
        "hold": plan.hold,
        "bandwidth": plan.bandwidth,
        "samples": plan.samples,
        "seed": plan.seed,
        "kanerva": kanerva.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
    }
