"""Audit samples: shares with their intervals, nearest pairs, repeats, and the test of copying."""

import math
import platform
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

import kanerva
from kanerva import diffusion
from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.diffusion import Shares, _near
from kanerva.diffusion._classify import KINDS, QUARTER, TENTH
from kanerva.lab.audit._load import Files
from kanerva.lab.audit._plan import Plan
from kanerva.lab.audit._repeats import copied, groups
from kanerva.lab.audit._words import notes, verdicts, warned
from kanerva.lab.data._raw import rng

__all__ = ["Audit", "evaluate"]

Progress = Callable[[str, int, int], None]
Row = dict[str, Any]
# Resamples of an interval, and its two ends.
RESAMPLES, ENDS = 2000, (0.025, 0.975)
# Pairs that are shown, groups and members that are drawn, and points of a curve.
PAIRS, GROUPS, MEMBERS, POINTS = 8, 5, 8, 100
STEPS = ("Training rows", "Samples", "Hold-out", "Repeats")


class Audit(NamedTuple):
    """The result of an audit; rows of the files are counted from 0.

    * ``name``: of the samples.
    * ``rows``: a dict for each kind: ``kind``, ``count``, ``share``, the ends ``low`` and ``high``
      of its 95 % interval, and ``holdout``, the share of the hold-out rows that are of that kind
      when they take the place of the samples; None without a hold-out.
    * ``thresholds``: ``memorised`` and ``spurious``, and why, each with ``_why``; ``median``, the
      median distance of distinct training rows to the nearest other; ``dense``, the share of them
      with another within the first threshold. None where no two training rows differ.
    * ``copying``: ``auc``, ``p`` and ``ratio`` as of ``diffusion.copying``, None for an infinite
      ratio; ``near`` and ``usual``, the median distances of samples and of hold-out rows to the
      training rows; ``excess_p``, of Fisher's one-sided test that the share of copies is larger
      among samples than among hold-out rows by chance; ``overlap``, hold-out rows that are
      training rows, and ``shown``, samples that are hold-out rows. Empty without a hold-out.
    * ``pairs``: a dict for each of the samples nearest to a training row, one for each such row:
      ``sample``, ``kind``, ``nearest``, ``distance``, and the first ``numbers`` of both as text.
    * ``repeats``: a dict for each group of samples linked by distances within the second threshold:
      ``size``, how many ``distinct`` ones, how many ``memorised``, the training row ``nearest`` to
      the first, and its ``distance``, and the ``members``.
    * ``copied``: a dict for each training row that samples copy: ``row``, ``times``, the nearest
      ``sample`` and its ``distance``.
    * ``samples``: a dict for each sample: ``sample``, ``kind``, ``nearest``, ``distance``,
      ``other``, ``apart``.
    * ``curves``: ``of``, which rows, with the ``share`` of them within a ``distance`` of a training
      row.
    * ``pictures``: of two figures, ``"pairs"`` and ``"repeats"``: title and ``(k, ...)`` array
      each; empty where the rows are no pictures.
    * ``passed``: whether the share of copies is at most that of the plan; None where it has none.
    * ``warnings``: what makes the shares unsafe; ``verdicts``: the main results, in sentences;
      ``notes``: how to read the numbers.
    * ``manifest``: files, settings and versions.
    """

    name: str
    rows: list[Row]
    thresholds: Row
    copying: Row
    pairs: list[Row]
    repeats: list[Row]
    copied: list[Row]
    samples: list[Row]
    curves: list[Row]
    pictures: dict[str, list[tuple[str, np.ndarray]]]
    passed: bool | None
    warnings: list[str]
    verdicts: list[str]
    notes: list[str]
    manifest: dict[str, Any]


