"""Other libraries with the same operations; each is used only where it is installed."""

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

# Package and module; a package is left out where its module cannot be imported.
PACKAGES = {
    "torch-hd": "torchhd.memory",
    "x-transformers": "x_transformers.attend",
    "scikit-learn": "sklearn.neighbors",
}
# Peers that would allocate more bytes are left out, and so is plain NumPy with more comparisons.
LARGEST, SLOWEST = 4 * 2**30, 4_000_000_000


def versions() -> dict[str, str | None]:
    """Return the installed versions of the peers, None for those that are missing."""
    return {
        package: importlib.metadata.version(package) if _module(package) else None
        for package in PACKAGES
    }


def torchhd() -> Any | None:
    """Return the module of the memories of torch-hd, or None."""
    return _module("torch-hd")


def attend(scale: float) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Return the flash attention of x-transformers as a read of keys by queries, or None."""
    module = _module("x-transformers")
    if module is None:
        return None
    part = module.Attend(flash=True, scale=scale)

    def read(query: Tensor, keys: Tensor) -> Tensor:
        value: Tensor = part(query[None, None], keys[None, None], keys[None, None])[0][0, 0]
        return value

    return read


def scikit() -> Any | None:
    """Return the module of neighbours and densities of scikit-learn, or None."""
    return _module("scikit-learn")


def sparse_distributed(addresses: Packed, radius: int, width: int) -> Any | None:
    """Return an empty sparse distributed memory of torch-hd with these addresses and radius."""
    module, (count, bits) = torchhd(), addresses.shape
    if module is None or 4 * count * (bits + width) > LARGEST:
        return None
    # The constructor draws addresses from the global generator.
    with torch.random.fork_rng(devices=[]):
        memory = module.SparseDistributed(count, bits, width)
    memory.threshold = bits - 2 * radius
    memory.keys.data.copy_(unpacked(addresses))
    memory.values.data.zero_()
    return memory


def bipolar(x: Tensor) -> Any:
    """Return bits as a tensor of torch-hd."""
    return x.as_subclass(importlib.import_module("torchhd").MAPTensor)


def unpacked(addresses: Packed, dtype: torch.dtype = torch.float32) -> Tensor:
    """Return packed rows as numbers; they are unpacked in blocks, to save memory."""
    whole = torch.empty(addresses.shape, dtype=dtype)
    for start in range(0, len(whole), 50_000):
        whole[start : start + 50_000] = addresses[start : start + 50_000]
    return whole


def neighbours(keys: Tensor) -> Callable[[Tensor], Tensor] | None:
    """Return the nearest-neighbour search of scikit-learn as a read, or None."""
    module = scikit()
    if module is None:
        return None
    fitted = module.NearestNeighbors(n_neighbors=1, algorithm="brute").fit(keys.numpy())

    def read(query: Tensor) -> Tensor:
        found = fitted.kneighbors(query.numpy(), return_distance=False)
        return keys[torch.from_numpy(found[:, 0])]

    return read


def _module(package: str) -> Any | None:
    """Import the module of a package without warnings; return None where it is missing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(PACKAGES[package])
    except ImportError:
        return None
