"""Parts and memories from outside the library: read, checked, saved and loaded like its own."""

import copy
import json
import math
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import kanerva
from kanerva import InputError, Locations, Patterns, activation, bits, separation, similarity
from kanerva.separation import Exponential, Linear, Partial, Separation, Softmax

# The parts below are written as users write them, without annotations of shapes.
pytestmark = pytest.mark.untyped

LAW = "The order of writing leaves a read unchanged"
D = 6


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@dataclass(frozen=True)
class Student(Separation):
    """Weighs by partial alone."""

    beta: float
    normalised = True

    def partial(self, scores, mask=None):
        weights = 1 / (1 - 2 * self.beta * scores)
        weights = weights if mask is None else weights.masked_fill(~mask, 0)
        return Partial(weights, mass=weights.sum(-1, keepdim=True))


@dataclass(frozen=True)
class Old(Separation):
    """Overrides the checked methods, as rules did before ``forward``."""

    beta: float = 1.0
    normalised = True

    def __call__(self, scores, mask=None):
        hidden = scores if mask is None else scores.masked_fill(~mask, -math.inf)
        return (self.beta * hidden).softmax(-1)

    def potential(self, scores, mask=None):
        return (self.beta * scores).logsumexp(-1) / self.beta


@dataclass(frozen=True, eq=False)
class Linked(Separation):
    """Holds a part and a tensor."""

    part: Separation
    links: torch.Tensor

    def forward(self, scores, mask=None):
        weights = self.part.forward(scores, mask)
        return weights + weights @ self.links.to(weights)


@dataclass(frozen=True)
class Doubled(activation.Activation):
    def forward(self, field, query):
        return 2 * field


def bounded(query, keys):
    """Give finite scores even for a query that is not finite."""
    return (query @ keys.mT).tanh()


class Mixture(Patterns):
    """Is built with arguments of every kind."""

    def __init__(self, dim, *, kind="a", scale=(1, 2.5, None), dtype=torch.float64, offset=None,
                 rule=None, near=similarity.dot):  # fmt: skip
        rule = Softmax(2.0) if rule is None else rule
        super().__init__(dim, separation=rule, similarity=near, dtype=dtype)
        self.kind, self.scale, self.offset = kind, scale, offset
        self.register_rows("share", default=1.0)

    def bias(self):
        return self.share.log() / 2.0


def test_partial_alone_gives_weights_reads_and_blocks():
    rule, query = Student(0.7), normal(5, D, seed=1)
    for count in (9, 3000):  # one whole, one block by block
        keys = normal(count, D)
        distance = torch.cdist(query, keys).square()
        weights = 1 / (1 + 0.7 * distance)
        expected = weights / weights.sum(-1, keepdim=True)
        memory = Patterns(D, similarity=similarity.closeness, separation=rule, dtype=torch.float64)
        memory.write(keys)
        torch.testing.assert_close(memory.weights(query), expected)
        torch.testing.assert_close(memory.read(query), expected @ keys)


def test_a_rule_that_overrides_the_checked_methods_reads_and_has_its_energy():
    old, new = (Patterns(D, separation=rule, dtype=torch.float64) for rule in (Old(), Softmax(1.0)))
    for memory in (old, new):
        memory.write(normal(9, D))
    query = normal(4, D, seed=1)
    torch.testing.assert_close(old.read(query), new.read(query))
    torch.testing.assert_close(old.energy(query), new.energy(query))
    assert old.separation.gradient


def test_a_rule_without_potential_has_no_energy():
    memory = Patterns(D, separation=Student(1.0))
    with pytest.raises(InputError, match=r"Patterns\.energy: separation must be one with a potent"):
        memory.energy(torch.zeros(D))
    assert memory.trace(torch.zeros(D), steps=1).energies is None


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
@pytest.mark.parametrize("rule", [Student(1.0), Softmax(1.0), separation.Power(3)])
@pytest.mark.parametrize("near", [bounded, similarity.closeness, similarity.dot])
def test_a_query_that_is_not_finite_is_refused_whatever_the_parts(rule, near, value):
    memory = Patterns(D, similarity=near, separation=rule)
    memory.write(normal(9, D, dtype=torch.float32).abs())
    with pytest.raises(InputError, match="query must be finite"):
        memory.read(torch.full((D,), value))


