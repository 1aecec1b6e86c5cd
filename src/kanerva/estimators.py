"""Memories as estimators of scikit-learn, for its pipelines and searches.

They follow the conventions of scikit-learn: parameters are checked in ``fit``, data are refused in
its words, and ``clone``, ``Pipeline`` and ``GridSearchCV`` take them. Everything is computed in
float64. The extra ``data`` installs scikit-learn.
"""

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from kanerva import density
from kanerva._core import checks
from kanerva._core.errors import InputTypeError, named, refuse, within
from kanerva.density import Mixture

try:
    from sklearn.base import BaseEstimator, ClusterMixin, DensityMixin
    from sklearn.utils import check_array, check_consistent_length, check_random_state, column_or_1d
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError:
    with within("kanerva.estimators"):
        must, got = "installed, in version 1.6 or newer", "missing or older"
        refuse("scikit-learn", got=got, must=must, do='install it: pip install "kanerva[data]"')

__all__ = ["MemoryDensity", "MemoryMixture"]

# Mixtures of a given number of memories, by the name of their rule.
FIXED: dict[str, Callable[..., Mixture]] = {"clam": density.clam, "elbo": density.elbo}


class _Likelihood(BaseEstimator):  # type: ignore[misc]
    """An estimator whose memory is a density.

    Attributes:
        memory_: the memory.
    """

    memory_: Any

    @named(x="X")
    def score_samples(self, X: Any) -> Float64[np.ndarray, "n"]:
        """Return the log-likelihood of each row, in nats.

        Args:
            X: ``(n, d)`` numbers.

        Returns:
            ``(n,)``; -inf where no kernel reaches.
        """
        return density.Density(self.memory_).log_prob(self._asked(X)).numpy()

    @named(n="n_samples")
    def sample(self, n_samples: int = 1, random_state: Any = 0) -> Float64[np.ndarray, "n d"]:
        """Draw rows from the density.

        Args:
            n_samples: how many, >= 0.
            random_state: an integer >= 0, under which the rows are always the same, a NumPy
                ``RandomState``, or None for NumPy's global generator.

        Returns:
            ``(n_samples, d)``.
        """
        check_is_fitted(self)
        drawn = density.Density(self.memory_).sample(n_samples, seed=_seed(random_state))
        return drawn.numpy()

    def _asked(self, X: Any) -> Tensor:
        """Check rows of as many features as those of ``fit``."""
        check_is_fitted(self)
        return torch.tensor(validate_data(self, X, dtype=np.float64, reset=False))


class MemoryDensity(DensityMixin, _Likelihood):  # type: ignore[misc]
    r"""A kernel density: a memory in which every row is the centre of one kernel.

    .. math:: p(x) = \frac{\sum_i w_i K(x - x_i)}{\sum_i w_i}, \quad
        K(r) \propto e^{-|r|^2 / 2 h^2}, \quad [1 - |r|^2 / h^2]_+, \quad e^{-|r|_1 / h}

    Gaussian and Epanechnikov's kernels give the likelihoods of ``sklearn.neighbors.KernelDensity``
    with a ``leaf_size`` of at least m. With a smaller one that class loses small likelihoods of
    many dimensions to rounding (issue 7492 of scikit-learn).

    Args:
        shape: ``"gaussian"``, ``"epanechnikov"`` or ``"laplace"``, as in ``density.kernel``.
        bandwidth: h > 0 in the unit of the data, or ``"likelihood"`` for the one under which every
            row is most probable, given the others (``density.bandwidth``). Each row counts once
            there, whatever its weight and however many copies of it there are.

    Attributes:
        memory_: the ``Patterns`` that holds the rows.
        bandwidth_: h.
        n_features_in_: d.
        feature_names_in_: names of the columns, where ``X`` has them.

    Example:
        >>> import numpy as np
        >>> from kanerva.estimators import MemoryDensity
        >>> found = MemoryDensity(bandwidth=1.0).fit([[-1.0], [1.0]], sample_weight=[1.0, 3.0])
        >>> found.score_samples([[0.0]]).round(6)
        array([-1.418939])
        >>> found.sample(2, random_state=0).shape
        (2, 1)

    Source: Silverman 1986; Schaeffer and others 2024, section on kernel density estimators.
    """

    def __init__(self, shape: str = "gaussian", bandwidth: float | str = "likelihood") -> None:
        self.shape, self.bandwidth = shape, bandwidth

    @named(x="X", prior="sample_weight")
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> "MemoryDensity":
        """Store rows.

        Args:
            X: ``(m, d)`` numbers; two rows or more that differ where the bandwidth is to be found.
            y: ignored.
            sample_weight: ``(m,)`` how often each row counts, >= 0; None for once each.

        Returns:
            the estimator itself.

        Raises:
            InputError: a parameter, or the weights, are out of range.
            ValueError: scikit-learn refuses the data.
        """
        width = self.bandwidth
        least = 2 if isinstance(width, str) else 1
        X = validate_data(self, X, dtype=np.float64, ensure_min_samples=least)
        rows, prior = X, None
        if sample_weight is not None:
            weights = _weights(sample_weight, X)
            rows, prior = X[weights > 0], torch.tensor(weights[weights > 0])
        width = self._chosen(rows) if isinstance(width, str) else width
        memory = density.kernel(X.shape[1], width, self.shape, dtype=torch.float64)
        memory.write(torch.tensor(rows), prior=prior)
        self.memory_, self.bandwidth_ = memory, float(width)
        return self

    def score(self, X: Any, y: Any = None) -> float:
        """Return the log-likelihood of all rows together, as ``KernelDensity`` does.

        Args:
            X: ``(n, d)`` numbers.
            y: ignored.

        Returns:
            the sum of ``score_samples``, in nats.
        """
        return float(self.score_samples(X).sum())

    def _chosen(self, X: Float64[np.ndarray, "m d"]) -> float:
        """Return the bandwidth of leave-one-out likelihood, without copies of rows."""
        if self.bandwidth != "likelihood":
            must, do = "a number > 0 or 'likelihood'", "write one of them"
            refuse("bandwidth", self.bandwidth, must=must, do=do)
        _, places = np.unique(X, axis=0, return_index=True)
        return density.bandwidth(torch.tensor(X[np.sort(places)]), self.shape)


