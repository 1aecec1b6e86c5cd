"""Estimators against scikit-learn: its checks, its likelihoods, its pipelines and searches."""

import importlib
import math
import pickle
import sys

import numpy as np
import pandas
import pytest
import torch
from scipy.sparse import csr_array
from scipy.stats import laplace
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import kanerva
from kanerva import InputError, density
from kanerva.estimators import MemoryDensity, MemoryMixture

SOURCE = np.random.default_rng(0)
X, NEW = SOURCE.normal(size=(60, 3)), SOURCE.normal(size=(20, 3))
WEIGHTS = SOURCE.integers(0, 4, 60).astype(float)
BLOBS, PLACES = make_blobs(120, centers=[[-6, 0], [0, 6], [6, 0]], random_state=0)
RULES = ("crp", "elbo", "clam")


@pytest.mark.untyped  # the checks give bad input
@parametrize_with_checks(
    [
        *(MemoryDensity(shape) for shape in ("gaussian", "epanechnikov", "laplace")),
        *(MemoryMixture(rule) for rule in RULES),
    ]
)
def test_scikit_learn_accepts_them(estimator, check):
    generator = np.random.get_bit_generator()
    before = generator.state
    check(estimator)
    generator.state = before  # one of the checks draws from it


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize(("shape", "width"), [("gaussian", 0.4), ("epanechnikov", 1.3)])
def test_likelihoods_are_those_of_kernel_density(shape, width, weights):
    found = MemoryDensity(shape, width).fit(X, sample_weight=weights)
    with np.errstate(divide="ignore"):  # the logarithms of weights of zero
        peer = KernelDensity(kernel=shape, bandwidth=width).fit(X, sample_weight=weights)
        theirs = peer.score_samples(NEW)
    assert np.isfinite(theirs).sum() > 10
    np.testing.assert_allclose(found.score_samples(NEW), theirs, rtol=0, atol=1e-9)
    assert found.score(NEW) == pytest.approx(theirs.sum(), abs=1e-8)


def test_laplace_kernels_are_products_of_densities_of_scipy():
    found = MemoryDensity("laplace", 0.7).fit(X, sample_weight=WEIGHTS)
    kernels = laplace.pdf(NEW[:, None] - X, scale=0.7).prod(-1)
    theirs = np.log(kernels @ WEIGHTS / WEIGHTS.sum())
    np.testing.assert_allclose(found.score_samples(NEW), theirs, rtol=0, atol=1e-9)


@pytest.mark.untyped
@pytest.mark.parametrize("shape", ["gaussian", "epanechnikov", "laplace"])
def test_a_weight_is_a_number_of_copies(shape):
    weighted = MemoryDensity(shape).fit(X, sample_weight=WEIGHTS)
    copied = MemoryDensity(shape).fit(X.repeat(WEIGHTS.astype(int), axis=0))
    assert weighted.bandwidth_ == copied.bandwidth_
    ours, theirs = weighted.score_samples(X), copied.score_samples(X)
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-9)
    chosen = density.bandwidth(torch.tensor(X[WEIGHTS > 0]), shape)
    assert weighted.bandwidth_ == pytest.approx(chosen, rel=1e-12)


def gaussians(weights, means, variances):
    """Return scikit-learn's mixture of Gaussians with these parameters."""
    peer = GaussianMixture(len(weights), covariance_type="spherical")
    peer.weights_, peer.means_ = np.array(weights), np.array(means)
    peer.covariances_ = np.array(variances)
    peer.precisions_cholesky_ = peer.covariances_**-0.5
    return peer


def equal(found, peer, x):
    """Check likelihoods and posteriors."""
    pairs = ((found.score_samples, peer.score_samples), (found.predict_proba, peer.predict_proba))
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours(x), theirs(x), rtol=0, atol=1e-9)
    assert found.score(x) == pytest.approx(peer.score(x), abs=1e-9)


@pytest.mark.parametrize("rule", ["elbo", "clam"])
def test_likelihoods_are_those_of_a_gaussian_mixture(rule):
    found = MemoryMixture(rule, sigma=0.8, memories=4).fit(X)
    shares = found.counts_ / found.counts_.sum()
    equal(found, gaussians(shares, found.means_, [0.8**2] * 4), NEW)
    np.testing.assert_array_equal(found.predict(X), found.labels_)


