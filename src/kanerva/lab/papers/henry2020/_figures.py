"""The figures of the language models: histogram, paths, fixed betas, and settings beside theory."""

import statistics
from collections.abc import Iterator, Mapping
from typing import Any

from kanerva.lab import plot
from kanerva.lab.recipe import Cell, Row

__all__ = ["beta_paths", "fixed", "histogram", "settings"]

LEARNED = "learned, mean and standard deviation of the heads"
SETTINGS = {
    "width": "dimension of a head",
    "context": "characters of context",
    "replaced": "share of replaced characters",
}


def histogram(rows: list[Row], base: Cell) -> Any:
    """Draw the final betas of the heads of all models of one setting.

    These are the models that started at 10 or 20, where there are such. The caption has the share
    between the outer two optima, with its bootstrap interval over the models.
    """
    import numpy as np
    from scipy.stats import bootstrap

    last = _last(_alike(rows, base))
    last = [row for row in last if row["start"] in (10, 20)] or last
    optima = _optima(last[0])
    figure = plot.beta_histogram(last, optima)
    low, high = min(optima.values()), max(optima.values())
    models: dict[tuple[float, int], list[bool]] = {}
    for row in last:
        models.setdefault((row["start"], row["seed"]), []).append(low <= row["beta"] <= high)
    shares = np.array([statistics.fmean(inside) for inside in models.values()])
    starts = " or ".join(f"{start:g}" for start in sorted({row["start"] for row in last}))
    several = "s" if len(models) > 1 else ""
    words = (
        f"The final betas of {len(last)} heads of {len(models)} model{several} that started at "
        f"{starts}. {100 * shares.mean():.0f} % of them lie between the outer two of the best radii"
    )
    if len(models) > 2:
        ends = [shares.mean()] * 2
        if np.ptp(shares) > 0:
            found = bootstrap((shares,), np.mean, rng=np.random.default_rng(0), method="percentile")
            ends = list(found.confidence_interval)
        interval = f"{100 * ends[0]:.0f} to {100 * ends[1]:.0f} %"
        words += f" (95 % bootstrap interval over the models: {interval})"
    figure.set_label(f"{words}.")
    return figure


def beta_paths(rows: list[Row], base: Cell) -> Any:
    """Draw the beta of each head against the number of updates, with a panel for each first value.

    Only one seed is drawn.
    """
    mine = _alike(rows, base)
    mine = [row for row in mine if row["seed"] == mine[0]["seed"]]
    titled = [row | {"panel": f"first beta {row['start']:g}"} for row in mine]
    return plot.beta_paths(titled, _optima(mine[0]))


def fixed(rows: list[Row], base: Cell) -> Any:
    """Draw the loss against one fixed beta for all heads, with the mean of the learned ones."""
    last = [row for row in _last(rows) if row["bits"] is not None]
    swept = [row for row in last if _same(row, base | {"temperature": "fixed"})]
    learned = [row for row in last if _same(row, base | {"start": 10.0})]
    if not swept or not learned:
        return None
    lines = [{"beta": row["beta"], "bits": row["bits"], "line": "one fixed beta"} for row in swept]
    mean = statistics.fmean(row["beta"] for row in learned)
    verticals = {f"mean of the learned betas, {mean:.1f}": mean}
    verticals |= {
        f"{plot.OPTIMA[name]}, {beta:.1f}": beta for name, beta in _optima(swept[0]).items()
    }
    frame = plot.Frame(
        "One fixed beta for all heads",
        "beta",
        "bits a character on held-out text",
        log="x",
        verticals=verticals,
    )
    return plot.lines(lines, "beta", "bits", frame, by="line")


def settings(rows: list[Row], base: Cell) -> Any:
    """Draw the learned betas against width, context and damage, beside those of the best radii."""
    last = [row for row in _last(rows) if row["start"] == 10 and row["seed"] == 0]
    lines = [line for name in SETTINGS for line in _varied(last, base, name)]
    if not lines:
        return None
    title = "The learned betas, and those of the three best radii"
    return plot.lines(lines, "x", "beta", plot.Frame(title, "", "beta"), by="line", panel="panel")


def _varied(rows: list[Row], base: Cell, name: str) -> Iterator[Row]:
    """Yield the lines of a panel: the models that differ in one setting, if there are several."""
    others = {key: value for key, value in base.items() if key != name}
    mine = [row for row in rows if _same(row, others)]
    if len({row[name] for row in mine}) < 2:
        return
    for row in mine:
        place = {"x": row[name], "panel": SETTINGS[name]}
        yield place | {"beta": row["beta"], "line": LEARNED}
    for row in mine:
        for criterion, beta in _optima(row).items():
            place = {"x": row[name], "panel": SETTINGS[name]}
            yield place | {"beta": beta, "line": plot.OPTIMA[criterion]}


def _last(rows: list[Row]) -> list[Row]:
    """Return the rows after the last update of each model."""
    return [row for row in rows if row["update"] == row["updates"]]


def _alike(rows: list[Row], base: Cell) -> list[Row]:
    """Return the models of the usual setting; without one, those of the setting of the first."""
    usual = [row for row in rows if _same(row, base)]
    return usual or [row for row in rows if _same(row, {name: rows[0][name] for name in base})]


def _optima(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in plot.OPTIMA}


def _same(row: Row, cell: Cell) -> bool:
    return all(row[name] == value for name, value in cell.items())
