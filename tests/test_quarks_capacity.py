"""Capacity: counts against brute force, weights and programs; set relations; bad input."""

import itertools
import math

import numpy as np
import pytest
from scipy.optimize import linprog

from kanerva import InputError
from kanerva.quarks.capacity import (
    Functions,
    _cones,
    _counts,
    _orbits,
    _tables,
    _thresholds,
    bounds,
    count,
    estimate,
    functions,
    reach,
)

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


CLASSES = {1: 1, 2: 2, 3: 3, 4: 7, 5: 21, 6: 135}


@pytest.mark.parametrize("n", CLASSES)
def test_classes_of_linear_functions_are_as_many_as_known(n):
    found = _thresholds.classes(n)
    assert len(found.weights) == CLASSES[n]
    # The sums are those of the functions of the weights, and each class is there once.
    points = np.column_stack([np.ones(2**n, dtype=int), cube(n)])
    activations = found.weights @ points.T
    assert (activations != 0).all()
    assert np.array_equal(np.sign(activations) @ points, found.chow)
    assert len(np.unique(found.chow, axis=0)) == CLASSES[n]


@pytest.mark.parametrize(("n", "signed", "complemented"), [(3, 10, 6), (4, 27, 15), (5, 119, 63)])
def test_orbits_of_linear_functions_are_as_many_as_known(n, signed, complemented):
    tables = functions("threshold", n).tables
    for complement, expected in ((False, signed), (True, complemented)):
        least, sizes = _tables.orbits(tables, n, complement=complement)
        assert len(least) == expected
        assert sizes.sum() == len(tables)
    assert (
        _tables.orbits(tables[2:], n) is None
    )  # without the constant, and a function of one point


def test_linear_functions_of_exactly_n_variables():
    found = []
    for n in (1, 2, 3, 4):
        tables = functions("threshold", n).tables
        moved = [_tables.negate(n, place)(tables) != tables for place in range(n)]
        found.append(int(np.logical_and.reduce(moved).sum()))
    # A000615 of the On-Line Encyclopedia of Integer Sequences, without its first number.
    assert found == [2, 8, 72, 1536]


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


@pytest.mark.untyped
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


def classes():
    """Return the classes of four inputs that are compared, and AND united with OR."""
    names = ("and", "product", "multiplex", "synapse", "synapses")
    found = {name: functions(name, 4) for name in names}
    found["any"] = functions("synapse", 4, which="any")
    found["threshold"] = functions("threshold", 4)
    found["quadratic"] = functions("threshold", 4, 2)
    found["or"] = ~found["and"]
    found["either"] = found["and"].union(found["or"])
    return found


def test_set_relations_of_four_inputs():
    of = classes()
    assert of["threshold"] <= of["and"] <= of["product"] <= of["quadratic"]
    assert of["or"] <= of["product"]
    assert len(of["either"]) == 41614
    assert of["either"] == functions("layer", 4)
    assert len(of["either"].union(of["product"])) == 54310
    assert len(of["quadratic"].difference(of["product"])) == 3264
    assert of["synapses"] <= of["quadratic"]
    assert len(of["multiplex"].difference(of["quadratic"])) == 6616
    assert len(of["any"].difference(of["quadratic"])) == 960
    assert not of["product"] <= of["multiplex"]
    assert not of["multiplex"] <= of["product"]
    assert of["either"] <= of["multiplex"]
    sizes = [len(of[name]) for name in ("threshold", "and", "product", "quadratic")]
    assert sizes == sorted(sizes)


def test_set_relations_of_fewer_inputs():
    assert functions("product", 3) == functions("threshold", 3, 2)
    assert len(functions("multiplex", 3)) == 256
    assert functions("synapses", 2, gate="step") == functions("threshold", 2)
    assert functions("layer", 3) == functions("and", 3).union(~functions("and", 3))


def test_parity():
    for n, table in PARITY.items():
        assert (table in functions("product", n)) == (n == 2)
        assert (table in functions("multiplex", n)) == (n <= 3)
        assert (table in functions("synapses", n)) == (n == 2)
        assert (table in functions("synapse", n, which="any")) == (n == 2)
        everything = 2 ** (2**n)
        assert reach(n, n) == everything
        assert reach(n, n - 1) == (14 if n == 2 else everything - 2)


def test_reach():
    assert [reach(4, k) for k in (1, 2, 3, 4, 9)] == [1882, 54310, 65534, 65536, 65536]
    ands = [reach(4, k, "and") for k in range(1, 9)]
    assert ands == [1882, 32506, 55682, 65094, 65462, 65518, 65534, 65536]
    assert [reach(4, k, "layer") for k in (1, 2, 3, 4)] == [1882, 41614, 65534, 65536]
    assert [reach(1, k, way) for k in (1, 3) for way in ("product", "and", "layer")] == [4] * 6


