"""Tables of finite automata: as they are given, and from regular expressions."""

import importlib.util
import re
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

from kanerva._core import checks
from kanerva._core.errors import InputTypeError, describe, refuse

__all__ = ["Table", "completed", "parsed", "read"]

UNDEFINED = ("stay", "trap", "raise", "nearest")
MUST = 'a dict {(state, symbol): state}, such as {(0, "a"): 1, (1, "a"): 0}'


class Table(NamedTuple):
    """A table with numbers in place of names.

    Attributes:
        states: names of the states, in order of first appearance.
        symbols: names of the symbols.
        moves: the places of the targets, for the places of a state and a symbol.
    """

    states: tuple[Any, ...]
    symbols: tuple[Any, ...]
    moves: dict[tuple[int, int], tuple[int, ...]]


def read(table: Any, start: Any, accept: tuple[Any, ...]) -> Table:
    """Check a table, and number its states and symbols."""
    if not isinstance(table, Mapping):
        refuse("table", table, must=MUST, do=f"give {MUST}", error=InputTypeError)
    if not table:
        refuse("table", got="empty", must="of one transition or more", do=f"give {MUST}")
    for pair in table:
        if not isinstance(pair, tuple) or len(pair) != 2:
            do = "write each key as (state, symbol)"
            refuse("table", pair, must=MUST, do=do, error=InputTypeError)
    known = _known(table, start, accept)
    named = {pair: _targets(pair, target, known) for pair, target in table.items()}
    states: dict[Any, int] = {}
    symbols: dict[Any, int] = {}
    for (state, symbol), targets in named.items():
        symbols.setdefault(symbol, len(symbols))
        for one in (state, *targets):
            if one is None:
                must = "of states that are not None, which stands for the trap"
                refuse("table", got="one with None as a state", must=must, do="rename the state")
            states.setdefault(one, len(states))
    moves = {
        (states[state], symbols[symbol]): tuple(states[one] for one in targets)
        for (state, symbol), targets in named.items()
    }
    return Table(tuple(states), tuple(symbols), moves)


def _known(table: Mapping[Any, Any], start: Any, accept: tuple[Any, ...]) -> set[Any]:
    """Return what is a state beyond doubt: all but tuples and frozensets that are only targets."""
    known = {state for state, _ in table} | {start, *accept}
    for target in table.values():
        members = target if isinstance(target, list | set) else (target,)
        known |= {
            one for one in members if _hashable(one) and not isinstance(one, tuple | frozenset)
        }
    return known


def _targets(pair: Any, target: Any, known: set[Any]) -> tuple[Any, ...]:
    """Return the states to which a transition leads."""
    got = f"{describe(target)} for {describe(pair)}"
    if not isinstance(target, list | set):
        loose = isinstance(target, tuple | frozenset)
        if _hashable(target) and (not loose or target in known):
            return (target,)
        if not loose or not all(_hashable(one) and one in known for one in target):
            must = "a dict to states, or to lists of several states"
            do = "write [1, 2] for several states, and [(1, 2)] for one state that is a tuple"
            refuse("table", got=got, must=must, do=do, error=InputTypeError)
    many: list[Any] = list(target)
    if not all(map(_hashable, many)):
        must, do = "a dict to hashable states", "name the states by strings or numbers"
        refuse("table", got=got, must=must, do=do, error=InputTypeError)
    if not many or len(set(many)) != len(many):
        do = "leave an undefined transition out, and name each state once"
        refuse("table", got=got, must="a dict to one or more different states", do=do)
    # The order of a set differs from process to process.
    return tuple(sorted(many, key=_name) if isinstance(target, set | frozenset) else many)


def _name(state: Any) -> tuple[str, str]:
    """Return by what the states of a set are sorted."""
    try:
        return type(state).__name__, repr(state)
    except Exception:  # whatever a stranger's repr raises
        return type(state).__name__, ""


def _hashable(value: Any) -> bool:
    """Return whether a value can be a state."""
    try:
        hash(value)
    except TypeError:
        return False
    return True


