"""Describe in words, from the numbers, what each memory recalls and holds."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kanerva._core import machine
from kanerva._core.errors import door, refuse
from kanerva.lab.recall._hardware import hardware

__all__ = ["best", "interval", "shown_level", "verdicts"]

Row = Mapping[str, Any]
Means = Mapping[float, Mapping[str, float]]
# Standard errors to either side that make an interval of 95 %.
WIDE = 1.96
Key = tuple[str, str]


def verdicts(
    rows: Sequence[Row], capacity: Sequence[Row] = (), parameters: Sequence[Row] = ()
) -> list[str]:
    """Describe for each memory what it recalls and holds, and how it fails.

    Args:
        rows: as for ``best``.
        capacity: as in ``Comparison``; empty where it was not measured.
        parameters: as in ``Comparison``.

    Returns:
        a sentence for each memory but the cue, which also has one for each radius.

    Example:
        >>> from kanerva.lab.recall._summary import verdicts
        >>> base = dict(damage="flip", seed=0, memory="sdm", title="SDM", stored=0)
        >>> good = base | dict(level=0.0, exact=1.0, lost=0)
        >>> bad = base | dict(level=0.1, exact=0.2, lost=0.9)
        >>> verdicts([good, bad])[-1]
        'SDM: recalls all cues at 0% damage and 20% at 10%, where it finds nothing within reach.'
    """
    groups, several = _groups(rows)
    holds = {(one["memory"], one["codec"]): one for one in capacity}
    found: list[str] = []
    for name in dict.fromkeys(name for name, _ in groups):
        clauses = []
        for key, some in groups.items():
            if key[0] == name:
                where = f"{_code(key[1])}, it " if several else ""
                clauses.append(f"{where}{_held(holds.get(key))}{_verdict(some)}")
        title = next(some[0]["title"] for key, some in groups.items() if key[0] == name)
        found.append(f"{title}: {'; '.join(clauses)}.")
        found += hardware(title, [one for one in parameters if one["memory"] == name])
    return found


def best(rows: Sequence[Row], parameters: Sequence[Row] = ()) -> list[str]:
    """Name the memories that recall most at the level that is shown, and which cost least.

    Args:
        rows: a dict for each codec, memory, level and seed, with the measures of
            ``lab.recall.Scorer``; the memories "cue" and "nearest" are the baselines.
        parameters: as in ``Comparison``; the one that can be fitted is named with its memory.

    Returns:
        sentences; empty without memories or without the baseline "nearest".
    """
    groups, several = _groups(rows)
    titles = {key: str(some[0]["title"]) for key, some in groups.items()}
    names = {key: f"{title} {_code(key[1])}" if several else title for key, title in titles.items()}
    for one in parameters:
        if one["main"]:
            value = one["value"]
            text = f"{value:.3g}" if isinstance(value, float) else str(value)
            names[one["memory"], one["codec"]] += f" ({one['name']} {text})"
    return list(_best(groups, shown_level(rows), names, titles, several))


def _groups(rows: Sequence[Row]) -> tuple[dict[tuple[str, str], list[Row]], bool]:
    """Return the rows of each memory and code but the cue, and whether there are several codes."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        if row["memory"] != "cue":
            groups.setdefault((row["memory"], row.get("codec", "none")), []).append(row)
    return groups, len({codec for _, codec in groups}) > 1


@door
def shown_level(rows: Sequence[Row]) -> float:
    """Return the level nearest to a tenth among those at which some cue was damaged.

    Args:
        rows: as for ``best``.

    Example:
        >>> from kanerva.lab.recall import shown_level
        >>> cue = dict(memory="cue", level=0.0, exact=1.0)
        >>> shown_level([cue, cue | {"level": 0.3, "exact": 0.0}])
        0.3
    """
    keys = {"memory", "level", "exact"}
    listed = isinstance(rows, list | tuple) and len(rows) > 0
    if not listed or not all(isinstance(row, Mapping) and keys <= set(row) for row in rows):
        refuse("rows", rows, must="rows of a comparison", do="give Comparison.rows")
    hurt = {row["level"] for row in rows if row["memory"] == "cue" and row["exact"] < 1}
    levels = hurt or {row["level"] for row in rows}
    return min(levels, key=lambda one: (abs(one - 0.1), one))


