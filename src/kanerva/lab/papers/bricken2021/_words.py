"""Names, parameters, sources and reasons that several recipes of this paper share."""

from typing import Annotated

__all__ = [
    "CONTINUOUS",
    "DAMAGE",
    "EMPTY",
    "EVERYWHERE",
    "LABELS",
    "MILLION",
    "PAPER",
    "SEEDS",
    "Data",
    "Epochs",
    "Method",
    "Queries",
    "Rest",
    "Steps",
    "Stored",
    "count",
]

PAPER = "Bricken and Pehlevan 2021"
SEEDS = "this library, range of eight seeds"
# Numbers of hard locations: one at every point of 64 bits, and a million.
EVERYWHERE, MILLION = 2**64, 10**6
EMPTY = (
    "the library computes 2 r; circles 2 r + 1 bits apart do not intersect, and the authors' code "
    "takes the resulting 0 / 0 for a correction"
)
# Memories of real vectors: with the weights of caps, with those of circles at the distance that
# corresponds to a cosine, and attention fitted to either.
CONTINUOUS = (
    "continuous",
    "continuous_folded",
    "continuous_attention",
    "continuous_attention_circle",
)

# Of the recipes with pictures.
Data = Annotated[
    str, "digits, mnist or cifar10 (these two are downloaded), or the path of your own pictures"
]
Stored = Annotated[int, "number of stored pictures, chosen at random; 0 for all"]
Queries = Annotated[int, "number of them that are recalled"]
Method = Annotated[str, "method that fits beta: published, kl, ols or mse"]
Rest = Annotated[float, "change of a pixel below which a recall ends"]
Steps = Annotated[int, "largest number of reads of a recall"]
Epochs = Annotated[int, "number of passes over the pictures in training"]
DAMAGE = "damage, as of so many flipped bits"
LABELS = {
    "continuous": "continuous SDM",
    "continuous_folded": "binary weights",
    "continuous_attention": "attention, cap beta",
    "continuous_attention_circle": "attention, circle beta",
    "few": "few locations",
    "raw": "raw pictures",
}


def count(number: int) -> str:
    """Return a large power of two or ten as a power, and any other number with commas."""
    digits = len(str(number)) - 1
    if number > 10**6 and number & (number - 1) == 0:
        return f"2^{number.bit_length() - 1}"
    return f"10^{digits}" if number >= 10**6 and number == 10**digits else f"{number:,}"
