"""Compare the samples of a model with its training rows: copies, repeats, and what is new."""

from kanerva.lab.audit._evaluate import Audit, evaluate
from kanerva.lab.audit._load import Files, load
from kanerva.lab.audit._plan import Plan
from kanerva.lab.audit._save import save
from kanerva.lab.audit._tables import shares

__all__ = ["Audit", "Files", "Plan", "evaluate", "load", "save", "shares"]
