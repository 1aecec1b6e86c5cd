"""Tables of the page of the benchmarks, in Markdown."""

from collections.abc import Iterator, Sequence
from typing import Any

from kanerva.lab.bench._asked import setting
from kanerva.lab.bench._measure import Row
from kanerva.lab.report import written

__all__ = ["details", "grouped", "limits", "mebibytes", "number", "races", "seconds", "table"]

HEADS = ("operation", "size", "route", "median", "quartiles", "rounds", "memory", "difference")


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a table."""
    yield f"| {' | '.join(map(_escaped, heads))} |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield f"| {' | '.join(map(_escaped, line))} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def number(value: float | None) -> str:
    """Write a number, or a dash."""
    return "–" if value is None else written(float(value), "number")


def seconds(value: float) -> str:
    """Write a time."""
    return written(value, "seconds")


def mebibytes(size: int | None) -> str:
    """Write a size in MiB, or a dash."""
    if size is None:
        return "–"
    return "below 1 MiB" if size < 2**20 else f"{size / 2**20:,.0f} MiB"


def grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Return the rows of each case."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(setting(row), []).append(row)
    return list(cases.values())


def races(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a table of the medians of all routes with our ratios, and sentences below it."""
    routes = list(dict.fromkeys(row["route"] for row in rows))
    others = [row for row in rows if not row["ours"]]
    # Where all routes have the same single peer, each has its ratio; otherwise ours is compared
    # with the best peer and with the limit.
    single = len({row["route"] for row in others}) == 1
    lines = []
    for case in grouped(rows):
        by = {row["route"]: row for row in case}
        cells = [_cell(by[name], single) if name in by else "–" for name in routes]
        ours = next((row for row in case if row["ours"]), None)
        if not single:
            cells += [number(ours["faster"]), number(ours["over_limit"])] if ours else ["–", "–"]
        lines.append([setting(case[0]), *cells])
    ratios = [] if single else ["best peer over ours", "ours over the limit"]
    yield from table(["size", *routes, *ratios], lines)
    yield from _memory(rows)
    yield from _differences(rows)


def _cell(row: Row, single: bool) -> str:
    ratio = f", {number(1 / row['faster'])}x" if single and row["faster"] else ""
    return seconds(row["median"]) + ratio


def _memory(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence on the largest memory of a call."""
    ours, others = (
        [row["peak"] for row in rows if row["ours"] is mine and row["peak"] is not None]
        for mine in (True, False)
    )
    if ours:
        rest = f", the others {mebibytes(max(others))}" if others else ""
        yield ""
        yield f"Memory beyond input and store, at most: ours {mebibytes(max(ours))}{rest}."


def _differences(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a sentence on the largest error."""
    ours, others = (
        max((row["difference"] for row in rows if row["ours"] is mine), default=0.0)
        for mine in (True, False)
    )
    if ours or others:
        what = "Largest difference from float64, as a share of the largest number"
        yield ""
        yield f"{what}: ours {ours:.0e}, the others {others:.0e}."


def details(rows: Sequence[Row]) -> Iterator[str]:
    """Yield a collapsed table of all rows with their quartiles."""
    if rows:
        yield "<details>"
        yield "<summary>All rows: quartiles, rounds, memory, difference</summary>"
        yield ""
        yield from table(HEADS, [_full(row) for row in rows])
        yield ""
        yield "</details>"


def _full(row: Row) -> tuple[str, ...]:
    quartiles = f"{seconds(row['low'])} – {seconds(row['high'])}" if row["rounds"] > 1 else "–"
    names = (row["operation"], setting(row), row["route"], seconds(row["median"]), quartiles)
    return (*names, str(row["rounds"]), mebibytes(row["peak"]), f"{row['difference']:.1g}")


def limits(rates: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the lines of the limits of the machine."""
    words = "not measured, since numba is not installed"
    if rates["words"] is not None:
        words = _billions(rates["words"])
    lines = [
        ("64-bit words compared, with their differing bits counted and summed", words),
        ("matrix product, float32", f"{rates['single'] / 1e12:.3f} TFLOP/s"),
        ("matrix product, bfloat16", f"{rates['half'] / 1e12:.3f} TFLOP/s"),
        ("exponentials of float32 in the cache", _billions(rates["exponentials"])),
    ]
    for size, rate in rates["bandwidth"].items():
        lines.append((f"reading {int(size) // 2**20} MiB repeatedly", f"{rate / 1e9:.0f} GB/s"))
    return lines


def _billions(rate: float) -> str:
    return f"{rate / 1e9:.1f} x 10^9 per second"
