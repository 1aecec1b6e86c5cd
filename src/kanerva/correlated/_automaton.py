"""A finite automaton, compiled into a memory whose links are its transitions."""

import math
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, NoReturn

import torch
from jaxtyping import Float
from torch import Tensor

from kanerva._core import arrays, checks
from kanerva._core.errors import InputTypeError, describe, door, refuse, warn
from kanerva.correlated import _table
from kanerva.correlated._measures import overlaps
from kanerva.correlated._table import UNDEFINED, Table
from kanerva.memory import Linked
from kanerva.separation import Softmax
from kanerva.similarity import dot

__all__ = ["Automaton", "Run"]

NETWORK = ("neurons", "share", "beta", "rate", "steps", "mean")
MARGIN = 4.0


class Run(NamedTuple):
    """The course of an automaton over a word of t symbols.

    Attributes:
        states: t + 1 names: of the state that is read out after the start and after each symbol.
        overlaps: ``(t + 1, s)``, the correlations of the network with the patterns of all states,
            in the order of ``Automaton.states``.
        margins: ``(t + 1,)``, the largest overlap less the next; with one state, the overlap.
    """

    states: list[Any]
    overlaps: Float[Tensor, "moments states"]
    margins: Float[Tensor, "moments"]


class Automaton:
    r"""A finite automaton whose states are patterns of a memory, and whose transitions are links.

    .. math:: (\xi^s_\text{state}, \zeta^x_\text{input}) \to \xi^{\delta(s, x)}, \quad
        \xi^s \to \xi^s, \quad a = 0, \; h = 1

    The neurons are a state block and an input block. Each state s has a random pattern, each symbol
    x a random vector of the input block, and each transition the state block of its state with the
    vector of its symbol. A symbol is fed by overwriting the input block; the recall that follows
    falls to the pattern of the transition, from there to the target of its link, and stays there.
    The state that is read out has the largest overlap.

    Patterns of transitions with the same symbol differ in the state block alone. Their scores
    differ by about beta * share * neurons / 12, which should be 4 or more.

    A transition with several targets shares its strength among them: the recall falls to their
    mean, where a single step of rate 1 leaves it, and further steps lead on to one of them. Which
    one depends on the patterns, so it is always the same for a seed.

    Args:
        table: a dict ``{(state, symbol): state}``, or a list of several states in place of one.
            States and symbols are any hashable values but None, in order of first appearance. A
            list or a set means several states. A tuple or a frozenset is one state if it is one
            elsewhere: in a key, as ``start`` or in ``accept``; it means several if all its members
            are states, and is refused otherwise. ``[(1, 2)]`` is always the one state ``(1, 2)``.
        start: the state in which words begin; None where it is given to ``run``.
        accept: the states in which accepted words end.
        undefined: what a symbol does in a state without a transition for it. ``"stay"``: the state
            stays, by a transition to itself. ``"trap"``: the automaton goes to one more state,
            None, and never leaves it. ``"raise"``: it is an error. ``"nearest"``: nothing is added,
            as published, and the network goes where the nearest pattern leads, most often along
            the transition of another state for the same symbol.
        seed: an integer >= 0 or a CPU generator, for the patterns.
        **network: ``neurons`` (1000), n; ``share`` (0.25), of the neurons that are the state block;
            ``beta`` (0.5), inverse temperature per unit of dot product; ``rate`` (0.1), share of
            each step that is taken, in (0, 1]; ``steps`` (100), at most so many for each symbol;
            ``mean`` (1.0), how often the mean pattern is subtracted, 1 / n as in the printed
            equation.

    Attributes:
        memory: the ``Linked`` with the patterns: of the states, then of the transitions.
        states: names of the states, with None as the last where there is a trap.
        symbols: names of the symbols.
        start, accept: as given.
        table: the transitions.

    Raises:
        InputError: a table that is empty or names states twice, a state that the table does not
            name, or numbers out of range.

    Warns:
        UserWarning: with too few neurons, or a small beta or share, for transitions to be told
            apart.

    Example:
        >>> from kanerva import correlated
        >>> parity = {("even", 1): "odd", ("odd", 1): "even"}
        >>> automaton = correlated.Automaton(parity, start="even", accept=["even"])
        >>> automaton.run([1, 1, 1]).states
        ['even', 'odd', 'even', 'odd']
        >>> automaton.accepts([1, 1])
        True

    Source: Burns 2024, and its published code, whose networks do as with ``"nearest"``.
    """

    @door
    def __init__(
        self,
        table: Mapping[Any, Any],
        start: Any = None,
        accept: Collection[Any] = (),
        *,
        undefined: str = "stay",
        seed: int | torch.Generator = 0,
        **network: Any,
    ) -> None:
        ends = checks.several("accept", accept, "a collection of states")
        for name, one in (("start", start), *(("accept", end) for end in ends)):
            _state(name, one)
        checks.choice("undefined", undefined, UNDEFINED)
        read = _table.read(table, start, ends)
        _warn(*self._build(read, start, ends, undefined, seed, **network))

    @classmethod
    @door
    def regex(
        cls,
        pattern: str,
        alphabet: Collection[str] | None = None,
        *,
        undefined: str = "trap",
        seed: int | torch.Generator = 0,
        **network: Any,
    ) -> "Automaton":
        r"""Compile the smallest automaton that accepts what a regular expression matches.

        .. math:: \text{expression} \to \text{nondeterministic automaton} \to
            \text{deterministic automaton with the fewest states}

        The expression is matched against whole words. Its signs are ``* + ? | ( ) { } [ ] .`` as in
        ``re``, without anchors, and ``&`` for intersection and ``^`` for shuffle; a backslash
        escapes a sign. States are numbered from the start, 0, in the order in which they are
        reached. It takes the package automata-lib.

        Args:
            pattern: the expression.
            alphabet: the letters of words; None for those in the expression.
            undefined: what a letter does after which no word can match: ``"trap"`` or ``"raise"``.
            seed: as for ``Automaton``.
            **network: as for ``Automaton``.

        Returns:
            the automaton, with its start and its accepting states.

        Raises:
            InputError: automata-lib is not installed, an expression that cannot be parsed or that
                no word matches, or letters that are repeated or missing from the alphabet.

        Warns:
            UserWarning: as ``Automaton`` does.

        Example:
            >>> from kanerva import correlated
            >>> automaton = correlated.Automaton.regex("(a|b)*ab")
            >>> [automaton.accepts(word) for word in ("ab", "aabab", "ba", "")]
            [True, True, False, False]
            >>> automaton.states
            (0, 1, 2)

        Source: Burns 2024, for the network; the package automata-lib, for the automaton.
        """
        checks.choice("undefined", undefined, ("trap", "raise"))
        table, ends = _table.parsed(pattern, alphabet)
        automaton = cls.__new__(cls)
        _warn(*automaton._build(table, 0, ends, undefined, seed, **network))
        return automaton

    @door
    def run(self, word: Collection[Any], start: Any = None) -> Run:
        """Feed a word, symbol by symbol.

        Args:
            word: a sequence of symbols; a string is the sequence of its letters.
            start: the state in which it begins, or a cue of it, ``(n,)`` in the dtype of the
                memory; None for that of the automaton.

        Returns:
            states, overlaps and margins, after the start and after each symbol.

        Raises:
            InputError: a symbol or a state that the table does not name, no start, or a symbol
                without a transition with ``undefined="raise"``.

        Example:
            >>> from kanerva import correlated
            >>> table = {("red", "go"): "green", ("green", "stop"): "red"}
            >>> run = correlated.Automaton(table, start="red").run(["go", "go", "stop"])
            >>> run.states
            ['red', 'green', 'green', 'red']
            >>> run.overlaps.shape, bool((run.margins > 0.5).all())
            (torch.Size([4, 2]), True)
        """
        fed = [self._symbols("word", word)]
        if isinstance(start, Tensor):
            return self._follow(fed, self._cues(start, 1)[None], "word")[0]
        return self._follow(fed, self._settled([self._start(start)]), "word")[0]

    @door
    def run_all(self, words: Collection[Collection[Any]], start: Any = None) -> list[Run]:
        """Feed many words together, each as ``run`` does.

        Args:
            words: sequences of symbols, which may differ in length.
            start: the state in which they begin, or a list with one for each, or cues of them,
                ``(words, n)`` in the dtype of the memory; None for that of the automaton.

        Returns:
            one ``Run`` for each word.

        Raises:
            InputError: as ``run`` does, or another number of starts than of words.

        Example:
            >>> from kanerva import correlated
            >>> automaton = correlated.Automaton({(0, "a"): 1, (1, "a"): 2, (2, "a"): 0}, start=0)
            >>> [run.states[-1] for run in automaton.run_all(["", "a", "aaaaa"])]
            [0, 1, 2]
        """
        given = checks.several("words", words, "a list of words")
        fed = [
            self._symbols("words", word, f" of word {place}") for place, word in enumerate(given, 1)
        ]
        if not fed:
            return []
        if isinstance(start, Tensor):
            return self._follow(fed, self._cues(start, 2, len(fed)), "words")
        if not isinstance(start, list):
            return self._follow(fed, self._settled([self._start(start)] * len(fed)), "words")
        if len(start) != len(fed):
            must, do = f"as many as the {len(fed)} words", "give one start for each word, or one"
            refuse("start", got=str(len(start)), must=must, do=do)
        return self._follow(fed, self._settled([self._start(one) for one in start]), "words")

    @door
    def accepts(self, word: Collection[Any]) -> bool:
        """Return whether a word ends in one of the accepting states.

        Args:
            word: as in ``run``.

        Raises:
            InputError: as ``run`` does, or the automaton has no start or no accepting states.

        Example:
            >>> from kanerva import correlated
            >>> table = {("no", "a"): "yes", ("yes", "a"): "no"}
            >>> correlated.Automaton(table, start="no", accept=["yes"]).accepts("aaa")
            True
        """
        if not self.accept:
            must, do = "given where words are accepted", "build the automaton with accept=[...]"
            refuse("accept", got="empty", must=must, do=do)
        return self.run(word).states[-1] in self.accept

    @property
    def table(self) -> dict[tuple[Any, Any], Any]:
        """The transitions, with those that ``undefined`` added; a list where there are several."""
        found = {}
        for (state, symbol), ends in self._table.items():
            named = [self.states[end] for end in ends]
            target = named[0] if len(named) == 1 else named
            found[self.states[state], self.symbols[symbol]] = target
        return found

    def __repr__(self) -> str:
        sizes = f"{len(self.states)} states, {len(self.symbols)} symbols"
        return f"Automaton({sizes}, {self._moves} transitions, {self.memory.dim} neurons)"

    def _build(
        self,
        table: Table,
        start: Any,
        accept: tuple[Any, ...],
        undefined: str,
        seed: int | torch.Generator,
        **network: Any,
    ) -> tuple[float, int]:
        """Build the memory; return beta * share and the number of neurons."""
        checks.keywords(network, *NETWORK)
        neurons = checks.integer("neurons", network.get("neurons", 1000), 2, checks.LONGEST)
        share = checks.number("share", network.get("share", 0.25), 0, 1)
        beta = checks.number("beta", network.get("beta", 0.5), 0)
        self._steps = checks.integer("steps", network.get("steps", 100), 1, checks.LONGEST)
        self._block = round(share * neurons)
        if not 0 < self._block < neurons:
            must = f"such that each block has one of the {neurons} neurons or more"
            refuse("share", got=f"{share:g}", must=must, do="give a share such as 0.25")
        self._moves, self._raises = len(table.moves), undefined == "raise"
        table = _table.completed(table, undefined)
        self.states, self.symbols, self._table = table.states, table.symbols, table.moves
        self._places = {state: place for place, state in enumerate(table.states)}
        self._letters = {symbol: place for place, symbol in enumerate(table.symbols)}
        for name, one in (("start", start), *(("accept", end) for end in accept)):
            if one is not None or name == "accept":
                self._place(name, one)
        self.start, self.accept = start, tuple(dict.fromkeys(accept))
        options = {"rate": network.get("rate", 0.1), "mean": network.get("mean", 1.0)}
        self.memory = Linked(
            neurons, auto=0.0, hetero=1.0, normalise="none", similarity=dot,
            separation=Softmax(beta), **options,
        )  # fmt: skip
        self._draw(arrays.generator(seed))
        return beta * share, neurons

    def _draw(self, source: torch.Generator) -> None:
        """Draw the patterns, write them, and link them."""
        neurons, states, pairs = self.memory.dim, len(self.states), list(self._table)
        rows = states + len(pairs)
        size = f"{neurons}, for {rows} patterns"
        with checks.room("neurons", size, 16 * neurons * (rows + len(self.symbols))):
            patterns = torch.rand(states, neurons, generator=source)
            inputs = torch.rand(len(self.symbols), neurons - self._block, generator=source)
            places = torch.tensor(pairs)
            both = (patterns[places[:, 0], : self._block], inputs[places[:, 1]])
            ids = self.memory.write(torch.cat((patterns, torch.cat(both, 1))))
        self._inputs = inputs
        targets = [(states + row, self._table[pair]) for row, pair in enumerate(pairs)]
        links = [(row, end, 1 / len(ends)) for row, ends in targets for end in ends]
        links += [(state, state, 1.0) for state in range(states)]
        sources, ends, strengths = zip(*links, strict=True)
        self.memory.link(ids[list(sources)], ids[list(ends)], list(strengths))

    def _settled(self, starts: list[int]) -> Tensor:
        """Return the network in the states at these places."""
        first = {start: place for place, start in enumerate(dict.fromkeys(starts))}
        patterns = self.memory.keys[: len(self.states)]
        settled = self.memory.recall(patterns[list(first)], steps=self._steps)
        return settled[[first[start] for start in starts]]

    def _cues(self, start: Tensor, axes: int, words: int = 1) -> Tensor:
        """Return the network after the recall of cues of states."""
        shape = (words, self.memory.dim)[-axes:]
        arrays.vectors("start", start, self.memory.dim, self.memory.dtype)
        if tuple(start.shape) != shape:
            must, do = f"a state, or a cue of shape {shape}", "give one cue for each word"
            refuse("start", start, must=must, do=do)
        return self.memory.recall(start, steps=self._steps)

    def _follow(self, words: list[list[int]], state: Tensor, name: str) -> list[Run]:
        """Feed checked words, each from the network in its start."""
        patterns, state = self.memory.keys[: len(self.states)], state.clone()
        rows = [[row] for row in overlaps(state, patterns)]
        inputs = self._inputs.to(state)
        for step in range(max(map(len, words))):
            active = [place for place, word in enumerate(words) if step < len(word)]
            symbols = [words[place][step] for place in active]
            if self._raises:
                self._vet(active, symbols, rows, step + 1, name)
            fed = torch.cat((state[active, : self._block], inputs[symbols]), 1)
            state[active] = self.memory.recall(fed, steps=self._steps)
            for place, row in zip(active, overlaps(state[active], patterns), strict=True):
                rows[place].append(row)
        return [self._told(torch.stack(each)) for each in rows]

    def _told(self, found: Tensor) -> Run:
        """Read the states out of overlaps."""
        best = found.argmax(-1).tolist()
        top = found.topk(min(2, found.shape[-1])).values
        margins = top[:, 0] - top[:, 1] if top.shape[-1] > 1 else top[:, 0]
        return Run([self.states[place] for place in best], found, margins)

    def _vet(
        self, active: list[int], symbols: list[int], rows: list[list[Tensor]], step: int, name: str
    ) -> None:
        """Refuse a symbol that has no transition from the state that is read out."""
        for place, symbol in zip(active, symbols, strict=True):
            state = int(rows[place][-1].argmax())
            if (state, symbol) not in self._table:
                where = f"symbol {step}" + (f" of word {place + 1}" if name == "words" else "")
                at = f"{where} in the state {describe(self.states[state])}"
                got = f"{describe(self.symbols[symbol])} as {at}"
                must, do = "of defined transitions", 'build the automaton with undefined="trap"'
                refuse(name, got=got, must=must, do=do)

    def _symbols(self, name: str, word: Any, where: str = "") -> list[int]:
        """Return the places of the symbols of a word."""
        must = "a sequence of symbols"
        if isinstance(word, set | frozenset):
            refuse(name, word, must=must, do=f"give {must}", error=InputTypeError)
        letters = tuple(word) if isinstance(word, str) else checks.several(name, word, must)
        for step, symbol in enumerate(letters, 1):
            try:
                known = symbol in self._letters
            except TypeError:
                known = False
            if not known:
                got = f"{describe(symbol)} as symbol {step}{where}"
                do = checks.nearest(symbol, _texts(self.symbols), "see automaton.symbols")
                refuse(name, got=got, must="of the symbols in the table", do=do)
        return [self._letters[symbol] for symbol in letters]

    def _start(self, start: Any) -> int:
        """Return the place of the state in which a word begins."""
        start = self.start if start is None else start
        if start is None:
            must, do = "given, here or to the automaton", "give the state in which words begin"
            refuse("start", got="left out", must=must, do=do)
        return self._place("start", start)

    def _place(self, name: str, state: Any) -> int:
        """Return the place of a state."""
        _state(name, state)
        if state not in self._places or state is None:
            _unknown(name, state, self.states)
        return self._places[state]


def _state(name: str, state: Any) -> None:
    """Refuse what cannot be a state."""
    try:
        hash(state)
    except TypeError:
        do = "give the state itself"
        refuse(name, state, must="a state, which is hashable", do=do, error=InputTypeError)


def _unknown(name: str, state: Any, states: tuple[Any, ...]) -> NoReturn:
    do = checks.nearest(state, _texts(states), "see the states in the table")
    refuse(name, state, must="of the states in the table", do=do)


def _texts(names: tuple[Any, ...]) -> list[str]:
    """Return the names that are texts."""
    return [one for one in names if isinstance(one, str)]


def _warn(per: float, neurons: int) -> None:
    """Warn where the patterns of transitions are too similar to be told apart.

    Args:
        per: beta * share.
        neurons: how many there are.
    """
    margin = per * neurons / 12
    if margin >= MARGIN:
        return
    needed = f"{math.ceil(12 * MARGIN / per)}" if per > 1e-300 else "no number of"
    warn(
        f"Automaton: the scores of transitions with the same symbol differ by about {margin:.2g}, "
        f"so that they are confused: it takes {needed} neurons for a difference of {MARGIN:g}; "
        "give more neurons, or a larger beta or share.",
    )
