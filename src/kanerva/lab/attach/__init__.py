"""What gates would add to a model of transformers, and how they correlate before any training."""

from kanerva.lab.attach._load import load
from kanerva.lab.attach._study import Study, study

__all__ = ["Study", "load", "study"]