@door("audit")
def evaluate(files: Files, plan: Plan, progress: Progress | None = None) -> Audit:
    """Audit samples.

    Args:
        files: as ``audit.load`` returns them.
        plan: thresholds and seed.
        progress: called with what is being done, parts done and parts in all.

    Returns:
        an ``Audit``.

    Raises:
        InputError: no two training rows differ, where a threshold is not given.

    Example:
        >>> from kanerva.lab import audit
        >>> found = audit.evaluate(audit.load("iris", "iris"), audit.Plan())
        >>> [(row["kind"], row["count"]) for row in found.rows]
        [('memorised', 150), ('spurious', 0), ('generalised', 0)]
    """
    start = time.perf_counter()
    checks.instance("files", files, Files, "load them with audit.load")
    checks.instance("plan", plan, Plan, "give audit.Plan()")
    checks.function("progress", progress, "give one of a text and two numbers")

    def report(done: int) -> None:
        if progress:
            progress(STEPS[done], done, len(STEPS))

    report(0)
    apart = _near.spacing(files.train)
    thresholds = _thresholds(plan, apart)
    report(1)
    given = (thresholds["memorised"], thresholds["spurious"])
    found = diffusion.classify(files.samples, files.train, *given)
    thresholds["memorised"], thresholds["spurious"] = found.thresholds
    thresholds["dense"] = _share(apart <= found.thresholds[0])
    report(2)
    control = None
    if files.holdout is not None:
        control = diffusion.classify(files.holdout, files.train, *found.thresholds)
    rows = _rows(found, control, plan.seed)
    copying = _copying(files, found, control)
    report(3)
    repeats = groups(files.samples, found)
    known: dict[str, Any] = {"rows": rows, "thresholds": thresholds, "copying": copying}
    known |= {"repeats": repeats, "copied": copied(found)}
    manifest = _manifest(files, plan, found, time.perf_counter() - start)
    passed = None if plan.fail_above is None else found.memorised <= plan.fail_above
    return Audit(
        name=files.names["samples"],
        pairs=_pairs(files, found),
        samples=_samples(found),
        curves=_curves(found, control, apart),
        pictures=_pictures(files, found, repeats),
        passed=passed,
        warnings=warned(files, known, manifest),
        verdicts=verdicts(known, manifest),
        notes=notes(files, known, manifest),
        manifest=manifest,
        **known,
    )


def _thresholds(plan: Plan, apart: Float64[Tensor, "k"]) -> Row:
    """Choose both thresholds, and say why they are what they are."""
    median = float(apart.quantile(0.5)) if len(apart) else None
    found: Row = {"median": median}
    parts = {"memorised": (QUARTER, "a quarter"), "spurious": (TENTH, "a tenth")}
    for name, (share, words) in parts.items():
        value = getattr(plan, name)
        found[name] = share * median if value is None and median is not None else value
        usual = f"{words} of the median distance between neighbours of the training rows"
        found[f"{name}_why"] = "given" if value is not None else usual
    return found


def _rows(found: Shares, control: Shares | None, seed: int) -> list[Row]:
    """Count the kinds, with an interval for each share."""
    counts = torch.bincount(found.kind, minlength=len(KINDS)).numpy()
    total = int(counts.sum())
    # To draw samples with replacement is to draw their kinds.
    drawn = rng(seed, "audit").multinomial(total, counts / total, RESAMPLES) / total
    rows: list[Row] = []
    for place, kind in enumerate(KINDS):
        count = int(counts[place])
        low, high = (float(end) for end in np.quantile(drawn[:, place], ENDS))
        # Where all samples or none are of a kind, so is every resample: the exact end instead.
        bound = 1 - ENDS[0] ** (1 / total)
        high = bound if count == 0 else high
        low = 1 - bound if count == total else low
        row = {"kind": kind, "count": count, "share": count / total, "low": low, "high": high}
        rows.append(row | {"holdout": None if control is None else control[:3][place]})
    return rows


def _copying(files: Files, found: Shares, control: Shares | None) -> Row:
    """Run the test of copying, where there is a hold-out."""
    if control is None or files.holdout is None:
        return {}
    auc, p, ratio = diffusion.copying(files.samples, files.train, files.holdout)
    return {
        "auc": auc,
        "p": p,
        "ratio": ratio if math.isfinite(ratio) else None,
        "near": float(found.distance.quantile(0.5)),
        "usual": float(control.distance.quantile(0.5)),
        "excess_p": _excess(found, control),
        "overlap": int((control.distance == 0).sum()),
        "shown": int((_near.among(files.samples, files.holdout).distances == 0).sum()),
    }


def _excess(found: Shares, control: Shares) -> float:
    """Return the chance that samples hold so many more copies than hold-out rows do."""
    from scipy.stats import fisher_exact

    copies = [int((part.kind == 0).sum()) for part in (found, control)]
    counts = [[copies[0], len(found.kind) - copies[0]], [copies[1], len(control.kind) - copies[1]]]
    return float(fisher_exact(counts, alternative="greater").pvalue)


