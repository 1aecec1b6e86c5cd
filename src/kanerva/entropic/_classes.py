"""One register for each class, and the rules that choose among those that accept a cue."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from kanerva._core import arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import InputTypeError, door, named, refuse
from kanerva.dynamics import Settled
from kanerva.entropic._counted import once
from kanerva.entropic._cues import Cues
from kanerva.entropic._memory import EntropicExplanation, EntropicMemory
from kanerva.entropic._register import Limits, Recognition
from kanerva.memory import Associative

__all__ = ["Answer", "EntropicClasses"]


class Answer(NamedTuple):
    """The class that a set of registers gives to cues, and the recall from it.

    Attributes:
        label: ``(...)`` int64, the class; -1 where no register accepts the cue.
        value: ``(..., columns)`` the recall from the register of that class.
        accepted: ``(..., classes)`` bool: which registers accept the cue.
    """

    label: Int64[Tensor, "*batch"]
    value: Float[Tensor, "*batch columns"]
    accepted: Bool[Tensor, "*batch classes"]


def _entropy(register: EntropicMemory, given: Cues, found: Recognition) -> Tensor:
    return torch.full_like(found.weight, register.entropy())


def _penalty(register: EntropicMemory, given: Cues, found: Recognition) -> Tensor:
    """Return the entropy over the weight of the cue as a share of the largest count."""
    share = found.weight / register.counts.max().clamp(min=1)
    return torch.where(share > 0, register.entropy() / share, math.inf)


def _likelihood(register: EntropicMemory, given: Cues, found: Recognition) -> Tensor:
    """Return minus the log-likelihood of the cue, with one count added to each cell."""
    counts = register.counts.double() + 1
    logs = (counts / counts.sum(0)).log().gather(0, given.levels)
    return -torch.where(given.known, logs, 0.0).sum(-1)


# What every register takes besides its size.
FURTHER = ("spread", *Limits._fields, "cap", "quantiser", "empty", "dtype")
RULES: dict[str, Callable[[EntropicMemory, Cues, Recognition], Tensor]] = {
    "entropy": _entropy,
    "penalty": _penalty,
    "likelihood": _likelihood,
}


class EntropicClasses(Associative):
    r"""Keeps a register for each class, and answers with the class whose register accepts a cue.

    Among the registers that accept, the one with the lowest cost answers:

    .. math:: \text{entropy: } H_c, \quad
        \text{penalty: } H_c \frac{\max W_c}{\rho_c(a)}, \quad
        \text{likelihood: } -\sum_j \log \frac{W_{c a_j j} + 1}{\sum_k W_{ckj} + m}

    Of equal costs the first class wins. The first rule is that of registers of marks
    (``cap=1``), the second that of registers of counts. The third is naive Bayes on the same
    counts; with ``xi`` as large as the number of columns, all registers accept and it decides
    alone.

    Args:
        classes: how many, >= 1.
        columns: as in ``EntropicMemory``.
        levels: as in ``EntropicMemory``.
        rule: ``"entropy"``, ``"penalty"`` or ``"likelihood"``.
        **memory: further arguments of every ``EntropicMemory``.

    Attributes:
        registers: the memories of the classes.

    Example:
        >>> import torch
        >>> from kanerva.entropic import EntropicClasses
        >>> memory = EntropicClasses(classes=2, columns=2, levels=3, cap=1)
        >>> keys = torch.tensor([[0.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
        >>> memory.write(keys, torch.tensor([0, 0, 1]))
        >>> answer = memory.answer(torch.tensor([[0.0, 1.0], [2.0, 2.0], [1.0, 1.0]]), seed=0)
        >>> answer.label.tolist(), answer.accepted.tolist()
        ([0, 1, -1], [[True, False], [False, True], [False, False]])

    Source: Pineda, Fuentes and Morales 2021 (entropy); Pineda and Morales 2022 (penalty).
    """

    registers: nn.ModuleList

    @named()
    def __init__(
        self, classes: int, columns: int, levels: int, *, rule: str = "entropy", **memory: Any
    ) -> None:
        super().__init__()
        count = checks.integer("classes", classes, 1, checks.LONGEST)
        self.rule = checks.choice("rule", rule, tuple(RULES))
        checks.keywords(memory, *FURTHER)
        made = (EntropicMemory(columns, levels, **memory) for _ in range(count))
        self.registers = nn.ModuleList(made)

    @property
    def _first(self) -> EntropicMemory:
        found = self.registers[0]
        assert isinstance(found, EntropicMemory)
        return found

    @property
    def dim(self) -> int:
        """The number of columns."""
        return self._first.dim

    @property
    def value_dim(self) -> int:
        """The length of what is read: the number of columns."""
        return self._first.dim

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of keys, queries and reads."""
        return self._first.dtype

    @property
    def device(self) -> torch.device:
        """Device of keys, queries and reads."""
        return self._first.device

    @property
    def counts(self) -> Int64[Tensor, "classes levels columns"]:
        """The counts of all registers."""
        return torch.stack([one.counts for one in self._each()])

    def __len__(self) -> int:
        """Count the objects that were written."""
        return sum(map(len, self._each()))

    def extra_repr(self) -> str:
        """Describe the memory in one line."""
        return f"{len(self.registers)} classes, rule={self.rule!r}"

    @door
    def write(  # type: ignore[override]  # a key goes with a label
        self,
        keys: Float[Tensor, "*batch columns"] | Listed,
        labels: Int64[Tensor, "*batch"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> None:
        """Write every key to the register of its class.

        Args:
            keys: ``(..., columns)``.
            labels: ``(...)`` whole numbers from 0 to classes - 1.
            known: as in ``EntropicMemory.write``.

        Raises:
            InputError: as there, or labels out of range; nothing is written then.
        """
        given = self._first._cues("keys", keys, known, whole=True)
        wanted = self._labels(labels, given.batch)
        for place, register in enumerate(self._each()):
            rows = wanted == place
            register.write(given.given[rows], given.known[rows])

    @door
    def recognise(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Recognition:
        """Compare cues with the register of every class.

        Args:
            query: ``(..., columns)``.
            known: as in ``EntropicMemory.recognise``.

        Returns:
            the numbers of ``Recognition``, each ``(..., classes)``.
        """
        given, found = self._recognised(query, known)
        return Recognition(*(part.reshape(*given.batch, part.shape[-1]) for part in found))

    @door
    def answer(
        self,
        query: Float[Tensor, "*batch columns"] | Listed,
        *,
        seed: int = 0,
        known: Bool[Tensor, "*_known"] | Listed | None = None,
    ) -> Answer:
        """Choose a class for every cue, and recall it from the register of that class.

        Args:
            query: ``(..., columns)``.
            seed: as in ``EntropicMemory.recall``.
            known: as in ``EntropicMemory.recognise``.

        Returns:
            the class, the recall, and which registers accept. Where none does, the class is -1 and
            the recall what ``empty`` says.
        """
        seed = checks.integer("seed", seed, 0, 2**63 - 1)
        which = torch.ones(1, dtype=torch.int64, device=self.device)
        given, label, accepted = self._chosen(query, known)

        def drawn(register: EntropicMemory, part: Cues, some: Tensor) -> tuple[Tensor]:
            return (register._drawn(part, some, seed, which)[0],)

        (value,) = self._by(drawn, given, label)
        shape = (*given.batch, len(self.registers))
        return Answer(label.reshape(given.batch), value, accepted.reshape(shape))

    @door
    def read(self, query: Float[Tensor, "*batch columns"] | Listed) -> Float[Tensor, "*batch e"]:
        """Return the mean recall from the register of the class that answers.

        Args:
            query: ``(..., columns)``.
        """
        return self._mean(query)

    @door
    def settle(
        self, query: Float[Tensor, "*batch columns"] | Listed, *, steps: int = 100
    ) -> Settled:
        """Read once, as ``EntropicMemory.settle`` does.

        Args:
            query: ``(..., columns)``.
            steps: >= 1; one is taken.
        """
        checks.integer("steps", steps, 1)
        return once(self._mean(query))

    @door
    def explain(  # type: ignore[override]  # a register has weights for each column
        self, query: Float[Tensor, "*batch columns"] | Listed
    ) -> EntropicExplanation:
        """Explain the read from the register of the class that answers.

        Args:
            query: ``(..., columns)``.

        Returns:
            the explanation of that register; of the first one where none accepts.
        """
        given, label, _ = self._chosen(query, None)
        return EntropicExplanation(
            *self._by(lambda register, part, _: register.explain(part.given), given, label)
        )

    @door
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        """Return the probability that an answer recalls just each of some patterns.

        Args:
            query: ``(..., columns)``.
            patterns: ``(n, columns)``.
        """
        given, label, _ = self._chosen(query, None)

        def shares(register: EntropicMemory, part: Cues, _: Tensor) -> tuple[Tensor]:
            return (register.pattern_weights(part.given, patterns),)

        return self._by(shares, given, label)[0]

    @door
    def clear(self) -> None:
        """Set the counts of all registers to 0."""
        for register in self._each():
            register.clear()

    def entropy(self) -> Float64[Tensor, "classes"]:
        """Return the entropy of every register in bits a column, as ``EntropicMemory.entropy``."""
        return torch.tensor([one.entropy() for one in self._each()], dtype=torch.float64)

    def _mean(self, query: Any) -> Tensor:
        """Return the mean recall from the register that answers."""
        given, label, _ = self._chosen(query, None)

        def mean(register: EntropicMemory, part: Cues, some: Tensor) -> tuple[Tensor]:
            return (register._mean(part, some),)

        return self._by(mean, given, label)[0]

    def _each(self) -> list[EntropicMemory]:
        return [one for one in self.registers if isinstance(one, EntropicMemory)]

    def _labels(self, labels: Any, batch: torch.Size) -> Int64[Tensor, "b"]:
        """Return the label of each row."""
        most = len(self.registers) - 1
        must, do = (
            f"whole numbers from 0 to {most} of shape {tuple(batch)}",
            "give one for each key",
        )
        given = arrays.listed(labels, torch.float64, self.device)
        whole = arrays.dense("labels", given, must, torch.int64)
        if not isinstance(labels, Tensor):
            whole = whole.long() if bool((whole == whole.round()).all()) else whole
        if whole.dtype not in arrays.INTEGERS:
            refuse("labels", labels, must=must, do=do, error=InputTypeError)
        if whole.shape != batch or not bool(((whole >= 0) & (whole <= most)).all()):
            refuse("labels", labels, must=must, do=do)
        return whole.to(self.device, torch.int64).reshape(-1)

    def _recognised(self, query: Any, known: Any) -> tuple[Cues, Recognition]:
        """Compare cues with every register: numbers ``(b, classes)``."""
        given = self._first._cues("query", query, known)
        each = (register._decided(given) for register in self._each())
        return given, Recognition(*(torch.stack(part, -1) for part in zip(*each, strict=True)))

    def _chosen(self, query: Any, known: Any) -> tuple[Cues, Tensor, Tensor]:
        """Return cues, the class that answers to each, and which registers accept."""
        given, found = self._recognised(query, known)
        cost = torch.stack(
            [
                RULES[self.rule](register, given, Recognition(*(part[:, at] for part in found)))
                for at, register in enumerate(self._each())
            ],
            -1,
        )
        # A cost may be infinite where a register accepts; the largest number stays below the rest.
        cost = torch.where(found.accepted, cost.clamp(max=torch.finfo(cost.dtype).max), math.inf)
        label = torch.where(found.accepted.any(-1), cost.argmin(-1), -1)
        return given, label, found.accepted

    def _by(
        self,
        work: Callable[[EntropicMemory, Cues, Tensor], tuple[Tensor, ...]],
        given: Cues,
        label: Tensor,
    ) -> tuple[Tensor, ...]:
        """Let the register that answers work on each cue; the first one where none accepts."""
        order, parts = [], []
        for at in sorted(set(label.tolist())) or [-1]:
            rows = (label == at).nonzero().squeeze(-1)
            part = Cues(given.given[rows], given.places[rows], given.known[rows], rows.shape)
            answers = torch.full(rows.shape, at >= 0, device=rows.device)
            parts.append(work(self._each()[max(at, 0)], part, answers))
            order.append(rows)
        back = torch.cat(order).argsort()
        joined = (torch.cat(same)[back] for same in zip(*parts, strict=True))
        return tuple(part.reshape((*given.batch, *part.shape[1:])) for part in joined)
