"""Schaeffer 2024: energies that are learned in context, beside a memory that writes its context."""

from collections.abc import Iterator
from typing import Annotated, Any

from kanerva._core import checks
from kanerva.lab import plot
from kanerva.lab.papers._common import Seed
from kanerva.lab.papers.schaeffer2024 import _maps
from kanerva.lab.recipe import Cell, Check, Row, grid, recipe

__all__ = ["in_context"]

TRUTH, WRITING, TRAINED = "truth", "writing memory", "trained"
NAMES = {TRUTH: "the true mixture", WRITING: "a memory that writes the points"}
MAPPED, SIDE, BOX = (0, 1, 3, 7), 31, 9.0
# Rank accuracy of the writing memory by the number of points seen: of 256 mixtures, with a standard
# error of 0.011 and less, and of 24,000; and its rank correlation, of 256 mixtures.
FEW = {0: 0.82, 1: 0.89, 3: 0.93, 7: 0.96}
MANY = {0: 0.8221, 1: 0.8712, 3: 0.9263, 7: 0.9658}
SPEARMAN = {0: 0.667, 1: 0.696, 3: 0.730, 7: 0.763}
QUICK, UPDATES = 50, (0, 50, 300, 800)
# Mixtures for the rank accuracy and the rank correlation of a model, which takes longer than the
# memory, and for the rank correlation of the others.
TESTED, RANKED, OTHERS = 256, 64, 256
SIZE: Cell = {"points": 8, "mixtures": 2048}


def _checks() -> Iterator[Check]:
    few, many = (f"measured with separate code, {count} mixtures" for count in ("256", "24,000"))
    for seen in MAPPED:
        at, name = SIZE | {"energy": WRITING, "seen": seen}, f"writing memory, {seen} points seen"
        # Few mixtures have an error of their own, so other seeds may differ by more.
        what = f"{name}: rank accuracy"
        yield Check(what, "accuracy", FEW[seen], 0.02, few, at | {"seed": 0})
        yield Check(f"{what}, more mixtures", "accuracy", MANY[seen], 0.015, many, at)
        yield Check(f"{name}: rank correlation", "spearman", SPEARMAN[seen], 0.03, few, at)
    at = {"energy": TRUTH}
    yield Check("truth: rank accuracy", "accuracy", 0.986, 0.005, many, at)
    name, source = "truth: rank correlation, which ties lower", many.replace("24", "6")
    yield Check(name, "spearman", 0.936, 0.01, source, at)
    for updates in UPDATES:
        at = {"energy": TRAINED, "updates": updates, "points": 8}
        if updates == 0:
            what = "not trained: rank accuracy"
            yield Check(what, "accuracy", 0.5, 0.1, "as likely as not", at)
            continue
        what = f"{updates} updates, 7 points seen: rank accuracy, 0.75 at least"
        yield Check(what, "accuracy", 0.875, 0.125, "two runs of separate code", at | {"seen": 7})
        for column, name in (("accuracy", "rank accuracy"), ("spearman", "rank correlation")):
            what = f"{updates} updates: {name} after 7 points less that after none, above 0"
            more, less = at | {"seen": 7}, at | {"seen": 0}
            yield Check(what, column, 0.5, 0.5 - 1e-9, "context is used", more, less=less)
    at = {"energy": TRAINED, "updates": max(UPDATES), "points": 8, "seen": 7}
    what, source = f"{max(UPDATES)} updates, 7 points seen", "one run of separate code"
    yield Check(f"{what}: rank accuracy", "accuracy", 0.90, 0.05, source, at)
    yield Check(f"{what}: rank correlation", "spearman", 0.84, 0.05, source, at)


def _draw(rows: list[Row]) -> Any:
    last = max(row["updates"] for row in rows)
    first = min(row["seed"] for row in rows)
    shown = [row for row in rows if row["updates"] == last and row["seed"] == first]
    names = NAMES | {TRAINED: f"a model after {last} updates"}
    maps = _maps.drawn(shown, names, BOX)
    shares = {"accuracy": "rank accuracy", "spearman": "rank correlation with truth"}
    found = {
        "maps": maps,
        "accuracy": _lines(rows, shares, "How well the energies order the box"),
        "samples": _lines(rows, {"within": ""}, "Samples that lie near a mean"),
    }
    return found


