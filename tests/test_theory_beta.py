"""Inverse temperatures and caps of a sphere against tables, quadrature, sampling and identities."""

import math
import time

import numpy as np
import pytest

from kanerva import InputError, InputTypeError
from kanerva.theory import beta, cap, circle

RADII = (5, 9, 11, 15, 19, 27)

# ---- cap ----

# log10 of the share of two caps in 64 dimensions at the distances 0, 1, 2, 4 and 8, by adaptive
# quadrature.
CAPS_64 = {
    5: (-18.25442, -19.21781, -19.93477, -21.42541, -25.15239),
    9: (-11.10749, -11.64414, -11.99250, -12.65771, -14.09586),
    11: (-8.83188, -9.26137, -9.52693, -10.02003, -11.04583),
    15: (-5.57780, -5.86726, -6.03249, -6.32536, -6.89944),
    19: (-3.40581, -3.60431, -3.71023, -3.89052, -4.22627),
    27: (-0.97084, -1.05315, -1.09221, -1.15373, -1.25703),
}


def lee_and_kim(dim, radius, cosine):
    """Evaluate the formula of Lee and Kim for t > 0 by adaptive quadrature.

    It is 2 J(theta / 2, arccos t) over the area of the sphere.
    """
    from scipy.integrate import quad
    from scipy.special import betainc, gammaln

    low, high = math.acos(cosine) / 2, math.acos(1 - 2 * radius / dim)

    def ring(phi):
        inside = 1 - (math.tan(low) / math.tan(phi)) ** 2 if phi else 1.0
        return (math.sin(phi) / math.sin(high)) ** (dim - 2) * betainc(
            (dim - 2) / 2, 0.5, max(inside, 0.0)
        )

    # Below ``least`` the powers of sines are less than exp(-50) of the last.
    least = high - 50 * math.tan(high) / (dim - 2)
    total, _ = quad(ring, max(low, least), high, epsabs=0, epsrel=1e-10, limit=400)
    # The ratio of the two areas, except for the factor 2.
    front = gammaln(dim / 2) - gammaln((dim - 1) / 2) - math.log(math.pi) / 2
    return front + (dim - 2) * math.log(math.sin(high)) + math.log(total)


@pytest.mark.parametrize("size", RADII)
def test_caps_in_64_dimensions_are_the_tabulated_ones(size):
    curve = cap.curve(64, size)
    np.testing.assert_allclose(
        curve[[0, 1, 2, 4, 8]] / math.log(10), CAPS_64[size], rtol=0, atol=5.1e-6
    )
    first = {5: 19, 9: 31, 11: 37, 15: 46, 19: 54, 27: 63}[size]
    assert np.isfinite(curve[:first]).all()
    assert np.isneginf(curve[first:]).all()


@pytest.mark.parametrize("dim", [3, 4, 7, 64, 333, 1000, 5000])
@pytest.mark.parametrize("rho", [0.02, 0.2, 0.45, 0.499])
def test_caps_are_those_of_lee_and_kim(dim, rho):
    parts = 2 * math.acos(1 - 2 * rho)
    # At larger angles in many dimensions the formula underflows.
    angles = parts * np.array([0.0, 0.05, 0.3, 0.8] if dim < 5000 else [0.0, 0.05, 0.3])
    for cosine in np.cos(angles):
        got = cap.log_fraction(dim, rho * dim, float(cosine))
        assert got == pytest.approx(lee_and_kim(dim, rho * dim, cosine), abs=1e-8)


@pytest.mark.parametrize("dim", [3, 4, 8, 64, 1001, 10_000])
def test_one_cap_is_an_incomplete_beta_function(dim):
    from scipy.special import betainc, betaincc

    for rho in (1e-12, 0.01, 0.3, 0.47, 0.4999999, 0.5, 0.50000001, 0.52, 0.7, 1.0):
        size = rho * dim
        # Two forms of one function; each is accurate for small values of its last argument.
        outer = betainc((dim - 1) / 2, 0.5, 4 * rho * (1 - rho))
        inner = betaincc(0.5, (dim - 1) / 2, (1 - 2 * rho) ** 2)
        half = (inner if 0.2 < rho < 0.8 else outer) / 2
        if half > 1e-290:
            share = half if rho <= 0.5 else 1 - half
            assert cap.activation(dim, size) == pytest.approx(share, rel=1e-10)
            assert cap.log_activation(dim, size) == pytest.approx(math.log(share), abs=1e-10)
            assert cap.log_fraction(dim, size) == cap.log_activation(dim, size)