def test_two_gated_units_do_more_than_a_layer_of_more_weights():
    # Ten weights at depth 1, and thirteen at depth 2.
    assert functions("layer", 4) <= functions("product", 4)
    assert len(functions("product", 4)) > len(functions("layer", 4))


@pytest.mark.parametrize("n", [2, 3])
def test_a_layer_of_three_is_all_units_of_three_outputs(n):
    units, outer = signs(functions("threshold", n), n), signs(functions("threshold", 3), 3)
    some = np.random.default_rng(0).integers(len(units), size=(300, 3))
    places = ((units[some] > 0) * np.array([4, 2, 1])[:, None]).sum(axis=1)
    made = packed(outer[:, places])
    assert np.isin(made, functions("layer", n, hidden=3).tables).all()


def test_degree_two_with_a_gate():
    for name in ("and", "product", "multiplex"):
        assert count(name, 3, 2) == 256
        assert count(name, 4, 2) == 65536
    assert count("layer", 4, 2, hidden=1) == 57574
    assert count("masked", 3, 3) == 3**8
    assert count("shared", 2, 2) == 16**2
    assert count("product", 9, 8) == 2**512
    assert count("layer", 9, 9, hidden=3) == 2**512


def test_the_output_of_a_unit_of_degree_two_makes_parity_possible():
    gates = signs(functions("threshold", 4, 2), 4)[:4000:4]
    target = (PARITY[4] >> np.arange(16) & 1) * 2 - 1
    shared = np.broadcast_to(monomials(4, 2), (len(gates), 16, 11))
    rows = np.concatenate([shared, gates[:, :, None]], axis=2) * 1.0 * target[:, None]
    found = _cones.separable(rows)
    assert 0 < found.sum() < len(found)
    for one in (found.argmax(), found.argmin()):
        features = np.column_stack([monomials(4, 2), gates[one]])
        assert realisable(PARITY[4], features) == found[one]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (("and",), 44_642_388),
        (("product",), 387_698_944),
        (("masked",), 774_838_113),
        (("layer", ("hidden", 2)), 74_986_552),
    ],
)
def test_five_inputs(key, expected):
    assert count(key[0], 5, **dict(key[1:])) == expected


@pytest.mark.parametrize("n", [2, 3, 4])
def test_orbits_count_what_is_listed(n):
    found = {
        "and": _counts.pairs(n),
        "product": _counts.product(n),
        "multiplex": _counts.multiplex(n),
        "synapses": _counts.synapses(n, "sign"),
        "synapse": _counts.synapse(n, 0),
        "layer": _counts.and_or(n),
    }
    assert found == {name: len(functions(name, n)) for name in found}
    assert _counts.synapses(n, "step") == len(functions("synapses", n, gate="step"))
    assert _counts.synapse(n, "any") == len(functions("synapse", n, which="any"))


@pytest.mark.parametrize(("n", "kept"), [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (4, 1)])
def test_the_path_leads_through_all_signed_permutations(n, kept):
    group = _orbits.Group(n, kept=kept)
    order = math.factorial(n - kept) * 2**n
    assert len(list(_orbits._path(group))) == order - 1
    # Tables of one point each tell all moves apart.
    some = (np.uint64(1) << np.arange(2**n, dtype=np.uint64)).astype(_tables.dtype(n))
    images = {tuple(some)}
    for move in _orbits._path(group):
        some = move(some)
        images.add(tuple(some))
    assert len(images) == order


def test_moves_are_those_of_points():
    n, source = 4, np.random.default_rng(0)
    tables = source.integers(2**16, size=50).astype(np.uint16)
    outputs = tables[:, None] >> np.arange(16) & 1
    points = [tuple(point) for point in cube(n)]
    for move, change in (
        (_tables.negate(n, 1), lambda p: (p[0], -p[1], p[2], p[3])),
        (_tables.exchange(n, 0, 2), lambda p: (p[2], p[1], p[0], p[3])),
        (lambda t: _tables.opposite(t, n), lambda p: tuple(-x for x in p)),
    ):
        order = [points.index(change(p)) for p in points]
        assert np.array_equal(move(tables)[:, None] >> np.arange(16) & 1, outputs[:, order])


