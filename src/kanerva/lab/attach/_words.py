"""The findings of a study, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

from kanerva.lab.attach._inputs import Inputs
from kanerva.lab.probing._model import Subject

__all__ = ["decimal", "notes", "verdicts"]

Facts = Mapping[str, Any]

# Shared gates correlate more than gates of one block each, if their means differ by this much.
APART = 0.2
EACH = {"stage": "for each stage", "block": "for each block", "model": "for the whole model"}
# The width inside these gates is the width of the branch over a reduction.
REDUCED = "4 for dia and recall, and 16 for se and cbam"


def decimal(value: float) -> str:
    """Write a correlation or a gate with two decimals."""
    text = f"{value:.2f}"
    return "0.00" if text == "-0.00" else text


def verdicts(facts: Facts, kind: str) -> list[str]:
    """Return the main results as sentences.

    Args:
        facts: the numbers of the study.
        kind: class of the model.
    """
    found = [_cost(facts, kind)]
    if facts["mean"] is None:
        return found
    found.append(_means(facts))
    over = [row for row in facts["correlations"] if row["over"] == "channels"]
    known = [row for row in over if row["mean"] is not None and row["other"] is not None]
    if not over:
        found.append("No stage has two blocks, so no correlation is defined.")
    elif not known:
        found.append(
            f"Within a block the untrained gates of {facts['gate']} do not vary over channels, so "
            "no correlation over channels is defined."
        )
    else:
        found += [_sharing(facts, known), _fixed(facts, known)]
    return found


def notes(facts: Facts, subject: Subject, taken: Inputs, reasons: Sequence[str]) -> list[str]:
    """Return what must be known to read the numbers, as sentences.

    Args:
        facts: the numbers of the study.
        subject: the model.
        taken: the inputs.
        reasons: why some gates cannot be attached.
    """
    found = [*reasons, _reduction(facts["reduction"])]
    narrow = min(row["width"] for row in facts["stages"])
    if narrow < (facts["reduction"] or 16):
        found.append("Where a branch is narrower than the reduction, the width inside a gate is 1.")
    if getattr(subject.model, "main_input_name", "") == "input_ids":
        found.append(
            "A gate averages all tokens of a text, those of padding and those that come later "
            "included, so that a causal model is not causal any more."
        )
    if subject.note:
        found.append(subject.note)
    if subject.mode is not None:
        found.append("Parameters alone were counted: without weights no gate can be computed.")
        return found
    if subject.note:
        found.append(
            "The correlations are those of a model that has learned nothing. Statistics of batch "
            "normalisation, if it has any, are those of the inputs."
        )
    single = [row["stage"] for row in facts["stages"] if row["blocks"] == 1]
    if single and facts["scope"] != "model":
        found.append(f"Of one block there is no correlation: {', '.join(single)}.")
    found.append(taken.note)
    found.append("The gates are untrained: their weights are drawn, and nothing was learned.")
    return found


def _reduction(given: int | None) -> str:
    if given is not None:
        return f"The reduction of dia, recall, se and cbam is {given}."
    return f"The reduction, which divides the width inside a gate, is {REDUCED}."


def _cost(facts: Facts, kind: str) -> str:
    """Return what the chosen gates add."""
    blocks = sum(row["blocks"] for row in facts["stages"])
    stages, parameters = len(facts["stages"]), facts["parameters"]
    share = f" ({100 * facts['added'] / parameters:.3g}%)" if parameters else ""
    return (
        f"{kind} has {_many(blocks, 'block')} in {_many(stages, 'stage')} and {parameters:,} "
        f"weights. One {facts['gate']} gate {EACH[facts['scope']]} adds {facts['added']:,}{share}."
    )


def _means(facts: Facts) -> str:
    mean, low, high = (f"{facts[name]:.3f}" for name in ("mean", "lowest", "highest"))
    return (
        f"Before any training the mean gate is {mean}; its means in single blocks are from {low} "
        f"to {high}."
    )


def _sharing(facts: Facts, known: Sequence[Mapping[str, Any]]) -> str:
    """Return whether sharing makes correlation, by the numbers."""
    here, other = (_average(known, name) for name in ("mean", "other"))
    shared, single = (other, here) if facts["scope"] == "block" else (here, other)
    found = (
        f"Untrained, and over channels, gates of blocks that share one {facts['gate']} correlate "
        f"by {decimal(shared)}, and gates of blocks with one each by {decimal(single)}."
    )
    if shared - single >= APART:
        return (
            f"{found} Here sharing makes correlation before any training, so a correlation of "
            "shared gates does not show that blocks need the same gate."
        )
    return f"{found} Here sharing makes no correlation that is larger by {APART} or more."


def _fixed(facts: Facts, known: Sequence[Mapping[str, Any]]) -> str:
    """Return how much of the correlation the two nulls have."""
    whole, samples, channels = (_average(known, name) for name in ("mean", "samples", "channels"))
    gates = "gates with one each" if facts["scope"] == "block" else "shared gates"
    if abs(whole) < APART:
        return (
            f"The nulls of {gates} are {decimal(channels)} with the channels of one of two blocks "
            f"permuted, and {decimal(samples)} with another sample for one of them."
        )
    return (
        f"Of the {decimal(whole)} of {gates}, {decimal(samples)} remains with another sample for "
        "one of two blocks: this part does not depend on the input. With the channels of one of "
        f"them permuted, {decimal(channels)} remains."
    )


def _average(rows: Sequence[Mapping[str, Any]], name: str) -> float:
    numbers = [row[name] for row in rows if row[name] is not None]
    return float(sum(numbers) / len(numbers))


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