def test_caps_on_the_sphere_of_three_dimensions():
    # Archimedes: the area is proportional to the height.
    for size in (5e-324, 1e-300, 0.1, 1.0, 1.5, 2.0, 2.9, 3.0):
        assert cap.activation(3, size) == pytest.approx(size / 3, rel=1e-11)
        assert cap.log_activation(3, size) == pytest.approx(math.log(size) - math.log(3), rel=1e-13)
    # Hemispheres whose centres are a right angle apart have a quarter of the sphere in common.
    assert cap.log_fraction(3, 1.5, 0.0) == pytest.approx(math.log(1 / 4))


@pytest.mark.parametrize("size", [0.4, 1.7, 3.0, 4.0, 4.5, 7.0])
def test_caps_hold_the_share_of_random_points(size):
    points = np.random.default_rng(0).standard_normal((200_000, 8))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    for cosine in (1.0, 0.9, 0.5, 0.0, -0.7, -1.0):
        other = cosine * points[:, 0] + math.sqrt(1 - cosine**2) * points[:, 1]
        share = np.mean((points[:, 0] >= 1 - size / 4) & (other >= 1 - size / 4))
        assert math.exp(cap.log_fraction(8, size, cosine)) == pytest.approx(
            share, abs=5 * math.sqrt(0.25 / 200_000)
        )
    exact = np.exp(cap.log_fraction(8, 3, np.array([1, 0.5, 0])))
    np.testing.assert_allclose(exact, [0.2582, 0.1237, 0.0631], atol=6e-5)


@pytest.mark.parametrize("dim", [3, 5, 64, 1001, 10_000])
def test_caps_of_half_the_sphere_are_lunes_and_their_neighbours_are_close(dim):
    cosines = np.array([1, 0.99, 0.3, -0.5, -0.999])
    lunes = np.log((math.pi - np.arccos(cosines)) / (2 * math.pi))
    np.testing.assert_allclose(cap.log_fraction(dim, dim / 2, cosines), lunes, rtol=1e-12)
    for size in (np.nextafter(dim / 2, 0), np.nextafter(dim / 2, dim)):
        np.testing.assert_allclose(cap.log_fraction(dim, float(size), cosines), lunes, rtol=1e-10)
    assert cap.log_fraction(dim, dim / 2, -1.0) == -math.inf
    beyond = float(np.nextafter(dim / 2, dim))
    assert -40 < cap.log_fraction(dim, beyond, -1.0) < -30


@pytest.mark.parametrize("share", [1e-9, 0.1, 0.3, 0.45, 0.4999, 0.5001, 0.55, 0.8, 1.0])
def test_caps_of_many_dimensions_are_finite_and_fall(share):
    dim = 10_000
    size = share * dim
    meet = (
        np.arange(dim + 1) * dim < 4 * size * (dim - size)
        if share <= 0.5
        else np.ones(dim + 1, bool)
    )
    curve = cap.curve(dim, size)
    assert (np.isfinite(curve) == meet).all()
    assert (curve[1:] <= curve[:-1]).all()
    assert curve[0] == pytest.approx(cap.log_activation(dim, size), rel=1e-14)
    assert (curve <= 0).all()


def test_caps_that_touch_share_nothing():
    # d = 4 r (n - r) / n is an integer here, and rounding must not make the share positive.
    for dim, size, distance in (
        (64, 16, 48),
        (100, 20, 64),
        (100, 10, 36),
        (1000, 300, 840),
        (250, 25, 90),
    ):
        curve = cap.curve(dim, size)
        assert curve[distance] == -math.inf < curve[distance - 1]
        assert cap.log_fraction(dim, size, 1 - 2 * distance / dim) == -math.inf
    assert np.isneginf(cap.curve(64, 0)).all()
    assert (cap.curve(64, 64) == 0).all()
    assert (cap.log_activation(64, 0), cap.activation(64, 0), cap.activation(64, 64)) == (
        -math.inf,
        0,
        1,
    )


