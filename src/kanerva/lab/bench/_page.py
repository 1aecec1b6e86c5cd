"""The page of the benchmarks: requirements and measurements, then each operation with its peers."""

from collections.abc import Iterator, Sequence
from typing import Any

from kanerva.lab.bench import _asked, _special
from kanerva.lab.bench._measure import Result, Row
from kanerva.lab.bench._tables import details, limits, mebibytes, number, races, seconds, table
from kanerva.lab.bench._words import HOW, MADE, MILLION, START, WORDS

__all__ = ["page"]


def page(result: Result, pictured: bool) -> str:
    """Return the page in Markdown.

    Args:
        result: of a run.
        pictured: whether the figure was drawn.

    Returns:
        the text of the page.

    Example:
        >>> from kanerva.lab import bench
        >>> text = bench.page(bench.run("tiny", ["nearest"]), pictured=False)
        >>> "## The nearest pattern" in text
        True
    """
    return "\n".join([*_introduction(result, pictured), *_sections(result), ""])


def _introduction(result: Result, pictured: bool) -> Iterator[str]:
    """Yield the title, the command, and the machine."""
    yield MADE
    yield "# Benchmarks"
    yield ""
    took = _duration(result.seconds)
    yield f"    kanerva bench --size {result.size}    # {took}; `make bench` writes this page"
    yield ""
    yield f"Every core operation beside its peers, in one run. {_machine(result.machine)}"
    yield ""
    yield "Compare the ratios rather than the times, which are those of this machine."
    yield ""
    if pictured:
        yield "![Times of others as multiples of ours](images/benchmarks.png)"
        yield ""


def _sections(result: Result) -> Iterator[str]:
    """Yield the sections of the page."""
    yield from _requirements(result.rows)
    yield from ("## Limits of the machine", "")
    yield from table(("what", "rate"), limits(result.limits))
    yield ""
    for operation, (title, words) in WORDS.items():
        rows = [row for row in result.rows if row["operation"] == operation]
        if rows:
            yield from (f"## {title}", "", words, "", *races(rows), "")
    yield from _million(result.rows)
    yield from _start(result.rows)
    yield from _growth(result.rows)
    yield from (HOW, "")
    if result.notes:
        yield from ("## Failures", "", *(f"* {note}" for note in result.notes), "")
    yield from details([row for row in result.rows if row["operation"] in WORDS])


def _requirements(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table of the requirements."""
    lines = []
    for found in _asked.found(rows):
        asked, where = found.asked, "" if found.sizes == 1 else f" ({found.where})"
        bound = f"{asked.kind} {asked.bound:g} {asked.unit}"
        reached = f"{found.reached} of {found.sizes}"
        lines.append((asked.what, bound, f"{number(found.worst)}{where}", reached))
    if lines:
        yield from ("## Requirements and measurements", "")
        yield "Of several sizes the worst is shown. A missed requirement does not fail the run."
        yield ""
        yield from table(("operation", "required", "measured", "sizes that reach it"), lines)
        yield ""


def _million(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the section on a million patterns."""
    mine = {row["route"]: row for row in rows if row["operation"] == "million"}
    if not mine:
        return
    both = mine["both"]
    sizes = both["setting"]
    lines = [
        (name, seconds(mine[name]["median"]), mebibytes(mine[name]["peak"]))
        for name in ("written", "recalled")
    ]
    stored = f"{mebibytes(both['peak'])} beyond the {both['held'] / 2**20:,.0f} MiB stored"
    lines.append(("both", seconds(both["median"]), stored))
    constants = {"written": _special.WRITTEN, "flips": _special.FLIPS, "kept": sizes["kept as"]}
    yield from ("## A million patterns", "", "    kanerva bench --only million", "")
    yield MILLION.format(**sizes, **constants)
    yield ""
    yield from table(("", "time", "memory"), lines)
    yield ""
    yield f"{both['right']:,} of {both['asked']:,} cues were recalled without a single wrong bit."
    yield ""


def _start(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the section on the first call of a process."""
    mine = [row for row in rows if row["operation"] == "start"]
    if not mine:
        return
    caches = list(dict.fromkeys(row["setting"]["cache"] for row in mine))
    lines = []
    for stage in dict.fromkeys(row["route"] for row in mine):
        by = {row["setting"]["cache"]: row for row in mine if row["route"] == stage}
        times = [seconds(by[cache]["median"]) if cache in by else "–" for cache in caches]
        lines.append((stage, *times))
    yield from ("## The first call", "", START.format(many=mine[0]["rounds"]), "")
    yield from table(("stage", *caches), lines)
    yield ""


def _growth(rows: list[Row]) -> Iterator[str]:
    """Yield the section on the growth of cost."""
    grown = _special.grown(rows)
    if not grown:
        return
    heads = ("what", "count", "time", "power of time", "in the last factor of ten")
    lines = []
    for what, some in grown.items():
        first, last = some[0], some[-1]
        ends = f"{first['setting']['count']:,} to {last['setting']['count']:,}"
        took = f"{seconds(first['median'])} to {seconds(last['median'])}"
        powers = (*_special.exponents(some, "median"), _special.exponents(some, "held")[0])
        texts = [f"{power:.2f}" for power in powers]
        lines.append((what, ends, took, *texts, mebibytes(last["peak"])))
    yield from ("## Growth of cost", "")
    yield (
        "The same operation with increasing numbers of stored rows. Time and size grow as a power "
        "of that number, fitted by least squares of the logarithms. A constant cost of each call "
        "makes the power over the whole range smaller than that of the last factor of ten."
    )
    yield ""
    yield from table((*heads, "power of the size", "memory of a call"), lines)
    yield ""


def _machine(machine: dict[str, Any]) -> str:
    """Return the description of the machine in sentences."""
    memory = "" if machine["memory"] is None else f", {machine['memory'] / 2**30:.0f} GiB"
    cores = f"{machine['cores']} cores{memory}, {machine['instructions']}"
    threads = f"{machine['threads']} thread{'s' if machine['threads'] > 1 else ''}"
    text = f"The machine: {machine['system']}, {cores}; {threads}."
    if machine["load"] is not None:
        text += f" Load average at the beginning: {machine['load']:g}."
    versions = machine["versions"]
    here = [f"{name} {version}" for name, version in versions.items() if version]
    absent = [name for name, version in versions.items() if not version]
    text += f" Versions: {', '.join(here)}."
    if absent:
        text += f" Left out, since they are not installed: {', '.join(absent)}."
    return text


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
