"""What every content-addressable memory can do, whatever its read is."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from kanerva._core import archive, arrays, checks
from kanerva._core.arrays import Listed
from kanerva._core.errors import door, within
from kanerva.dynamics import Settled
from kanerva.memory import _parts
from kanerva.memory._explanation import Explanation

__all__ = ["Associative"]


class Associative(nn.Module, ABC):
    """A store of values under keys, which is written, read, explained, cleared and saved.

    ``Memory`` is the store whose read is a weighted sum of values. A memory with another read
    derives from this class, writes the abstract members, and names in ``exempt`` the laws of
    ``check_memory`` that it does not promise.

    Attributes:
        exempt: why a law does not hold, by the name that ``check_memory`` gives it.
        empty: what is read where nothing is stored, as in ``Memory``.
        autoassociative: whether values are left out of ``write``, because they are the keys.
        key_bits: whether keys and queries are -1/+1.
        value_bits: whether values are -1/+1.

    Example:
        >>> import kanerva
        >>> memory = kanerva.hopfield(bits=64)
        >>> isinstance(memory, kanerva.memory.Associative), memory.nbytes
        (True, 0)
    """

    exempt: Mapping[str, str] = MappingProxyType({})
    empty: str = "zero"
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]
    # The parts that a memory was built with, as ``_parts_now`` returned them.
    _given_parts: tuple[Any, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls)
        # A class that is built in its own way is saved with the arguments that it was built with.
        made.__dict__["_arguments"] = (args, kwargs) if _parts.own_init(cls) else ((), {})
        return made

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length d of a key."""

    @property
    @abstractmethod
    def value_dim(self) -> int:
        """Length e of a value."""

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""

    @property
    @abstractmethod
    def device(self) -> torch.device:
        """Device of queries and reads."""

    @abstractmethod
    def write(
        self,
        keys: Float[Tensor, "*batch d"] | Listed,
        values: Float[Tensor, "*batch e"] | Listed | None = None,
    ) -> Tensor | None:
        """Store ``values`` under ``keys``."""

    @abstractmethod
    def read(self, query: Float[Tensor, "*batch d"] | Listed) -> Float[Tensor, "*batch e"]:
        """Read once."""

    @abstractmethod
    def settle(self, query: Float[Tensor, "*batch d"] | Listed, *, steps: int = 100) -> Settled:
        """Read repeatedly until nothing changes, at most ``steps`` times, each query on its own."""

    @abstractmethod
    def explain(self, query: Float[Tensor, "*batch d"] | Listed) -> Explanation:
        """Read once, and return what the read is made of."""

    @abstractmethod
    def pattern_weights(
        self, query: Float[Tensor, "*batch d"] | Listed, patterns: Float[Tensor, "n d"] | Listed
    ) -> Float[Tensor, "*batch n"]:
        """Return how much each stored pattern counts in a read."""

    @abstractmethod
    def clear(self) -> None:
        """Remove everything that is stored; parameters stay."""

    @abstractmethod
    def __len__(self) -> int:
        """Count the stored items."""

    @property
    def autoassociative(self) -> bool:
        """Whether values are left out of ``write``, because they are the keys themselves."""
        return True

    @property
    def key_bits(self) -> bool:
        """Whether keys and queries are -1/+1."""
        return False

    @property
    def value_bits(self) -> bool:
        """Whether values are -1/+1."""
        return False

    def _config(self) -> dict[str, Any]:
        """Describe the store for a file, apart from its parts and tensors."""
        return {}

    def _parts_now(self) -> tuple[Any, ...]:
        """Return the parts, which are given when a memory is built."""
        return ()

    def forward(self, query: Float[Tensor, "*batch d"] | Listed) -> Float[Tensor, "*batch e"]:
        """Read once, as ``read`` does."""
        return self.read(query)

    def __bool__(self) -> bool:
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that the memory stores and learns."""
        held = [*self.buffers(), *self.parameters()]
        return sum(tensor.numel() * tensor.element_size() for tensor in held if tensor.ndim)

    @door("save")
    def save(self, path: str | Path) -> None:
        """Write the memory to one safetensors file, whole or not at all.

        ``kanerva.load`` reads it back. A class of your own is saved with its name and the arguments
        it was built with: numbers, text, dtypes, tensors, tuples of these, functions with a name,
        and frozen dataclasses such as parts.

        Args:
            path: where; an existing file is replaced.

        Raises:
            InputError: a part or an argument that could never be loaded, such as a lambda.
            InputFileError: no such folder, no permission, or no space.
        """
        where = checks.path(path)
        config, extra, _ = _parts.describe_memory(self)
        archive.write(where, dict(self.state_dict()) | extra, config)

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a buffer that can be changed outside inference mode too."""
        kept = None if tensor is None else normal(tensor)
        super().register_buffer(name, kept, persistent)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        with within(f"{type(self).__name__}.to"):
            probe = torch.empty(0, dtype=self.dtype, device=self.device)
            arrays.floating(fn(probe).dtype)
        with torch.inference_mode(False):
            return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


def normal(tensor: Tensor) -> Tensor:
    """Return a tensor that can be changed, and trained through, outside inference mode."""
    if not tensor.is_inference():
        return tensor
    with torch.inference_mode(False):
        return tensor.clone()
