"""The methods that group rows, of scikit-learn and of this library, under one signature."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from kanerva import density
from kanerva.lab.data._raw import extra

__all__ = ["METHODS", "load"]

# A prior of the means as wide as standardised data.
PRIOR = 1.0
# Steps of Adam, as in the measurements with separate code.
SWEEPS = 120


def load(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the standardised rows of a data set of scikit-learn, and the class of each."""
    sets = extra("sklearn.datasets", "scikit-learn", f"'{name}'")
    found = getattr(sets, f"load_{name}")()
    x = found.data - found.data.mean(0)
    spread = x.std(0)
    # A constant column, such as an unlit pixel, stays 0.
    return x / np.where(spread > 0, spread, 1.0), found.target


def _kmeans(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    from sklearn.cluster import KMeans

    return KMeans(groups, n_init=1, random_state=seed).fit_predict(x)


def _gaussians(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    from sklearn.mixture import GaussianMixture

    kind = {"covariance_type": "spherical", "init_params": "random_from_data"}
    # The scale is the smallest standard deviation.
    model = GaussianMixture(groups, reg_covar=scale**2, max_iter=500, random_state=seed, **kind)
    return model.fit_predict(x)


def _dirichlet(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    from sklearn.mixture import BayesianGaussianMixture

    model = BayesianGaussianMixture(
        n_components=2 * groups,
        covariance_type="spherical",
        reg_covar=scale**2,
        weight_concentration_prior=prior,
        init_params="random_from_data",
        max_iter=1000,
        tol=1e-2,
        random_state=seed,
    )
    return model.fit_predict(x)


def _learned(memory: density.Mixture, x: np.ndarray, seed: int) -> Any:
    return memory.fit(torch.from_numpy(x), sweeps=SWEEPS, seed=seed).numpy()


def _clam(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    memory = density.clam(x.shape[1], groups, scale, dtype=torch.float64)
    return _learned(memory, x, seed)


def _elbo(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    memory = density.elbo(x.shape[1], groups, scale, dtype=torch.float64)
    return _learned(memory, x, seed)


def _vmf(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    memory = density.elbo(x.shape[1], groups, scale / 2, "vmf", dtype=torch.float64)
    return _learned(memory, x, seed)


def _crp(x: np.ndarray, groups: int, scale: float, prior: float, seed: int) -> Any:
    memory = density.crp(x.shape[1], scale, PRIOR, prior, dtype=torch.float64)
    place = np.random.default_rng(seed).permutation(len(x))
    ids = np.empty(len(x), dtype=np.int64)
    ids[place] = memory.fit(torch.from_numpy(x[place]), sweeps=10).numpy()
    return ids


METHODS: dict[str, Callable[[np.ndarray, int, float, float, int], Any]] = {
    "kmeans": _kmeans,
    "gaussians": _gaussians,
    "dirichlet": _dirichlet,
    "clam": _clam,
    "elbo": _elbo,
    "crp": _crp,
    "vmf": _vmf,
}