def completed(table: Table, undefined: str) -> Table:
    """Return a table in which transitions that are undefined stay where they are, or are trapped.

    The trap is one more state, None. It is added only where a transition is undefined.
    """
    every = range(len(table.symbols))
    missing = [
        (state, symbol)
        for state in range(len(table.states))
        for symbol in every
        if (state, symbol) not in table.moves
    ]
    if not missing or undefined not in ("stay", "trap"):
        return table
    if undefined == "stay":
        more = {pair: (pair[0],) for pair in missing}
        return table._replace(moves=table.moves | more)
    trap = len(table.states)
    more = dict.fromkeys([*missing, *((trap, symbol) for symbol in every)], (trap,))
    return table._replace(states=(*table.states, None), moves=table.moves | more)


def parsed(pattern: Any, alphabet: Any) -> tuple[Table, tuple[int, ...]]:
    """Return the table and the accepting states of the smallest automaton of an expression.

    Its states are numbered from the start, 0, in the order in which they are reached. Transitions
    after which no word matches are left out.
    """
    if importlib.util.find_spec("automata") is None:
        do = 'pip install "kanerva[automata]"'
        refuse("automata-lib", got="not there", must="installed", do=do)
    from automata.base.exceptions import AutomatonException, RegexException
    from automata.fa.dfa import DFA
    from automata.fa.nfa import NFA

    if not isinstance(pattern, str):
        must, do = "a regular expression", "write it as a string"
        refuse("pattern", pattern, must=must, do=do, error=InputTypeError)
    letters = None if alphabet is None else _alphabet(alphabet)
    plain = re.sub(r"\\.", "", pattern)
    if letters is None and ("." in plain or "[^" in plain):
        must, do = 'without "." and "[^" where no alphabet is given', "give the alphabet"
        refuse("pattern", pattern, must=must, do=do)
    try:
        loose = NFA.from_regex(pattern, input_symbols=None if letters is None else set(letters))
        found = DFA.from_nfa(loose, minify=True)
    except (AutomatonException, RegexException) as error:
        _unparsed(pattern, str(error))
    if plain.endswith("\\"):
        _unparsed(pattern, "nothing follows the last backslash")
    if not found.final_states:
        got, do = f"{pattern!r}, which no word matches", "correct it"
        refuse("pattern", got=got, must="an expression that some word matches", do=do)
    # Signs of the expression are among its input symbols, and escaped letters are added to them.
    used = {symbol for moves in loose.transitions.values() for symbol in moves} - {""}
    letters = tuple(sorted(used)) if letters is None else letters
    if not used <= set(letters):
        _unparsed(pattern, f"{min(used - set(letters))!r} is not in the alphabet")
    if not letters:
        must, do = "of one symbol or more where no alphabet is given", "give the alphabet"
        refuse("pattern", pattern, must=must, do=do)
    return _numbered(found, letters)


def _unparsed(pattern: str, why: str) -> NoReturn:
    """Refuse an expression."""
    must = "a regular expression of the signs * + ? | & ^ ( ) { } [ ] . and letters of the alphabet"
    got = f"{describe(pattern)}: {' '.join(why.split()).rstrip('.')}"
    refuse("pattern", got=got, must=must, do="correct it, or escape a sign with a backslash")


def _alphabet(alphabet: Any) -> tuple[str, ...]:
    """Return the letters of an alphabet."""
    must = "a string or a collection of different letters"
    letters = tuple(alphabet) if isinstance(alphabet, str) else ()
    letters = letters or checks.several("alphabet", alphabet, must)
    if isinstance(alphabet, set | frozenset):  # which have no order
        letters = tuple(sorted(letters, key=str))
    if not letters or not all(isinstance(one, str) and len(one) == 1 for one in letters):
        do = 'write them as one string, such as "ab"'
        refuse("alphabet", alphabet, must=must, do=do, error=InputTypeError)
    if len(set(letters)) != len(letters):
        refuse("alphabet", alphabet, must=must, do="name each letter once")
    return letters


def _numbered(found: Any, letters: tuple[str, ...]) -> tuple[Table, tuple[int, ...]]:
    """Number the states of an automaton in the order in which they are reached."""
    places = {found.initial_state: 0}
    moves: dict[tuple[int, int], tuple[int, ...]] = {}
    reached = [found.initial_state]
    for state in reached:  # grows on the way
        for symbol, letter in enumerate(letters):
            target = found.transitions[state].get(letter)
            if target is None:
                continue
            if target not in places:
                places[target] = len(places)
                reached.append(target)
            moves[places[state], symbol] = (places[target],)
    accept = tuple(sorted(places[state] for state in found.final_states))
    return Table(tuple(range(len(places))), letters, moves), accept