def test_cones_agree_with_programs():
    source = np.random.default_rng(0)
    rows = source.choice([-1.0, 1.0], size=(150, 9, 5))
    rows[:, 7:] = 0
    targets = source.choice([-1.0, 1.0], size=(150, 5))
    found = _cones.contained(rows, targets)
    for one, target, inside in zip(rows, targets, found, strict=True):
        program = linprog(np.zeros(9), A_eq=one.T, b_eq=target)
        assert inside == (program.status == 0)
    assert 0 < found.sum() < 150


def test_operators_are_gates_and_methods_are_sets():
    source = np.random.default_rng(0)
    f, g = (Functions(3, source.integers(256, size=12)) for _ in range(2))
    both = list(itertools.product(f.tables.tolist(), g.tables.tolist()))
    assert set((f & g).tables) == {a & b for a, b in both}
    assert set((f | g).tables) == {a | b for a, b in both}
    assert set((f * g).tables) == {255 ^ a ^ b for a, b in both}
    assert set((~f).tables) == {255 ^ a for a in f.tables.tolist()}
    assert set(f.union(g).tables) == set(f.tables) | set(g.tables)
    assert set(f.intersection(g).tables) == set(f.tables) & set(g.tables)
    assert set(f.difference(g).tables) == set(f.tables) - set(g.tables)
    assert f.intersection(g) <= f <= f.union(g)
    assert f == Functions(3, f.tables[::-1].copy())
    assert f != g
    assert f != 3
    for table in range(256):
        assert (table in f) == (table in f.tables.tolist())
    unit = functions("threshold", 3)
    assert unit & unit == functions("and", 3)
    assert unit * unit == functions("product", 3)
    assert unit | unit == ~functions("and", 3)
    assert len((unit * unit * unit).tables) == 256
    assert unit.bits == math.log2(104)
    nothing = Functions(3, np.zeros(0, dtype=np.uint8))
    assert nothing.bits == -math.inf
    assert len(nothing & unit) == 0
    assert not unit.tables.flags.writeable
    assert list(unit.tables) == sorted(unit.tables)
    assert unit.tables.dtype == np.uint8
    assert repr(unit) == "Functions(inputs=3, 104 of 256)"


COUNTED = [(key, n) for key in GATES for n in (1, 2, 3, 4)]


@pytest.mark.parametrize(("key", "n"), COUNTED)
def test_counts_lie_between_the_bounds(key, n):
    name, options = key[0], dict(key[1:])
    found, bits = bounds(name, n, **options), math.log2(count(name, n, **options))
    assert found.lower <= bits + 1e-9
    assert bits <= found.upper + 1e-9


# A000609 of the On-Line Encyclopedia of Integer Sequences.
MANY = {7: 8378070864, 8: 17561539552946, 9: 144130531453121108}


@pytest.mark.parametrize("n", [*THRESHOLD, *MANY])
def test_threshold_functions_lie_between_the_bounds(n):
    low, high, leading = bounds("threshold", n)
    assert low <= math.log2((THRESHOLD | MANY)[n]) <= high
    assert leading == n * n
    product = 1 + sum(math.log2(2**k + 1) for k in range(n))
    assert low >= product - 1e-9
    assert high <= max(n * n, 2**n)


def test_bounds_of_polynomials():
    for n in (2, 3, 4):
        for degree in range(1, n + 1):
            low, high, leading = bounds("threshold", n, degree)
            assert low <= math.log2(count("threshold", n, degree)) <= high
            assert leading == n ** (degree + 1) / math.factorial(degree)
    assert bounds("threshold", 4, 2).upper == pytest.approx(math.log2(61654))
    assert bounds("threshold", 3, 2).upper == pytest.approx(math.log2(254))
    for name in ("and", "product", "multiplex", "masked", "shared", "layer"):
        for n, degree in ((5, 2), (6, 3), (30, 2), (60, 1)):
            low, high, leading = bounds(name, n, degree)
            assert 0 < low < high <= 2 * 2.0**n
            assert leading > 0


def test_a_layer_of_one_hidden_unit_is_one_unit():
    assert count("layer", 6, hidden=1) == THRESHOLD[6]
    assert bounds("layer", 6, hidden=1) == bounds("threshold", 6)
    assert functions("layer", 3, hidden=1) == functions("threshold", 3)


def test_bounds_approach_the_leading_term():
    shares = [bounds("and", n).upper / (2 * n * n) for n in (16, 64, 256)]
    assert shares == sorted(shares)
    assert 0.9 < shares[-1] < 1


@pytest.mark.parametrize(("n", "degree"), [(3, 1), (3, 2), (4, 1), (2, 2)])
def test_an_estimate_without_draws_is_exact(n, degree):
    found = estimate(n, degree, width=2000, runs=2)
    assert found.count == pytest.approx(count("threshold", n, degree))
    assert found.error == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("n", "degree"), [(4, 1), (4, 2), (5, 1)])