def _lines(rows: list[Row], columns: dict[str, str], title: str) -> Any:
    """Draw some measures by the number of points seen."""
    last, first = max(row["updates"] for row in rows), min(row["seed"] for row in rows)
    long = [
        {"seen": row["seen"], "share": row[column], "panel": panel, "line": _line(row)}
        for column, panel in columns.items()
        for row in rows
        if row["energy"] == TRAINED or (row["updates"] == last and row["seed"] == first)
    ]
    label = "share within 3 standard deviations" if "within" in columns else "share, correlation"
    frame = plot.Frame(title, "points seen", label, across=2)
    return plot.lines(long, "seen", "share", frame, by="line", panel="panel")


def _line(row: Row) -> str:
    """Return the name of the line of a row."""
    return f"trained, {row['updates']} updates" if row["energy"] == TRAINED else row["energy"]


@recipe(
    "bridge.in_context",
    "Energies in context: a trained model beside a memory that writes",
    "schaeffer2024",
    "for the maps of energies; the numbers are of a small model",
    quick=grid(**SIZE, updates=QUICK, batch=32),
    paper=grid(**SIZE, updates=UPDATES, batch=64),
    checks=_checks(),
    draw=_draw,
)
def in_context(
    points: Annotated[int, "points drawn from each mixture"],
    mixtures: Annotated[int, "mixtures on which the energies are measured"],
    updates: Annotated[int, "updates of the trained model"],
    batch: Annotated[int, "mixtures of each update"],
    seed: Seed = 0,
) -> Iterator[Row]:
    """Give energies a few points of a mixture of three Gaussians, and measure them on the next one.

    The means are normal with a standard deviation of 3, the components have one of 0.5. Three
    energies are compared. The truth knows the mixture. The memory writes each point as a kernel of
    twice the variance of a component, with the prior of all points as one more kernel of equal
    weight; nothing is trained. The model is a causal transformer, trained by contrastive divergence
    on other mixtures; its weights stay as they are when it is shown a new one.

    In the maps the darkest cells are the hundredth of the box with the least energy, and each
    further shade is twice as large a share. The first points show where one component is, the later
    ones find the others. Rank accuracy is the probability that the next point has less energy than
    a uniform one; the rank correlation is Spearman's, of the energies of uniform points with the
    true ones; samples are drawn by 40 Langevin steps, and counted within 3 standard deviations of a
    mean.

    The order that memory and model give to the box becomes better with each point. Once a point is
    seen, the memory has the better rank accuracy, though nothing is trained; it is told the two
    variances, which the model finds for itself. The model has the better rank correlation. After
    800 updates more of its samples lie near a mean than of the memory; beyond four points that
    share falls again, and in the maps the lowest energies lie beside the outermost mean. The truth
    does not depend on the points. The maps are of the mixture whose means are farthest apart among
    those with all three components among the first seven points.
    """
    import torch

    from kanerva.lab.papers.schaeffer2024 import _context

    checks.integer("points", points, max(MAPPED) + 1, 64)
    checks.integer("mixtures", mixtures, 1, 10**5)
    checks.integer("updates", updates, 0, 10**6)
    checks.integer("batch", batch, 1, 10**4)
    checks.integer("seed", seed, 0, 2**62)
    drawn = _context.mixtures(mixtures, points, torch.Generator().manual_seed(seed))
    model = _context.trained(updates, batch, points, seed)
    energies = {TRUTH: _context.true, WRITING: _context.writing, TRAINED: model}
    one = _context.apart(drawn, max(MAPPED))
    means, listed = _maps.text(one.means[0].tolist()), one.points[0].tolist()
    for name, energy in energies.items():
        maps = _context.maps(energy, one, SIDE)
        test, ranked = (drawn.first(TESTED), RANKED) if name == TRAINED else (drawn, OTHERS)
        for row in _context.measured(energy, test, ranked, seed):
            seen = row.seen
            dots = "" if name == TRUTH else _maps.text(listed[:seen])
            shown = {"map": maps[seen] if seen in MAPPED else None, "means": means, "dots": dots}
            yield {"energy": name} | row._asdict() | shown
