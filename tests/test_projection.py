"""Learned projections: tilt and cosines against their definitions, and training on digits."""

import copy
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kanerva import InputError, InputTypeError, bits, theory
from kanerva.functional import read
from kanerva.lab import data
from kanerva.nn.projection import Cosines, Projection, cosines, fit, tilt
from kanerva.separation import Softmax
from kanerva.similarity import dot

FOUR_PARTS = (
    r"(?s)^(Projection|projection\.(fit|tilt|cosines)): \w+ must be .+, but it was .+; .+\.$"
)
untyped = pytest.mark.untyped
BETA = 15.9  # nearest to the circles of radius 11 among 64 bits


@pytest.fixture(scope="module")
def ink():
    """The digits of scikit-learn, from 0 to 1."""
    return data.load("digits").real / 2 + 0.5


def generator(seed):
    return torch.Generator().manual_seed(seed)


def refused(argument, call, *args, **options):
    """Call with bad input; return the error, which names ``argument``."""
    with pytest.raises(InputError) as caught:
        call(*args, **options)
    assert re.match(FOUR_PARTS, str(caught.value)), str(caught.value)
    assert caught.value.argument == argument, str(caught.value)
    return caught.value


class TestTilt:
    @given(st.integers(2, 300), st.floats(0, 1), st.floats(1e-3, 1e3), st.integers(0, 99))
    def test_cosine_and_length(self, width, share, scale, seed):
        x = scale * torch.randn(4, width, generator=generator(seed), dtype=torch.float64)
        turned = tilt(x, share * width, seed=seed)
        np.testing.assert_allclose(
            torch.cosine_similarity(x, turned).numpy(), 1 - 2 * share, atol=1e-10
        )
        np.testing.assert_allclose(turned.norm(dim=-1).numpy(), x.norm(dim=-1).numpy(), rtol=1e-10)

    @pytest.mark.parametrize("count", [0, 1, 8, 32, 63, 64])
    def test_as_far_as_flipped_bits(self, count):
        x = bits.random(5, 64, seed=0)
        flipped = torch.cosine_similarity(x, bits.flip(x, count, seed=1))
        np.testing.assert_allclose(
            torch.cosine_similarity(x, tilt(x, count, seed=1)).numpy(), flipped.numpy(), atol=1e-5
        )

    def test_ends(self):
        x = torch.randn(3, 10, generator=generator(0))
        torch.testing.assert_close(tilt(x, 0, seed=0), x)
        torch.testing.assert_close(tilt(x, 10, seed=0), -x)

    def test_every_direction_alike(self):
        """Check the moments of directions orthogonal to the first axis.

        They have mean 0 and covariance 1 / (n - 1) in the other axes. The fourth moment
        distinguishes a uniform direction from one drawn in a cube: for a coordinate in d dimensions
        it is E u^4 = 3 / (d (d + 2)).
        """
        count, width = 40_000, 6
        x = torch.eye(1, width, dtype=torch.float64).expand(count, width)
        turned = tilt(x, width / 2, seed=0)
        assert turned[:, 0].abs().max() < 1e-12
        rest, free = turned[:, 1:], width - 1
        assert rest.mean(0).abs().max() < 5 / (free * count) ** 0.5
        np.testing.assert_allclose(
            (rest.T @ rest / count).numpy(), np.eye(free) / free, atol=5 / count**0.5 / free
        )
        # Along a corner of the cube, where a draw from a cube is too frequent, and along an axis.
        corner = rest.sum(-1) / free**0.5
        fourth = 3 / (free * (free + 2))
        for found in (corner, rest[:, 0]):
            power = found**4
            assert abs(power.mean().item() - fourth) < 5 * power.std().item() / count**0.5

    def test_one_number_for_each(self):
        x = torch.randn(2, 3, 50, generator=generator(0))
        flips = torch.tensor([0, 5, 25])
        found = torch.cosine_similarity(x, tilt(x, flips, seed=0), dim=-1)
        np.testing.assert_allclose(found.numpy(), np.broadcast_to([1, 0.8, 0], (2, 3)), atol=1e-5)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
    @pytest.mark.parametrize("batch", [(), (0,), (4,), (2, 1, 3)])
    def test_shape_and_dtype_are_kept(self, dtype, batch):
        x = torch.ones(*batch, 16, dtype=dtype)
        found = tilt(x, 2.0, seed=0)
        assert (found.shape, found.dtype) == (x.shape, x.dtype)
        assert (x == 1).all()
        near = torch.cosine_similarity(found.double(), x.double(), dim=-1)
        np.testing.assert_allclose(near.numpy(), 0.75, atol=0.01)

    def test_seeds(self):
        x = torch.ones(3, 8)
        assert torch.equal(tilt(x, 1, seed=0), tilt(x, 1, seed=0))
        assert torch.equal(tilt(x, 1, seed=0), tilt(x, 1, seed=generator(0)))
        assert not torch.equal(tilt(x, 1, seed=0), tilt(x, 1, seed=1))
        drawn = tilt(x, 1, seed=0)
        assert not torch.allclose(drawn[0], drawn[1])
        same = torch.randn(3, 8, generator=generator(0))
        assert torch.cosine_similarity(same, tilt(same, 4, seed=0)).abs().max() < 1e-6, (
            "drawn with one seed, and yet apart"
        )

    @pytest.mark.parametrize(
        ("argument", "x", "flips"),
        [
            ("x", torch.zeros(2, 8), 1.0),
            ("x", torch.tensor([[1.0, 1.0], [0.0, 0.0]]), 1.0),
            ("x", torch.tensor([1.0, math.nan]), 1.0),
            ("x", torch.tensor([1.0, math.inf]), 1.0),
            ("x", torch.full((8,), 3e38), 1.0),
            ("x", torch.full((2,), 6e4, dtype=torch.float16), 0.3),
            ("x", torch.ones(3, 1), 0.5),
            ("flips", torch.ones(8), 9.0),
            ("flips", torch.ones(8), -1e-9),
            ("flips", torch.ones(8), math.nan),
            ("flips", torch.ones(3, 8), torch.tensor([1.0, 2.0, 9.0])),
            ("flips", torch.ones(3, 8), torch.tensor([1.0, math.nan, 2.0])),
            ("flips", torch.ones(3, 8), torch.ones(2)),
            ("flips", torch.ones(3, 8), torch.ones(2, 3)),
        ],
    )
    def test_refusals(self, argument, x, flips):
        refused(argument, tilt, x, flips, seed=0)

    @untyped
    @pytest.mark.parametrize(
        ("argument", "x", "flips", "seed"),
        [
            ("x", [1.0, 2.0], 1.0, 0),
            ("x", torch.ones(4, dtype=torch.int64), 1.0, 0),
            ("x", torch.tensor(1.0), 1.0, 0),
            ("flips", torch.ones(4), "1", 0),
            ("flips", torch.ones(4), True, 0),
            ("flips", torch.ones(4), torch.tensor(1j), 0),
            ("seed", torch.ones(4), 1.0, 0.5),
            ("seed", torch.ones(4), 1.0, -1),
        ],
    )
    def test_refusals_of_types(self, argument, x, flips, seed):
        refused(argument, tilt, x, flips, seed=seed)


