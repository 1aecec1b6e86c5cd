"""Write a run as a page: what was asked beside what was measured, then every operation with its peers."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from kanerva._core.errors import InputError
from kanerva.lab import plot
from kanerva.lab.bench import _asked, _special
from kanerva.lab.bench._asked import setting
from kanerva.lab.bench._measure import Row
from kanerva.lab.plot.benchmarks import benchmark_dots
from kanerva.lab.report._page import written

__all__ = ["Result", "page", "picture"]

MADE = "<!-- Written by `kanerva bench`: run it again rather than change this page. -->"
WORDS = {
    "activation": (
        "Which locations are active",
        "All locations of `kanerva.sdm` within the radius of each query, about one in a thousand; n bits, M locations, B queries at once. "
        "The limit: XOR, count and add for each word of each address, or reading the addresses once. Checked: the very same locations.",
    ),
    "write": (
        "Writing to locations",
        "`memory.write` of B patterns. The limit: the same scan, and the counters of the active locations read and written back. "
        "Checked: the same counters, as integers, after one write to zeros.",
    ),
    "read": (
        "Reading from locations",
        "`memory.read` of B cues, with 256 patterns written. The limit: the same scan, and the counters of the active locations read. "
        "Checked: every bit is the sign of its sum of counters; a sum of 0 may have either.",
    ),
    "softmax": (
        "Softmax reads",
        "`kanerva.modern_hopfield` with N unit vectors of d numbers in float32, beta = 16; B queries at once. The limit: two products "
        "of matrices and the exponentials, or reading the patterns once. Checked: the formula in float64, for the first four queries.",
    ),
    "rules": (
        "Reads by other rules",
        "The same patterns, or their signs for circles, read by other rules; each is set beside the softmax read, with its ratio. Circle "
        "and cap reach one point in a thousand of their space, compact has beta = 2. Checked: the formula in float64, for the first "
        "four queries.",
    ),
    "recall": (
        "Five steps",
        "`memory.recall(query, steps=5)`. The limit: that of five softmax reads. Checked: five reads in float64, to a "
        "hundredth, for steps carry on what rounding does to the first.",
    ),
    "pruned": (
        "Pruned reads",
        "`memory.read(query, tolerance=1e-6)` at beta = 32, where one pattern takes nearly all of the weight. The limit is that of a "
        "whole read in float32, which pruning may pass. Checked: the whole formula in float64.",
    ),
    "nearest": (
        "The nearest pattern",
        "A read with the rule `Argmax`. The limit: one product of matrices, or reading the patterns once. Checked: the nearest in float64.",
    ),
    "density": (
        "A density",
        "`memory.energy` with `closeness` and beta = 4: the logarithm of a Gaussian density, up to constants. The limit: one product of "
        "matrices, or reading the patterns once. Checked: the formula in float64.",
    ),
}
HOW = """## How it was measured

* All routes of a line work on the same data in one process. Each is called once and its answer checked; a route with another answer is
  not timed, and said so below. A second call measures its memory. Then rounds go over all routes in turn, the first of a round another
  each time; a sample is as many calls as take 20 ms. Shown are medians of up to 25 rounds of the clock on the wall, with quartiles in
  the list of all rows; a route so slow that one call outlasts the time of its line was timed once.
* Memory is the highest resident memory of a call beyond that before it, as the kernel keeps it (Linux; None elsewhere): results are
  counted, inputs and what is stored are not. It is told in pages of 4 KiB, some hundred KiB late: what is below 1 MiB is nothing.
