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
    """Draw the final betas of the heads of all models of one setting, from two first values.

    The caption has the share between the outer two optima, with its bootstrap interval.
    """
    import numpy as np
    from scipy.stats import bootstrap

    plain = [row for row in _last(rows) if row["start"] in (10, 20) and _same(row, base)] or rows
    optima = _optima(plain[0])
    figure = plot.beta_histogram(plain, optima)
    low, high = min(optima.values()), max(optima.values())
    within = np.array([low <= row["beta"] <= high for row in plain], float)
    found = [within.mean()] * 2
    if 0 < within.mean() < 1:
        drawn = bootstrap((within,), np.mean, rng=np.random.default_rng(0), method="percentile")
        found = list(drawn.confidence_interval)
    figure.set_label(
        f"The final betas of the heads that started at 10 or 20. {100 * within.mean():.0f} % of "
        f"{len(within)} heads lie between the radii best against noise and for capacity (95 % "
        f"bootstrap interval over the heads: {100 * found[0]:.0f} to {100 * found[1]:.0f} %)."
    )
    return figure


def beta_paths(rows: list[Row], base: Cell) -> Any:
    """Draw the beta of each head against the number of updates, with a panel for each first value.

    Only one seed is drawn.
    """
    mine = [row for row in rows if _same(row, base)] or rows
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
    last = max(row["update"] for row in rows)
    return [row for row in rows if row["update"] == last]


def _optima(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: row[name] for name in plot.OPTIMA}


def _same(row: Row, cell: Cell) -> bool:
    return all(row[name] == value for name, value in cell.items())
