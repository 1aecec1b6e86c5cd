"""Checks of a state dict before any of it is loaded."""

import torch
from torch import Tensor

from kanerva._core import arrays
from kanerva._core.errors import InputTypeError, refuse


def vet(here: dict[str, Tensor], new: dict[str, Tensor]) -> None:
    """Refuse buffers that are not those of one memory like this one, or would lose digits.

    Args:
        here: the buffers of the memory, one row an item.
        new: the buffers of the same names in the state.
    """
    if len(new) < len(here) or len({rows.shape[:1] for rows in new.values()}) > 1:
        must = f"as many rows of each of {', '.join(here)}"
        got = ", ".join(f"{tuple(rows.shape)} of {name}" for name, rows in new.items())
        refuse("state", got=got, must=must, do="load the state of one memory, whole")
    for name, rows in new.items():
        size, dtype = here[name].shape[1:], here[name].dtype
        if rows.shape[1:] != size:
            must, got = f"rows of shape {tuple(size)}", f"of shape {tuple(rows.shape)}"
            refuse(name, got=got, must=must, do="build the memory with the sizes that were saved")
        if rows.dtype != dtype and not torch.equal(rows.to(dtype).to(rows.dtype), rows):
            must, do = f"numbers that {dtype} holds", f"build the memory with {rows.dtype}"
            refuse(name, rows, must=must, do=do, error=InputTypeError)
        arrays.finite(name, rows)


def vet_ids(ids: Tensor, following: Tensor) -> None:
    """Refuse ids that are not different, or not below the next one; shapes are checked later."""
    if ids.ndim != 1 or following.ndim != 0:
        return
    last = int(ids.max()) if len(ids) else -1
    different = len(torch.unique(ids)) == len(ids) and (not len(ids) or int(ids.min()) >= 0)
    if not different or not last < int(following) < 2**62:
        lowest = f" from {int(ids.min())} to {last}" if len(ids) else ""
        got = f"{len(ids)} ids{lowest}, the next {int(following)}"
        must = "different ids >= 0, all below the next"
        refuse("ids", got=got, must=must, do="load the state_dict of one memory, whole")