def test_shares_keep_the_shape_of_the_cosines():
    cosines = np.linspace(-1, 1, 24).reshape(2, 3, 4)
    logs = cap.log_fraction(64, 20.5, cosines)
    assert (logs.shape, logs.dtype) == ((2, 3, 4), np.float64)
    assert isinstance(cap.log_fraction(64, 20.5, 0.5), float)
    assert [
        cap.log_fraction(64, 20.5, float(cosine)) for cosine in cosines.flat
    ] == logs.ravel().tolist()
    assert cap.log_fraction(64, 20.5, np.zeros((0, 3))).shape == (0, 3)
    assert cap.log_fraction(64, 20.5, 1 + 1e-7) == cap.log_fraction(64, 20.5)


@pytest.mark.parametrize("dim", [3, 4, 64, 999, 10_000])
def test_cap_quantile_is_the_inverse_of_activation(dim):
    for share in (1e-300, 1e-9, 1e-3, 0.3, 0.4999, 0.5, 0.5001, 0.9, 1 - 1e-9, 1.0):
        size = cap.quantile(dim, share)
        assert 0 < size <= dim
        assert cap.activation(dim, size) == pytest.approx(share, rel=1e-10)
    assert (cap.quantile(dim, 0.5), cap.quantile(dim, 1.0)) == (
        pytest.approx(dim / 2, rel=1e-15),
        dim,
    )
    # The smallest radii have few digits.
    smallest = cap.quantile(dim, 5e-324)
    assert cap.log_activation(dim, smallest) == pytest.approx(math.log(5e-324), abs=0.5)


# ---- beta ----

# radius, published, ols, r2 of ols, mse, kl, leading, entropic, total variation of published
FITS_64 = [
    (5, 35.484762, 28.387809, 0.88731, 43.7384, 34.4010, 11.391, 19.912, 0.113),
    (9, 20.040985, 17.814209, 0.96015, 24.5934, 20.1867, None, None, 0.121),
    (11, 15.852765, 14.411605, 0.97223, 18.8138, 15.9225, 6.891, 9.013, 0.111),
    (15, 10.110419, 9.436391, 0.98367, 11.1641, 10.0942, 4.516, 5.306, 0.084),
    (19, 6.303327, 5.971573, 0.98842, 6.5969, 6.3983, None, None, 0.060),
    (27, 1.848715, 1.780244, 0.99070, 2.0547, 2.3029, None, None, 0.065),
]


@pytest.mark.parametrize(
    ("size", "published", "ols", "r2", "mse", "kl", "leading", "entropic", "variation"), FITS_64
)
def test_fits_at_64_bits_are_the_tabulated_ones(
    size, published, ols, r2, mse, kl, leading, entropic, variation
):
    assert beta.fit(64, size, "published").beta == pytest.approx(published, abs=1e-6)
    assert beta.fit(64, size, "published").residual == pytest.approx(variation, abs=6e-4)
    assert beta.fit(64, size, "ols").beta == pytest.approx(ols, abs=1e-6)
    assert beta.fit(64, size, "ols").r2 == pytest.approx(r2, abs=1.1e-5)
    assert beta.fit(64, size, "mse").beta == pytest.approx(mse, abs=1e-4)
    assert beta.fit(64, size, "kl").beta == pytest.approx(kl, abs=1e-4)
    assert beta.fit(64, size) == beta.fit(64, size, "kl")
    assert beta.fit(64, size).reach == 2 * size
    if leading is not None:
        assert beta.leading(64, size) == pytest.approx(leading, abs=5e-4)
        assert beta.entropic(64, size) == pytest.approx(entropic, abs=5e-4)


