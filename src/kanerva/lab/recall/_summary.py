"""Describe in words, from the numbers, how far each memory recalls and how it fails beyond that."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

__all__ = ["shown_level", "verdicts"]

Row = Mapping[str, Any]
Means = Mapping[float, Mapping[str, float]]


def verdicts(rows: Sequence[Row]) -> list[str]:
    """Name the memory that recalls most, and describe how far each recalls and how it fails.

    Args:
        rows: a dict for each memory, level and seed, with the measures of ``lab.recall.Scorer``;
            the memories "cue" and "nearest" are the baselines.

    Returns:
        a sentence for the best memories, then one for each memory but the cue.

    Example:
        >>> from kanerva.lab.recall._summary import verdicts
        >>> base = dict(damage="flip", seed=0, memory="sdm", title="SDM", stored=0)
        >>> good = base | dict(level=0.0, exact=1.0, lost=0)
        >>> bad = base | dict(level=0.1, exact=0.2, lost=0.9)
        >>> verdicts([good, bad])[-1]
        'SDM: recalls all cues at 0% damage and 20% at 10%, where it finds nothing within reach.'
    """
    names = [name for name in dict.fromkeys(row["memory"] for row in rows) if name != "cue"]
    means = {name: _levels([row for row in rows if row["memory"] == name]) for name in names}
    return [*_best(rows, means), *(_verdict(rows, name, means[name]) for name in names)]


def shown_level(rows: Sequence[Row]) -> float:
    """Return the level nearest to a tenth among those at which some cue was damaged.

    Args:
        rows: as for ``verdicts``.
    """
    hurt = {row["level"] for row in rows if row["memory"] == "cue" and row["exact"] < 1}
    levels = hurt or {row["level"] for row in rows}
    return min(levels, key=lambda one: (abs(one - 0.1), one))


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


def _best(rows: Sequence[Row], means: Mapping[str, Means]) -> Iterator[str]:
    """Name the memories that recall most at the level that is shown."""
    if not {"nearest"} < set(means):
        return
    level = shown_level(rows)
    shares = {name: levels[level]["exact"] for name, levels in means.items()}
    limit = f"looking up the nearest pattern recalls {_percent(shares.pop('nearest'))}"
    most = max(shares.values())
    best = [_title(rows, name) for name, share in shares.items() if share == most]
    who = best[0] if len(best) == 1 else f"{'; '.join(best[:-1])} and {best[-1]}"
    where = _damage(level, rows[0]["damage"])
    yield f"Most is recalled at {where} by {who}: {_percent(most)} of the cues; {limit}."


def _verdict(rows: Sequence[Row], name: str, means: Means) -> str:
    """Describe how far one memory recalls, and how it fails where it recalls less than half."""
    title, kind = _title(rows, name), rows[0]["damage"]
    levels = list(means)
    bad = next((level for level in levels if means[level]["exact"] < 0.5), None)
    if bad is None:
        most, share = _damage(levels[-1], kind), _cues(means[levels[-1]]["exact"])
        return f"{title}: recalls {share} even at {most}, the most that was tried."
    share, failure = _percent(means[bad]["exact"]), _failure(means[bad])
    if bad == levels[0]:
        cues = f"at {_damage(bad, kind)}, the least that was tried" if bad else "of undamaged cues"
        return f"{title}: recalls {share} {cues}: it {failure}."
    # The last level at which nearly all are recalled, or else the first level.
    high = (level for level in levels if level < bad and means[level]["exact"] >= 0.9)
    good = max(high, default=levels[0])
    start = f"{_cues(means[good]['exact'])} at {_damage(good, kind)}"
    return f"{title}: recalls {start} and {share} at {_level(bad, kind)}, where it {failure}."


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


def _title(rows: Sequence[Row], name: str) -> str:
    return next(str(row["title"]) for row in rows if row["memory"] == name)


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
