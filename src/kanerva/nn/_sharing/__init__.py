"""Gates that the blocks of a model share, attached to a model that exists."""

from kanerva.nn._sharing._share import share
from kanerva.nn._sharing._shared import Shared

__all__ = ["Shared", "share"]