FITS_LARGE = [
    (1000, 384, 24.61942, 24.55531, 13.456), (1000, 405, 17.36497, 17.32209, 9.025),
    (1000, 411, 15.52851, 15.49073, 7.921), (1000, 431, 10.16331, 10.13973, 4.761),
    (1000, 444, 7.30209, 7.28565, 3.136), (1000, 447, 6.71194, 6.69692, 2.809),
    (1000, 448, 6.52131, 6.50676, 2.704), (1000, 451, 5.96644, 5.95321, 2.401),
    (1000, 463, 4.01213, 4.00347, 1.369), (1000, 480, 1.96321, 1.95912, 0.400),
    (784, 290, 24.13861, 24.05537, None), (784, 308, 17.19061, 17.13479, None),
    (784, 314, 15.14358, 15.09535, None), (784, 331, 10.06616, 10.03574, None),
    (784, 345, 6.68634, 6.66696, None), (784, 374, 1.98746, 1.98215, None),
]  # fmt: skip


@pytest.mark.parametrize(("bits", "size", "published", "ols", "leading"), FITS_LARGE)
def test_fits_at_more_bits_are_the_tabulated_ones(bits, size, published, ols, leading):
    assert beta.fit(bits, size, "published").beta == pytest.approx(published, abs=1e-5)
    assert beta.fit(bits, size, "ols").beta == pytest.approx(ols, abs=1e-5)
    if leading is not None:
        assert beta.leading(bits, size) == pytest.approx(leading, abs=5e-4)


@pytest.mark.parametrize(
    ("bits", "size"), [(2, 1), (3, 1), (40, 1), (40, 11), (101, 50), (257, 100), (1000, 1)]
)
def test_fits_are_the_minima_of_what_they_minimise(bits, size):
    cosine = 1 - 2 * np.arange(bits + 1) / bits
    weights = np.array(circle.intersection(bits, size), float)
    weights /= weights.sum()
    there = weights > 0

    def softmax(value):
        power = np.exp(value * (cosine - 1))
        return power / power.sum()

    def divergence(value):
        return (weights[there] * np.log(weights[there] / softmax(value)[there])).sum()

    def squares(value):
        return ((weights - softmax(value)) ** 2).sum()

    for method, loss in (("kl", divergence), ("mse", squares)):
        found = beta.fit(bits, size, method)
        tried = found.beta * np.concatenate([np.linspace(0.1, 4, 400), [1 - 1e-4, 1 + 1e-4]])
        assert loss(found.beta) <= min(map(loss, tried))
        assert found.residual == pytest.approx(
            np.abs(weights - softmax(found.beta)).sum() / 2, abs=1e-12
        )
        assert found.reach == np.flatnonzero(there)[-1]
    mean = softmax(beta.fit(bits, size).beta) @ cosine
    assert mean == pytest.approx(weights @ cosine, abs=1e-13)


def test_constant_weights_have_beta_zero():
    for bits, size in ((1, 1), (8, 8), (1000, 700), (10_000, 9000)):
        found = beta.fit(bits, size)
        assert (found.beta, found.r2, found.reach) == (0, 1, bits)
        assert found.residual < 1e-9


def test_closed_forms_meet_at_half_the_bits():
    assert beta.leading(1000, 500) == beta.entropic(1000, 500) == 0
    assert beta.entropic(10_000, 4900) == pytest.approx(beta.leading(10_000, 4900), rel=1e-3)
    assert beta.leading(64, 0) == 16
    assert beta.entropic(100, 10) == pytest.approx(-25 * math.log(0.36))


# By radius: ols over 0..2 r; published and ols of caps over 0..r - 1.
WIDER = {
    5: (32.950589, 71.70921, 57.36737),
    9: (22.876183, 29.76709, 26.45964),
    11: (19.339589, 21.53975, 19.58159),
    15: (13.786243, 12.22981, 11.41449),
    19: (9.495154, 7.14775, 6.77155),
    27: (3.219893, 2.04400, 1.96830),
}


@pytest.mark.parametrize("size", RADII)
def test_fits_of_caps_and_over_all_distances_are_the_tabulated_ones(size):
    wide, published, ols = WIDER[size]
    assert beta.fit(64, size, "ols", reach=(0, 2 * size)).beta == pytest.approx(wide, abs=1e-6)
    assert beta.fit(64, size, "published", space="continuous").beta == pytest.approx(
        published, abs=1e-5
    )
    assert beta.fit(64, size, "ols", space="continuous").beta == pytest.approx(ols, abs=1e-5)


