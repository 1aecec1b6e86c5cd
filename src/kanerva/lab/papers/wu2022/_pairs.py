"""Pairs of a name and a value in segments of a text, and a model that is asked for them later."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kanerva.lab.recipe import Row
from kanerva.nn import MemoryAttention

__all__ = ["Design", "Model", "Texts", "answers", "train"]

NAME, VALUES = 32, 8
PAIRS, SEGMENTS = 32, 4
BATCH, RATE, TESTS = 16, 3e-3, 200
EACH = PAIRS // SEGMENTS


class Texts(NamedTuple):
    """Some texts of pairs.

    Attributes:
        names: ``(n, PAIRS, NAME)`` of -1/+1, new ones in every text.
        values: ``(n, PAIRS)``.
    """

    names: Float[Tensor, "n pairs name"]
    values: Int64[Tensor, "n pairs"]

    @classmethod
    def draw(cls, n: int, source: torch.Generator) -> "Texts":
        """Draw the names and the values of some texts."""
        names = torch.randint(0, 2, (n, PAIRS, NAME), generator=source) * 2.0 - 1
        return cls(names, torch.randint(0, VALUES, (n, PAIRS), generator=source))

    def part(self, segment: int) -> "Texts":
        """Return the pairs of one segment."""
        here = slice(segment * EACH, (segment + 1) * EACH)
        return Texts(self.names[:, here], self.values[:, here])

    def tokens(self, asked: bool) -> Float[Tensor, "n pairs width"]:
        """Return a token for each pair: the name and the value, or the name and a question mark."""
        marks = self.names.new_zeros(*self.values.shape, VALUES + 1)
        place = torch.full_like(self.values, VALUES) if asked else self.values
        return torch.cat((self.names / NAME**0.5, marks.scatter(2, place[..., None], 1.0)), -1)


class Design(NamedTuple):
    """What a model is made of.

    * ``capacity``: pairs of key and value that the memory holds.
    * ``k``: stored keys that a query reads.
    * ``heads``: of the attention.
    * ``width``: of a token after its map.
    """

    capacity: int
    k: int
    heads: int
    width: int


class Model(nn.Module):
    """A map of tokens, one attention with a memory, and a linear map to the values.

    Args:
        design: of the attention.
        seed: of all weights.
    """

    def __init__(self, design: Design, seed: int) -> None:
        super().__init__()
        self.layer = MemoryAttention(design.width, design.heads, design.capacity, design.k)
        self.layer.reset(seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.map = nn.Linear(NAME + VALUES + 1, design.width)
            self.head = nn.Linear(design.width, VALUES)

    def forward(
        self, tokens: Float[Tensor, "n t width"], write: bool = True
    ) -> Float[Tensor, "n t values"]:
        """Return the scores of all values at every place of a segment."""
        scores: Tensor = self.head(self.layer(self.map(tokens), write=write))
        return scores


def answers(model: Model, texts: Texts, asked: Texts, memory: bool) -> Float[Tensor, "n pairs"]:
    """Show the segments of some texts, then ask; return which answers are right, as 0 and 1.

    Args:
        model: its memory is emptied first.
        texts: what is shown.
        asked: what is asked for, of the same number of texts.
        memory: keep the memory of the segments.
    """
    model.layer.forget()
    with torch.no_grad():
        for segment in range(SEGMENTS):
            model(texts.part(segment).tokens(asked=False))
        if not memory:
            model.layer.forget()
        scores = model(asked.tokens(asked=True), write=False)
    return (scores.argmax(-1) == asked.values).double()


def train(design: Design, near: bool, updates: int, every: int, seed: int) -> Iterator[Row]:
    """Train a model by Adam on new texts, and yield rows at each look at it.

    Args:
        design: of the model.
        near: ask for the pairs of a segment in the segment itself, too.
        updates: their number.
        every: updates between two looks.
        seed: of the weights and the texts.
    """
    source, model = torch.Generator().manual_seed(seed), Model(design, seed)
    tests = Texts.draw(TESTS, source)
    optimiser = torch.optim.Adam(model.parameters(), RATE)
    for update in range(1, updates + 1):
        loss = _loss(model, Texts.draw(BATCH, source), near)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        if update % every == 0 or update == updates:
            for row in _rows(model, tests):
                yield {"update": update, **row}


def _loss(model: Model, texts: Texts, near: bool) -> Tensor:
    """Return the cross-entropy of the answers after all segments, and of those within them."""
    model.layer.forget()
    loss = texts.names.new_zeros(())
    for segment in range(SEGMENTS):
        part = texts.part(segment)
        shown = part.tokens(asked=False)
        if not near:
            model(shown)
            continue
        scores = model(torch.cat((shown, part.tokens(asked=True)), 1))[:, EACH:]
        loss = loss + cross_entropy(scores.flatten(0, 1), part.values.flatten())
    scores = model(texts.tokens(asked=True), write=False)
    return loss + cross_entropy(scores.flatten(0, 1), texts.values.flatten())


def _rows(model: Model, tests: Texts) -> Iterator[Row]:
    """Yield the share of right answers with the memory, without it, and with that of another."""
    other = Texts(tests.names.roll(1, 0), tests.values.roll(1, 0))
    gate = model.layer.gate.detach().sigmoid().mean().item()
    for name, asked, memory in (
        ("own", tests, True),
        ("none", tests, False),
        ("other", other, True),
    ):
        right = answers(model, tests, asked, memory)
        yield {
            "memory": name,
            "right": right.mean().item(),
            "first": right[:, :EACH].mean().item(),
            "last": right[:, -EACH:].mean().item(),
            "gate": gate,
        }
