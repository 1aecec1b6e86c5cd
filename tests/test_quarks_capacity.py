"""Capacity: counts against brute force, weights and programs; set relations; bad input."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from kanerva.quarks.capacity import Functions, count, functions

# Numbers alone: the run-time shape checks have nothing to compare.
pytestmark = pytest.mark.untyped

THRESHOLD = {1: 4, 2: 14, 3: 104, 4: 1882, 5: 94572, 6: 15028134}
# By name and options: n = 1 to 4.
GATES = {
    ("and",): (4, 16, 246, 32506),
    ("product",): (4, 16, 254, 54310),
    ("multiplex",): (4, 16, 256, 52166),
    ("synapse", ("which", 0)): (4, 16, 252, 34944),
    ("synapse", ("which", "any")): (4, 16, 254, 51942),
    ("synapses", ("gate", "sign")): (4, 16, 254, 46902),
    ("synapses", ("gate", "step")): (4, 14, 144, 9722),
    ("layer", ("hidden", 1)): (4, 14, 104, 1882),
    ("layer", ("hidden", 2)): (4, 16, 254, 41614),
    ("layer", ("hidden", 3)): (4, 16, 256, 65534),
    ("layer", ("hidden", 4)): (4, 16, 256, 65536),
    ("masked",): (9, 71, 2373, 483339),
    ("shared", ("gate", "sign")): (16, 256, 63724),
    ("shared", ("gate", "step")): (16, 242, 35846),
}
PARITY = {2: 0b1001, 3: 0b10010110, 4: 0b1001011001101001}


def cube(n):
    return np.array(list(itertools.product((-1, 1), repeat=n)))


def signs(functions, n):
    """Return the outputs of all functions, -1 or 1, a row each."""
    return (functions.tables[:, None].astype(int) >> np.arange(2**n) & 1) * 2 - 1


def by_weights(n, most):
    """Return the tables of all integer weights and biases up to a size, without ties."""
    points = np.column_stack([np.ones(2**n, dtype=int), cube(n)])
    weights = np.array(list(itertools.product(range(-most, most + 1), repeat=n + 1)))
    activations = weights @ points.T
    sound = (activations != 0).all(axis=1)
    return np.unique(((activations[sound] > 0) << np.arange(2**n)).sum(axis=1))


def realisable(table, features):
    """Return whether a program finds weights with the signs of the table."""
    outputs = (table >> np.arange(len(features)) & 1) * 2 - 1
    rows = -outputs[:, None] * features
    found = linprog(np.zeros(features.shape[1]), rows, -np.ones(len(rows)), bounds=(None, None))
    assert found.status in (0, 2)
    return found.status == 0


def monomials(n, degree):
    columns = [
        cube(n)[:, list(chosen)].prod(axis=1)
        for size in range(degree + 1)
        for chosen in itertools.combinations(range(n), size)
    ]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize(("n", "most"), [(1, 1), (2, 1), (3, 2), (4, 3)])
def test_threshold_functions_are_those_of_integer_weights(n, most):
    assert np.array_equal(functions("threshold", n).tables, by_weights(n, most))


@pytest.mark.parametrize("n", THRESHOLD)
def test_threshold_functions_are_as_many_as_known(n):
    assert count("threshold", n) == THRESHOLD[n]
    if n < 6:
        assert len(functions("threshold", n)) == THRESHOLD[n]


@pytest.mark.slow
def test_seven_inputs_agree_with_the_encyclopedia_of_sequences():
    assert count("threshold", 7) == 8_378_070_864


@pytest.mark.parametrize(("n", "degree"), [(3, 1), (3, 2), (4, 1), (4, 2), (4, 3)])
def test_random_functions_are_listed_where_a_program_finds_weights(n, degree):
    listed, features = functions("threshold", n, degree), monomials(n, degree)
    source = np.random.default_rng(degree)
    inside = source.choice(listed.tables, 20)
    for table in [*inside, *source.integers(2 ** (2**n), size=40)]:
        assert (int(table) in listed) == realisable(int(table), features)


def test_degrees():
    counts = {(n, d): count("threshold", n, d) for n in (1, 2, 3, 4) for d in range(1, n + 1)}
    assert counts[3, 2] == 254
    assert counts[4, 2] == 57_574
    for n in (2, 3, 4):
        assert counts[n, n] == 2 ** (2**n)
        assert counts[n, n - 1] == 2 ** (2**n) - 2
        missing = Functions(n, np.arange(2 ** (2**n))).difference(functions("threshold", n, n - 1))
        assert set(missing.tables) == {PARITY[n], 2 ** (2**n) - 1 - PARITY[n]}
    assert count("threshold", 9, 8) == 2**512 - 2


@pytest.mark.parametrize("key", GATES)
def test_gated_units(key):
    name, options = key[0], dict(key[1:])
    for n, expected in enumerate(GATES[key], 1):
        assert count(name, n, **options) == expected
        if name not in ("masked", "shared"):
            assert len(functions(name, n, **options)) == expected


def pairs(n):
    """Return all pairs of outputs of two linear threshold units, as -1 and 1."""
    units = signs(functions("threshold", n), n)
    return units[:, None], units[None]


def packed(outputs):
    """Return the sorted different tables of outputs of -1 and 1, or of 0 and 1."""
    tables = ((outputs > 0) << np.arange(outputs.shape[-1])).sum(axis=-1)
    return np.unique(tables)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_output_gates_are_those_of_all_pairs(n):
    f, g = pairs(n)
    assert np.array_equal(functions("and", n).tables, packed(np.minimum(f, g)))
    assert np.array_equal(functions("product", n).tables, packed(f * g))
    values = np.unique((f * (g > 0)).reshape(-1, 2**n), axis=0)
    assert count("masked", n) == len(values)


@pytest.mark.parametrize("n", [1, 2])
def test_a_shared_gate_makes_all_triples(n):
    units = signs(functions("threshold", n), n)
    for gate, values in (("sign", units), ("step", units > 0)):
        made = {
            (tuple(f * g), tuple(h * g))
            for f in (units if gate == "sign" else units > 0)
            for h in (units if gate == "sign" else units > 0)
            for g in values
        }
        assert count("shared", n, gate=gate) == len(made)


def weighted(n, most):
    """Return small integer weights and biases that realise all threshold functions."""
    points = np.column_stack([np.ones(2**n, dtype=int), cube(n)])
    weights = np.array(list(itertools.product(range(-most, most + 1), repeat=n + 1)))
    return weights[(weights @ points.T != 0).all(axis=1)]


@pytest.mark.parametrize(("n", "most"), [(1, 2), (2, 2), (3, 2)])
def test_gates_on_synapses_are_those_of_weights(n, most):
    weights, x = weighted(n, most), cube(n)
    bias, w = weights[:, :1], weights[:, 1:]
    gates = signs(functions("threshold", n), n)[:, None]
    plain = bias + gates * (w @ x.T)
    assert np.array_equal(functions("synapses", n).tables, packed(plain))
    step = bias + (gates > 0) * (w @ x.T)
    sound = step[:, (bias != 0)[:, 0]]
    assert np.array_equal(functions("synapses", n, gate="step").tables, packed(sound))
    united = []
    for place in range(n):
        rest = bias + np.delete(w, place, axis=1) @ np.delete(x, place, axis=1).T
        one = packed(rest + gates * (w[:, [place]] @ x[:, [place]].T))
        assert np.array_equal(functions("synapse", n, which=place).tables, one)
        united.append(one)
    assert np.array_equal(functions("synapse", n, which="any").tables, np.unique(np.hstack(united)))


@pytest.mark.parametrize(("n", "most"), [(1, 2), (2, 2), (3, 3)])
def test_multiplexing_is_a_further_input(n, most):
    weights, x = weighted(n + 1, most), cube(n)
    gates = signs(functions("threshold", n), n)
    made = [
        packed(weights[:, :1] + weights[:, 1:-1] @ x.T + weights[:, -1:] * gate) for gate in gates
    ]
    assert np.array_equal(functions("multiplex", n).tables, np.unique(np.hstack(made)))
