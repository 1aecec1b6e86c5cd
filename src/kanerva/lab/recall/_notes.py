"""Describe in words what was stored, and how to read the numbers."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxtyping import Float, Int64
from torch import Tensor

from kanerva import theory
from kanerva.lab.data import DataSet
from kanerva.lab.memories import Facts
from kanerva.lab.recall._coded import Coded
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._scorer import RIGHT

__all__ = ["example", "longest", "notes"]

Row = Mapping[str, Any]


def notes(data: DataSet, plan: Plan, codes: Sequence[Coded]) -> list[str]:
    """Describe what was stored, and how to read the numbers."""
    kind = "bits" if plan.domain == "bits" else "numbers"
    patterns, dim = data.real.shape
    found = [f"{patterns:,} patterns of {dim:,} {kind} were stored in every memory."]
    for coded in codes:
        if coded.plain and plan.domain == "bits":
            found += [*_unbalanced(coded.facts), *_crowded(coded.facts)]
        if not coded.plain:
            found += _coding(coded, plan, data)
        if coded.merged:
            found.append(
                f"In {coded.name}, {coded.merged:,} of {patterns:,} patterns have the code of a "
                "different pattern, too. They cannot be told apart, and no recall of them is exact."
            )
    if data.duplicates and plan.domain == "bits":
        found.append(
            "Looking up the nearest pattern takes the commonest of equally near ones. Where "
            "patterns repeat, a memory that counts copies can still recall more: a common pattern "
            "farther away can be likelier than a rare one near by."
        )
    if data.duplicates:
        twins = "1 pattern equals" if data.duplicates == 1 else f"{data.duplicates} patterns equal"
        found.append(f"{twins} an earlier one; a recall of either counts as right.")
    if data.constant:
        same = "1 coordinate is" if data.constant == 1 else f"{data.constant} coordinates are"
        found.append(f"{same} the same in all patterns.")
    if plan.domain == "bits":
        found.append("Of memories that return real numbers the signs are taken.")
    else:
        found.append(f"A number counts as right within {RIGHT:.0%} of its range.")
    found.append("Means are over cues and seeds; error bars are the standard deviation over seeds.")
    return found


def _coding(coded: Coded, plan: Plan, data: DataSet) -> Iterator[str]:
    """Describe a code, when a recall in it is exact, and what decoding alone makes wrong."""
    exact = "its code is"
    if coded.domain == "real":
        exact = (
            f"each feature of its code is within {RIGHT:.0%} of the range of that feature over the "
            "stored patterns"
        )
    yield (
        f"The code {coded.name} is {coded.codec.about}. Cues are damaged first and then encoded; a "
        f"recall is exact where {exact}, and repaired and broken coordinates are counted after "
        "decoding."
    )
    if coded.decoded is not None:
        right, error = coded.decoded
        yield (
            f"Encoded in {coded.name} and decoded without a memory, {right:.1%} of the coordinates "
            f"of the stored patterns are right (root mean square error {error:.2g}, of a range of "
            "2); the others are wrong in an exact recall, too."
        )
    bits = bool(coded.codec.fitted["binary"])
    stored = data.real if plan.domain == "real" else data.bits
    if stored is not None and bits != bool((stored.abs() == 1).all()):
        kinds = ("bits", "real numbers") if bits else ("real numbers", "bits")
        yield f"{coded.name} was fitted to {kinds[0]}, and these data are {kinds[1]}."


def _unbalanced(facts: Facts) -> list[str]:
    """Note where few bits are +1, or few are -1."""
    if not facts.unbalanced:
        return []
    each = "" if facts.ones is None else f", {facts.ones:,} of {facts.dim:,} in every pattern"
    return [
        f"The bits are unbalanced: {facts.activity:.1%} are +1{each}. Memories for balanced bits "
        "that add all patterns up, such as Hopfield, Dense and SDM with neurons, keep what the "
        "patterns have in common, and cannot recall such patterns unless they are few; willshaw "
        "and covariance are made for them."
    ]


def _crowded(facts: Facts) -> list[str]:
    """Note where the patterns are much nearer to each other than random ones."""
    # The distance within which one other pattern is expected, if all were random.
    random = theory.radius.quantile(facts.dim, 1 / facts.patterns)
    if facts.gap / 2 >= 0.75 * random:
        return []
    apart = "1 bit" if round(facts.gap / 2) == 1 else f"{facts.gap / 2:.0f} bits"
    return [
        f"The nearest other pattern is {apart} away at the median; of random "
        f"patterns it would be about {random}. The parameters that theory gives are for random "
        "patterns: fit others with --tune, or choose them with --set."
    ]


def longest(title: str, winner: Int64[Tensor, "k"], length: Float[Tensor, "m"]) -> Iterator[str]:
    """Say so where a memory takes a longer pattern for a shorter one that it is given undamaged.

    Args:
        title: of the memory.
        winner: the pattern with most weight for each of the first k patterns as a query.
        length: of every pattern.
    """
    longer = (length[winner] > 1.001 * length[: len(winner)]).double().mean().item()
    if longer > 0:
        yield (
            f"The patterns differ in length, from {length.min():.3g} to {length.max():.3g}, and "
            f"{title} scores longer ones higher, as the dot product does: the longest pattern "
            f"wins. Undamaged, {longer:.0%} of the patterns give most weight to a longer one. The "
            "similarity closeness takes the nearest."
        )


def example(found: Sequence[Row], titles: Mapping[str, str]) -> str:
    """Say which pattern each memory finds from one cue.

    Args:
        found: of one level and seed, as in ``Comparison.found``.
        titles: of the memories.
    """
    same = [row for row in found if row["memory"] != "cue"]
    # The cue on whose pattern the memories differ most says most.
    stored = max(
        dict.fromkeys(row["stored"] for row in same),
        key=lambda one: len({row["found"] for row in same if row["stored"] == one}),
    )
    places: dict[str, list[str]] = {}
    for row in same:
        if row["stored"] == stored:
            places.setdefault(_named(row, "found"), []).append(titles[row["memory"]])
    start = _named(next(row for row in same if row["stored"] == stored), "stored")
    ends = "; ".join(f"{where} by {', '.join(who)}" for where, who in places.items())
    level = f"{same[0]['level']:g}"
    return (
        f"An example, at level {level}: from the damaged {start} the stored pattern nearest to the "
        f"result is {ends}. All are in found.csv, rows counted from 0 in the order of storing."
    )


def _named(found: Row, which: str) -> str:
    """Name a stored pattern by its row, and by its class where there are any."""
    if found[which] is None:
        return "none, the result is empty"
    label = found.get(f"{which}_class")
    return f"row {found[which]}" + ("" if label is None else f" (class {label})")
