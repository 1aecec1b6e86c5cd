"""The results of an evaluation in sentences, and how to read them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanerva.lab.data import DataSet
from kanerva.lab.report import written

__all__ = ["nats", "notes", "verdicts"]

Row = Mapping[str, Any]
# A difference of so many standard errors is taken for one.
SURE = 2
# Strange rows that are named in a sentence.
NAMED = 4


def verdicts(
    rows: Sequence[Row], best: Row, strangest: Sequence[Row], manifest: Mapping[str, Any]
) -> list[str]:
    """Say which memory gives held-out rows the highest likelihood, and what else was found.

    Args:
        rows: of the memories, as in ``Evaluation``.
        best: the comparison of the first two.
        strangest: of all memories.
        manifest: of the evaluation.
    """
    return [
        *_likeliest(rows, best),
        *_small(rows, manifest),
        *_unreached(rows, manifest),
        *_created(rows, manifest),
        *_strange(rows, best, strangest),
        *_drawn(manifest),
    ]


def _likeliest(rows: Sequence[Row], best: Row) -> Iterator[str]:
    """Compare the two best memories."""
    named = {row["memory"]: row for row in rows}
    reached = [row for row in rows if row["held"] is not None]
    if not reached:
        yield "No memory reaches all held-out rows: their mean log-likelihood is minus infinity."
        return
    first = named[best["memory"]] if best else reached[0]
    likely = nats(first["held"], first["held_se"])
    if not best:
        yield f"{first['title']}: held-out rows have {likely} nats a row (± the standard error)."
        return
    second = named[best["second"]]["title"]
    gain, error = best["gain"], best["gain_se"]
    start = (
        f"Held-out rows are most likely under {first['title']}: {likely} nats a row (± the "
        f"standard error), {nats(gain, error)} more than under {second}, the second"
    )
    if gain >= SURE * error:
        yield f"{start}; ± is the standard error of the difference, row by row."
    else:
        yield f"{start}. That is within {SURE} standard errors: these rows do not tell them apart."


def _small(rows: Sequence[Row], manifest: Mapping[str, Any]) -> Iterator[str]:
    """Name what makes small bandwidths pay."""
    constant, uneven = manifest["constant_columns"], manifest["uneven_columns"]
    columns, found = f"of {manifest['dim']:,} columns", []
    if constant:
        some = f"{constant} {columns} {_are(constant)} constant"
        gaussian = next((row for row in rows if row["memory"] == "gaussian"), None)
        if gaussian is not None:
            share = -math.log(gaussian["bandwidth"] * math.sqrt(2 * math.pi))
            some += f" (each is worth {share:.1f} nats a row under Gaussian)"
        found.append(some)
    if uneven:
        verb = "has" if uneven == 1 else "have"
        found.append(f"{uneven} {columns} {verb} one value in more than half of the kept rows")
    for count, what in (("kept_copies", "other rows"), ("held_copies", "kept ones")):
        if manifest[count]:
            kind = "kept" if count == "kept_copies" else "held-out"
            number, copy = manifest[count], "a copy" if manifest[count] == 1 else "copies"
            row = f"{kind} row" if number == 1 else f"{kind} rows"
            found.append(f"{number:,} {row} {_are(number)} {copy} of {what}")
    if found:
        yield (
            "Where numbers repeat, narrow and pointed kernels pay, whatever the data are like "
            f"elsewhere: {'; '.join(found)}."
        )


def _unreached(rows: Sequence[Row], manifest: Mapping[str, Any]) -> Iterator[str]:
    """Name the memories that do not reach all rows."""
    for row in rows:
        if row["unreached"]:
            yield (
                f"{row['title']}, whose kernels end, does not reach {row['unreached']:,} of "
                f"{manifest['held_out']:,} held-out rows: their likelihood is zero, and that of "
                "all rows together, too."
            )


def _created(rows: Sequence[Row], manifest: Mapping[str, Any]) -> Iterator[str]:
    """Say how many memories a mixture has, and how they agree with the classes."""
    scale = " (1: the same groups, 0: by chance)"
    for row in rows:
        if row["memory"] not in ("crp", "elbo"):
            continue
        size, whole = row["bytes"], 8 * manifest["kept"] * manifest["dim"]
        verb = "creates" if row["memory"] == "crp" else "has"
        things = "1 memory" if row["memories"] == 1 else f"{row['memories']:,} memories"
        text = (
            f"{row['title']} {verb} {things} for {manifest['kept']:,} rows, in "
            f"{written(size, 'bytes')} where the rows take {written(whole, 'bytes')}"
        )
        if row["ari"] is not None:
            text += (
                f"; with the {manifest['classes']} classes they agree by an adjusted Rand index of "
                f"{row['ari']:.2f}{scale}"
            )
            scale = ""  # said once
        yield f"{text}."


def _strange(rows: Sequence[Row], best: Row, strangest: Sequence[Row]) -> Iterator[str]:
    """Name the held-out rows of the lowest likelihood."""
    memory = best.get("memory", rows[0]["memory"])
    mine = [row for row in strangest if row["memory"] == memory][:NAMED]
    listed = ", ".join(_named(row) for row in mine)
    yield (
        f"The strangest held-out rows under {mine[0]['title']}, counted from 0: {listed}; more are "
        "in strangest.csv."
    )


def _drawn(manifest: Mapping[str, Any]) -> Iterator[str]:
    """Say where the samples are."""
    if manifest["samples"]:
        rows = "1 row" if manifest["samples"] == 1 else f"{manifest['samples']:,} rows"
        yield f"{rows} drawn from each memory are in samples.csv."


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _named(row: Row) -> str:
    label = f"class {row['class']}, " if "class" in row else ""
    return f"row {row['row']} ({label}{nats(row['nats'])} nats)"


def notes(data: DataSet, rows: Sequence[Row], manifest: Mapping[str, Any]) -> list[str]:
    """Say what was done, and how to read the numbers.

    Args:
        data: the data.
        rows: of the memories, as in ``Evaluation``.
        manifest: of the evaluation.
    """
    kept, held, dim = (manifest[name] for name in ("kept", "held_out", "dim"))
    found = [
        *data.notes,
        f"Densities are in the unit of that range: the numbers are moved from [-1, 1] to [0, 1]. "
        f"In the unit of kanerva recall, half the range, bandwidths are twice as large, and a row "
        f"of {dim:,} numbers has {dim * math.log(2):.4g} nats less. The limits are those of all "
        "rows, held out or not.",
        f"{kept:,} rows are kept and {held:,} held out, by seed {manifest['seed']}. The "
        f"likelihood of a row is a density of {dim:,} numbers, so that its logarithm can be above "
        "0; the standard error is that of the mean over rows.",
    ]
    if bool((data.real.abs() == 1).all()):
        found.append(
            "The data have two values only. Densities in space spread over all numbers; those of "
            "memories of bits are in kanerva.density."
        )
    reasons: dict[str, list[str]] = {}
    for row in rows:
        reasons.setdefault(row["why"], []).append(f"{row['title']} {row['bandwidth']:.4g}")
    found += [f"Bandwidth of {', '.join(some)}: {why}." for why, some in reasons.items()]
    if any(row["memory"] in ("crp", "elbo") for row in rows):
        found.append(
            "Where a row is left out of a mixture, the other rows stay in their memories. The rows "
            "less their mean were written in a random order, with concentration 1, and the "
            "standard deviation of the rows as that of the means."
        )
    if data.labels is not None and not any(row["ari"] is not None for row in rows):
        found.append(
            "The agreement with the classes is for mixtures: in a kernel density each row is a "
            "memory of its own."
        )
    return found


def nats(value: float | None, error: float | None = None) -> str:
    """Write a log-likelihood and its standard error, with as many decimals as say something.

    Example:
        >>> nats(29.8081, 0.6634), nats(3.14159), nats(None)
        ('29.8 ± 0.7', '3.1', '−∞')
    """
    if value is None:
        return "−∞"
    if error is None:
        return f"{round(value, 1) + 0.0:.1f}".replace("-", "−")
    decimals = 1 if error >= 0.095 else 2
    return f"{value:.{decimals}f} ± {error:.{decimals}f}".replace("-", "−")