# The table stored with the paper: the line through the distances 1 to r, for r = 5..31.
STORED = (
    35.362378, 27.049051, 25.903236, 21.431025, 20.042666, 17.157364, 15.868339, 13.810510,
    12.673035, 11.113133, 10.122578, 8.893594, 8.034746, 7.042782, 6.300680, 5.489008, 4.851358,
    4.183960, 3.641346, 3.094583, 2.640078, 2.198058, 1.826635, 1.478327, 1.186077, 0.923127,
    0.706103,
)  # fmt: skip


def test_fits_over_the_distances_one_to_radius_are_the_stored_ones():
    found = [beta.fit(64, size, "published", reach=(1, size)).beta for size in range(5, 32)]
    np.testing.assert_allclose(found, STORED, rtol=0, atol=1e-6)


def test_a_line_is_the_least_squares_line_through_the_distances_with_weight():
    for space, logs in (("binary", circle.log_fraction(64, 9)), ("continuous", cap.curve(64, 9))):
        for first, last in ((0, 1), (3, 10), (5, 64)):
            there = np.flatnonzero(np.isfinite(logs))
            there = there[(there >= first) & (there <= last)]
            cosine = 1 - there / 32
            slope = np.polyfit(cosine, logs[there], 1)[0]
            found = beta.fit(64, 9, "ols", space=space, reach=(first, last))
            assert found.beta == pytest.approx(slope, rel=1e-10)
            assert found.reach == np.flatnonzero(np.isfinite(logs))[-1]
            if there.size > 2:
                assert found.r2 == pytest.approx(
                    np.corrcoef(cosine, logs[there])[0, 1] ** 2, rel=1e-10
                )
            n = there.size
            assert beta.fit(
                64, 9, "published", space=space, reach=(first, last)
            ).beta == pytest.approx(slope * n / (n - 1), rel=1e-10)
    assert beta.fit(64, 1, "ols", reach=(0, 2)).beta > 0


@pytest.mark.parametrize("method", ["kl", "ols", "published", "mse"])
def test_any_curve_is_fitted_as_circles_are(method):
    assert beta.of(circle.log_fraction(64, 11), method, (0, 10)) == beta.fit(64, 11, method)
    shifted = beta.of(circle.log_fraction(64, 11) + 300, method, (0, 10))
    assert shifted.beta == pytest.approx(beta.fit(64, 11, method).beta, rel=1e-6)


@pytest.mark.parametrize("slope", [1e-6, 0.03, 1.0, 5.0, 20.0, 39.0, 41.0, 100.0, 1e4])
@pytest.mark.parametrize("bits", [1, 2, 7, 100])
def test_straight_curves_have_the_beta_of_their_slope(bits, slope):
    for method in ("kl", "ols", "mse"):
        found = beta.of(-slope * np.arange(bits + 1.0), method)
        assert found.beta == pytest.approx(slope * bits / 2, rel=1e-6 if method == "mse" else 1e-9)
        assert found.r2 == pytest.approx(1)
        assert found.residual == pytest.approx(0, abs=1e-6)


def test_steep_weights_are_fitted_where_they_underflow():
    found = beta.fit(10_000, 1, space="continuous")
    log_ratio = np.diff(cap.curve(10_000, 1)[:2])[0]
    assert found.beta == pytest.approx(-log_ratio * 5000, rel=1e-12)
    assert beta.fit(10_000, 1, "mse", space="continuous").beta == pytest.approx(
        found.beta, rel=1e-12
    )


