"""The findings of a count, in sentences."""

from collections.abc import Mapping
from typing import Any

from kanerva.lab.probing._arguments import picture
from kanerva.lab.quarks._load import Subject

__all__ = ["notes", "verdicts"]

Facts = Mapping[str, Any]

CONVENTION = (
    "The sum of output and synaptic gates is sure. How it divides is a convention: the products "
    "of two signals in a contraction are synaptic gates where one of the two was normalised to "
    "weigh, as attention weighs values, and output gates elsewhere."
)


def verdicts(facts: Facts) -> list[str]:
    """Return the main results as sentences."""
    found = [_gates(facts)]
    if facts["growth"] is not None:
        found.append(_crossing(facts))
    found.append(
        f"The longest path from an input leads through {_many(facts['depth'], 'gate')}. The model "
        f"has {facts['parameters']:,} weights."
    )
    found.append(_unread(facts["unread"]))
    return found


def notes(facts: Facts, subject: Subject, tried: bool) -> list[str]:
    """Return what must be known to read the numbers, as sentences.

    Args:
        facts: the counts.
        subject: the model.
        tried: whether the growth with the tokens was looked for.
    """
    found = [CONVENTION]
    if subject.note:
        found.append(subject.note)
    if getattr(subject.model.config, "is_encoder_decoder", False):
        found.append("The model reads two texts, and each of them has that many tokens.")
    if picture(subject.model):
        found.append("One picture was read. Its tokens follow from its size, so they do not vary.")
    elif not tried:
        found.append("The model takes too few tokens to say how the counts grow with them.")
    elif facts["growth"] is None:
        found.append(
            "The counts do not grow as polynomials of degree 2 with the tokens, as where attention "
            "sees windows of a fixed length, so no crossing is given."
        )
    return found


def _gates(facts: Facts) -> str:
    """Return how many gates there are beside the products by weights."""
    output, synaptic, linear = facts["output"], facts["synaptic"], facts["linear"]
    gates = output + synaptic
    where = (
        "For one picture" if facts["tokens"] is None else f"At {_many(facts['tokens'], 'token')}"
    )
    found = (
        f"{where}, the model computes {_many(gates, 'product')} of two signals ({output:,} output "
        f"gates and {synaptic:,} synaptic gates) and {_many(linear, 'product')} by weights"
    )
    if not gates or not linear:
        return f"{found}."
    share = gates / linear
    return f"{found}: {100 * share:.3g} gates for every 100 of these."


def _crossing(facts: Facts) -> str:
    """Return from how many tokens on there are more gates than products by weights."""
    tokens, limit = facts["crossing"], facts["longest"]
    if tokens is None:
        return "Gates do not outnumber products by weights, however many tokens there are."
    if tokens == 1:
        return "Gates outnumber products by weights at any number of tokens."
    found = f"From {tokens:,} tokens on, gates outnumber products by weights"
    if limit is None:
        return f"{found}."
    least = "; the model takes" if limit >= tokens else ", but the model takes"
    return f"{found}{least} {limit:,} at most."


def _unread(unread: Mapping[str, int]) -> str:
    """Return what could not be read."""
    if not unread:
        return "Every operation could be read."
    listed = ", ".join(f"{name} ({_many(times, 'time')})" for name, times in unread.items())
    return f"These operations could not be read, and what they gate is not counted: {listed}."


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