def test_a_restaurant_is_a_gaussian_mixture_with_one_more_component():
    sigma, prior, concentration, discount = 1.0, 4.0, 0.5, 0.25
    found = MemoryMixture("crp", sigma, prior_sigma=prior, concentration=concentration)
    found.set_params(discount=discount).fit(BLOBS)
    born = len(found.means_)
    weights = [*(found.counts_ - discount), concentration + discount * born]
    shares = np.array(weights) / (found.counts_.sum() + concentration)
    variances = [sigma**2] * born + [sigma**2 + prior**2]
    peer = gaussians(shares, [*found.means_, np.zeros(2)], variances)
    equal(found, peer, np.concatenate([BLOBS, 10 * BLOBS]))
    assert found.predict(100 * BLOBS).max() < born


def test_em_reaches_the_means_of_scikit_learn():
    found = MemoryMixture("elbo", sigma=1.0, random_state=3).fit(BLOBS)
    shares, means = [1 / 3] * 3, [BLOBS[place == PLACES].mean(0) for place in range(3)]
    peer = gaussians(shares, means, [1.0] * 3)
    assert found.score(BLOBS) == pytest.approx(peer.score(BLOBS), abs=1e-3)


@pytest.mark.parametrize("rule", RULES)
def test_clusters_of_a_pipeline(rule):
    # Of 120 rows any three: a seed under which each cluster holds one of them.
    mixture = MemoryMixture(rule, 0.5, random_state=3)
    labels = make_pipeline(StandardScaler(), mixture).fit_predict(BLOBS * 100)
    assert adjusted_rand_score(PLACES, labels) == 1


def test_a_search_finds_the_bandwidth_of_digits():
    digits = load_digits().data / 16
    kept, held = np.split(np.random.default_rng(0).permutation(len(digits)), [1437])
    widths = [0.1, 0.15, 0.2, 0.25]
    search = GridSearchCV(MemoryDensity(), {"bandwidth": widths}, cv=[(kept, held)]).fit(digits)
    assert search.best_params_ == {"bandwidth": 0.15}
    nats = search.cv_results_["mean_test_score"] / len(held)
    np.testing.assert_allclose(nats, [25, 31, 23, 14], atol=0.5)
    # KernelDensity loses small likelihoods in the cells of its tree: one cell is exact.
    peers = (KernelDensity(bandwidth=width, leaf_size=len(kept)) for width in widths)
    theirs = [peer.fit(digits[kept]).score(digits[held]) / len(held) for peer in peers]
    np.testing.assert_allclose(nats, theirs, rtol=0, atol=1e-9)


@pytest.mark.parametrize("rule", RULES)
def test_partial_fit_writes(rule):
    whole, parts = MemoryMixture(rule), MemoryMixture(rule)
    whole.partial_fit(X)
    parts.set_params(prior_sigma=whole.memory_.rule.prior_sigma if rule == "crp" else None)
    labels = [parts.partial_fit(part).labels_ for part in np.split(X, 4)]
    np.testing.assert_array_equal(np.concatenate(labels), whole.labels_)
    np.testing.assert_allclose(parts.means_, whole.means_, rtol=0, atol=1e-12)
    assert parts.counts_.sum() == pytest.approx(3 if rule == "clam" else len(X))
    assert len(parts.fit(X[:5]).labels_) == 5  # what was written before is forgotten


def test_the_first_data_say_how_far_means_are_from_zero():
    for data, spread in ((X, math.sqrt(np.mean(X**2))), (X * 0, 1.0), (X + 1e3, None)):
        found = MemoryMixture().fit(data)
        expected = math.sqrt(np.mean(data**2)) if spread is None else spread
        assert found.memory_.rule.prior_sigma == pytest.approx(expected)


def test_samples():
    kernels, mixture = MemoryDensity(bandwidth=0.3).fit(BLOBS), MemoryMixture("elbo", 0.9)
    for found in (kernels, mixture.fit(BLOBS)):
        drawn = found.sample(20_000, random_state=1)
        assert drawn.dtype == np.float64
        np.testing.assert_allclose(drawn.mean(0), BLOBS.mean(0), atol=0.15)
        np.testing.assert_array_equal(drawn, found.sample(20_000, random_state=1))
        # One row after the other is drawn from a generator.
        source = np.random.RandomState(0)
        assert (found.sample(2, source) != found.sample(2, source)).all()
        assert found.sample().shape == (1, 2)