def test_an_activation_of_ones_own_writes_forward():
    memory = Patterns(D, separation=Softmax(1.0), activation=Doubled(), dtype=torch.float64)
    memory.write(normal(9, D))
    query = normal(3, D, seed=1)
    weights = (query @ memory.keys.T).softmax(-1)
    torch.testing.assert_close(memory.read(query), 2 * weights @ memory.keys)
    kanerva.check_memory(memory)


def test_every_similarity_has_an_energy_that_says_so():
    rows = nn.functional.normalize(normal(9, D), dim=-1)
    memory = Patterns(D, similarity=similarity.cosine, separation=Softmax(3.0), dtype=torch.float64)
    memory.write(rows)
    query = normal(4, D, seed=1)
    cosines = nn.functional.normalize(query, dim=-1) @ rows.T
    torch.testing.assert_close(memory.energy(query), -(3 * cosines).logsumexp(-1) / 3)
    near = Patterns(
        D, similarity=similarity.manhattan, separation=Softmax(3.0), dtype=torch.float64
    )
    near.write(rows)
    distances = (query[:, None] - rows).abs().sum(-1)
    torch.testing.assert_close(near.energy(query), -(-3 * distances).logsumexp(-1) / 3)
    signs = Patterns(D, similarity=similarity.agreement, separation=Exponential(0.5))
    bits = torch.where(rows < 0, -1.0, 1.0)
    signs.write(bits)
    shared = (bits[:2] @ bits.T + D) / 2
    torch.testing.assert_close(signs.energy(bits[:2]), -(0.5 * shared).exp().sum(-1) / 0.5)
    alike = similarity.Overlap(bits=D, radius=1, locations=10, seed=0)
    other = Patterns(D, similarity=alike, separation=Linear())
    with pytest.raises(InputError, match="similarity must be one with a regulariser"):
        other.energy(torch.ones(D))


class Shifted(Patterns):
    @property
    def values(self):
        return self.keys + 1


def test_values_that_are_not_the_keys_have_no_energy():
    memory = Shifted(D, separation=Softmax(1.0), dtype=torch.float64)
    memory.write(normal(9, D))
    query = normal(3, D, seed=1)
    torch.testing.assert_close(
        memory.read(query), (query @ memory.keys.T).softmax(-1) @ (memory.keys + 1)
    )
    with pytest.raises(InputError, match="memory must be auto-associative, its values the keys"):
        memory.energy(query)
    assert memory.explain(query).energy is None


@pytest.mark.parametrize("dtype", [None, torch.float16, torch.int8, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(), (3,), (2, 2)])
def test_further_rows_follow_all_that_happens_to_patterns(tmp_path, dtype, shape):
    def build():
        memory = Patterns(D, separation=Softmax(1.0))
        memory.register_rows("tag", shape, dtype, default=1)
        return memory

    memory = build()
    drawn = (normal(20, *shape, dtype=torch.float32) > 0).to(dtype or torch.float32)
    ids = [
        memory.write(normal(1, D, seed=i, dtype=torch.float32), tag=drawn[i : i + 1])
        for i in range(20)
    ]
    memory.forget(torch.cat(ids[::2]))
    expected = drawn[1::2]
    assert torch.equal(memory.tag, expected)
    assert torch.equal(copy.deepcopy(memory).tag, expected)
    other = build()
    other.load_state_dict(memory.state_dict())
    assert torch.equal(other.tag, expected)
    memory.save(tmp_path / "rows")
    loaded = kanerva.load(tmp_path / "rows")
    assert torch.equal(loaded.tag, expected)
    loaded.write(torch.zeros(2, D))
    assert torch.equal(loaded.tag[-2:], torch.ones(2, *shape).to(expected.dtype))
    moved = copy.deepcopy(memory).double()
    assert moved.tag.dtype == (dtype or torch.float64)
    memory.clear()
    assert memory.tag.shape == (0, *shape)