class TestProjection:
    def test_keys_are_the_directions_of_the_product(self):
        projection, x = Projection(30, 7, seed=3), torch.randn(2, 5, 30, generator=generator(0))
        product = np.einsum(
            "oi,bci->bco", projection.weight.detach().double().numpy(), x.double().numpy()
        )
        expected = product / np.linalg.norm(product, axis=-1, keepdims=True)
        np.testing.assert_allclose(projection(x).detach().numpy(), expected, atol=1e-6)
        torch.testing.assert_close(projection(100 * x), projection(x))

    def test_starts_normal(self):
        weight = Projection(400, 100, seed=0).weight
        assert weight.shape == (100, 400)
        assert abs(weight.mean().item()) < 5 / 200
        assert abs(weight.var().item() - 1) < 5 * (2 / 40_000) ** 0.5
        assert abs((weight**4).mean().item() - 3) < 5 * (96 / 40_000) ** 0.5, (
            "the fourth moment of the normal distribution"
        )

    def test_seeds(self):
        assert torch.equal(
            Projection(6, 3, seed=1).weight, Projection(6, 3, seed=generator(1)).weight
        )
        assert not torch.equal(Projection(6, 3, seed=1).weight, Projection(6, 3, seed=2).weight)

    def test_zeros_have_a_key_of_zeros(self):
        assert not Projection(6, 3)(torch.zeros(2, 6)).any()

    def test_gradients_and_copies(self):
        projection = Projection(6, 3, seed=1)
        twin = Projection(6, 3, seed=2)
        twin.load_state_dict(projection.state_dict())
        x = torch.randn(4, 6, generator=generator(0), requires_grad=True)
        assert torch.equal(twin(x), copy.deepcopy(projection)(x))
        double = Projection(6, 3, seed=1).double()
        assert torch.autograd.gradcheck(double, x.detach().double().requires_grad_())
        assert repr(projection) == "Projection(dim_in=6, dim_out=3)"

    @untyped
    def test_compiles(self):
        projection = Projection(6, 3)
        x = torch.randn(4, 6, generator=generator(0))
        compiled = torch.compile(projection, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(x), projection(x))

    def test_refusals(self):
        refused("dim_in", Projection, 0, 3)
        refused("dim_out", Projection, 3, -1)
        refused("seed", Projection, 3, 3, -1)
        refused("x", Projection(6, 3), torch.tensor([math.nan] * 6))
        refused("x", Projection(6, 3), torch.full((6,), 3e38))

    @untyped
    def test_refusals_of_types(self):
        assert isinstance(refused("dim_in", Projection, 2.5, 3), InputTypeError)
        for x in (
            torch.ones(6, dtype=torch.float64),
            torch.ones(5),
            torch.ones(6, dtype=torch.int64),
            [1.0] * 6,
        ):
            refused("x", Projection(6, 3), x)


