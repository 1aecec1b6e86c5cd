"""The figure of the benchmarks: ratios of the peers and of the limits to kanerva."""

from collections.abc import Iterator, Sequence

from kanerva._core.errors import InputError
from kanerva.lab import plot
from kanerva.lab.bench._measure import Result, Row
from kanerva.lab.bench._tables import grouped
from kanerva.lab.bench._words import WORDS
from kanerva.lab.plot.benchmarks import LIMIT, benchmark_dots

__all__ = ["picture"]

# The series of a route, by the beginning of its name.
SERIES = {
    "kanerva, NumPy": "kanerva with NumPy",
    "torch-hd": "torch-hd",
    "NumPy": "plain NumPy",
    "torch, scaled": "torch's attention",
    "torch, ": "formula in torch",
    "x-transformers": "x-transformers",
    "scikit-learn": "scikit-learn",
}


def picture(result: Result) -> bytes | None:
    """Draw the ratios at a few sizes; return None without matplotlib, or without any ratio."""
    rows = [row for name in WORDS if name != "rules" for row in _ratios(name, result.rows)]
    if not rows:
        return None
    counts = " or ".join(f"{count:,}" for count in sorted({row["stored"] for row in rows}))
    try:
        figure = benchmark_dots(rows, note=f"1 is kanerva; {counts} locations or patterns")
        return plot.png(figure)
    except InputError:
        return None


def _ratios(operation: str, rows: Sequence[Row]) -> Iterator[Row]:
    """Yield times as multiples of ours, of all batches at the median number of stored rows."""
    cases = grouped([row for row in rows if row["operation"] == operation])
    stored = sorted({_stored(case[0]) for case in cases})
    for case in cases:
        ours = next((row for row in case if row["ours"]), None)
        if ours is None or _stored(ours) != stored[(len(stored) - 1) // 2]:
            continue
        sizes = [f"{name}={value}" for name, value in ours["setting"].items() if name in "dnB"]
        times = _best([row for row in case if row is not ours])
        if ours["limit"]:
            times[LIMIT] = ours["limit"]
        for name, seconds in times.items():
            row = {"label": f"{operation}, {', '.join(sizes)}", "series": name}
            yield row | {"ratio": seconds / ours["median"], "stored": _stored(ours)}


def _best(rows: Sequence[Row]) -> dict[str, float]:
    """Return the shortest median of each series."""
    best: dict[str, float] = {}
    for row in rows:
        name = _series(row["route"])
        if name:
            best[name] = min(best.get(name, row["median"]), row["median"])
    return best


def _series(route: str) -> str | None:
    return next((name for start, name in SERIES.items() if route.startswith(start)), None)


def _stored(row: Row) -> int:
    found: int = row["setting"].get("M", row["setting"].get("N", 0))
    return found