class MemoryMixture(ClusterMixin, _Likelihood):  # type: ignore[misc]
    r"""A mixture of Gaussians of one width, whose means are memories.

    .. math:: p(x) = \sum_k \pi_k N(x; \mu_k, \sigma^2 I)

    With rule ``"crp"`` rows create the memories they need; with ``"elbo"`` and ``"clam"`` their
    number is given. The rules are those of ``density.crp``, ``density.elbo`` and ``density.clam``.

    Args:
        rule: ``"crp"``, ``"elbo"`` or ``"clam"``.
        sigma: standard deviation of the rows of one memory, in the unit of the data; the default is
            for columns of standard deviation 1.
        memories: K >= 1, for ``"elbo"`` and ``"clam"``.
        prior_sigma: for ``"crp"``, standard deviation of the means around 0; None for that of the
            numbers in the first ``X`` around 0.
        concentration: for ``"crp"``, how readily memories are created, > -discount.
        discount: for ``"crp"``, in [0, 1).
        sweeps: at most so many passes of ``fit`` over all rows.
        random_state: for the rows at which ``"elbo"`` and ``"clam"`` start: an integer >= 0, a
            NumPy ``RandomState``, or None for NumPy's global generator.

    Attributes:
        memory_: the ``density.Mixture``.
        means_: ``(k, d)`` the centres of the memories, in the order of their birth.
        counts_: ``(k,)`` how many rows each memory holds; one each for ``"clam"``, whose memories
            weigh the same.
        labels_: ``(m,)`` the memory of each row of the last ``fit`` or ``partial_fit``.
        n_features_in_: d.
        feature_names_in_: names of the columns, where ``X`` has them.

    Example:
        >>> from kanerva.estimators import MemoryMixture
        >>> X = [[0.0], [4.0], [4.2], [-0.2], [-7.0]]
        >>> found = MemoryMixture(sigma=0.5, prior_sigma=5.0, concentration=0.1).fit(X)
        >>> found.labels_, found.counts_
        (array([0, 1, 1, 0, 2]), array([2., 2., 1.]))
        >>> found.partial_fit([[20.0]]).predict([[19.0], [4.1]])
        array([3, 1])

    Source: Schaeffer and others 2024; Saha and others 2023 for ``"clam"``.
    """

    def __init__(
        self,
        rule: str = "crp",
        sigma: float = 0.5,
        memories: int = 3,
        prior_sigma: float | None = None,
        concentration: float = 1.0,
        discount: float = 0.0,
        sweeps: int = 100,
        random_state: Any = 0,
    ) -> None:
        self.rule, self.sigma, self.memories = rule, sigma, memories
        self.prior_sigma, self.concentration, self.discount = prior_sigma, concentration, discount
        self.sweeps, self.random_state = sweeps, random_state

    @property
    def means_(self) -> Float64[np.ndarray, "k d"]:
        """The centres of the memories ``(k, d)``."""
        return self.memory_.keys.numpy()

    @property
    def counts_(self) -> Float64[np.ndarray, "k"]:
        """How many rows each memory holds ``(k,)``."""
        return self.memory_.counts.numpy()

    @named(x="X")
    def fit(self, X: Any, y: Any = None) -> "MemoryMixture":
        """Learn from these rows alone.

        Args:
            X: ``(m, d)`` numbers; at least ``memories`` rows, where their number is given.
            y: ignored.

        Returns:
            the estimator itself.

        Raises:
            InputError: a parameter is out of range.
            ValueError: scikit-learn refuses the data.
        """
        X = validate_data(self, X, dtype=np.float64)
        memory = self._empty(X)
        check_array(X, ensure_min_samples=memory.rule.most or 1, estimator=self)
        rows = torch.tensor(X)
        memory.fit(rows, sweeps=self.sweeps, seed=_seed(self.random_state))
        self.memory_, self.labels_ = memory, _nearest(memory, rows)
        return self

    @named(x="X")
    def partial_fit(self, X: Any, y: Any = None) -> "MemoryMixture":
        """Write rows, one after the other, to what is learned already.

        Args:
            X: ``(m, d)`` numbers. The first ``memories`` rows become the memories, where their
                number is given.
            y: ignored.

        Returns:
            the estimator itself.

        Raises:
            InputError: a parameter is out of range.
            ValueError: scikit-learn refuses the data.
        """
        first = not hasattr(self, "memory_")
        X = validate_data(self, X, dtype=np.float64, reset=first)
        memory = self._empty(X) if first else self.memory_
        self.labels_ = memory.write(torch.tensor(X)).numpy()
        self.memory_ = memory
        return self

    @named(x="X")
    def predict(self, X: Any) -> Int64[np.ndarray, "n"]:
        """Return the most probable memory of each row, among those that are born.

        Args:
            X: ``(n, d)`` numbers.

        Returns:
            ``(n,)``.
        """
        rows = self._asked(X)
        return _nearest(self.memory_, rows)

    @named(x="X")
    def predict_proba(self, X: Any) -> Float64[np.ndarray, "n columns"]:
        """Return how probable each memory is as the source of a row.

        Args:
            X: ``(n, d)`` numbers.

        Returns:
            ``(n, k)`` that sum to one; for ``"crp"`` one more column, for a memory that is not
            born: where it is large, a row is like no memory.
        """
        rows = self._asked(X)
        return self.memory_.posterior(rows).numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """Return the mean log-likelihood of a row, as ``GaussianMixture`` does.

        Args:
            X: ``(n, d)`` numbers.
            y: ignored.

        Returns:
            the mean of ``score_samples``, in nats.
        """
        return float(self.score_samples(X).mean())

    def _empty(self, X: Float64[np.ndarray, "m d"]) -> Mixture:
        """Build the mixture."""
        rule, dim = checks.choice("rule", self.rule, ("crp", *FIXED)), X.shape[1]
        checks.integer("sweeps", self.sweeps, 0, checks.LONGEST)
        if rule in FIXED:
            return FIXED[rule](dim, self.memories, self.sigma, dtype=torch.float64)
        spread = self.prior_sigma
        if spread is None:
            largest = np.abs(X).max()
            spread = largest * float(np.sqrt(np.mean((X / largest) ** 2))) if largest else 1.0
        parts = (self.sigma, spread, self.concentration, self.discount)
        return density.crp(dim, *parts, dtype=torch.float64)


