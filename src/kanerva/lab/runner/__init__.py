"""Run recipes: cells side by side, rows to files as they come, interrupted runs resumed."""

from kanerva.lab.runner._run import Result, read, run

__all__ = ["Result", "read", "run"]
