"""Store rows in memories that are densities, and ask how likely rows are that were held out."""

from kanerva.lab.density._evaluate import Evaluation, evaluate
from kanerva.lab.density._plan import MEMORIES, Plan
from kanerva.lab.density._save import save
from kanerva.lab.density._tables import likelihoods

__all__ = ["MEMORIES", "Evaluation", "Plan", "evaluate", "likelihoods", "save"]
