"""What others offer, where it is installed: none of it is needed to run the rest."""

import importlib
import importlib.metadata
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from kanerva.bits import Packed

__all__ = [
    "LARGEST",
    "attend",
    "bipolar",
    "neighbours",
    "scikit",
    "sparse_distributed",
    "torchhd",
    "unpacked",
    "versions",
]

# Package and module; a peer is left out where its module is not there.
PACKAGES = {
    "torch-hd": "torchhd.memory",
    "x-transformers": "x_transformers.attend",
    "scikit-learn": "sklearn.neighbors",
}
# Bytes beyond which a peer is not asked to build what it builds, nor numbers that plain NumPy is to look at one after another.
LARGEST, SLOWEST = 4 * 2**30, 4_000_000_000


def versions() -> dict[str, str | None]:
    """Say which peers are here, and in which version."""
    return {
        package: importlib.metadata.version(package) if _module(package) else None
        for package in PACKAGES
    }


def torchhd() -> Any | None:
    """Return torch-hd's memories."""
    return _module("torch-hd")


def attend(scale: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return the attention of x-transformers, as fast as it offers it, as a read of keys by queries."""
    module = _module("x-transformers")
    if module is None:
        return None
    part = module.Attend(flash=True, scale=scale)

    def read(query: Tensor, keys: Tensor) -> Tensor:
        value: Tensor = part(query[None, None], keys[None, None], keys[None, None])[0][0, 0]
        return value

    return read


def scikit() -> Any | None:
    """Return scikit-learn's neighbours and densities."""
    return _module("scikit-learn")


def sparse_distributed(addresses: Packed, radius: int, width: int) -> Any | None:
    """Return torch-hd's sparse distributed memory with these addresses and radius, nothing written."""
    module, (count, bits) = torchhd(), addresses.shape
    if module is None or 4 * count * (bits + width) > LARGEST:
        return None
    with torch.random.fork_rng(
        devices=[]
    ):  # it draws addresses of its own, from the global generator
        memory = module.SparseDistributed(count, bits, width)
    memory.threshold = bits - 2 * radius
    memory.keys.data.copy_(unpacked(addresses))
    memory.values.data.zero_()
    return memory


def bipolar(x: Tensor) -> Any:
    """Return bits as the tensors that torch-hd calculates with."""
    return x.as_subclass(importlib.import_module("torchhd").MAPTensor)


def unpacked(addresses: Packed, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return packed rows as numbers, a piece at a time, so that nothing larger is built on the way."""
    whole = torch.empty(addresses.shape, dtype=dtype)
    for start in range(0, len(whole), 50_000):
        whole[start : start + 50_000] = addresses[start : start + 50_000]
    return whole


def neighbours(keys: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return scikit-learn's search for the nearest of the keys, as a read."""
    module = scikit()
    if module is None:
        return None
    fitted = module.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(keys.numpy())
    return lambda query: keys[
        torch.from_numpy(fitted.kneighbors(query.numpy(), return_distance=False)[:, 0])
    ]


def _module(package: str) -> Any | None:
    """Import what a package offers, silently, or return None."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(PACKAGES[package])
    except ImportError:
        return None
