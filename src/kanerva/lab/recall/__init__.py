"""Store a data set in several memories, damage cues, recall them, and compare what comes back."""

from kanerva.lab.recall._compare import Comparison, Plan, compare, save
from kanerva.lab.recall._scorer import Scorer

__all__ = ["Comparison", "Plan", "Scorer", "compare", "save"]