@pytest.mark.parametrize("made", [MemoryDensity("laplace", 0.5), MemoryMixture("clam", 0.7)])
def test_copies_are_equal(made):
    found = made.fit(X)
    for copied in (pickle.loads(pickle.dumps(found)), clone(found).fit(X)):
        np.testing.assert_array_equal(copied.score_samples(NEW), found.score_samples(NEW))


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int64])
def test_data_of_every_kind(kind):
    data = (10 * X).astype(kind)
    found, exact = MemoryMixture().fit(data), MemoryMixture().fit(data.astype(np.float64))
    np.testing.assert_array_equal(found.score_samples(data), exact.score_samples(data))
    frame = pandas.DataFrame(data, columns=["a", "b", "c"])
    named = MemoryMixture().fit(frame)
    assert named.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="feature names should match"):
        named.predict(frame[["c", "b", "a"]])
    with pytest.raises(TypeError, match=r"[Ss]parse"):
        MemoryMixture().fit(csr_array(data))


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (MemoryDensity("gauss"), "MemoryDensity.fit: shape must be one of 'gaussian', "),
        (MemoryDensity("gauss", 1.0), "MemoryDensity.fit: shape must be one of 'gaussian', "),
        (MemoryDensity(bandwidth=-1), "MemoryDensity.fit: bandwidth must be a finite number >= "),
        (MemoryDensity(bandwidth="scott"), "MemoryDensity.fit: bandwidth must be a number > 0 or "),
        (MemoryMixture("em"), "MemoryMixture.fit: rule must be one of 'crp', 'clam', 'elbo', "),
        (MemoryMixture(sigma=0), "MemoryMixture.fit: sigma must be a finite number >= 1e-50"),
        (MemoryMixture("elbo", memories=0), "MemoryMixture.fit: memories must be an integer from"),
        (MemoryMixture(discount=1), "MemoryMixture.fit: discount must be at least 0 and below 1"),
        (MemoryMixture(concentration=-1), "MemoryMixture.fit: concentration must be >= 0"),
        (MemoryMixture(prior_sigma=-1), "MemoryMixture.fit: prior_sigma must be a finite number"),
        (MemoryMixture(sweeps=-1), "MemoryMixture.fit: sweeps must be an integer from 0 to "),
        (MemoryMixture(random_state="a"), "MemoryMixture.fit: random_state must be an integer >="),
        (MemoryMixture(random_state=-1), "MemoryMixture.fit: random_state must be an integer from"),
    ],
)
def test_parameters_out_of_range(made, sentence):
    with pytest.raises(InputError) as raised:
        made.fit(X)
    assert str(raised.value).startswith(sentence)


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        (np.zeros(60), "one of them above 0, but it was zero for every row; give"),
        (-WEIGHTS, "one of them above 0, but it was -3 for a row; give"),
        (WEIGHTS[:5], "inconsistent numbers of samples"),
        (np.full(60, np.nan), "Input sample_weight contains NaN"),
    ],
)
def test_weights_out_of_range(weights, sentence):
    with pytest.raises(ValueError, match=sentence):
        MemoryDensity().fit(X, sample_weight=weights)


def test_rows_that_are_all_equal_have_no_likeliest_bandwidth():
    sentence = "MemoryDensity.fit: X must be two rows or more that differ, but it was 1 rows"
    with pytest.raises(InputError, match=sentence):
        MemoryDensity().fit(np.ones((5, 2)))
    assert MemoryDensity(bandwidth=0.5).fit(np.ones((5, 2))).score([[1.0, 1.0]]) < 0


def test_fewer_rows_than_memories():
    with pytest.raises(ValueError, match=r"2 sample.* while a minimum of 3 is required"):
        MemoryMixture("elbo").fit(X[:2])


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    for name in ["sklearn", *(name for name in sys.modules if name.startswith("sklearn."))]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.delitem(sys.modules, "kanerva.estimators")
    monkeypatch.delattr(kanerva, "estimators")
    exec("from kanerva import *", {})
    with pytest.raises(InputError) as raised:
        importlib.import_module("kanerva.estimators")
    assert str(raised.value) == (
        "kanerva.estimators: scikit-learn must be installed, in version 1.6 or newer, but it was "
        'missing or older; install it: pip install "kanerva[data]".'
    )