def test_estimates_are_within_three_of_their_errors(n, degree):
    found = estimate(n, degree)
    exact = THRESHOLD[n] if degree == 1 else 57574
    assert 0 < found.error < 0.2 * exact
    assert abs(found.count - exact) < 3 * found.error
    assert found.bits == math.log2(found.count)


def test_estimates_have_no_bias():
    found = estimate(3, width=4, runs=1500)
    assert found.error < 0.03 * 104
    assert abs(found.count - 104) < 3 * found.error


def test_a_seed_gives_one_estimate():
    assert estimate(4, width=9, runs=3, seed=5) == estimate(4, width=9, runs=3, seed=5)
    assert estimate(4, width=9, runs=3, seed=5) != estimate(4, width=9, runs=3, seed=6)


@pytest.mark.untyped  # the run-time shape checks are calls, too
def test_a_degree_above_the_inputs_is_clipped_and_warned_of():
    for call in (functions, count, bounds):
        with pytest.warns(UserWarning, match="degree 3 is taken as 2") as caught:
            found = call("threshold", 2, 3)
        assert caught[0].filename == __file__
        assert found == call("threshold", 2, 2)
    with pytest.warns(UserWarning, match="degree 9 is taken as 2") as caught:
        assert estimate(2, 9).count == pytest.approx(16)
    assert caught[0].filename == __file__


@pytest.mark.untyped  # they would refuse bad input first
@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: functions("and", 0), "inputs must be an integer >= 1"),
        (lambda: functions("and", 5), r"from 1 to 4 .*2\^32 functions .*use count .*5 inputs"),
        (lambda: functions("threshold", 6), r"from 1 to 5 .*2\^64 .*7 inputs.*estimate"),
        (lambda: functions("threshold", 5, 2), r"from 1 to 4 for 'threshold' of degree 2"),
        (lambda: functions("masked", 3), "two values.*use count"),
        (lambda: functions("nand", 3), "name must be one of .*write 'and'"),
        (lambda: functions("and", 3, hidden=2), "option of 'and' must be left out"),
        (lambda: functions("layer", 3, hiden=2), "write 'hidden'"),
        (lambda: functions("layer", 3, hidden=0), "hidden must be an integer >= 1"),
        (lambda: functions("synapses", 3, gate="relu"), "gate must be one of 'sign', 'step'"),
        (lambda: functions("synapse", 3, which=3), "which must be an integer from 0 to 2"),
        (lambda: functions("synapse", 3, which="all"), "which must be 'any'"),
        (lambda: functions("synapse", 2, which=np.array([0, 1])), "which must be an integer"),
        (lambda: functions("synapses", 3, 2), "degree must be 1 for 'synapses'"),
        (lambda: functions("and", 3, 0), "degree must be an integer >= 1"),
        (lambda: count("threshold", 8), r"2\^256 functions .*estimate"),
        (lambda: count("threshold", 5, 2), r"of degree 2, .*2\^32"),
        (lambda: count("multiplex", 9), r"2\^512 .*use bounds"),
        (lambda: count("shared", 4, 2), "from 1 to 3"),
        (lambda: reach(5, 2), r"2\^32 .*count\('product', 5\)"),
        (lambda: reach(3, 0), "units must be an integer >= 1"),
        (lambda: reach(3, 1, "or"), "way must be one of"),
        (lambda: bounds("and", 10**9), r"from 1 to 256 .*2\^\(2\^1000000000\)"),
        (lambda: bounds("and", 100, 4), "at most 4096 products"),
        (lambda: estimate(11), "inputs must be an integer from 1 to 10"),
        (lambda: estimate(10, 3), "degree must be such .*100 products"),
        (lambda: estimate(3, runs=1), "runs must be an integer from 2"),
        (lambda: estimate(3, width=10**5), "at most 100000 in all runs"),
        (lambda: functions("and", 3) & functions("and", 2), "of 3 inputs"),
        (lambda: functions("and", 3) * 3, "must be Functions"),
        (lambda: functions("threshold", 5) & functions("threshold", 5), "use count"),
        (lambda: Functions(2, np.array([17])), "integers from 0 to 15"),
        (lambda: Functions(2, np.array([0.5])), "integers from 0 to 15"),
        (lambda: Functions(2, np.array([[1]])), "in one row"),
        (lambda: Functions(6, np.array([1])), "inputs must be an integer from 1 to 5"),
        (lambda: 99 in functions("and", 2), "table must be an integer from 0 to 15"),
    ],
)
def test_bad_input(call, words):
    with pytest.raises(InputError, match=words):
        call()
