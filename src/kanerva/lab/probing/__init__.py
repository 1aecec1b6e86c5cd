"""Load a transformer, examine its heads as memories, replace them, and write down what was found."""

from kanerva.lab.probing._examination import REPLACEMENTS, Examination, Plan, examine
from kanerva.lab.probing._report import save
from kanerva.lab.probing._transformer import Reader, load

__all__ = ["REPLACEMENTS", "Examination", "Plan", "Reader", "examine", "load", "save"]