def test_further_rows_are_checked():
    memory = Patterns(D, separation=Softmax(1.0))
    memory.register_rows("tag", (2,))
    keys = torch.zeros(3, D)
    for rows in (
        {},
        {"tag": torch.zeros(2, 2)},
        {"tag": torch.full((3, 2), torch.nan)},
        {"tog": keys},
    ):
        with pytest.raises(InputError, match=r"Patterns\.write: (tag|keyword) must be"):
            memory.write(keys, **rows)
        assert len(memory) == 0
    for name in ("keys", "write", "a b", 3):
        with pytest.raises(InputError, match=r"Patterns\.register_rows: name must be"):
            memory.register_rows(name)
    memory.write(keys, tag=torch.zeros(3, 2))
    with pytest.raises(InputError, match="default must be a number, for the 3 items stored"):
        memory.register_rows("more")
    memory.register_rows("more", default=7)
    assert memory.more.tolist() == [7, 7, 7]


def test_a_bias_is_added_to_the_scores_of_every_verb():
    memory = Mixture(D)
    memory.write(
        normal(9, D),
        share=torch.rand(9, dtype=torch.float64, generator=torch.Generator().manual_seed(3)),
    )
    query, mask = normal(4, D, seed=1), torch.arange(9) > 2
    logits = 2.0 * query @ memory.keys.T + memory.share.log()
    torch.testing.assert_close(memory.read(query), logits.softmax(-1) @ memory.keys)
    kept = logits.masked_fill(~mask, -math.inf)
    torch.testing.assert_close(memory.weights(query, mask), kept.softmax(-1))
    energy = query.square().sum(-1) / 2 - kept.logsumexp(-1) / 2
    torch.testing.assert_close(memory.energy(query, mask), energy)
    path = memory.trace(query, steps=2)
    torch.testing.assert_close(path.energies[0], memory.energy(query))
    torch.testing.assert_close(memory.recall(query, steps=1), path.states[1])


ARGUMENTS = {
    "text": {"kind": "b"},
    "tuple": {"scale": (1, (2, "x"), torch.float16, torch.eye(2))},
    "dtype": {"dtype": torch.float32},
    "tensor": {"offset": torch.arange(5)},
    "parameter": {"offset": nn.Parameter(torch.eye(2))},
    "packed": {"offset": bits.Packed.random(3, 70, seed=0)},
    "part": {"rule": separation.Normalised(separation.Power(3))},
    "part of ours": {"rule": Old(2.0)},
    "part with a tensor": {"rule": Linked(Softmax(3.0), torch.eye(9).roll(1, 0))},
    "function of ours": {"near": bounded},
    "functions and objects": {"near": similarity.cosine, "scale": (similarity.dot, Softmax(1.0))},
}
ALLOWED = (Mixture, Old, Linked, Student, bounded, Shifted)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_a_class_is_saved_with_the_arguments_it_was_built_with(tmp_path, name):
    given = ARGUMENTS[name]
    memory = Mixture(D, **given)
    memory.write(normal(9, D).to(memory.dtype), share=torch.arange(1.0, 10).to(memory.dtype))
    memory.save(tmp_path / "memory")
    loaded = kanerva.load(tmp_path / "memory", allow=ALLOWED)
    assert type(loaded) is Mixture
    query = normal(3, D, seed=1).to(memory.dtype)
    assert torch.equal(loaded.read(query), memory.read(query))
    assert loaded.kind == memory.kind
    assert isinstance(loaded.offset, type(memory.offset))
    assert repr(loaded.scale) == repr(memory.scale)
    with pytest.raises(InputError, match=r"load: path must be made of classes .*Mixture"):
        kanerva.load(tmp_path / "memory")


