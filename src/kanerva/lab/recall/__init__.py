"""Store a data set in several memories, damage cues, recall them, and compare the results."""

from kanerva.lab.recall._compare import Comparison, compare
from kanerva.lab.recall._overview import overview
from kanerva.lab.recall._plan import Plan
from kanerva.lab.recall._save import save
from kanerva.lab.recall._scorer import Scorer
from kanerva.lab.recall._summary import shown_level

__all__ = ["Comparison", "Plan", "Scorer", "compare", "overview", "save", "shown_level"]