def interval(rows: Sequence[Row]) -> tuple[float, float, float]:
    """Return the mean share of exact recalls, and the ends of its interval of 95 %.

    It is Wilson's interval for so many independent cues as the rows have in all, which is not
    empty where all cues or none are recalled.

    Args:
        rows: of one memory, codec and level, with ``exact`` and ``cues``.

    Example:
        >>> mean, low, high = interval([{"exact": 0.9, "cues": 100}])
        >>> round(low, 3), round(high, 3)
        (0.826, 0.945)
    """
    count = sum(row.get("cues", 1) for row in rows)
    mean = math.fsum(row["exact"] * row.get("cues", 1) for row in rows) / count
    square = WIDE**2 / count
    middle = (mean + square / 2) / (1 + square)
    half = WIDE / (1 + square) * math.sqrt(mean * (1 - mean) / count + square / (4 * count))
    return mean, max(0.0, middle - half), min(1.0, middle + half)


def _best(
    groups: Mapping[Key, Sequence[Row]],
    level: float,
    names: Mapping[Key, str],
    titles: Mapping[Key, str],
    several: bool,
) -> Iterator[str]:
    """Name the memories that recall most, and of these the smallest and the fastest."""
    here = {key: [row for row in some if row["level"] == level] for key, some in groups.items()}
    limits = {codec: some for (name, codec), some in here.items() if name == "nearest"}
    ours = {key: some for key, some in here.items() if key[0] != "nearest" and some}
    if not limits or not ours:
        return
    found = {key: interval(some) for key, some in ours.items()}
    most = max(mean for mean, _, _ in found.values())
    least = max(low for mean, low, _ in found.values() if mean == most)
    where = _damage(level, next(iter(here.values()))[0]["damage"])
    ceilings = [
        _percent(interval(some)[0]) + (f" {_code(codec)}" if several else "")
        for codec, some in limits.items()
    ]
    if most == 0:
        yield f"No memory recalls any of the cues at {where}."
        return
    limit = f"looking up the nearest pattern recalls {_and(ceilings)}"
    best = [key for key, (mean, _, _) in found.items() if mean == most]
    named = _and([names[key] for key in best])
    yield f"Most is recalled at {where} by {named}: {_percent(most)} of the cues; {limit}."
    # Others whose intervals reach into that of the best are not known to be worse.
    close = [key for key, (mean, _, high) in found.items() if mean < most and high >= least]
    if close:
        few = "1 other is" if len(close) == 1 else f"{len(close)} others are"
        yield f"{few} within the error of so many cues{_listed(close, titles, several)}"
    yield from _cheapest({key: ours[key] for key in (*best, *close)}, names)


def _cheapest(best: Mapping[Key, Sequence[Row]], names: Mapping[Key, str]) -> Iterator[str]:
    """Name the smallest and the fastest of the best memories, and those of fixed size."""
    costs = {
        key: (int(some[0]["bytes"]), math.fsum(row["seconds"] for row in some) / len(some))
        for key, some in best.items()
        if all(row.get("seconds") is not None and row.get("bytes") for row in some)
    }
    if len(costs) < 2:
        return
    small = min(costs, key=lambda key: costs[key][0])
    fast = min(costs, key=lambda key: costs[key][1])
    # The times of single seeds must not overlap with those of the next.
    paces = {key: [row["seconds"] for row in best[key]] for key in costs}
    clear = all(max(paces[fast]) < min(paces[key]) for key in costs if key != fast)
    fixed = [key for key, some in best.items() if all(row.get("growth") == 0 for row in some)]
    size, pace = machine.size(costs[small][0]), f"{_time(costs[fast][1])} for a cue"
    if not clear:
        words = f"Of these {names[small]} is the smallest, of {size}"
    elif small == fast:
        words = f"Of these {names[small]} is the smallest, of {size}, and the fastest, with {pace}"
    else:
        words = f"Of these the smallest is {names[small]}, of {size}, "
        words += f"and the fastest {names[fast]}, with {pace}"
    if fixed:
        keeps = _and([names[key] for key in fixed])
        keep = "keeps its" if len(fixed) == 1 else "keep their"
        words += f"; {keeps} {keep} size however many patterns are stored"
    yield words + "."