def test_a_class_that_moved_comes_back_in_its_dtype(tmp_path):
    memory = Mixture(D).to(torch.float32)
    memory.write(normal(4, D, dtype=torch.float32))
    memory.save(tmp_path / "memory")
    assert kanerva.load(tmp_path / "memory", allow=[Mixture]).dtype == torch.float32


def test_a_class_without_a_constructor_of_its_own_keeps_its_name(tmp_path):
    memory = Shifted(D, separation=Student(1.0))
    memory.write(normal(4, D, dtype=torch.float32))
    memory.save(tmp_path / "memory")
    assert type(kanerva.load(tmp_path / "memory", allow=[Shifted, Student])) is Shifted


@dataclass
class Loose(Separation):
    beta: float = 1.0

    def forward(self, scores, mask=None):
        return scores if mask is None else scores.masked_fill(~mask, 0)


REFUSED = {
    "lambda": {"near": lambda query, keys: query @ keys.mT},
    "array": {"offset": np.zeros(3)},
    "dict": {"scale": {"a": 1}},
    "list": {"scale": [1]},
    "infinity": {"scale": math.inf},
    "dataclass that can be changed": {"rule": Loose()},
    "object": {"offset": object()},
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_could_never_be_loaded_is_not_saved(tmp_path, name):
    memory = Mixture(D, **REFUSED[name])
    with pytest.raises(InputError, match="save: memory must be made of"):
        memory.save(tmp_path / "memory")
    assert not list(tmp_path.iterdir())
    with pytest.raises(kanerva.check.ContractError, match="it cannot be saved"):
        kanerva.check_memory(memory)


def edited(path, change):
    """Write a file again with another description."""
    with safe_open(path, framework="pt") as file:
        record = json.loads(file.metadata()["kanerva"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"kanerva": json.dumps(record | change)})


def test_nothing_is_imported_because_a_file_names_it(tmp_path):
    memory = Mixture(D)
    memory.save(tmp_path / "memory")
    assert "antigravity" not in sys.modules
    edited(tmp_path / "memory", {"class": "Mixture", "module": "antigravity"})
    with pytest.raises(InputError, match=r"names antigravity\.Mixture"):
        kanerva.load(tmp_path / "memory", allow=[Mixture])
    assert "antigravity" not in sys.modules


@pytest.mark.parametrize(
    "arguments", [[], ["six"], [1, 2, 3], [{"tensor": "x"}], [{"dtype": "x"}], "six"]
)
def test_arguments_that_do_not_fit_are_refused(tmp_path, arguments):
    Mixture(D).save(tmp_path / "memory")
    edited(tmp_path / "memory", {"arguments": arguments})
    with pytest.raises(InputError, match="load: path must be"):
        kanerva.load(tmp_path / "memory", allow=[Mixture])


def test_pattern_weights_of_locations_count_shared_locations():
    memory = kanerva.sdm(bits=64, locations=500, radius=26)
    patterns = bits.random(7, 64, seed=0)
    memory.write(patterns)
    query = bits.flip(patterns[:3], 5, seed=1)
    active = [(bits.hamming(memory.keys[:], row) <= 26).double() for row in (*query, *patterns)]
    shared = torch.stack(active[:3]) @ torch.stack(active[3:]).T
    assert torch.equal(memory.pattern_weights(query, patterns).double(), shared)
    with kanerva.settings.use(budget=1):
        assert torch.equal(memory.pattern_weights(query, patterns).double(), shared)


def test_pattern_weights_of_rows_are_those_of_the_stored_patterns():
    memory, patterns = kanerva.modern_hopfield(dim=8, beta=1.0), bits.random(5, 8, seed=0)
    memory.write(patterns)
    query = bits.flip(patterns[:3], 1, seed=1)
    expected = (query @ patterns.T).softmax(-1)
    assert torch.allclose(memory.pattern_weights(query, patterns), expected)
    with pytest.raises(kanerva.InputError, match="patterns must be the 5 patterns that are stored"):
        memory.pattern_weights(query, patterns[:2])


def test_cleared_memories_are_empty():
    for memory in (kanerva.sdm(64, 500, 26), kanerva.hopfield(64)):
        held = memory.nbytes
        memory.write(bits.random(7, 64, seed=0))
        memory.clear()
        assert len(memory) == 0
        assert memory.nbytes == held
        assert (memory.read(bits.random(2, 64, seed=1)) == 0).all()
    with pytest.raises(InputError, match="keys must be no more than the 0 stored"):
        Locations.forget(kanerva.sdm(64, 500, 26), bits.random(1, 64, seed=0))


@dataclass(frozen=True)
class Sigmoid(Softmax):
    """Overrides the weights of a complete rule."""

    def forward(self, scores, mask=None):
        weights = (self.beta * scores).sigmoid()
        return weights if mask is None else weights.masked_fill(~mask, 0)


@dataclass(frozen=True)
class Called(separation.TopK):
    def __call__(self, scores, mask=None):
        return 3 * super().__call__(scores, mask)


@dataclass(frozen=True)
class Again(separation.Entmax):
    def __call__(self, scores, mask=None):
        return 3 * self.forward(scores, mask)


@dataclass(frozen=True)
class Halved(Softmax):
    def logs(self, scores):
        return self.beta * scores / 2


@dataclass(frozen=True)
class Signed(separation.Compact):
    def partial(self, scores, mask=None):
        part = super().partial(scores, mask)
        return part._replace(weights=2 * part.weights)


@dataclass(frozen=True)
class Shiftless(Separation):
    """Has a factor and no mass."""

    def partial(self, scores, mask=None):
        top = scores.amax(-1, keepdim=True)
        weights = (scores - top).exp()
        return Partial(weights if mask is None else weights.masked_fill(~mask, 0), shift=top)


@dataclass(frozen=True)
class Once(separation.Power):
    def forward(self, scores, mask=None):
        return super().forward(scores, mask) + 1


DERIVED = (
    Sigmoid(0.7),
    Called(3, 0.7),
    Again(1.5, 0.7),
    Halved(0.7),
    Signed(0.1),
    Shiftless(),
    Once(3),
)


@pytest.mark.parametrize("rule", DERIVED, ids=lambda rule: type(rule).__name__)
def test_a_rule_derived_from_a_complete_one_is_read_by_its_own_weights(rule):
    """Whatever the route: few and many keys, alone and in a batch, with and without gradients."""
    query = normal(4, D, seed=1)
    for count in (30, 3000):
        memory = Patterns(D, separation=rule, dtype=torch.float64)
        memory.write(normal(count, D))
        expected = memory.weights(query) @ memory.keys
        torch.testing.assert_close(memory.read(query), expected)
        torch.testing.assert_close(memory.read(query[0]), expected[0])
        learned = memory.read(query.clone().requires_grad_())
        torch.testing.assert_close(learned.detach(), expected)
    assert not memory.separation.gradient
    assert memory.explain(query).energy is None


@dataclass(frozen=True)
class Twice(separation.Step):
    def forward(self, scores, mask=None):
        return 2 * super().forward(scores, mask)


@dataclass(frozen=True)
class Tripled(activation.Identity):
    def forward(self, field, query):
        return 3 * field


@dataclass(frozen=True)
class Overriding(activation.Unit):
    def __call__(self, field, query):
        return super().__call__(field, query) / 2


def test_derived_parts_are_not_taken_for_their_parents():
    memory = Locations(
        bits.random(50, 64, seed=0),
        separation=Twice(36.0),
        activation=activation.Identity(),
        counters=torch.float32,
    )
    keys = bits.random(5, 64, seed=1)
    memory.write(keys)
    torch.testing.assert_close(memory.read(keys), memory.weights(keys) @ memory.values)
    for last, factor in ((Tripled(), 3), (Overriding(), None)):
        memory = Patterns(4, separation=Softmax(1.0), activation=last)
        memory.write(torch.eye(4))
        expected = torch.full((4,), 0.25) * factor if factor else torch.full((4,), 0.25)
        torch.testing.assert_close(memory.read(torch.ones(4)), expected)


def test_a_threshold_is_compared_exactly_in_every_dtype():
    """100 * .55 is a little more than 55: 55 agreements do not reach it, for a kernel or a sum."""
    addresses, keys = bits.random(40, 100, seed=0), bits.random(200, 100, seed=1)
    for dtype in (torch.float32, torch.float64):
        memory = Locations(
            addresses.to(dtype),
            separation=separation.Step(100 * 0.55),
            activation=activation.Identity(),
            counters=torch.float64,
        )
        memory.write(keys.to(dtype))
        weights = memory.weights(keys.to(dtype))
        assert torch.equal(weights.bool(), (addresses @ keys.T + 100).T / 2 > 55)
        torch.testing.assert_close(
            memory.read(keys.to(dtype)), (weights.double() @ memory.values).to(dtype)
        )


@dataclass(frozen=True)
class Named(Separation):
    """Has fields with the names that files use."""

    name: str
    module: str = "m"
    dtype: torch.dtype = torch.float16
    function: object = bounded

    def forward(self, scores, mask=None):
        return scores if mask is None else scores.masked_fill(~mask, 0)


@dataclass(frozen=True)
class Growing(Separation):
    """Changes its argument."""

    k: float

    def __post_init__(self):
        object.__setattr__(self, "k", self.k + 1)

    def forward(self, scores, mask=None):
        return scores if mask is None else scores.masked_fill(~mask, 0)


def closed(power):
    def near(query, keys):
        return (query @ keys.mT) * power

    return near


class Scaled:
    def near(self, query, keys):
        return query @ keys.mT


def test_fields_of_any_name_are_saved(tmp_path):
    memory = Patterns(D, separation=Named("z"))
    memory.save(tmp_path / "memory")
    assert kanerva.load(tmp_path / "memory", allow=[Named, bounded]).separation == Named("z")


LOST = (
    {"near": closed(2)},
    {"near": Scaled().near},
    {"rule": Growing(1.0)},
    {"offset": torch.tensor([math.nan])},
    {"offset": torch.eye(2).to_sparse()},
    {"offset": np.float64(2.0)},
)


@pytest.mark.parametrize("given", LOST)
def test_what_a_file_would_not_give_back_is_not_saved(tmp_path, given):
    with pytest.raises(InputError, match="save: memory must be made of"):
        Mixture(D, **given).save(tmp_path / "memory")
    assert not list(tmp_path.iterdir())


def test_a_part_that_was_set_later_is_not_saved(tmp_path):
    memory = Mixture(D)
    memory.activation = activation.Unit()
    with pytest.raises(InputError, match="made of the parts it was built with"):
        memory.save(tmp_path / "memory")


class Inner:
    class Mixture(Mixture):
        pass


def test_classes_of_one_name_are_told_apart(tmp_path):
    for kind in (Mixture, Inner.Mixture):
        kind(D).save(tmp_path / "memory")
        for allow in ([Mixture, Inner.Mixture], [Inner.Mixture, Mixture]):
            assert type(kanerva.load(tmp_path / "memory", allow=allow)) is kind


@pytest.mark.parametrize(
    ("default", "dtype"),
    [(-1, torch.uint8), (0.5, torch.int64), (300, torch.int8), (1e10, torch.float16)],
)
def test_defaults_must_fit_their_dtype(default, dtype):
    memory = Patterns(D, separation=Softmax(1.0))
    with pytest.raises(InputError, match="default must be a number that"):
        memory.register_rows("tag", (), dtype, default)


def test_rows_of_another_shape_are_refused():
    memory = Patterns(D, separation=Softmax(1.0))
    memory.register_rows("tag", (2,))
    for shape in ((2, 4), (8,), (2, 2, 2)):
        with pytest.raises(
            InputError, match=r"tag must be a tensor of torch.float32 and of shape \(4, 2\)"
        ):
            memory.write(torch.zeros(4, D), tag=torch.zeros(shape))
    memory.write(torch.zeros(2, 2, D), tag=torch.zeros(2, 2, 2))
    assert memory.tag.shape == (4, 2)


@pytest.mark.parametrize(
    "bias", [torch.zeros(3), torch.zeros(()), torch.full((9,), math.nan), [0.0] * 9]
)
@pytest.mark.parametrize("mask", [None, torch.ones(9, dtype=torch.bool)])
def test_a_bias_is_one_number_for_each_key(monkeypatch, bias, mask):
    memory = Patterns(D, separation=Softmax(1.0))
    memory.write(normal(9, D, dtype=torch.float32))
    monkeypatch.setattr(Patterns, "bias", lambda self: bias)
    with pytest.raises(InputError, match=r"Patterns\.read: bias must be"):
        memory.read(torch.zeros(3, D), mask)


def test_an_integer_mask_is_refused_beside_a_bias():
    memory = Mixture(D)
    memory.write(normal(3, D))
    with pytest.raises(InputError, match="mask must be a bool"):
        memory.read(normal(D), torch.tensor([1, 0, 1]))


def test_a_state_with_other_rows_changes_nothing():
    memory, other = (Patterns(D, separation=Softmax(1.0)) for _ in range(2))
    other.register_rows("tag", default=1)
    other.write(torch.zeros(4, D))
    memory.write(torch.zeros(1, D))
    with pytest.raises(InputError, match="state must be of a memory with the same rows"):
        memory.load_state_dict(other.state_dict())
    assert len(memory) == 1


@dataclass(frozen=True)
class Broken(activation.Activation):
    factor: float = math.nan

    def forward(self, field, query):
        return field * self.factor if math.isnan(self.factor) else field[..., :1]


@pytest.mark.parametrize("last", [Broken(), Broken(1.0)])
def test_the_result_of_an_activation_is_checked(last):
    memory = Patterns(D, separation=Softmax(1.0), activation=last)
    memory.write(normal(4, D, dtype=torch.float32))
    with pytest.raises(InputError, match="activation must be a function that returns finite"):
        memory.read(torch.zeros(2, D))


@dataclass(frozen=True)
class Blank(Separation):
    pass


@dataclass(frozen=True)
class Nothing(activation.Activation):
    pass


def test_parts_that_write_nothing_are_refused_when_a_memory_is_built():
    with pytest.raises(
        InputError, match="separation must be a rule that writes forward or partial"
    ):
        Patterns(D, separation=Blank())
    with pytest.raises(InputError, match="activation must be one that writes forward"):
        Patterns(D, separation=Softmax(1.0), activation=Nothing())


@pytest.mark.parametrize("count", [20, 3000])
def test_scores_of_another_dtype_are_refused(count):
    memory = Patterns(
        D, similarity=lambda q, k: q.double() @ k.double().mT, separation=Softmax(1.0)
    )
    memory.write(normal(count, D, dtype=torch.float32))
    with pytest.raises(
        InputError, match=r"similarity must be a function that returns torch\.float32"
    ):
        memory.read(torch.zeros(8, D))


@pytest.mark.parametrize("allow", [Mixture, None, "Mixture", [3], np.array("")])
def test_allow_is_a_sequence_of_classes(tmp_path, allow):
    Mixture(D).save(tmp_path / "memory")
    with pytest.raises(InputError, match="load: allow must be"):
        kanerva.load(tmp_path / "memory", allow=allow)
    assert type(kanerva.load(tmp_path / "memory", allow=(one for one in [Mixture]))) is Mixture


def test_unknown_laws_cannot_be_exempt():
    memory = kanerva.hopfield(32)
    memory.exempt = {"no law": "it is not one"}
    with pytest.raises(InputError, match="check_memory: exempt must be one of"):
        kanerva.check_memory(memory)


@pytest.mark.parametrize("exempt", [(LAW,), LAW, {LAW: ""}, {LAW: None}, None])
def test_an_exempt_law_needs_a_reason(exempt):
    memory = kanerva.hopfield(32)
    memory.exempt = exempt
    with pytest.raises(InputError, match="check_memory: exempt must be a"):
        kanerva.check_memory(memory)
