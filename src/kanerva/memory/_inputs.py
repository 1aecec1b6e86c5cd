"""What a memory is given, checked: queries with masks, and rows to store."""

import copy
import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any, NamedTuple, TypeVar, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import door, refuse
from kanerva._core.settings import settings
from kanerva._engine.cues import Cue, scaled
from kanerva._engine.scores import Kept, mask_of, rows_of
from kanerva.memory._associative import Associative

Mask = Shaped[Tensor, "*_mask"] | arrays.Listed | None
Method = TypeVar("Method", bound=Callable[..., Any])


class Given(NamedTuple):
    """Checked queries, and what is stored at the time: later writes do not change it.

    Attributes:
        rows: ``(b, d)`` the queries.
        kept: ``(b or 1, m)`` mask and bias of the keys, and their prior; None for none of these.
        batch: the leading dimensions of the queries.
        keys: ``(m, d)`` what they are compared with.
        values: ``(m, e)`` what is summed.
        rule: how much each key counts.
        traced: whether torch traces a graph, which cannot depend on the numbers.
        betas: ``(b,)`` float64, an inverse temperature for each query; None for that of the rule.
        scaled: whether the betas multiply the scores, and the rule, at beta 1, has none of its own.
    """

    rows: Tensor
    kept: Any
    batch: torch.Size
    keys: Any
    values: Any
    rule: Any
    traced: bool = False
    betas: Tensor | None = None
    scaled: bool = False

    def cue(self, similarity: Any) -> Cue:
        """Return what is compared with the keys."""
        plain = Cue(self.rows, similarity)
        return plain if self.betas is None or not self.scaled else scaled(plain, self.betas)

    @property
    def several(self) -> bool:
        """Whether anything but the vectors may differ from query to query."""
        return self.kept is not None or self.betas is not None

    def of(self, places: Tensor, rows: Tensor | None = None) -> "Given":
        """Take some of the queries, or put other rows in their place."""
        rows = self.rows[places] if rows is None else rows
        betas = None if self.betas is None else self.betas[places]
        return self._replace(rows=rows, kept=mask_of(self.kept, places), betas=betas)


