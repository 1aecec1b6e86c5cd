"""Load a transformer, analyse its heads as memories, replace them, and write a report."""

from kanerva.lab.probing._examination import REPLACEMENTS, Examination, Plan, examine
from kanerva.lab.probing._reader import Reader
from kanerva.lab.probing._report import save
from kanerva.lab.probing._transformer import load

__all__ = ["REPLACEMENTS", "Examination", "Plan", "Reader", "examine", "load", "save"]