class TestCosines:
    @pytest.mark.parametrize("shape", [(2, 3), (40, 5), (7, 100)])
    def test_against_all_pairs(self, shape):
        keys = torch.randn(*shape, generator=generator(0), dtype=torch.float64) + 0.5
        unit = (keys / keys.norm(dim=-1, keepdim=True)).numpy()
        pairs = np.array([unit[i] @ unit[j] for i in range(len(unit)) for j in range(i)])
        found = cosines(keys)
        np.testing.assert_allclose(found, (pairs.mean(), pairs.std(), shape[1] ** -0.5), atol=1e-7)
        np.testing.assert_allclose(cosines(7 * keys), found, atol=1e-7)

    def test_random_keys(self):
        found = cosines(torch.randn(2000, 64, generator=generator(0)))
        assert abs(found.mean) < 0.002
        assert abs(found.deviation / found.random - 1) < 0.01

    def test_ends(self):
        assert cosines(torch.ones(3, 4)) == Cosines(
            pytest.approx(1), pytest.approx(0, abs=1e-7), 0.5
        )
        assert cosines(torch.eye(3)) == Cosines(0, 0, pytest.approx(3**-0.5))

    def test_refusals(self):
        refused("keys", cosines, torch.ones(1, 4))
        refused("keys", cosines, torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
        refused("keys", cosines, torch.tensor([[1.0, 0.0], [math.inf, 0.0]]))

    @untyped
    def test_refusals_of_types(self):
        for keys in (
            torch.ones(4),
            torch.ones(2, 3, 4),
            torch.ones(2, 2, dtype=torch.int64),
            np.ones((2, 2)),
        ):
            refused("keys", cosines, keys)


class TestFit:
    def recalled(self, projection, ink):
        """Return mean error and cosine of one read with every image, damaged by 5 of 64 bits."""
        with torch.no_grad():
            found = read(projection(tilt(ink, 5, seed=9)), projection(ink), ink, dot, Softmax(BETA))
        return (found - ink).square().sum(-1).mean().item(), torch.cosine_similarity(
            found, ink
        ).mean().item()

    def test_digits(self, ink):
        """The loss falls from 1.19 to 0.32 in batches, and from 2.24 to 0.98 among all 1,797.

        Training takes less than a second on one core.
        """
        projection = Projection(64, 64, seed=0)
        error, cosine = self.recalled(projection, ink)
        before = cosines(projection(ink))
        losses = fit(projection, ink, theory.beta.fit(64, 11).beta, (1, 8))
        assert losses.shape == (10,)
        assert losses.dtype == torch.float64
        assert losses[-1] < 0.5 * losses[0]
        error_after, cosine_after = self.recalled(projection, ink)
        assert error_after < 0.6 * error
        assert cosine_after > cosine + 0.02
        after = cosines(projection(ink))
        # Images of ink have a common direction, which a random matrix keeps and training removes.
        assert before.mean > 0.5
        assert abs(after.mean) < 0.1

    def test_all_images_in_one_batch(self, ink):
        projection = Projection(64, 32, seed=1)
        error, _ = self.recalled(projection, ink[:400])
        losses = fit(projection, ink[:400], BETA, (1, 8), epochs=40, batch=10_000, rate=0.02)
        assert losses[-1] < 0.8 * losses[0]
        assert self.recalled(projection, ink[:400])[0] < error

    def test_one_step_against_its_definition(self):
        """With one batch and no damage the loss is that of softmax.

        The first step of Adam changes every weight by the rate.
        """
        x = torch.rand(9, 5, generator=generator(0))
        projection = Projection(5, 4, seed=0)
        weight = projection.weight.detach().double().numpy()
        keys = x.double().numpy() @ weight.T
        keys /= np.linalg.norm(keys, axis=1, keepdims=True)
        shares = np.exp(3 * keys @ keys.T)
        shares /= shares.sum(1, keepdims=True)
        expected = ((shares @ x.double().numpy() - x.double().numpy()) ** 2).sum(1).mean()
        losses = fit(projection, x, 3.0, (0, 0), epochs=1, batch=9, rate=0.01)
        assert losses.item() == pytest.approx(expected, rel=1e-5)
        moved = projection.weight.detach().double().numpy() - weight
        np.testing.assert_allclose(np.abs(moved), 0.01, rtol=1e-3)

    def test_seeds(self, ink):
        def trained(seed):
            projection = Projection(64, 16, seed=0)
            return fit(projection, ink[:200], BETA, (0, 10), epochs=2, seed=seed), projection.weight

        (first, weight), (again, same), (_, other) = trained(0), trained(generator(0)), trained(1)
        assert torch.equal(first, again)
        assert torch.equal(weight, same)
        assert not torch.equal(weight, other)

    def test_batches_of_nearly_one_size(self, ink):
        """With 129 images and batches of 128, no image is alone in a batch, with a loss of 0."""
        losses = fit(Projection(64, 16, seed=0), ink[:129], 1.0, (0, 0), epochs=1)
        whole = fit(Projection(64, 16, seed=0), ink[:129], 1.0, (0, 0), epochs=1, batch=129)
        assert losses.item() == pytest.approx(whole.item(), rel=0.05)

    def test_where_gradients_are_off_and_in_float64(self, ink):
        projection = Projection(64, 16, seed=0).double()
        with torch.no_grad():
            losses = fit(projection, ink[:200].double(), BETA, (1, 8), epochs=20)
        assert losses[-1] < 0.9 * losses[0]
        assert projection.weight.grad is not None

    @pytest.mark.parametrize(
        ("argument", "options"),
        [
            ("images", {"images": torch.ones(1, 4)}),
            ("images", {"images": torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, 0]])}),
            ("images", {"images": torch.tensor([[1.0, 1, 1, 1], [0, 0, 0, math.nan]])}),
            ("images", {"images": torch.ones(3, 5)}),
            ("beta", {"beta": 0.0}),
            ("beta", {"beta": math.inf}),
            ("flips", {"flips": (2.0, 1.0)}),
            ("flips", {"flips": (0.0, 4.5)}),
            ("flips", {"flips": (-1.0, 2.0)}),
            ("epochs", {"epochs": 0}),
            ("batch", {"batch": 1}),
            ("rate", {"rate": 0.0}),
            ("rate", {"rate": 1.5}),
            ("rate", {"rate": math.nan}),
            ("seed", {"seed": -1}),
        ],
    )
    def test_refusals(self, argument, options):
        options = {
            "projection": Projection(4, 2),
            "images": torch.eye(4),
            "beta": 1.0,
            "flips": (0.0, 1.0),
            **options,
        }
        refused(
            argument,
            fit,
            options.pop("projection"),
            options.pop("images"),
            options.pop("beta"),
            options.pop("flips"),
            **options,
        )

    def test_overflow(self):
        images = torch.rand(6, 20, generator=generator(0))
        refused("images", fit, Projection(20, 4), 1e19 * images, 1.0, (0, 10))
        small, large = (
            fit(Projection(20, 4), scale * images, 1.0, (0, 10)) / scale**2
            for scale in (1.0, 2.0**50)
        )
        torch.testing.assert_close(
            large, small, rtol=0.02, atol=0
        )  # but for the epsilon of Adam the unit means nothing

    @untyped
    @pytest.mark.parametrize(
        ("argument", "options"),
        [
            ("projection", {"projection": torch.nn.Linear(4, 2)}),
            ("images", {"images": np.eye(4)}),
            ("images", {"images": torch.eye(4, dtype=torch.float64)}),
            ("images", {"images": torch.eye(4, dtype=torch.int64)}),
            ("flips", {"flips": 3}),
            ("flips", {"flips": (1,)}),
            ("flips", {"flips": ("1", 2)}),
            ("beta", {"beta": "1"}),
            ("epochs", {"epochs": 1.5}),
        ],
    )
    def test_refusals_of_types(self, argument, options):
        self.test_refusals(argument, options)
