"""Bags of rows, half of which contain a hidden pattern, and models that find out which."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from kanerva.lab.recipe import Row
from kanerva.nn import hopfield_lookup, hopfield_pooling

__all__ = ["Bags", "Design", "Drawn", "Model", "train"]

BITS, ROWS, HIDDEN = 12, 20, 4
BATCH, RATE, TESTS = 128, 5e-3, 2000
# Rows of the lookup.
TABLE = 16


class Drawn(NamedTuple):
    """Some bags.

    Attributes:
        rows: ``(n, ROWS, BITS)`` of -1/+1.
        positive: ``(n,)`` whether a pattern was put into the bag.
        place: ``(n,)`` the row where it was put, or would have been.
    """

    rows: Float[Tensor, "n rows bits"]
    positive: Bool[Tensor, " n"]
    place: Int64[Tensor, " n"]


class Bags:
    """A source of bags with the same few hidden patterns.

    Args:
        seed: of the patterns and the bags.
    """

    def __init__(self, seed: int) -> None:
        self.source = torch.Generator().manual_seed(seed)
        words = torch.randperm(2**BITS, generator=self.source)[:HIDDEN]
        self.patterns = (words[:, None] >> torch.arange(BITS) & 1) * 2.0 - 1

    def draw(self, n: int) -> Drawn:
        """Draw bags of random rows, one of which is a pattern in half of the bags."""
        rows = torch.randint(0, 2, (n, ROWS, BITS), generator=self.source) * 2.0 - 1
        positive = torch.rand(n, generator=self.source) < 0.5
        place = torch.randint(0, ROWS, (n,), generator=self.source)
        pattern = torch.randint(0, HIDDEN, (n,), generator=self.source)
        put = self.patterns[pattern[positive]]
        rows[positive.nonzero()[:, 0], place[positive]] = put
        return Drawn(rows, positive, place)

    def best(self, drawn: Drawn) -> float:
        """Return the share of right answers of "positive where a row is one of the patterns"."""
        same = (drawn.rows[:, :, None] == self.patterns).all(-1).flatten(1).any(1)
        return (same == drawn.positive).double().mean().item()


class Design(NamedTuple):
    """What a model is made of.

    * ``pool``: mean, latents or lookup.
    * ``steps``: of the Hopfield layer.
    * ``heads``: of the Hopfield layer.
    * ``width``: of a row after its map.
    """

    pool: str
    steps: int
    heads: int
    width: int


class Model(nn.Module):
    """Maps every row, pools the bag, and answers by a linear map.

    Args:
        design: how the bag is pooled.
        seed: of all weights.
    """

    def __init__(self, design: Design, seed: int) -> None:
        super().__init__()
        self.pool: nn.Module = nn.Identity()
        if design.pool == "latents":
            self.pool = hopfield_pooling(design.width, design.heads, 1, steps=design.steps)
            self.pool.reset(seed)
        elif design.pool == "lookup":
            self.pool = hopfield_lookup(design.width, design.heads, TABLE, steps=design.steps)
            self.pool.reset(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.map, self.head = nn.Linear(BITS, design.width), nn.Linear(design.width, 1)

    def forward(self, rows: Float[Tensor, "n rows bits"]) -> Float[Tensor, " n"]:
        """Return the score of each bag; it is positive above 0."""
        mapped = self.map(rows).relu()
        # The latents leave one row; the others leave all, of which the mean is taken.
        answer: Tensor = self.head(self.pool(mapped).mean(1))[:, 0]
        return answer

    @torch.no_grad()
    def found(self, drawn: Drawn) -> float:
        """Return in what share of the positive bags the pattern has the largest weight."""
        weights = self.pool.weights(self.map(drawn.rows).relu())  # type: ignore[operator]
        largest = weights.mean(1)[:, 0].argmax(-1)
        return (largest == drawn.place)[drawn.positive].double().mean().item()

    @torch.no_grad()
    def beta(self) -> float | None:
        """Return the mean inverse temperature of the heads; None without any."""
        for name, value in self.named_parameters():
            if name.endswith("log_beta"):
                return value.exp().mean().item()
        return None


def train(design: Design, updates: int, every: int, seed: int) -> Iterator[Row]:
    """Train a model by Adam on new bags, and yield a row at each look at it."""
    bags, model = Bags(seed), Model(design, seed)
    tests = bags.draw(TESTS)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    rate = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: 1 - step / updates)
    best = bags.best(tests)
    for update in range(1, updates + 1):
        drawn = bags.draw(BATCH)
        loss = binary_cross_entropy_with_logits(model(drawn.rows), drawn.positive.float())
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        rate.step()
        if update % every == 0 or update == updates:
            with torch.no_grad():
                right = (model(tests.rows) > 0) == tests.positive
            yield {
                "update": update,
                "right": right.double().mean().item(),
                "best": best,
                "found": model.found(tests) if design.pool == "latents" else None,
                "beta": model.beta(),
            }