def _pairs(files: Files, found: Shares) -> list[Row]:
    """Return the samples that are nearest to a training row, beside it."""
    rows = []
    for place in _nearest(found):
        row = int(found.nearest[place])
        pair = {"sample": place, "kind": KINDS[int(found.kind[place])], "nearest": row}
        pair["distance"] = float(found.distance[place])
        pair["numbers"] = _numbers(files.samples[place] * files.unit)
        rows.append(pair | {"numbers_nearest": _numbers(files.train[row] * files.unit)})
    return rows


def _nearest(found: Shares) -> list[int]:
    """Return the samples that are nearest to a training row, one for each training row."""
    rows: dict[int, int] = {}
    for place in found.distance.argsort(stable=True).tolist():
        rows.setdefault(int(found.nearest[place]), place)
        if len(rows) == PAIRS:
            break
    return list(rows.values())


def _numbers(row: Float64[Tensor, "d"]) -> str:
    """Write the first numbers of a row."""
    first = ", ".join(f"{number:.4g}" for number in row[:4].tolist())
    return f"{first}, …" if len(row) > 4 else first


def _samples(found: Shares) -> list[Row]:
    """Return a row for each sample."""
    names = ("nearest", "distance", "other", "apart")
    columns = [getattr(found, name).tolist() for name in names]
    rows: list[Row] = []
    for place, (kind, *numbers) in enumerate(zip(found.kind.tolist(), *columns, strict=True)):
        row: Row = {"sample": place, "kind": KINDS[kind]}
        row |= dict(zip(names, numbers, strict=True))
        rows.append(row | ({"other": None, "apart": None} if row["other"] < 0 else {}))
    return rows


def _curves(found: Shares, control: Shares | None, apart: Tensor) -> list[Row]:
    """Return the shares of rows within a distance of a training row."""
    curves = {"samples": found.distance}
    if control is not None:
        curves["hold-out rows"] = control.distance
    if len(apart):
        curves["training rows, to another one"] = apart
    rows = []
    for name, distances in curves.items():
        known = distances.sort().values
        places = np.unique(np.linspace(0, len(known) - 1, min(POINTS, len(known))).round())
        for place in places.astype(int).tolist():
            share = (place + 1) / len(known)
            rows.append({"of": name, "distance": float(known[place]), "share": share})
    return rows


def _pictures(
    files: Files, found: Shares, repeats: list[Row]
) -> dict[str, list[tuple[str, np.ndarray]]]:
    """Draw the nearest pairs and the largest groups, where rows are pictures."""
    if not files.shape:
        return {}
    places = _nearest(found)
    pairs = [("Sample", files.samples[places])]
    pairs.append(("Its nearest training row", files.train[found.nearest[places]]))
    if files.holdout is not None:
        near = _near.among(files.samples[places], files.holdout).places
        pairs.append(("Its nearest hold-out row", files.holdout[near]))
    drawn = {"pairs": [(title, _drawn(files, rows)) for title, rows in pairs]}
    several = [
        (f"Group of {row['size']:,}", _drawn(files, files.samples[row["members"][:MEMBERS]]))
        for row in repeats[:GROUPS]
    ]
    return drawn | ({"repeats": several} if several else {})


def _drawn(files: Files, rows: Float64[Tensor, "k d"]) -> np.ndarray:
    """Bring rows to shades from -1 to 1; ink is dark."""
    low, high = files.limits
    shades = (2 * (rows * files.unit - low) / (high - low) - 1).clamp(-1, 1)
    shades = -shades if files.ink else shades
    return shades.reshape(len(rows), *files.shape).numpy()


def _share(which: Tensor) -> float | None:
    return float(which.double().mean()) if len(which) else None


def _manifest(files: Files, plan: Plan, found: Shares, seconds: float) -> dict[str, Any]:
    """Record files, settings and versions."""
    kinds = _near.distinct(files.train)
    return {
        "files": files.names,
        "samples": len(files.samples),
        "train": len(files.train),
        "holdout": None if files.holdout is None else len(files.holdout),
        "dim": files.train.shape[1],
        "train_copies": len(files.train) - len(kinds.first),
        "equal_to_train": int((found.distance == 0).sum()),
        "equal_to_another": int((found.apart == 0).sum()),
        "memorised": plan.memorised,
        "spurious": plan.spurious,
        "fail_above": plan.fail_above,
        "seed": plan.seed,
        "resamples": RESAMPLES,
        "kanerva": kanerva.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "threads": torch.get_num_threads(),
        "seconds": round(seconds, 1),
    }
