"""Reads of memories with links, beside the softmax read of the same patterns without links."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from kanerva import similarity as similar
from kanerva.lab.bench._limits import Limits
from kanerva.lab.bench._measure import Case
from kanerva.lab.bench._patterns import BETA, CHECKED, cues, over, reader, softmax_answer, unit_rows
from kanerva.lab.bench._sizes import Sizes
from kanerva.memory import Linked
from kanerva.separation import Entmax, Power, Separation, Softmax

__all__ = ["UNLINKED", "linked"]

UNLINKED = "softmax read without links"
# Links of each pattern on average.
DEGREE = 10
AUTO, HETERO = 0.5, 0.5
ALLOWED = 2e-3
RULES: dict[str, Separation] = {
    "softmax": Softmax(BETA),
    "power 3": Power(3),
    "entmax 1.5": Entmax(1.5, BETA / 4),
}


def linked(sizes: Sizes, limits: Limits) -> Iterator[Case]:
    """Read once by each rule from patterns with links; what a link adds is folded before."""
    dim, count, batch = sizes.one
    keys, source = unit_rows(count, dim), torch.Generator().manual_seed(1)
    ends = torch.randint(count, (2, DEGREE * count), generator=source)
    query, plain = cues(keys, batch), over(keys, (similar.dot, RULES["softmax"]))
    expected = softmax_answer(query[:CHECKED], keys, BETA)
    routes = [reader(UNLINKED, partial(plain.read, query), expected)]
    for name, rule in RULES.items():
        memory = Linked(dim, auto=AUTO, hetero=HETERO, normalise="rows", separation=rule)
        memory.link(*memory.write(keys)[ends])
        answer = _answer(query[:CHECKED], keys, ends, rule)
        routes.append(reader(f"kanerva, linked, {name}", partial(memory.read, query), answer, True))
    setting = {"d": dim, "N": count, "B": batch, "links": DEGREE * count}
    yield Case("linked", setting, routes, ALLOWED, limits.attending(batch, count, dim))


def _answer(query: Tensor, keys: Tensor, ends: Tensor, rule: Separation) -> Tensor:
    """Return the read in float64, written out: each pattern adds the mean of its successors."""
    values, (sources, targets) = keys.double(), ends
    weights = rule(query.double() @ values.mT)
    degree = torch.bincount(sources, minlength=len(keys)).clamp_min(1).unsqueeze(-1)
    sums = torch.zeros_like(values).index_add(0, sources, values[targets])
    return weights @ (AUTO * values + HETERO * sums / degree)
