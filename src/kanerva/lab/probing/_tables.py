"""Tables and sentences of an examination, from the measurements of a model."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

import torch

from kanerva import probe
from kanerva.probe import Effect, Heads

__all__ = [
    "agreements",
    "cosines",
    "effect",
    "histograms",
    "means",
    "optima",
    "remarks",
    "stores",
    "values",
    "verdicts",
]

Row = dict[str, Any]

CRITERIA = ("noise", "snr", "capacity")
AVERAGED = (
    "beta",
    "beta_max",
    "straight",
    "entropy",
    "effective",
    "top",
    "key_spread",
    "variation",
    "r2",
    "matched_variation",
    "matched_r2",
)
FEEDFORWARD = ("tokens", "active", "effective", "entropy")


def agreements(heads: Heads, space: str) -> list[Row]:
    """Return the agreement of every head with memories of every radius."""
    return [
        {"layer": head.layer, "head": head.index, "radius": radius, **found._asdict()}
        for head in heads
        for radius, found in head.agreement(space).items()
    ]


def histograms(heads: Heads, name: str) -> list[Row]:
    """Return the histograms of each layer, over all its heads, as shares of the pairs."""
    rows: list[Row] = []
    for layer in heads.layers:
        parts = [getattr(head, name) for head in heads if head.layer == layer]
        counts, edges = torch.stack([counts for counts, _ in parts]).sum(0), parts[0][1]
        middle = ((edges[1:] + edges[:-1]) / 2).tolist()
        rows += [
            {"layer": layer, name: place, "share": int(count) / int(counts.sum())}
            for place, count in zip(middle, counts, strict=True)
        ]
    return rows


def values(heads: Heads) -> list[Row]:
    """Return the mean lengths of values by the decade of their weight."""
    return [
        {"layer": head.layer, "head": head.index, "weight": 10.0 ** (place - 5), "norm": norm}
        for head in heads
        for place, norm in enumerate(head.value_by_weight)
        if norm is not None
    ]


def stores(found: Sequence[probe.Store]) -> list[Row]:
    """Return the measurements of feed-forward layers."""
    rows = []
    for store in found:
        row: Row = {"layer": store.layer, "name": store.name, "gated": int(store.gated)}
        row["memories"] = len(store.keys)
        row |= {name: getattr(store, name) for name in FEEDFORWARD}
        rows.append(row | store.fit()._asdict())
    return rows


def effect(found: Effect) -> Row:
    """Return an effect as columns; of the layers, only the last."""
    row = found._asdict()
    return {"last": row.pop("hidden")[-1]} | row


def means(title: str, rows: Sequence[Row]) -> Row:
    """Return the means over all heads, for the table of controls."""
    found: Row = {"control": title}
    for name in AVERAGED:
        numbers = [row[name] for row in rows if row[name] is not None]
        found[name] = fmean(numbers) if numbers else None
    return found


def optima(heads: Heads, patterns: int, space: str) -> dict[str, float]:
    """Return the betas of the optimal radii, for the most frequent dimension of the heads.

    Args:
        heads: of ``watch``.
        patterns: number of patterns; 0 for the mean number of attended tokens.
        space: ``"binary"`` or ``"continuous"``.
    """
    dims = [head.dim for head in heads]
    attended = [head.attended for head in heads if head.attended]
    count = patterns or max(2, round(fmean(attended)))
    dim = max(set(dims), key=dims.count)
    best = heads[dims.index(dim)].fit(count, space).optima
    return dict(zip(CRITERIA, best, strict=True)) | {"patterns": count}


def cosines(heads: Heads) -> bool:
    """Return whether all heads score by queries and keys alone, as rules for cosines do."""
    return not any(head.biased or head.null is not None for head in heads)


def remarks(heads: Heads) -> list[str]:
    """Return what must be known to read the measurements, as sentences."""
    found, count = [], len(heads)
    biased = sum(head.biased for head in heads)
    if biased:
        found.append(
            f"{biased} of {count} heads add a bias to their scores, such as one of the position. "
            "Their beta and radius are those of the cosine alone; entropy, phase and agreement "
            "are of the scores with the bias."
        )
    shares = [head.null for head in heads if head.null is not None]
    if shares:
        found.append(
            f"{len(shares)} of {count} heads have a learned sink, a key without a value, to which "
            f"{100 * fmean(shares):.0f} % of their weight goes."
        )
    if not cosines(heads):
        found.append(
            "Circles and caps take cosines, so they are not put in the place of these heads."
        )
    hidden = [head.mismatch or 0.0 for head in heads if head.hidden]
    if hidden:
        found.append(
            f"The outputs of {len(hidden)} of {count} heads are not the reads with the measured "
            f"weights (they differ by up to {100 * max(hidden):.0f} % of their length): the model "
            "changes the scores or weights of these heads in a way that cannot be seen, so that "
            "their beta, radius and phase describe the scaled products alone."
        )
    return found


def verdicts(
    rows: Sequence[Row],
    effects: Sequence[Row],
    controls: Sequence[Row],
    optima: dict[str, float],
    titles: dict[str, str],
) -> list[str]:
    """Return the main results as sentences.

    Args:
        rows: of all heads.
        effects: of the replacements.
        controls: of the model, first, and of what it is compared with.
        optima: betas of the optimal radii.
        titles: of the replacements, by name.
    """
    betas = [row["beta"] for row in rows]
    within = sum(not row["outside"] for row in rows)
    noise, snr, capacity = (sum(row["regime"] == name for row in rows) for name in CRITERIA)
    found = [
        f"{len(rows)} heads have an effective beta from {min(betas):.1f} to {max(betas):.1f}, "
        f"{fmean(betas):.1f} on average; {within} lie between the betas of the radii best for "
        f"noise ({optima['noise']:.1f}) and best for capacity ({optima['capacity']:.1f}).",
        f"By beta, the nearest optimal radius is that for noise in {noise} heads, that for signal "
        f"to noise in {snr}, and that for capacity in {capacity}.",
        "The mean total variation between the weights of a head and circles is "
        f"{controls[0]['variation']:.2f} at the radius of its beta, and "
        f"{controls[0]['matched_variation']:.2f} at the radius that agrees best.",
    ]
    kept = {row["memory"]: row for row in effects}
    name = "matched" if "matched" in kept else "circles"
    if "nearest" in kept and name in kept:
        found.append(
            f"With {titles[name]} in place of every head, the embedding of a text has a mean "
            f"cosine of {kept[name]['embedding']:.3f} to the original; with the nearest token "
            f"alone, {kept['nearest']['embedding']:.3f}."
        )
    return found