@pytest.mark.parametrize(
    ("method", "at_10", "at_25"),
    [("kl", 15, 7), ("published", 15, 7), ("ols", 15, 6), ("mse", 16, 9)],
)
def test_learned_betas_are_the_radii_of_the_paper(method, at_10, at_25):
    for value, size in ((10.0, at_10), (25.0, at_25)):
        found = beta.radius(64, value, method)
        assert found == (size, circle.activation(64, size), beta.fit(64, size, method))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("bits", "space"),
    [
        (3, "binary"),
        (3, "continuous"),
        (10, "continuous"),
        (64, "binary"),
        (64, "continuous"),
        (101, "binary"),
    ],
)
@pytest.mark.parametrize("method", ["kl", "ols", "published", "mse"])
def test_radius_is_the_nearest_of_all(bits, space, method):
    least = 2 if method in ("ols", "published") else 1
    betas = np.array(
        [beta.fit(bits, size, method, space=space).beta for size in range(least, bits + 1)]
    )
    assert (betas[2:] <= betas[:-2] + 1e-9).all()
    assert betas.max() == betas[0]
    for value in np.concatenate([betas[:3], betas[6::18], betas[0] * np.linspace(0, 1, 5)]):
        found = beta.radius(bits, float(value), method, space=space)
        assert abs(found.fit.beta - value) <= np.abs(betas - value).min() + 1e-9
        assert found.fit == beta.fit(bits, found.radius, method, space=space)
        share = (circle if space == "binary" else cap).activation(bits, found.radius)
        assert found.activation == share


def test_fits_of_many_bits_are_quick():
    circle.log_fraction(10_000, 4500)
    for method in ("kl", "ols", "published", "mse"):
        spent = []
        for _ in range(3):  # The machine may be busy.
            start = time.perf_counter()
            beta.fit(10_000, 4500, method)
            spent.append(time.perf_counter() - start)
        assert min(spent) < 0.1


# ---- bad input ----

REFUSED = [
    (lambda: cap.log_fraction(2, 1), "dim"),
    (lambda: cap.log_fraction(64, -0.1), "radius"),
    (lambda: cap.log_fraction(64, 64.1), "radius"),
    (lambda: cap.log_fraction(64, math.nan), "radius"),
    (lambda: cap.log_fraction(64, 11, 1.1), "cosine"),
    (lambda: cap.log_fraction(64, 11, math.nan), "cosine"),
    (lambda: cap.log_fraction(64, 11, np.array([0.0, -1.1])), "cosine"),
    (lambda: cap.log_fraction(64, 11, np.array([0.0, math.nan])), "cosine"),
    (lambda: cap.log_activation(64, 65), "radius"),
    (lambda: cap.activation(2**21, 65), "dim"),
    (lambda: cap.curve(64, -1), "radius"),
    (lambda: cap.quantile(64, 0.0), "activation"),
    (lambda: cap.quantile(64, 1.1), "activation"),
    (lambda: cap.quantile(64, math.nan), "activation"),
    (lambda: beta.fit(64, 0), "radius"),
    (lambda: beta.fit(64, 1, "ols"), "radius"),
    (lambda: beta.fit(64, 1, "published"), "radius"),
    (lambda: beta.fit(64, 65), "radius"),
    (lambda: beta.fit(64, 11, "best"), "method"),
    (lambda: beta.fit(64, 11, space="real"), "space"),
    (lambda: beta.fit(2, 1, space="continuous"), "bits"),
    (lambda: beta.fit(64, 5, reach=(10, 30)), "reach"),
    (lambda: beta.fit(64, 5, "ols", reach=(20, 30)), "reach"),
    (lambda: beta.fit(64, 5, reach=(3, 3)), "reach"),
    (lambda: beta.fit(64, 5, reach=(4, 3)), "reach"),
    (lambda: beta.fit(64, 5, reach=(-1, 3)), "reach"),
    (lambda: beta.fit(64, 5, reach=(0, 65)), "reach"),
    (lambda: beta.of(np.array([0.0])), "log_weights"),
    (lambda: beta.of(np.array([0.0, -math.inf])), "log_weights"),
    (lambda: beta.of(np.array([0.0, 1.0])), "log_weights"),
    (lambda: beta.of(np.array([0.0, -1.0, math.nan])), "log_weights"),
    (lambda: beta.of(np.array([0.0, -1.0, -math.inf, -2.0])), "log_weights"),
    (lambda: beta.of(np.array([math.inf, 0.0])), "log_weights"),
    (lambda: beta.of(np.array([0.0, -1e300])), "log_weights"),
    (lambda: beta.of(np.array([0.0, -1.0]), "best"), "method"),
    (lambda: beta.radius(64, 81.0), "beta"),
    (lambda: beta.radius(64, -1.0), "beta"),
    (lambda: beta.radius(64, math.nan), "beta"),
    (lambda: beta.radius(1, 0.0, "ols"), "bits"),
    (lambda: beta.radius(64, 1.0, space="real"), "space"),
    (lambda: beta.leading(64, 33), "radius"),
    (lambda: beta.entropic(64, 0), "radius"),
    (lambda: beta.entropic(64, 33), "radius"),
]


