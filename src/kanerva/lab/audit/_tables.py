"""The tables of an audit, for the terminal and for the report."""

from collections.abc import Mapping
from typing import Any

from kanerva._core import checks
from kanerva._core.errors import door
from kanerva.lab.audit._evaluate import Audit
from kanerva.lab.audit._words import chance, far, ratio
from kanerva.lab.report import Column, Grid, written

__all__ = ["copied", "pairs", "repeats", "shares", "tested"]

Row = Mapping[str, Any]
# Rows of the tables of repeats and of copied rows, and members that are named.
LISTED, NAMED = 8, 6
COLUMNS = {
    "kind": Column("kind", "text", "copies, repeats that are no copies, and the rest"),
    "count": Column("samples", "count", "of this kind"),
    "share": Column("share", "share", "of all samples"),
    "interval": Column("95% interval", "text", "of the share, by resampling the samples"),
    "holdout": Column("hold-out", "share", "share of hold-out rows of this kind, by the same rule"),
    "within": Column("within", "text", "of a training row; of another sample"),
}
PAIRS = {
    "sample": Column("sample", "text", "its row, counted from 0"),
    "nearest": Column("training row", "text", "the nearest one, counted from 0"),
    "distance": Column("distance", "text", "between both"),
    "numbers": Column("its numbers", "text", "the first numbers of the sample"),
    "numbers_nearest": Column("those of the training row", "text", "the same numbers there"),
    "kind": Column("kind", "text", "of the sample"),
}
REPEATS = {
    "group": Column("group", "text", "the largest first"),
    "size": Column("samples", "count", "linked by steps within the second threshold"),
    "distinct": Column("distinct", "count", "samples that differ at all"),
    "memorised": Column("copies", "count", "samples that are copies of a training row"),
    "nearest": Column("training row", "text", "nearest to the first member, counted from 0"),
    "distance": Column("distance", "text", "of the first member to it"),
    "members": Column("members", "text", "rows of the samples, counted from 0"),
}
COPIED = {
    "row": Column("training row", "text", "counted from 0"),
    "times": Column("copies", "count", "samples of which it is the nearest row, within the first"),
    "sample": Column("nearest sample", "text", "counted from 0"),
    "distance": Column("distance", "text", "to it"),
}
TESTED = {
    "rows": Column("rows", "text", "compared with the training rows"),
    "median": Column("median distance", "text", "to the nearest training row"),
    "nearer": Column("nearer", "share", "pairs in which the sample is nearer; ties count half"),
    "p": Column("p", "text", "one-sided Mann-Whitney: such a share or more by chance"),
    "ratio": Column(
        "ratio", "text", "median distance to the hold-out over that to as many training rows"
    ),
}


@door("audit")
def shares(result: Audit) -> Grid:
    """Return the table of the kinds, with shares and intervals.

    Args:
        result: of ``evaluate``.

    Example:
        >>> from kanerva.lab import audit
        >>> found = audit.evaluate(audit.load("iris", "iris"), audit.Plan())
        >>> audit.shares(found).rows[0]["interval"]
        '97.6% to 100%'
    """
    checks.instance("result", result, Audit, "give the result of audit.evaluate")
    lines = []
    for row in result.rows:
        ends = [written(row[end], "share") for end in ("low", "high")]
        within = result.thresholds.get(row["kind"])
        line = row | {"interval": f"{ends[0]} to {ends[1]}"}
        lines.append(line | {"within": None if within is None else far(within)})
    total, train = result.manifest["samples"], result.manifest["train"]
    caption = f"{total:,} samples beside {train:,} training rows."
    return Grid(caption, lines, COLUMNS, "full slim")


def tested(result: Audit) -> list[Grid]:
    """Return the table of the test of copying, if there is a hold-out.

    Args:
        result: of ``evaluate``.
    """
    found = result.copying
    if not found:
        return []
    p, factor = chance(found["p"]), ratio(found["ratio"]).replace("more than ", ">")
    test = {"nearer": found["auc"], "p": p.removeprefix("p = ").removeprefix("p "), "ratio": factor}
    lines = [
        {"rows": "samples", "median": far(found["near"]), **test},
        {"rows": "hold-out", "median": far(found["usual"])},
    ]
    held = result.manifest["holdout"]
    return [Grid(f"Samples beside {held:,} hold-out rows.", lines, TESTED, "full slim")]


def pairs(result: Audit) -> Grid:
    """Return the table of the nearest pairs; of pictures without their numbers.

    Args:
        result: of ``evaluate``.
    """
    hidden = ("numbers", "numbers_nearest") if result.pictures else ()
    lines = [
        _texts({name: row[name] for name in row if name not in hidden}) for row in result.pairs
    ]
    caption = "The samples nearest to a training row, one for each; all are in samples.csv."
    return Grid(caption, lines, PAIRS, "full slim")


def repeats(result: Audit) -> list[Grid]:
    """Return the table of the largest groups of repeats, if there are any.

    Args:
        result: of ``evaluate``.
    """
    lines = []
    for place, row in enumerate(result.repeats[:LISTED], 1):
        named = ", ".join(map(str, row["members"][:NAMED]))
        more = ", …" if row["size"] > NAMED else ""
        lines.append(_texts(row) | {"group": str(place), "members": named + more})
    caption = f"Samples that repeat one another: the largest of {len(result.repeats):,} groups."
    return [Grid(caption, lines, REPEATS, "full slim")] if lines else []


def copied(result: Audit) -> list[Grid]:
    """Return the table of the training rows that are copied most often, if any are.

    Args:
        result: of ``evaluate``.
    """
    lines = [_texts(row) for row in result.copied[:LISTED]]
    caption = f"Training rows that are copied: the first of {len(result.copied):,}."
    return [Grid(caption, lines, COPIED, "full slim")] if lines else []


def _texts(row: Row) -> dict[str, Any]:
    """Write places and distances as text."""
    places = {name: str(row[name]) for name in ("sample", "nearest", "row") if name in row}
    return {**row, **places, "distance": far(row["distance"])}