def _held(holds: Row | None) -> str:
    """Say how many patterns a memory holds, of these data and of random ones."""
    if holds is None:
        return ""
    count, low, high, theory = (holds[name] for name in ("holds", "low", "high", "theory"))
    words = (
        f"holds {count:,} of these patterns" if count else "holds fewer than 4 of these patterns"
    )
    if low != high:
        words += f" ({low:,} to {high:,} over seeds)"
    if theory is not None:
        words += f", where theory says {_count(theory)} of random ones"
    return f"{words}, and "


def _verdict(rows: Sequence[Row]) -> str:
    """Describe how far one memory recalls, and how it fails where it recalls less than half."""
    means, kind = _levels(rows), rows[0]["damage"]
    levels = list(means)
    bad = next((level for level in levels if means[level]["exact"] < 0.5), None)
    if bad is None:
        most, share = _damage(levels[-1], kind), _cues(means[levels[-1]]["exact"])
        return f"recalls {share} even at {most}, the most that was tried"
    share, failure = _percent(means[bad]["exact"]), _failure(means[bad])
    if bad == levels[0]:
        cues = f"at {_damage(bad, kind)}, the least that was tried" if bad else "of undamaged cues"
        return f"recalls {share} {cues}: it {failure}"
    # The last level at which nearly all are recalled, or else the first level.
    high = (level for level in levels if level < bad and means[level]["exact"] >= 0.9)
    good = max(high, default=levels[0])
    start = f"{_cues(means[good]['exact'])} at {_damage(good, kind)}"
    return f"recalls {start} and {share} at {_level(bad, kind)}, where it {failure}"


def _levels(rows: Sequence[Row]) -> dict[float, dict[str, float]]:
    """Average each measure over the seeds at each level, without missing values."""
    found: dict[float, dict[str, float]] = {}
    for level in sorted({row["level"] for row in rows}):
        here = [row for row in rows if row["level"] == level]
        values = {
            name: [row[name] for row in here if isinstance(row.get(name), int | float)]
            for name in here[0]
        }
        found[level] = {name: math.fsum(some) / len(some) for name, some in values.items() if some}
    return found


def _failure(mean: Mapping[str, float]) -> str:
    """Name the way in which recalls fail."""
    if mean.get("echoed", 0) >= 0.5:
        return "returns most of them unchanged"
    if mean.get("lost", 0) >= 0.5:
        return "finds nothing within reach"
    if mean.get("stored", 0) >= 0.75:
        return "converges to other stored patterns"
    if mean.get("converged", 1) < 0.5:
        return "does not converge"
    if mean.get("effective", 1) >= 3:
        return f"blends about {mean['effective']:,.0f} patterns into one that was never stored"
    return "ends in states that were never stored"


def _listed(keys: Sequence[Key], titles: Mapping[Key, str], several: bool) -> str:
    """End a sentence with a list of memories; where there are several codes, with one a code."""
    if not several:
        return f": {'; '.join(titles[key] for key in keys)}."
    groups: dict[str, list[str]] = {}
    for key in keys:
        groups.setdefault(_code(key[1]), []).append(titles[key])
    lists = (f" {code[0].upper()}{code[1:]}: {'; '.join(some)}." for code, some in groups.items())
    return f".{''.join(lists)}"


def _code(codec: str) -> str:
    return "without a code" if codec == "none" else f"in {codec}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{'; '.join(words[:-1])} and {words[-1]}"


def _count(number: float) -> str:
    return (
        f"{number:,.0f}" if number < 1e6 else f"{number:.1e}".replace("e+0", "e").replace("e+", "e")
    )


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:.2g} ms" if seconds < 1 else f"{seconds:.2g} s"


def _percent(share: float) -> str:
    if share in (0, 1) or 0.005 <= share < 0.995:
        return f"{share:.0%}"
    return "almost all" if share > 0.5 else "almost none"


def _cues(share: float) -> str:
    return "all cues" if share == 1 else f"{_percent(share)} of the cues"


def _level(level: float, kind: str) -> str:
    return f"{level:g}" if kind == "gaussian" else f"{level:.0%}"


def _damage(level: float, kind: str) -> str:
    return f"noise of {level:g}" if kind == "gaussian" else f"{level:.0%} damage"