@pytest.mark.parametrize(("call", "argument"), REFUSED)
def test_a_number_out_of_range_is_refused_by_name(call, argument):
    with pytest.raises(InputError, match=f": {argument} must be .*, but it was .*; ") as caught:
        call()
    assert caught.value.argument == argument


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: cap.log_fraction(64.0, 2), "dim"),
        (lambda: cap.log_fraction(64, "two"), "radius"),
        (lambda: cap.log_fraction(64, 2, [0.5]), "cosine"),
        (lambda: cap.log_fraction(64, 2, np.array(["a"])), "cosine"),
        (lambda: cap.quantile(64, None), "activation"),
        (lambda: beta.fit(64, None), "radius"),
        (lambda: beta.fit(64, 5.5, space="continuous"), "radius"),
        (lambda: beta.fit(64, 5, reach=4), "reach"),
        (lambda: beta.fit(64, 5, reach=(0, 1.5)), "reach"),
        (lambda: beta.fit(64, 5, reach=(0, 1, 2)), "reach"),
        (lambda: beta.of([0.0, -1.0]), "log_weights"),
        (lambda: beta.of(np.zeros((2, 2))), "log_weights"),
        (lambda: beta.radius(64, "ten"), "beta"),
        (lambda: beta.leading("64", 1), "bits"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(call, argument):
    with pytest.raises(InputTypeError) as caught:
        call()
    assert caught.value.argument == argument


# ---- noise ----


@pytest.mark.parametrize("flips", [0.02, 0.2, 0.35, 0.5])
def test_attention_of_the_beta_of_noise_is_the_posterior(flips):
    rng = np.random.default_rng(0)
    patterns, query = rng.choice([-1.0, 1.0], (7, 12)), rng.choice([-1.0, 1.0], 12)
    # Bayes' rule, from the probability of every single bit.
    chances = np.where(patterns == query, 1 - flips, flips).prod(1)
    weights = np.exp(beta.of_noise(12, flips) * (patterns @ query) / 12)
    np.testing.assert_allclose(weights / weights.sum(), chances / chances.sum(), rtol=1e-12)


@pytest.mark.parametrize(
    ("bits", "flips", "value", "radius"),
    [
        (64, 0.2, 44.4, 3),
        (64, 0.3, 27.1, 7),
        (64, 0.4, 13.0, 13),
        (32, 0.2, 22.2, 2),
        (32, 0.3, 13.6, 4),
        (32, 0.4, 6.5, 7),
    ],
)
def test_noise_has_a_beta_and_a_radius(bits, flips, value, radius):
    found = beta.of_noise(bits, flips)
    assert found == pytest.approx(value, abs=0.05)
    assert beta.noise(bits, found) == pytest.approx(flips, rel=1e-12)
    assert beta.radius(bits, found).radius == radius


def test_noise_has_limits():
    assert beta.of_noise(64, 0) == math.inf
    assert beta.of_noise(64, 0.5) == 0
    assert beta.noise(64, 0) == 0.5
    assert beta.noise(64, math.inf) == beta.noise(64, 1e9) == 0
    assert beta.noise(64, beta.of_noise(64, 1e-300)) == pytest.approx(1e-300, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: beta.of_noise(64, 1), "flips"),
        (lambda: beta.of_noise(64, math.nan), "flips"),
        (lambda: beta.of_noise(0, 0.1), "bits"),
        (lambda: beta.noise(64, -1), "beta"),
        (lambda: beta.noise(64, math.nan), "beta"),
        (lambda: beta.noise(64, -math.inf), "beta"),
    ],
)
def test_noise_out_of_range_is_refused_by_name(call, argument):
    with pytest.raises(InputError, match=f": {argument} must be .*, but it was .*; "):
        call()