* Limits are the best of many rounds, on as many threads or on one, measured at the beginning of the same run.
* A peer that would build more than 4 GiB is left out at that size, and so is plain NumPy beyond 4 x 10^9 comparisons of bits, our own
  engine on NumPy beyond 5 x 10^10, and every rule but softmax beyond 10^11 products."""
SERIES = (
    ("torch-hd", "torch-hd"),
    ("NumPy", "plain NumPy"),
    ("torch, scaled", "torch's attention"),
    ("torch, ", "formula in torch"),
    ("x-transformers", "x-transformers"),
    ("scikit-learn", "scikit-learn"),
)


class Result(NamedTuple):
    """What a run found.

    * ``size``, ``only``: what was asked for.
    * ``machine``: in words and numbers.
    * ``limits``: rates, each a second.
    * ``rows``: a dict for each route of each case.
    * ``notes``: what did not go as planned, a sentence each.
    * ``seconds``: how long it took.
    """

    size: str
    only: tuple[str, ...]
    machine: dict[str, Any]
    limits: dict[str, Any]
    rows: list[Row]
    notes: list[str]
    seconds: float


def page(result: Result, pictured: bool) -> str:
    """Write the page in Markdown."""
    command = f"kanerva bench --size {result.size}"
    lines = [
        MADE,
        "# Benchmarks",
        "",
        f"    {command}    # {_duration(result.seconds)}; `make bench` writes this page",
        "",
    ]
    lines += [f"Every core operation beside its peers, in one run. {_machine(result.machine)}", ""]
    lines += ["Take the ratios; the times are this machine's.", ""]
    if pictured:
        lines += ["![Times of others as multiples of ours](images/benchmarks.png)", ""]
    asked = [
        (
            one.asked.what,
            f"{one.asked.kind} {one.asked.bound:g} {one.asked.unit}",
            f"{_number(one.worst)}{'' if one.sizes == 1 else f' ({one.where})'}",
            f"{one.reached} of {one.sizes}",
        )
        for one in _asked.found(result.rows)
    ]
    if asked:
        lines += ["## What was asked, and what was measured", ""]
        lines += [
            "Of several sizes the worst is shown. A benchmark has no pass mark: this is where it stands.",
            "",
        ]
        lines += [*_table(("operation", "asked", "measured", "sizes that reach it"), asked), ""]
    lines += ["## Limits of the machine", "", *_table(("what", "rate"), _limits(result.limits)), ""]
    for operation, (title, words) in WORDS.items():
        rows = [row for row in result.rows if row["operation"] == operation]
        if rows:
            lines += [f"## {title}", "", words, "", *_race(rows), ""]
    for part in (_million, _start, _growth):
        lines += part(result.rows)
    lines += [HOW, ""]
    if result.notes:
        lines += ["## What did not go as planned", "", *(f"* {note}" for note in result.notes), ""]
    return "\n".join([*lines, *_everything(result.rows), ""])


def picture(result: Result) -> bytes | None:
    """Draw ratios to the peers and to the limits at a few sizes; None without matplotlib, or without anything to draw."""
    rows = [*_ratios(result.rows)]
    counts = " or ".join(f"{count:,}" for count in sorted({row["stored"] for row in rows}))
    try:
        return (
            plot.png(benchmark_dots(rows, note=f"1 is kanerva; {counts} locations or patterns"))
            if rows
            else None
        )
    except InputError:
        return None


def _ratios(rows: Sequence[Row]) -> Iterator[Row]:
    """Yield times as multiples of ours for the picture: all batches at one size of what is stored."""
    for operation in WORDS:
        cases = _grouped([row for row in rows if row["operation"] == operation])
        stored = sorted({_stored(case[0]) for case in cases})
        for case in cases:
            ours = next((row for row in case if row["ours"]), None)
            if (
                ours is None
                or operation == "rules"
                or _stored(ours) != stored[(len(stored) - 1) // 2]
            ):
                continue
            label = f"{operation}, {', '.join(f'{name}={value}' for name, value in ours['setting'].items() if name in 'dnB')}"
            best: dict[str, float] = {}
            for row in case:
                name = (
                    "kanerva with NumPy"
                    if row["route"] == "kanerva, NumPy"
                    else _series(row["route"])
                )
                if row is not ours and name:
                    best[name] = min(best.get(name, float("inf")), row["median"])
            times = best | ({"limit of the machine": ours["limit"]} if ours["limit"] else {})
            for name, seconds in times.items():
                yield {
                    "label": label,
                    "series": name,
                    "ratio": seconds / ours["median"],
                    "stored": _stored(ours),
                }


def _series(route: str) -> str | None:
    return next((name for start, name in SERIES if route.startswith(start)), None)


def _stored(row: Row) -> int:
    found: int = row["setting"].get("M", row["setting"].get("N", 0))
    return found


def _grouped(rows: Sequence[Row]) -> list[list[Row]]:
    """Gather the routes of each case."""
    cases: dict[str, list[Row]] = {}
    for row in rows:
        cases.setdefault(setting(row), []).append(row)
    return list(cases.values())


def _race(rows: Sequence[Row]) -> Iterator[str]:
    """Lay out the median of each route, and ours as ratios."""
    routes = list(dict.fromkeys(row["route"] for row in rows))
    others = [row for row in rows if not row["ours"]]
    # Where one read is what all are set beside, each has its ratio; else the best of the others and the limit have theirs.
    one = len({row["route"] for row in others}) == 1
    lines = []
    for case in _grouped(rows):
        by = {row["route"]: row for row in case}
        line = [setting(case[0]), *(_cell(by[name], one) if name in by else "–" for name in routes)]
        ours = next((row for row in case if row["ours"]), None)
        if not one:
            line += [_number(ours["faster"]), _number(ours["over_limit"])] if ours else ["–", "–"]
        lines.append(line)
    yield from _table(
        ["size", *routes, *([] if one else ["best peer over ours", "ours over the limit"])], lines
    )
    peaks, against = (
        [row["peak"] for row in some if row["peak"] is not None]
        for some in ([r for r in rows if r["ours"]], others)
    )
    if peaks:
        rest = f", the others {_mebibytes(max(against))}" if against else ""
        yield from (
            "",
            f"Memory beyond input and store, at most: ours {_mebibytes(max(peaks))}{rest}.",
        )
    off, others_off = (
        max((row["difference"] for row in rows if row["ours"] is mine), default=0.0)
        for mine in (True, False)
    )
    if off or others_off:
        yield from (
            "",
            f"Largest difference from float64, as a share of the largest number: ours {off:.0e}, the others {others_off:.0e}.",
        )


def _cell(row: Row, one: bool) -> str:
    ratio = f", {_number(1 / row['faster'])}x" if one and row["faster"] else ""
    return written(row["median"], "seconds") + ratio


def _million(rows: Sequence[Row]) -> list[str]:
    mine = {row["route"]: row for row in rows if row["operation"] == "million"}
    if not mine:
        return []
    both = mine["both"]
    sizes, flips = both["setting"], _special.FLIPS
    return [
        "## A million patterns",
        "",
        "    kanerva bench --only million",
        "",
        f"{sizes['N']:,} patterns of {sizes['n']} bits, written to `kanerva.sdm_patterns(bits={sizes['n']}, radius={sizes['radius']})` "
        f"{_special.WRITTEN:,} at a time, which unpacks them first, and kept as {sizes['kept as']}; then {sizes['B']:,} cues with {flips} "
        "wrong bits, every tenth, recalled. The radius is the one with the best signal for so many patterns where every point of the "
        "space is a location (`kanerva.theory.radius.optimal`). Nothing but the package is needed; numba makes it faster.",
        "",
        *_table(
            ("", "time", "memory"),
            [
                (
                    "written",
                    written(mine["written"]["median"], "seconds"),
                    _mebibytes(mine["written"]["peak"]),
                ),
                (
                    "recalled",
                    written(mine["recalled"]["median"], "seconds"),
                    _mebibytes(mine["recalled"]["peak"]),
                ),
                (
                    "both",
                    written(both["median"], "seconds"),
                    f"{_mebibytes(both['peak'])} beyond the {both['held'] / 2**20:,.0f} MiB stored",
                ),
            ],
        ),
        "",
        f"{both['right']:,} of {both['asked']:,} cues were recalled without a single wrong bit.",
        "",
    ]


def _start(rows: Sequence[Row]) -> list[str]:
    mine = [row for row in rows if row["operation"] == "start"]
    if not mine:
        return []
    caches = list(dict.fromkeys(row["setting"]["cache"] for row in mine))
    lines = []
    for stage in dict.fromkeys(row["route"] for row in mine):
        by = {row["setting"]["cache"]: row for row in mine if row["route"] == stage}
        lines.append(
            (
                stage,
                *(
                    written(by[cache]["median"], "seconds") if cache in by else "–"
                    for cache in caches
                ),
            )
        )
    many = mine[0]["rounds"]
    return [
        "## The first call",
        "",
        f"Stages of a fresh process, one after the other, median of {many}: numba's cache lies in a folder of its own, empty at first. "
        "numba is imported by itself here; without that the first call that needs it waits for it too.",
        "",
        *_table(("stage", *caches), lines),
        "",
    ]


def _growth(rows: list[Row]) -> list[str]:
    mine = _special.grown(rows)
    if not mine:
        return []
    lines = []
    for what, some in mine.items():
        time, late = _special.exponents(some, "median")
        held, _ = _special.exponents(some, "held")
        ends = f"{some[0]['setting']['count']:,} to {some[-1]['setting']['count']:,}"
        took = (
            f"{written(some[0]['median'], 'seconds')} to {written(some[-1]['median'], 'seconds')}"
        )
        lines.append(
            (
                what,
                ends,
                took,
                f"{time:.2f}",
                f"{late:.2f}",
                f"{held:.2f}",
                _mebibytes(some[-1]["peak"]),
            )
        )
    return [
        "## How cost grows",
        "",
        "The same work with ever more stored; time and size grow as a power of the count, fitted by least squares of the logarithms. "
        "What a call costs whatever the size makes the power over the whole range smaller than that of the last factor of ten.",
        "",
        *_table(
            (
                "what",
                "count",
                "time",
                "power of time",
                "in the last factor of ten",
                "power of what is held",
                "memory of a call",
            ),
            lines,
        ),
        "",
    ]


def _everything(rows: Sequence[Row]) -> Iterator[str]:
    """List every row with its spread."""
    raced = [row for row in rows if row["operation"] in WORDS]
    if raced:
        yield from (
            "<details>",
            "<summary>All rows: quartiles, rounds, memory, difference</summary>",
            "",
        )
        heads = (
            "operation",
            "size",
            "route",
            "median",
            "quartiles",
            "rounds",
            "memory",
            "difference",
        )
        yield from _table(heads, [_full(row) for row in raced])
        yield from ("", "</details>")


def _full(row: Row) -> tuple[str, ...]:
    quartiles = (
        f"{written(row['low'], 'seconds')} – {written(row['high'], 'seconds')}"
        if row["rounds"] > 1
        else "–"
    )
    names = (
        row["operation"],
        setting(row),
        row["route"],
        written(row["median"], "seconds"),
        quartiles,
    )
    return (*names, str(row["rounds"]), _mebibytes(row["peak"]), f"{row['difference']:.1g}")


def _machine(machine: dict[str, Any]) -> str:
    memory = "" if machine["memory"] is None else f", {machine['memory'] / 2**30:.0f} GiB"
    busy = "" if machine["load"] is None else f" Load average when it began: {machine['load']:g}."
    here = [f"{name} {version}" for name, version in machine["versions"].items() if version]
    absent = [name for name, version in machine["versions"].items() if not version]
    left = f" Left out, for they are not installed: {', '.join(absent)}." if absent else ""
    return (
        f"The machine: {machine['system']}, {machine['cores']} cores{memory}, {machine['instructions']}; {machine['threads']} threads."
        f"{busy} Versions: {', '.join(here)}.{left}"
    )


def _limits(limits: dict[str, Any]) -> list[tuple[str, str]]:
    words = (
        "not measured: it takes numba"
        if limits["words"] is None
        else f"{limits['words'] / 1e9:.1f} thousand million a second"
    )
    return [
        ("64-bit words compared, their differing bits counted and summed", words),
        ("product of matrices, float32", f"{limits['single'] / 1e12:.3f} TFLOP/s"),
        ("product of matrices, bfloat16", f"{limits['half'] / 1e12:.3f} TFLOP/s"),
        (
            "exponentials of float32 in the cache",
            f"{limits['exponentials'] / 1e9:.1f} thousand million a second",
        ),
        *(
            (f"reading {int(size) // 2**20} MiB again and again", f"{rate / 1e9:.0f} GB/s")
            for size, rate in limits["bandwidth"].items()
        ),
    ]


def _table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(map(_escaped, heads))} |"
    yield "|" + "---|" * len(heads)
    for line in lines:
        yield f"| {' | '.join(map(_escaped, line))} |"


def _escaped(cell: str) -> str:
    return cell.replace("|", "\\|")


def _number(value: float | None) -> str:
    return "–" if value is None else written(float(value), "number")


def _mebibytes(size: int | None) -> str:
    if size is None:
        return "–"
    return "below 1 MiB" if size < 2**20 else f"{size / 2**20:,.0f} MiB"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 100 else f"{seconds / 60:.0f} minutes"