def changes(method: Method) -> Method:
    """Let one thread at a time change a memory, without gradients and outside inference mode.

    Tensors made in inference mode could not be changed, or trained through, outside it.
    """

    @functools.wraps(method)
    def changed(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        if torch.compiler.is_compiling():
            return method(self, *args, **kwargs)
        self._vet_view()
        with self._alone(), torch.inference_mode(False), torch.no_grad():
            return method(self, *args, **kwargs)

    return cast(Method, changed)


class Inputs(Associative):
    """Checks what a memory is given, and takes what is stored at that time."""

    keys: Any
    values: Any
    # Every store sets the length of its keys, and registers a buffer with the dtype and the device
    # of queries.
    _dim: int
    _unit: Tensor
    # Facts of the parts that every read needs.
    _bits: bool
    _shows: bool
    value_bits: Any
    separation: Any
    bias: Callable[[], Any]
    # Whether this is a view of the rows of another memory, which alone can be changed and saved.
    _view = False
    # Inverse temperatures of the queries of a view; None for that of the rule.
    _betas: Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of queries and reads."""
        return self._unit.dtype

    @property
    def device(self) -> torch.device:
        """Device of queries and reads."""
        return self._unit.device

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        made = super().__new__(cls, *args, **kwargs)
        made.__dict__["_lock"] = RLock()
        return made

    def _alone(self) -> AbstractContextManager[Any]:
        """Keep other threads from changing what is stored; a traced graph runs in one thread."""
        lock: AbstractContextManager[Any] = self.__dict__["_lock"]
        return nullcontext() if torch.compiler.is_compiling() else lock

    def _vet_view(self) -> None:
        """Refuse to change or to save the rows of another memory."""
        if self._view:
            must, do = "the memory itself", "use the memory it came from"
            refuse("memory", got="a view made by at()", must=must, do=do)

    def __getstate__(self) -> dict[str, Any]:
        # A copy has rows of its own.
        return {
            name: part for name, part in self.__dict__.items() if name not in ("_lock", "_view")
        }

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._vet_view()
        return super()._apply(fn, recurse)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        memo[id(self)] = other = type(self).__new__(type(self))
        with self._alone(), torch.inference_mode(False):
            other.__dict__.update(copy.deepcopy(self.__getstate__(), memo))
        return other

    @door("save")
    def save(self, path: str | Path) -> None:
        """Write the memory to one safetensors file, as ``Associative.save`` does; no view."""
        self._vet_view()
        super().save(path)

    def _held(self) -> tuple[Any, Any, Any, Any, Any]:
        """Return keys, values, bias, prior and rule, as they are now; None for no bias or prior."""
        return self.keys, self.values, self.bias(), None, self.separation

    def _given(self, query: Any, mask: Any) -> Given:
        """Check a query and a mask, and return them as rows."""
        query = self._vectors("query", query, self._dim)
        if self._bits:
            arrays.bipolar("query", query)
        elif mask is not None or not self._shows:
            arrays.finite("query", query)
        rows = query if query.ndim == 2 else query.reshape(-1, query.shape[-1])
        batch, traced = query.shape[:-1], arrays.tracing()
        kept: Any = None
        if traced:
            keys, values, bias, prior, rule = self._held()
        else:  # other threads cannot change one of them in between
            with self.__dict__["_lock"]:
                keys, values, bias, prior, rule = self._held()
        if mask is not None:
            kept = rows_of(arrays.listed(mask, self.dtype, self.device), batch, keys.shape[0])
        if bias is not None:
            kept = _biased(kept, self._vetted(bias, keys.shape[0]))
        if prior is not None:
            kept = Kept(kept, prior.expand(1, -1))
        betas = None if self._betas is None else _each(self._betas, batch)
        return Given(rows, kept, batch, keys, values, rule, traced, betas)

    def _vetted(self, bias: Any, count: int) -> Tensor:
        """Refuse a bias that is not one number for each key."""
        must = f"{self.dtype} of shape ({count},), finite or -inf"
        do = "return one number for each key"
        fits = arrays.dense("bias", bias, must, self.dtype).shape == (count,)
        if not fits or bias.dtype != self.dtype or bias.device != self.device:
            refuse("bias", bias, must=must, do=do)
        if not arrays.sound(bias) and not (bias.detach() < torch.inf).all():
            refuse("bias", bias, must=must, do=do)
        return bias

    def _vectors(self, name: str, rows: Any, dim: int) -> Tensor:
        """Return vectors as a tensor; refuse another length, dtype or device."""
        unit: Any = self._buffers["_unit"]
        if not isinstance(rows, Tensor):
            rows = arrays.listed(rows, unit.dtype, unit.device)
        if (
            isinstance(rows, Tensor)
            and not rows.is_nested
            and rows.dtype is unit.dtype
            and rows.device == unit.device
            and rows.layout is torch.strided
            and rows.ndim
            and rows.shape[-1] == dim
        ):
            return rows
        arrays.vectors(name, rows, dim, unit.dtype)
        if rows.device != unit.device:
            home = str(unit.device)
            do = f"move it with {name}.to({home!r})"
            refuse(name, got=f"on {rows.device}", must=f"on {home}", do=do)
        return rows

    def _rows(self, name: str, rows: Any, dim: int, bits: bool) -> Tensor:
        """Return vectors as a tensor; refuse those that cannot be stored."""
        rows = self._vectors(name, rows, dim)
        return arrays.bipolar(name, rows) if bits else arrays.finite(name, rows)

    def _payload(self, keys: Tensor, values: Any) -> Tensor:
        """Return the values that go with ``keys``, one row each: the keys where none are given."""
        if values is None and self.value_dim != self.dim:
            must = f"a tensor of shape (..., {self.value_dim})"
            refuse("values", got="left out", must=must, do="give one value for each key")
        given = keys if values is None else values
        given = self._rows("values", given, self.value_dim, self.value_bits)
        if given.shape[:-1] != keys.shape[:-1]:
            got = f"of shape {tuple(given.shape)} for keys of shape {tuple(keys.shape)}"
            do = "give both the same leading dimensions"
            refuse("values", got=got, must="one for each key", do=do)
        return given.reshape(-1, self.value_dim)


def afford(given: Given, dtype: torch.dtype) -> None:
    """Refuse weights of more bytes than the budget: they are returned whole."""
    queries, keys = len(given.rows), given.keys.shape[0]
    size = queries * keys * max(4, dtype.itemsize)
    if size > settings.budget and queries > 1:
        must = f"few enough for {settings.budget} bytes of weights"
        shape = (*given.batch, given.rows.shape[-1])
        got = f"{tuple(shape)} against {keys} keys: {size} bytes"
        do = "give fewer at a time, or raise kanerva.settings.budget"
        refuse("query", got=got, must=must, do=do)


def _each(betas: Tensor, batch: torch.Size) -> Tensor:
    """Lay the temperatures of a view out as one for each query."""
    if arrays.together(betas.shape, batch) != batch:
        got = f"with leading dimensions {tuple(batch)}, for betas of shape {tuple(betas.shape)}"
        do = "give one query for each beta of at(beta)"
        refuse("query", got=got, must="of leading dimensions that the betas broadcast to", do=do)
    return betas.expand(batch).reshape(batch.numel())


def _biased(kept: Tensor | None, bias: Tensor) -> Tensor:
    """Add the bias of the keys to the rows of a mask."""
    if kept is None:
        return bias.expand(1, -1)
    return torch.where(kept, bias, -torch.inf) if kept.dtype == torch.bool else kept + bias