def _nearest(memory: Mixture, rows: Tensor) -> Int64[np.ndarray, "n"]:
    """Return the most probable of the memories that are born."""
    return memory.posterior(rows)[:, : len(memory)].argmax(-1).numpy()


def _weights(given: Any, X: Float64[np.ndarray, "m d"]) -> Float64[np.ndarray, "m"]:
    """Return how often each row counts."""
    whole = check_array(given, ensure_2d=False, dtype=np.float64, input_name="sample_weight")
    weights: Any = column_or_1d(whole)
    check_consistent_length(X, weights)
    if weights.min() < 0 or weights.max() == 0:
        must, do = "numbers >= 0, one of them above 0", "give how often each row counts"
        got = "zero for every row" if weights.min() == 0 else f"{weights.min():g} for a row"
        refuse("sample_weight", got=got, must=must, do=do)
    return weights


def _seed(random_state: Any) -> int:
    """Return a seed: an integer itself, or one that is drawn from a generator."""
    if isinstance(random_state, numbers.Integral):
        return checks.integer("random_state", random_state, 0, 2**32 - 1)
    try:
        source = check_random_state(random_state)
    except ValueError:
        must, do = "an integer >= 0, a RandomState of NumPy or None", "give an integer"
        refuse("random_state", random_state, must=must, do=do, error=InputTypeError)
    return int(source.randint(2**31 - 1))
